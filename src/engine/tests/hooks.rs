//! `post_start` and `pre_stop` on the machine's engine, and containers that know each other.
use super::yard::{Yard, leaving, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::lifecycle::{HookPhase, HookRun};
use crate::model::playbook::{Anonymous, Volumes};
use crate::model::service::{
    Condition, Dependency, LifecycleHook, Link, Mount, MountSource, Service, SharedVolumes,
};

fn hook(line: &str) -> LifecycleHook {
    LifecycleHook {
        command: ["sh", "-c", line].map(str::to_owned).to_vec(),
        ..LifecycleHook::default()
    }
}

/// What each run came to: service, phase, exit code, output.
fn told(hooks: &[HookRun]) -> Vec<(String, HookPhase, Option<i64>, String)> {
    let told = hooks.iter().map(|run| {
        let output = run.output.trim().to_owned();
        (run.service.to_string(), run.phase, run.exit_code, output)
    });
    told.collect()
}

fn waits_for(service: &mut Service, other: &str) {
    let dependency = Dependency {
        condition: Condition::Started,
        is_required: true,
        restart: false,
    };
    service
        .depends_on
        .insert(other.parse().unwrap(), dependency);
}

#[tokio::test]
async fn hooks_run_in_their_order_and_what_waits_starts_after_them() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut db = yard.service("db", &image);
    db.container
        .environment
        .insert("NAME".to_owned(), Some("db".into()));
    db.container.post_start = vec![
        hook("sleep 0.5; echo first $NAME > /tmp/told"),
        LifecycleHook {
            user: Some("7".to_owned()),
            working_dir: Some("/tmp".to_owned()),
            environment: [("EXTRA".to_owned(), Some("more".into()))].into(),
            ..hook("cat told; echo $EXTRA; touch mine; stat -c %u mine")
        },
    ];
    db.container.pre_stop = vec![hook("echo bye; touch /tmp/bye")];
    let mut web = yard.service("web", &image);
    waits_for(&mut web, "db");
    let engine = yard.engine(vec![yard.project(vec![db, web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let outcome = engine.ask(EngineRequest::Start { containers: made }).await;
    let EngineOutcome::Started { hooks } = outcome else {
        panic!("{outcome:?}");
    };
    let post = HookPhase::PostStart;
    assert_eq!(
        told(&hooks),
        [
            ("db".to_owned(), post, Some(0), String::new()),
            (
                "db".to_owned(),
                post,
                Some(0),
                "first db\nmore\n7".to_owned()
            ),
        ]
    );
    let started = |service: &str| {
        let filter = format!("label=com.docker.compose.service={service}");
        let mine = format!("label=com.docker.compose.project={}", yard.name);
        let id = run(
            "docker",
            &["ps", "-q", "--filter", &filter, "--filter", &mine],
        );
        let at = run("docker", &["inspect", "-f", "{{.State.StartedAt}}", &id]);
        at.parse::<jiff::Timestamp>().unwrap()
    };
    let apart = started("web").duration_since(started("db"));
    assert!(apart.as_millis() >= 500, "{apart:?}");

    let seen = engine.inventory_now().await;
    let containers = leaving(&seen).iter().map(|one| one.id.clone()).collect();
    let clear = EngineRequest::Clear {
        containers,
        volumes: Volumes::Keep,
        anonymous: Anonymous::Discard,
    };
    let outcome = engine.ask(clear).await;
    let EngineOutcome::Cleared { removed: 2, hooks } = outcome else {
        panic!("{outcome:?}");
    };
    let bye = (
        "db".to_owned(),
        HookPhase::PreStop,
        Some(0),
        "bye".to_owned(),
    );
    assert_eq!(told(&hooks), [bye]);
}

#[tokio::test]
async fn a_start_whose_hook_fails_has_failed_with_its_words() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    web.container.post_start = vec![hook("echo no room; exit 3"), hook("echo never")];
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let outcome = engine.ask(EngineRequest::Start { containers: made }).await;
    let EngineOutcome::NotStarted { problem, hooks } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        problem.what.contains("post_start of service web"),
        "{problem:?}"
    );
    assert!(
        problem
            .what
            .contains("exit code 3; its last lines: no room"),
        "{problem:?}"
    );
    assert_eq!(hooks.len(), 1);
}

#[tokio::test]
async fn nothing_is_stopped_where_a_hook_before_it_fails() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut db = yard.service("db", &image);
    db.container.pre_stop = vec![hook("echo db")];
    let mut web = yard.service("web", &image);
    waits_for(&mut web, "db");
    web.container.pre_stop = vec![hook("test -e /tmp/may-go")];
    let engine = yard.engine(vec![yard.project(vec![db, web])]);
    let seen = engine.visit(&yard, 1).await;
    let clear = || EngineRequest::Clear {
        containers: leaving(&seen).iter().map(|one| one.id.clone()).collect(),
        volumes: Volumes::Keep,
        anonymous: Anonymous::Discard,
    };
    let outcome = engine.ask(clear()).await;
    let EngineOutcome::Uncleared {
        left,
        problem,
        hooks,
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(left.len(), 2);
    assert!(
        problem.what.contains("pre_stop of service web"),
        "{problem:?}"
    );
    assert_eq!(
        told(&hooks),
        [("web".to_owned(), HookPhase::PreStop, Some(1), String::new())]
    );
    let after = engine.inventory_now().await;
    assert!(
        after.containers.iter().all(|one| one.is_running()),
        "{after:?}"
    );

    // One that has ended by itself is not asked, and the rest goes as it should.
    let web = after
        .containers
        .iter()
        .find(|one| one.service.as_str() == "web");
    run("docker", &["kill", web.unwrap().id.as_str()]);
    let outcome = engine.ask(clear()).await;
    let EngineOutcome::Cleared { removed: 2, hooks } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        told(&hooks),
        [(
            "db".to_owned(),
            HookPhase::PreStop,
            Some(0),
            "db".to_owned()
        )]
    );
}

#[tokio::test]
async fn linked_services_and_shared_volumes_are_there() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut db = yard.service("db", &image);
    db.container.mounts = vec![Mount {
        source: MountSource::Volume {
            key: "data".to_owned(),
            nocopy: false,
            subpath: None,
        },
        target: "/data".to_owned(),
        is_read_only: false,
    }];
    let mut web = yard.service("web", &image);
    waits_for(&mut web, "db");
    web.container.links = vec![Link {
        to: "db".parse().unwrap(),
        alias: "database".to_owned(),
    }];
    web.container.volumes_from = vec![SharedVolumes::OfService {
        service: "db".parse().unwrap(),
        is_read_only: true,
    }];
    web.container.namespaces.ipc = Some("service:db".to_owned());
    db.container.namespaces.ipc = Some("shareable".to_owned());
    let mut project = yard.project(vec![db, web]);
    project
        .volumes
        .insert("data".to_owned(), yard.volume("data"));
    let engine = yard.engine(vec![project]);
    // Twice: what shares something of another is made anew with it.
    engine.visit(&yard, 1).await;
    let after = engine.visit(&yard, 2).await;
    let of = |service: &str| {
        let all = after.containers.iter();
        let mut of = all.filter(|one| one.service.as_str() == service);
        of.next().unwrap().id.to_string()
    };
    let (db, web) = (of("db"), of("web"));
    run(
        "docker",
        &["exec", &db, "sh", "-c", "echo shared > /data/note"],
    );
    assert_eq!(
        run("docker", &["exec", &web, "cat", "/data/note"]),
        "shared"
    );
    let write = [
        "exec",
        &web,
        "sh",
        "-c",
        "touch /data/more 2>&1 || echo refused",
    ];
    assert!(run("docker", &write).contains("refused"));
    let page = run(
        "docker",
        &[
            "exec",
            &web,
            "wget",
            "-q",
            "-O",
            "-",
            "http://database/site",
        ],
    );
    assert_eq!(page, "cleanslate");
    let mode = run(
        "docker",
        &["inspect", "-f", "{{.HostConfig.IpcMode}}", &web],
    );
    assert_eq!(mode, format!("container:{db}"));
}

