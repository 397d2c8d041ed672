//! What stands in the way is told in *ready*, all at once, and nothing stays behind.
use super::yard::{Yard, free_port, leaving, port};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::playbook::Anonymous;

#[tokio::test]
async fn a_stranger_on_a_port_and_one_on_a_name_are_told_together() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let published = free_port();
    let publish = format!("127.0.0.1:{published}:80");
    yard.stranger("other", &["-p", &publish, &image.to_string()]);
    yard.run_named(&format!("{}-api-1", yard.name), &[&image.to_string()]);
    let mut web = yard.service("web", &image);
    web.container.ports = vec![port(published, 80)];
    let engine = yard.engine(vec![yard.project(vec![web, yard.service("api", &image)])]);

    let seen = engine.obstacles(&yard.preparation(1, &[])).await;
    let problems = engine.unready(yard.preparation(1, &[])).await;
    assert_eq!(seen, problems, "a look finds what an attempt finds");

    let texts: Vec<&str> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with(&format!(
        "nyc1: port 127.0.0.1:{published}/tcp, for service web of project {}, is held by container {}-other (",
        yard.name, yard.name
    )), "{texts:?}");
    assert!(
        texts[1].contains(&format!("the name {}-api-1, for service api", yard.name)),
        "{texts:?}"
    );
    assert!(yard.ours("container").is_empty() && yard.ours("network").is_empty());
}

#[tokio::test]
async fn two_of_our_own_on_one_port_are_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    web.replicas = 2;
    web.container.ports = vec![port(free_port(), 80)];
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let problems = engine.unready(yard.preparation(1, &[])).await;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .what
            .contains("-web-1, which this visit makes too"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_port_of_a_container_that_leaves_is_free() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let published = free_port();
    let mut web = yard.service("web", &image);
    web.container.ports = vec![port(published, 80)];
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let first = engine.visit(&yard, 1).await;
    let problems = engine.unready(yard.preparation(2, &[])).await;
    assert_eq!(
        problems.len(),
        2,
        "port and name are held where it does not leave: {problems:?}"
    );
    let made = engine.prepared(yard.preparation(2, &leaving(&first))).await;
    assert_eq!(made.len(), 1);
}

#[tokio::test]
async fn a_volume_without_a_name_that_holds_data_stops_the_visit() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sleep","1000"]"#, "VOLUME /data"]);
    yard.compose_up(&format!("services:\n  db:\n    image: {image}\n"));
    let engine = yard.engine(vec![yard.project(vec![yard.service("db", &image)])]);
    let before = engine.inventory_now().await;
    let old = leaving(&before);

    let made = engine.prepared(yard.preparation(1, &old)).await;
    assert_eq!(made.len(), 1, "an empty one stops nothing");

    let name = before.containers[0].name.clone();
    super::yard::run(
        "docker",
        &["exec", &name, "sh", "-c", "echo row1 > /data/row"],
    );
    let problems = engine.unready(yard.preparation(1, &old)).await;
    assert_eq!(problems.len(), 1);
    let problem = &problems[0];
    assert!(
        problem
            .what
            .contains("service db holds 5 bytes in a volume without a name at /data"),
        "{problem:?}"
    );
    assert!(problem.cure.contains("[\"db-data:/data\"]"), "{problem:?}");
    assert!(
        yard.ours("container").is_empty(),
        "what the first asking made is gone too"
    );

    let mut discarding = yard.preparation(1, &old);
    discarding.anonymous = Anonymous::Discard;
    assert_eq!(engine.prepared(discarding).await.len(), 1);
}

#[tokio::test]
async fn a_volume_without_a_name_of_our_own_last_visit_counts_as_said_and_goes() {
    let mut yard = Yard::new();
    let image = yard.image(
        "v1",
        &[
            r#"CMD ["sh","-c","echo row > /data/row; exec sleep 1000"]"#,
            "VOLUME /data",
        ],
    );
    let engine = yard.engine(vec![yard.project(vec![yard.service("db", &image)])]);
    let first = engine.visit(&yard, 1).await;
    let format = "{{range .Mounts}}{{.Name}}{{end}}";
    let volume = super::yard::run(
        "docker",
        &["inspect", "-f", format, first.containers[0].id.as_str()],
    );
    engine.visit(&yard, 2).await;
    let filter = format!("name={volume}");
    assert_eq!(
        super::yard::run("docker", &["volume", "ls", "-q", "--filter", &filter]),
        ""
    );
}

