//! Containers that somebody tampered with, beside what is declared of them.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::yard::{SOCKET, Yard, host, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::engine::Engine;
use crate::model::drift::{Known, LastVisit, compare};
use crate::model::evidence::{Evidence, FileKind};
use crate::model::fleet::{EngineAddress, Host};
use crate::model::id::Epoch;
use crate::model::image::ImageRef;
use crate::model::inventory::Inventory;
use crate::model::service::{Restart, Service};

#[tokio::test]
async fn what_was_written_inside_is_told_with_what_it_is() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sleep","1000"]"#, "VOLUME /data"]);
    let engine = yard.engine(vec![yard.project(vec![yard.service("job", &image)])]);
    let after = engine.visit(&yard, 1).await;
    let name = after.containers[0].name.as_str();
    let write = "busybox cp /bin/busybox /tmp/tool; busybox chmod 4755 /tmp/tool;
        busybox ln -s /tmp/tool /bin/curl; busybox rm /bin/wget;
        echo 1234 > /run/job.pid; echo row > /data/row; echo x >> /etc/site; mkdir /opt;
        busybox mkdir -p /srv/a; for n in 1 2 3; do echo $n > /srv/a/$n; done";
    run("docker", &["exec", name, "busybox", "sh", "-c", write]);
    let evidence = evidence(&engine, &after).await.remove(0);
    let told = evidence.changes.iter().map(|change| {
        let file = change.file.map(|file| {
            let size = if file.kind == FileKind::File {
                file.size
            } else {
                0
            };
            let size = if size > 1000 {
                "large".to_owned()
            } else {
                size.to_string()
            };
            format!(" {:?} {:o} {size}", file.kind, file.mode)
        });
        format!(
            "{:?} {}{}",
            change.kind,
            change.path,
            file.unwrap_or_default()
        )
    });
    let told: Vec<String> = told.collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    Added /bin/curl Link 777 0
    Deleted /bin/wget
    Modified /etc/site File 644 13
    Added /opt Folder 755 0
    Added /run/job.pid File 644 5
    Added /srv/a/1 File 644 2
    Added /srv/a/2 File 644 2
    Added /srv/a/3 File 644 2
    Added /tmp/tool File 4755 large
    ");
    let groups = evidence.groups.iter().map(|group| {
        let size = group.bytes.filter(|bytes| *bytes < 1000);
        format!("{} {} {size:?}", group.path, group.count())
    });
    let groups: Vec<String> = groups.collect();
    insta::assert_snapshot!(groups.join("\n"), @r"
    /srv/a 3 Some(6)
    /bin 2 Some(0)
    /tmp 1 None
    /etc 1 Some(13)
    /run 1 Some(5)
    / 1 Some(0)
    ");
    assert_eq!((evidence.changes_left_out, evidence.not_looked_at), (0, 0));
    // The tool and four small files.
    let tool = evidence.changes.iter().find(|it| it.path == "/tmp/tool");
    let tool = tool.unwrap().file.unwrap().size;
    assert!(evidence.written.unwrap() >= tool, "{:?}", evidence.written);
    assert_eq!(evidence.logs, "", "it was not asked for");
}

#[tokio::test]
async fn labels_that_were_copied_hide_neither_another_image_nor_another_spec() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[SLEEPS]);
    let newer = yard.image("v2", &[SLEEPS, "ENV VERSION=2"]);
    let services = vec![yard.service("web", &image), yard.service("job", &image)];
    let scene = Scene::of(&yard, services, &image);
    scene.engine.visit(&yard, 1).await;
    assert_eq!(scene.told(&yard).await, "");

    // As programs do that update containers behind our back.
    scene.put_in_its_place(&yard, "web", &newer.pinned(&yard.pins[&newer]), "");
    scene.put_in_its_place(&yard, "job", &image.pinned(&yard.pins[&image]), "0000");
    insta::assert_snapshot!(scene.told(&yard).await, @r#"
    yard-web-1: OtherDigest { running: Some("v2"), pinned: {"v1"} }
    yard-job-1: OtherSpec
    "#);

    scene.engine.visit(&yard, 1).await;
    assert_eq!(scene.told(&yard).await, "");
}