#[tokio::test]
async fn docker_compose_shows_what_was_rebuilt() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sh","-c","echo hello; sleep 1000"]"#]);
    yard.compose_up(&format!(
        "services: {{ web: {{ image: \"{image}\", scale: 2 }} }}\n"
    ));
    let mut web = yard.service("web", &image);
    web.container.healthcheck = None;
    web.container.has_tty = true;
    web.replicas = 2;
    let engine = yard.engine(vec![yard.project(vec![web])]);
    engine.visit(&yard, 1).await;
    let listed = yard.compose(&["ps"]);
    for number in [1, 2] {
        let name = format!("{}-web-{number}", yard.name);
        let line = listed.lines().find(|line| line.contains(&name));
        assert!(line.is_some_and(|line| line.contains("Up")), "{listed}");
    }
    let logs = yard.compose(&["logs", "--no-color"]);
    assert_eq!(logs.matches("hello").count(), 2, "{logs}");
    // A terminal's output has no frames: its last words are read all the same.
    let seen = engine.inventory_now().await;
    let containers = leaving(&seen).iter().map(|one| one.id.clone()).collect();
    let evidence = engine
        .ask(EngineRequest::TakeEvidence {
            containers,
            kept: Vec::new(),
            logs: 4096,
        })
        .await;
    let EngineOutcome::Evidence(evidence) = evidence else {
        panic!("{evidence:?}");
    };
    assert!(
        evidence.iter().all(|one| one.logs.contains("hello")),
        "{evidence:?}"
    );
}
