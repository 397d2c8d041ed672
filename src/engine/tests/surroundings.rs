//! Networks and volumes.
use std::collections::BTreeMap;

use super::yard::{Yard, attachment, leaving, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::id::ContainerId;
use crate::model::playbook::Volumes;
use crate::model::service::{IpamConfig, Mount, MountSource};

#[tokio::test]
async fn a_changed_network_is_remade_once_the_old_containers_are_gone() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    yard.compose_up(&format!("services:\n  web:\n    image: {image}\n"));
    let mut project = yard.project(vec![yard.service("web", &image)]);
    let subnet = free_subnet();
    project.networks.get_mut("default").unwrap().ipam = vec![IpamConfig {
        subnet: Some(subnet.clone()),
        ..IpamConfig::default()
    }];
    let engine = yard.engine(vec![project]);
    let before = engine.inventory_now().await;
    let old = leaving(&before);
    let network = format!("{}_default", yard.name);
    let old_id = run("docker", &["network", "inspect", "-f", "{{.Id}}", &network]);

    let preparation = yard.preparation(1, &old);
    let outcome = engine
        .ask(EngineRequest::Prepare(Box::new(preparation.clone())))
        .await;
    assert_eq!(
        outcome,
        EngineOutcome::Prepared {
            containers: vec![],
            is_proof: true
        }
    );
    assert!(yard.ours("container").is_empty(), "a proof leaves nothing");
    assert_eq!(
        run("docker", &["network", "inspect", "-f", "{{.Id}}", &network]),
        old_id
    );

    clear(&engine, &[&old[0].id], Volumes::Keep).await;
    let made = engine.prepared(preparation).await;
    engine.started(made).await;
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    assert_eq!(
        run("docker", &["network", "inspect", "-f", format, &network]),
        subnet
    );
    let after = engine.inventory_now().await;
    assert_eq!(after.containers[0].is_declared_spec, Some(true));
    let again = engine.prepared(yard.preparation(2, &leaving(&after))).await;
    assert_eq!(again.len(), 1, "it is as declared from then on");
}

#[tokio::test]
async fn a_changed_network_on_which_another_stays_is_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    yard.compose_up(&format!("services:\n  web:\n    image: {image}\n"));
    let network = format!("{}_default", yard.name);
    yard.stranger("guest", &["--network", &network, &image.to_string()]);
    let mut project = yard.project(vec![yard.service("web", &image)]);
    project.networks.get_mut("default").unwrap().is_internal = true;
    let engine = yard.engine(vec![project]);
    let before = engine.inventory_now().await;
    let problems = engine.unready(yard.preparation(1, &leaving(&before))).await;
    assert!(
        problems[0].what.contains("-guest") && problems[0].what.contains("stays on it"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn networks_that_are_missing_foreign_or_double_are_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    // The engine itself lets two networks have one name; its command line does not.
    let docker = bollard::Docker::connect_with_local_defaults().unwrap();
    for key in ["foreign", "double", "double"] {
        let request = bollard::models::NetworkCreateRequest {
            name: format!("{}_{key}", yard.name),
            labels: Some([("cleanslate.test".to_owned(), yard.name.clone())].into()),
            ..Default::default()
        };
        docker.create_network(request).await.unwrap();
    }
    let mut web = yard.service("web", &image);
    web.container.networks = ["absent", "foreign", "double"].map(attachment).to_vec();
    let mut project = yard.project(vec![web]);
    let mut absent = yard.network("absent");
    absent.is_external = true;
    let mut double = yard.network("double");
    double.is_external = true;
    project.networks = BTreeMap::from([
        ("absent".to_owned(), absent),
        ("foreign".to_owned(), yard.network("foreign")),
        ("double".to_owned(), double),
    ]);
    let engine = yard.engine(vec![project]);
    let problems = engine.unready(yard.preparation(1, &[])).await;
    let texts: Vec<&str> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    assert!(
        texts
            .iter()
            .any(|text| text.contains("_absent does not exist")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text.contains("was made by hand")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("2 networks are named")),
        "{texts:?}"
    );
}

#[tokio::test]
async fn a_container_is_on_all_its_networks_with_its_addresses_and_aliases() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    let mut front = attachment("front");
    front.aliases = vec!["www".to_owned()];
    let subnet = free_subnet();
    let address = subnet.replace(".0/24", ".77");
    front.ipv4_address = Some(address.parse().unwrap());
    web.container.networks = vec![attachment("default"), front];
    let mut project = yard.project(vec![web]);
    let mut front = yard.network("front");
    front.ipam = vec![IpamConfig {
        subnet: Some(subnet),
        ..IpamConfig::default()
    }];
    project.networks.insert("front".to_owned(), front);
    let engine = yard.engine(vec![project]);
    let after = engine.visit(&yard, 1).await;
    let format = format!(
        "{{{{(index .NetworkSettings.Networks \"{}_front\").IPAddress}}}}",
        yard.name
    );
    let id = after.containers[0].id.as_str();
    assert_eq!(run("docker", &["inspect", "-f", &format, id]), address);
    let page = run(
        "docker",
        &["exec", id, "wget", "-q", "-O-", "http://www/site"],
    );
    assert_eq!(page, "cleanslate");
    assert_eq!(yard.ours("network").len(), 2);
}

