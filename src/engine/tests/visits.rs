//! Whole visits.
use std::collections::BTreeMap;

use super::yard::{Yard, leaving, port, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::id::Epoch;
use crate::model::inventory::{ContainerState, Health, Role};
use crate::model::service::{Condition, Dependency, NetworkMode};

#[tokio::test]
async fn the_first_night_replaces_what_docker_compose_had_started() {
    let mut yard = Yard::new();
    let old = yard.web_image("v1");
    let published = super::yard::free_port();
    yard.compose_up(&format!(
        "services:\n  db:\n    image: {old}\n  web:\n    image: {old}\n    depends_on: [db]\n    \
         ports: ['127.0.0.1:{published}:80']\n    deploy: {{ replicas: 1 }}\n"
    ));
    let new = yard.web_image("v2");
    let mut db = yard.service("db", &new);
    db.container.healthcheck = None;
    let mut web = yard.service("web", &new);
    web.container.ports = vec![port(published, 80)];
    let waits = Dependency {
        condition: Condition::Healthy,
        is_required: true,
        restart: false,
    };
    web.depends_on = BTreeMap::from([(db.name.clone(), waits)]);
    let engine = yard.engine(vec![yard.project(vec![db, web])]);

    let before = engine.inventory_now().await;
    assert_eq!(before.highest_epoch, Epoch(0));
    assert_eq!(before.containers.len(), 2);
    assert!(
        before
            .containers
            .iter()
            .all(|one| one.mark.is_none() && one.role == Role::Recreated)
    );
    let network = run(
        "docker",
        &[
            "network",
            "inspect",
            "-f",
            "{{.Id}}",
            &format!("{}_default", yard.name),
        ],
    );

    let after = engine.visit(&yard, 7).await;

    assert_eq!(after.highest_epoch, Epoch(7));
    let mut names: Vec<&str> = after
        .containers
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            format!("{}-db-1", yard.name),
            format!("{}-web-1", yard.name)
        ]
    );
    for one in &after.containers {
        assert!(before.containers.iter().all(|old| old.id != one.id));
        let mark = one.mark.clone().unwrap();
        assert_eq!((mark.epoch, mark.hold.as_str()), (Epoch(7), "HOLDABC"));
        assert_eq!(one.is_declared_spec, Some(true));
        assert_eq!(one.digests.first(), yard.pins.get(&new));
        let expected = match one.service.as_str() {
            "db" => Health::None,
            _ => Health::Healthy,
        };
        assert!(
            matches!(one.state, ContainerState::Running { health, since: Some(_) } if health == expected)
        );
    }
    let kept_network = run(
        "docker",
        &[
            "network",
            "inspect",
            "-f",
            "{{.Id}}",
            &format!("{}_default", yard.name),
        ],
    );
    assert_eq!(kept_network, network, "a network as declared stays");
    let listed = yard.compose(&["ps", "-q"]);
    assert_eq!(
        listed.lines().count(),
        2,
        "docker-compose ps shows ours: {listed}"
    );
    let page = run(
        "busybox",
        &[
            "wget",
            "-q",
            "-O-",
            &format!("http://127.0.0.1:{published}/site"),
        ],
    );
    assert_eq!(page, "cleanslate");
    let by_name = format!("{}-web-1", yard.name);
    let seen = run(
        "docker",
        &["exec", &by_name, "wget", "-q", "-O-", "http://db/site"],
    );
    assert_eq!(seen, "cleanslate", "services find each other by name");
}

#[tokio::test]
async fn a_second_visit_replaces_our_own_and_a_changed_spec_is_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let web = yard.service("web", &image);
    let engine = yard.engine(vec![yard.project(vec![web.clone()])]);
    let first = engine.visit(&yard, 1).await;
    let second = engine.visit(&yard, 2).await;
    assert_ne!(first.containers[0].id, second.containers[0].id);
    assert_eq!(second.highest_epoch, Epoch(2));

    let mut changed = web;
    changed
        .container
        .environment
        .insert("MODE".to_owned(), Some("fast".into()));
    let engine = yard.engine(vec![yard.project(vec![changed])]);
    let seen = engine.inventory_now().await;
    assert_eq!(seen.containers[0].is_declared_spec, Some(false));
}

#[tokio::test]
async fn a_kept_service_is_not_touched() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    yard.compose_up(&format!(
        "services:\n  db:\n    image: {image}\n  web:\n    image: {image}\n"
    ));
    let mut db = yard.service("db", &image);
    db.keep = crate::model::service::Keep::Yes;
    let web = yard.service("web", &image);
    let engine = yard.engine(vec![yard.project(vec![db, web])]);
    let before = engine.inventory_now().await;
    let kept = before
        .containers
        .iter()
        .find(|one| one.role == Role::Kept)
        .unwrap();

    let after = engine.visit(&yard, 3).await;

    let still = after
        .containers
        .iter()
        .find(|one| one.role == Role::Kept)
        .unwrap();
    assert_eq!(still, kept, "id, state and start are the same");
    assert_eq!(after.containers.len(), 2);
}