#[tokio::test]
async fn what_a_kept_service_gathered_in_a_volume_without_a_name_is_ours_and_not_said() {
    let mut yard = Yard::new();
    let image = yard.image(
        "v1",
        &[
            r#"CMD ["sh","-c","echo row > /data/row; exec sleep 1000"]"#,
            "VOLUME /data",
        ],
    );
    let mut db = yard.service("db", &image);
    let engine = yard.engine(vec![yard.project(vec![db.clone()])]);
    let first = engine.visit(&yard, 1).await;
    db.keep = crate::model::service::Keep::Lifted;
    let engine = yard.engine(vec![yard.project(vec![db])]);
    let problems = engine.unready(yard.preparation(2, &leaving(&first))).await;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].what.contains("service db holds 4 bytes"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn volumes_without_a_name_go_with_their_container_where_that_is_said_and_only_there() {
    for (anonymous, stay) in [(Anonymous::Refuse, true), (Anonymous::Discard, false)] {
        let mut yard = Yard::new();
        let image = yard.image("v1", &[r#"CMD ["sleep","1000"]"#, "VOLUME /data"]);
        yard.compose_up(&format!(
            "services:\n  db:\n    image: {image}\n    volumes: ['named:/named']\nvolumes:\n  \
             named: {{}}\n"
        ));
        let engine = yard.engine(vec![yard.project(vec![yard.service("db", &image)])]);
        let first = engine.inventory_now().await.containers.remove(0).id;
        let format = "{{range .Mounts}}{{.Name}} {{end}}";
        let volumes = super::yard::run("docker", &["inspect", "-f", format, first.as_str()]);
        let (named, unnamed): (Vec<&str>, Vec<&str>) = volumes
            .split_whitespace()
            .partition(|name| name.starts_with(&yard.name));
        assert_eq!((named.len(), unnamed.len()), (1, 1), "{volumes}");
        // Handed on to a second container by its name, as Docker Compose 2 does.
        super::yard::run("docker", &["rm", "-f", first.as_str()]);
        let second = yard.run_named(
            &format!("{}-db-1", yard.name),
            &[
                "--label",
                &format!("com.docker.compose.project={}", yard.name),
                "--label",
                "com.docker.compose.service=db",
                "-v",
                &format!("{}:/data", unnamed[0]),
                "-v",
                &format!("{}:/named", named[0]),
                &image.to_string(),
            ],
        );
        let write = "echo row > /data/row; echo row > /named/row";
        super::yard::run("docker", &["exec", second.as_str(), "sh", "-c", write]);
        let request = EngineRequest::Clear {
            containers: vec![second],
            volumes: crate::model::playbook::Volumes::Keep,
            anonymous,
        };
        let outcome = engine.ask(request).await;
        assert_eq!(
            outcome,
            EngineOutcome::Cleared {
                removed: 1,
                hooks: vec![]
            }
        );
        let left = super::yard::run("docker", &["volume", "ls", "-q"]);
        let is_left = |name: &str| left.lines().any(|line| line == name);
        assert!(is_left(named[0]), "a named one always stays");
        assert_eq!(is_left(unnamed[0]), stay, "{anonymous:?}");
        super::yard::run("docker", &["volume", "rm", "-f", unnamed[0]]);
    }
}

#[tokio::test]
async fn who_meets_a_later_epoch_stops() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    let first = engine.visit(&yard, 5).await;
    let problems = engine.unready(yard.preparation(4, &leaving(&first))).await;
    assert!(
        problems[0].what.contains("was made in epoch 5"),
        "{problems:?}"
    );
    let mut other_hold = yard.preparation(5, &leaving(&first));
    other_hold.hold = "OTHER".parse().unwrap();
    let problems = engine.unready(other_hold).await;
    assert!(problems[0].what.contains("of hold HOLDABC"), "{problems:?}");
}

#[tokio::test]
async fn a_creation_that_fails_leaves_nothing_behind() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut bad = yard.service("bad", &image);
    bad.container.mounts = vec![crate::model::service::Mount {
        source: crate::model::service::MountSource::Bind {
            path: "/no/such/path/of/this/machine".to_owned(),
            propagation: None,
            create_host_path: false,
            selinux: None,
        },
        target: "/mnt".to_owned(),
        is_read_only: false,
    }];
    let mut good = yard.service("good", &image);
    good.container.mounts = vec![crate::model::service::Mount {
        source: crate::model::service::MountSource::Volume {
            key: "data".to_owned(),
            nocopy: false,
            subpath: None,
        },
        target: "/data".to_owned(),
        is_read_only: false,
    }];
    let mut project = yard.project(vec![good, bad]);
    project
        .volumes
        .insert("data".to_owned(), yard.volume("data"));
    let engine = yard.engine(vec![project]);
    let problems = engine.unready(yard.preparation(1, &[])).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].what.contains("/no/such/path"), "{problems:?}");
    for kind in ["container", "network", "volume"] {
        assert!(yard.ours(kind).is_empty(), "{kind}");
    }
}