#[tokio::test]
async fn what_was_killed_for_memory_and_what_was_started_again_is_found() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[SLEEPS]);
    let waits = "while [ ! -e /tmp/go ]; do sleep 0.1; done";
    let mut hungry = yard.service("hungry", &image);
    hungry.container.limits.memory = Some(12 << 20);
    let eats = "x=$(busybox head -c 60000000 /dev/zero | busybox tr '\\0' a)";
    hungry.container.command = Some(shell(&format!("{waits}; {eats}; sleep 1000")));
    let mut shaky = yard.service("shaky", &image);
    shaky.container.restart = Restart::Always;
    let once = format!("[ -e /tmp/go ] && exec sleep 1000; {waits}; exit 3");
    shaky.container.command = Some(shell(&once));
    let scene = Scene::of(&yard, vec![hungry, shaky], &image);
    scene.engine.visit(&yard, 1).await;
    assert_eq!(scene.told(&yard).await, "");

    for service in ["hungry", "shaky"] {
        run(
            "docker",
            &["exec", &called(&yard, service), "touch", "/tmp/go"],
        );
    }
    run("docker", &["wait", &called(&yard, "hungry")]);
    let shaky = called(&yard, "shaky");
    let restarts = "{{.RestartCount}} {{.State.Running}}";
    for _ in 0..200 {
        if run("docker", &["inspect", "-f", restarts, &shaky]) == "1 true" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    insta::assert_snapshot!(scene.told(&yard).await, @r#"
    yard-hungry-1: OomKilled
    yard-hungry-1: NotRunning { state: "exited", exit_code: Some(137) }
    yard-shaky-1: Restarted { times: 1 }
    yard/hungry: Missing { running: 0, declared: 1 }
    "#);
}

const SLEEPS: &str = r#"CMD ["sleep","1000"]"#;

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn called(yard: &Yard, service: &str) -> String {
    format!("{}-{service}-1", yard.name)
}

/// A host, its engine, and what is known of it.
struct Scene {
    host: Host,
    engine: Engine,
    known: Known,
}

impl Scene {
    /// Services of one image, which visits pin as the yard has it.
    fn of(yard: &Yard, services: Vec<Service>, image: &ImageRef) -> Scene {
        let digest = &yard.pins[image];
        let rotation = yard.preparation(1, &[]).rotation;
        let names = services.iter();
        let names = names.map(|service| format!("{}/{}", yard.name, service.name));
        let pinned = names.map(|name| (name, BTreeSet::from([digest.clone()])));
        let known = Known {
            declared: yard.pins.clone(),
            last: Some(LastVisit {
                rotation: rotation.clone(),
                epoch: Epoch(1),
                at: "2026-01-01T03:00:00Z".parse().unwrap(),
            }),
            pinned: BTreeMap::from([(rotation, pinned.collect())]),
        };
        let projects = vec![yard.project(services)];
        Scene {
            host: host(EngineAddress::Unix(SOCKET.into()), projects.clone()),
            engine: yard.engine(projects),
            known,
        }
    }

    /// A container by hand instead of the one that a visit made, under its name and labels.
    fn put_in_its_place(&self, yard: &Yard, service: &str, image: &str, spec: &str) {
        let name = called(yard, service);
        let all = "{{range $key, $value := .Config.Labels}}{{$key}}={{$value}}\n{{end}}";
        let labels = run("docker", &["inspect", "-f", all, &name]);
        let of_spec = format!("cleanslate.spec={spec}");
        let labels = labels.lines().map(|label| match spec {
            "" => label,
            _ if label.starts_with("cleanslate.spec=") => &of_spec,
            _ => label,
        });
        let labels = labels.flat_map(|label| ["--label", label]);
        run("docker", &["rm", "-f", &name]);
        yard.run_named(&name, &labels.chain([image]).collect::<Vec<_>>());
    }

    async fn told(&self, yard: &Yard) -> String {
        let inventory = self.engine.inventory_now().await;
        let evidence = evidence(&self.engine, &inventory).await;
        let found = compare(&self.host, &inventory, &evidence, &self.known);
        let told = found.into_iter().map(|it| {
            let whose = it.container.unwrap_or(it.service);
            let told = format!("{whose}: {:?}", it.difference);
            yard.pins.iter().fold(told, |told, (image, digest)| {
                let image = image.to_string();
                let tag = image.rsplit(':').next().unwrap_or_default();
                told.replace(digest.as_str(), tag)
            })
        });
        let told: Vec<String> = told.collect();
        told.join("\n").replace(&yard.name, "yard")
    }
}

async fn evidence(engine: &Engine, inventory: &Inventory) -> Vec<Evidence> {
    let all = inventory.containers.iter();
    let request = EngineRequest::TakeEvidence {
        containers: vec![],
        kept: all.map(|one| one.id.clone()).collect(),
        logs: 1000,
    };
    match engine.ask(request).await {
        EngineOutcome::Evidence(evidence) => evidence,
        other => panic!("no evidence: {other:?}"),
    }
}