#[tokio::test]
async fn named_volumes_stay_unless_they_are_to_be_wiped() {
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
    let mut project = yard.project(vec![db]);
    project
        .volumes
        .insert("data".to_owned(), yard.volume("data"));
    let engine = yard.engine(vec![project]);
    let row = |id: &ContainerId| {
        run(
            "docker",
            &[
                "exec",
                id.as_str(),
                "sh",
                "-c",
                "cat /data/* 2>/dev/null; true",
            ],
        )
    };
    let first = engine.visit(&yard, 1).await;
    run(
        "docker",
        &[
            "exec",
            first.containers[0].id.as_str(),
            "sh",
            "-c",
            "echo kept > /data/row",
        ],
    );
    let second = engine.visit(&yard, 2).await;
    assert_eq!(row(&second.containers[0].id), "kept");

    let old = leaving(&second);
    let mut wiping = yard.preparation(3, &old);
    wiping.volumes = Volumes::Wipe;
    let outcome = engine
        .ask(EngineRequest::Prepare(Box::new(wiping.clone())))
        .await;
    assert_eq!(
        outcome,
        EngineOutcome::Prepared {
            containers: vec![],
            is_proof: true
        }
    );
    assert_eq!(row(&old[0].id), "kept", "a proof wipes nothing");
    clear(&engine, &[&old[0].id], Volumes::Wipe).await;
    let made = engine.prepared(wiping.clone()).await;
    assert_eq!(
        engine.prepared(wiping).await.len(),
        made.len(),
        "asked twice, made once"
    );
    let made = engine.inventory_now().await.containers;
    assert_eq!(made.len(), 1);
    run("docker", &["start", made[0].id.as_str()]);
    assert_eq!(row(&made[0].id), "");
}

#[tokio::test]
async fn a_volume_that_another_writes_or_that_changed_is_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut db = yard.service("db", &image);
    let mount = |key: &str| Mount {
        source: MountSource::Volume {
            key: key.to_owned(),
            nocopy: false,
            subpath: None,
        },
        target: format!("/{key}"),
        is_read_only: false,
    };
    db.container.mounts = vec![mount("data"), mount("logs"), mount("gone")];
    let mut project = yard.project(vec![db]);
    let mut logs = yard.volume("logs");
    logs.driver_opts = BTreeMap::from([("type".to_owned(), "tmpfs".to_owned())]);
    let mut gone = yard.volume("gone");
    gone.is_external = true;
    project.volumes = BTreeMap::from([
        ("data".to_owned(), yard.volume("data")),
        ("logs".to_owned(), logs),
        ("gone".to_owned(), gone),
    ]);
    let label = format!("cleanslate.test={}", yard.name);
    for key in ["data", "logs"] {
        run(
            "docker",
            &[
                "volume",
                "create",
                "--label",
                &label,
                &format!("{}_{key}", yard.name),
            ],
        );
    }
    yard.stranger(
        "writer",
        &["-v", &format!("{}_data:/x", yard.name), &image.to_string()],
    );
    yard.stranger(
        "reader",
        &[
            "-v",
            &format!("{}_logs:/x:ro", yard.name),
            &image.to_string(),
        ],
    );
    let engine = yard.engine(vec![project]);
    let problems = engine.unready(yard.preparation(1, &[])).await;
    let texts: Vec<&str> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(
        texts[0].contains("_data is held by") && texts[0].contains("-writer"),
        "{texts:?}"
    );
    assert!(texts[1].contains("the definition of volume"), "{texts:?}");
    assert!(texts[2].contains("_gone does not exist"), "{texts:?}");
}

async fn clear(engine: &crate::engine::Engine, ids: &[&ContainerId], volumes: Volumes) {
    let containers = ids.iter().map(|id| (*id).clone()).collect();
    let outcome = engine
        .ask(EngineRequest::Clear {
            containers,
            volumes,
            anonymous: crate::model::playbook::Anonymous::Refuse,
        })
        .await;
    let removed = u32::try_from(ids.len()).unwrap();
    assert_eq!(
        outcome,
        EngineOutcome::Cleared {
            removed,
            hooks: vec![]
        }
    );
}

/// A /24 that is most likely nobody's; by process and call, so that tests do not meet.
fn free_subnet() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 4;
    format!("10.{}.{}.0/24", 200 + count / 256 % 50, count % 256)
}
