//! Pulling and pruning, against a registry.
use std::collections::{BTreeMap, BTreeSet};

use super::yard::{Yard, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::fleet::{EngineAddress, Registry};
use crate::model::image::{ImageRef, Pins};
use crate::model::service::PullPolicy;
use crate::model::text::Secret;

/// A password whose credentials encode to `+` or `/` in the standard base64 alphabet.
const PASSWORD: &str = "s3cr3t?~?>";

#[tokio::test]
async fn an_image_is_pulled_by_digest_once() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let digest = yard.pins[&image].clone();
    forget(&image);
    // The tag moves on; the pinned digest is what is pulled.
    let moved = yard.image("v1", &[r#"CMD ["sleep","1"]"#]);
    assert_ne!(yard.pins[&moved], digest);
    yard.pins.insert(image.clone(), digest.clone());
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    for images in [1, 0] {
        let outcome = engine
            .ask(EngineRequest::Pull {
                pins: yard.pins.clone(),
            })
            .await;
        assert_eq!(outcome, EngineOutcome::Pulled { images });
    }
    let after = engine.visit(&yard, 1).await;
    assert_eq!(after.containers[0].digests, [digest]);
}

#[tokio::test]
async fn credentials_of_the_fleet_are_used_whatever_they_encode_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("htpasswd");
    std::fs::write(&file, run("htpasswd", &["-Bbn", "robot", PASSWORD])).unwrap();
    let auth = format!(
        "auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
        file.display()
    );
    // Pushed while the registry asks nobody, pulled while it does.
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let locked = yard.locked_registry(&auth);
    let locked_image: ImageRef = image
        .to_string()
        .replace(&image.registry, &locked.address)
        .parse()
        .unwrap();
    let pins = Pins::from([(locked_image.clone(), yard.pins[&image].clone())]);
    let engine = |password: &str| {
        let registry = Registry {
            credentials: Some(("robot".to_owned(), Secret::from(password))),
            is_insecure: true,
        };
        yard.engine_at(
            EngineAddress::Unix("/var/run/docker.sock".into()),
            vec![yard.project(vec![yard.service("web", &locked_image)])],
            BTreeMap::from([(locked_image.registry.clone(), registry)]),
        )
    };
    let request = EngineRequest::Pull { pins };
    match engine("wrong").ask(request.clone()).await {
        EngineOutcome::Failed(problem) => {
            assert!(
                !problem.is_transient && problem.cure.contains("give credentials"),
                "{problem:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        engine(PASSWORD).ask(request).await,
        EngineOutcome::Pulled { images: 1 }
    );
    run(
        "docker",
        &[
            "image",
            "rm",
            "-f",
            &locked_image.pinned(&yard.pins[&image]),
        ],
    );
}

#[tokio::test]
async fn what_cannot_be_pulled_is_told_all_at_once() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let gone: ImageRef = image.to_string().replace(":v1", "gone:v1").parse().unwrap();
    let never: ImageRef = image
        .to_string()
        .replace(":v1", "never:v1")
        .parse()
        .unwrap();
    for absent in [&gone, &never] {
        yard.pins.insert(
            absent.clone(),
            format!("sha256:{}", "0a".repeat(32)).parse().unwrap(),
        );
    }
    let mut local = yard.service("local", &never);
    local.container.pull_policy = PullPolicy::Never;
    let project = yard.project(vec![local, yard.service("web", &gone)]);
    let engine = yard.engine(vec![project]);
    match engine
        .ask(EngineRequest::Pull {
            pins: yard.pins.clone(),
        })
        .await
    {
        EngineOutcome::Failed(problem) => {
            assert!(
                problem.what.contains("its pull_policy is never"),
                "{problem:?}"
            );
            assert!(problem.what.contains("cannot pull"), "{problem:?}");
            assert!(!problem.is_transient, "{problem:?}");
        }
        other => panic!("{other:?}"),
    }
    let problems = engine.unready(yard.preparation(1, &[])).await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.what.contains("is not on the host"))
    );
}

#[tokio::test]
async fn only_images_that_nobody_uses_or_keeps_are_pruned() {
    let mut yard = Yard::new();
    let [used, kept, old] = ["used", "kept", "old"].map(|tag| yard.web_image(tag));
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &used)])]);
    engine.visit(&yard, 1).await;
    let keep = BTreeSet::from([yard.pins[&kept].clone()]);
    match engine.ask(EngineRequest::Prune { keep }).await {
        EngineOutcome::Pruned { images: 1, bytes } => assert!(bytes > 1_000_000),
        other => panic!("{other:?}"),
    }
    let is_there = |image: &ImageRef| {
        let reference = format!("reference={image}");
        !run("docker", &["image", "ls", "-q", "--filter", &reference]).is_empty()
    };
    assert_eq!([&used, &kept, &old].map(is_there), [true, true, false]);
}

fn forget(image: &ImageRef) {
    run("docker", &["image", "rm", "-f", &image.to_string()]);
}