#[tokio::test]
async fn what_is_of_no_declared_service_is_a_stray_and_so_is_a_one_off() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    yard.compose_up(&format!(
        "services:\n  web:\n    image: {image}\n  old:\n    image: {image}\n"
    ));
    yard.compose(&["run", "-d", "web"]);
    let web = yard.service("web", &image);
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let seen = engine.inventory_now().await;
    let mut roles: Vec<(&str, Role)> = seen
        .containers
        .iter()
        .map(|one| (one.service.as_str(), one.role))
        .collect();
    roles.sort_unstable();
    assert_eq!(
        roles,
        [
            ("old", Role::Stray),
            ("web", Role::Recreated),
            ("web", Role::Stray)
        ]
    );
}

#[tokio::test]
async fn what_was_made_and_not_started_is_discarded_and_what_runs_is_not() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    assert_eq!(
        (yard.ours("container").len(), yard.ours("network").len()),
        (1, 1)
    );
    let containers = vec![made[0].id.clone()];
    let outcome = engine.ask(EngineRequest::Discard { containers }).await;
    assert_eq!(outcome, EngineOutcome::Discarded);
    assert_eq!(
        (yard.ours("container").len(), yard.ours("network").len()),
        (0, 0)
    );

    let made = engine.prepared(yard.preparation(1, &[])).await;
    let containers = vec![made[0].id.clone()];
    engine.started(made).await;
    match engine.ask(EngineRequest::Discard { containers }).await {
        EngineOutcome::Failed(problem) => {
            assert!(problem.what.contains("was started"), "{problem:?}")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(engine.inventory_now().await.containers.len(), 1);
}

#[tokio::test]
async fn one_that_shares_a_network_is_made_after_the_one_that_has_it() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    // By name it would come first.
    let mut aside = yard.service("aside", &image);
    aside.container.networks = vec![];
    aside.container.network_mode = NetworkMode::Service("web".parse().unwrap());
    let services = vec![yard.service("web", &image), aside];
    let engine = yard.engine(vec![yard.project(services)]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let id_of = |service: &str| {
        let one = made.iter().find(|one| one.service.as_str() == service);
        one.unwrap().id.to_string()
    };
    let mode = "{{.HostConfig.NetworkMode}}";
    let shown = run("docker", &["inspect", "-f", mode, &id_of("aside")]);
    assert_eq!(shown.trim(), format!("container:{}", id_of("web")));
}

#[tokio::test]
async fn clearing_twice_is_clearing_once() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    let after = engine.visit(&yard, 1).await;
    let containers: Vec<_> = leaving(&after).iter().map(|one| one.id.clone()).collect();
    for _ in 0..2 {
        let request = EngineRequest::Clear {
            containers: containers.clone(),
            volumes: crate::model::playbook::Volumes::Keep,
            anonymous: crate::model::playbook::Anonymous::Refuse,
        };
        let outcome = engine.ask(request).await;
        assert_eq!(
            outcome,
            EngineOutcome::Cleared {
                removed: 1,
                hooks: vec![]
            }
        );
    }
}

#[tokio::test]
async fn what_depends_on_others_is_stopped_before_them_and_strays_first() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let label = format!("com.docker.compose.project={}", yard.name);
    let stray = yard.stranger("stray", &["--label", &label, &image.to_string()]);
    let mut services = vec![];
    for (name, other) in [("db", None), ("app", Some("db")), ("web", Some("app"))] {
        let mut service = yard.service(name, &image);
        let waits = Dependency {
            condition: Condition::Started,
            is_required: true,
            restart: false,
        };
        service.depends_on = other
            .map(|other| (other.parse().unwrap(), waits))
            .into_iter()
            .collect();
        services.push(service);
    }
    let engine = yard.engine(vec![yard.project(services)]);
    let after = engine.visit(&yard, 1).await;
    assert_eq!(after.containers.len(), 4);
    let since = engine.info().await.unwrap().clock.unwrap();
    let containers = after.containers.iter().map(|one| one.id.clone()).collect();
    let request = EngineRequest::Clear {
        containers,
        volumes: crate::model::playbook::Volumes::Keep,
        anonymous: crate::model::playbook::Anonymous::Refuse,
    };
    assert_eq!(
        engine.ask(request).await,
        EngineOutcome::Cleared {
            removed: 4,
            hooks: vec![]
        }
    );
    let until = engine.info().await.unwrap().clock.unwrap();
    let filter = format!("label={label}");
    let died = run(
        "docker",
        &[
            "events",
            "--since",
            &since.to_string(),
            "--until",
            &until.to_string(),
            "--filter",
            "event=die",
            "--filter",
            &filter,
            "--format",
            "{{.ID}}",
        ],
    );
    let id_of = |service: &str| {
        let one = after
            .containers
            .iter()
            .find(|one| one.service.as_str() == service);
        one.unwrap().id.to_string()
    };
    let expected = [stray.to_string(), id_of("web"), id_of("app"), id_of("db")];
    assert_eq!(died.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn evidence_is_what_changed_and_the_last_words() {
    let mut yard = Yard::new();
    let image = yard.image(
        "v1",
        &[
            r#"CMD ["sh","-c","echo first; echo last; touch /etc/new /data/row; exec sleep 1000"]"#,
            "VOLUME /data",
        ],
    );
    let engine = yard.engine(vec![yard.project(vec![yard.service("job", &image)])]);
    let after = engine.visit(&yard, 1).await;
    let containers = vec![
        after.containers[0].id.clone(),
        "0123456789ab".parse().unwrap(),
    ];
    let request = EngineRequest::TakeEvidence {
        containers,
        kept: vec![],
        logs: 5,
    };
    let EngineOutcome::Evidence(evidence) = engine.ask(request).await else {
        panic!("no evidence");
    };
    assert_eq!(evidence.len(), 1, "one that is gone is left out");
    let paths: Vec<&str> = evidence[0]
        .changes
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert!(paths.contains(&"/etc/new"), "{paths:?}");
    assert!(
        !paths.iter().any(|path| path.starts_with("/data")),
        "{paths:?}"
    );
    assert_eq!(evidence[0].logs, "last\n");
    assert_eq!(evidence[0].service.as_str(), "job");
}

#[tokio::test]
async fn evidence_of_what_failed_is_how_it_ended_and_why() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sh","-c","echo no app.conf; exit 7"]"#]);
    let engine = yard.engine(vec![yard.project(vec![yard.service("job", &image)])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let request = EngineRequest::TakeEvidence {
        containers: vec![made[0].id.clone()],
        kept: vec![],
        logs: 1000,
    };
    let nothing = engine.ask(request.clone()).await;
    assert_eq!(nothing, EngineOutcome::Evidence(Vec::new()), "not tried");
    engine.not_started(made).await;
    let EngineOutcome::Evidence(evidence) = engine.ask(request).await else {
        panic!("no evidence");
    };
    let left = &evidence[0];
    assert_eq!((left.state.as_str(), left.exit_code), ("exited", Some(7)));
    assert_eq!(left.logs, "no app.conf\n");
    assert!(left.made_by.is_some());
}

#[tokio::test]
async fn packets_of_published_containers_are_counted() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let published = super::yard::free_port();
    let mut web = yard.service("web", &image);
    web.container.ports = vec![port(published, 80)];
    let mut hosted = yard.service("hosted", &image);
    hosted.container.networks = vec![];
    hosted.container.network_mode = NetworkMode::Host;
    hosted.container.command = Some(vec!["sleep".to_owned(), "1000".to_owned()]);
    let engine = yard.engine(vec![yard.project(vec![web.clone()])]);
    let after = engine.visit(&yard, 1).await;
    let id = &after.containers[0].id;
    let before = engine.packets().await.unwrap().containers[id];
    for _ in 0..10 {
        run(
            "busybox",
            &[
                "wget",
                "-q",
                "-O-",
                &format!("http://127.0.0.1:{published}/site"),
            ],
        );
    }
    let later = engine.packets().await.unwrap().containers[id];
    assert!(later.0 >= before.0 + 30, "{before:?} {later:?}");

    let engine = yard.engine(vec![yard.project(vec![web, hosted])]);
    engine.visit(&yard, 2).await;
    let unknown = engine.packets().await.unwrap_err();
    assert!(unknown.what.contains("host's network"), "{unknown:?}");
}

#[tokio::test]
async fn the_engine_tells_of_itself() {
    let yard = Yard::new();
    let info = yard.engine(vec![]).info().await.unwrap();
    let version = run(
        "docker",
        &[
            "version",
            "-f",
            "{{.Server.Version}} {{.Server.APIVersion}}",
        ],
    );
    assert_eq!(format!("{} {}", info.version, info.api_version), version);
    assert!(!info.storage_driver.is_empty() && info.clock.is_some());
}
