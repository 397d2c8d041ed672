//! Starting, waiting for health, and watching.
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::yard::{Yard, healthcheck, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::engine::Progress;
use crate::model::id::ContainerId;
use crate::model::service::{Condition, Dependency, Healthcheck, Restart};

#[tokio::test]
async fn one_that_dies_at_once_is_told_with_its_code_and_last_words() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sh","-c","echo no database; exit 3"]"#]);
    let mut web = yard.service("web", &image);
    web.container.restart = Restart::Always;
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let what = engine.not_started(made).await;
    assert!(what.starts_with("nyc1: service web: container"), "{what}");
    assert!(
        what.contains("exited with code 3; its last lines: no database"),
        "{what}"
    );
}

#[tokio::test]
async fn one_without_a_healthcheck_must_run_five_seconds() {
    let mut yard = Yard::new();
    let image = yard.image("v1", &[r#"CMD ["sh","-c","sleep 3; exit 0"]"#]);
    let mut web = yard.service("web", &image);
    web.container.healthcheck = None;
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let what = engine.not_started(made).await;
    assert!(what.contains("exited with code 0"), "{what}");
}

#[tokio::test]
async fn one_that_is_unhealthy_is_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    web.container.healthcheck = Some(healthcheck("test -e /never"));
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let what = engine.not_started(made).await;
    assert!(what.contains("is unhealthy"), "{what}");
}

#[tokio::test]
async fn a_service_starts_when_what_it_waits_for_is_healthy_or_has_completed() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut migrate = yard.service("migrate", &image);
    migrate.container.command = Some(words(&["sh", "-c", "sleep 1; exit 0"]));
    let mut db = yard.service("db", &image);
    db.container.healthcheck = Some(healthcheck("sleep 1"));
    let mut web = yard.service("web", &image);
    web.depends_on = BTreeMap::from([
        (
            migrate.name.clone(),
            dependency(Condition::CompletedSuccessfully),
        ),
        (db.name.clone(), dependency(Condition::Healthy)),
    ]);
    let engine = yard.engine(vec![yard.project(vec![migrate, db, web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let (sender, progress) = std::sync::mpsc::channel();
    let request = EngineRequest::Start { containers: made };
    let sender = std::sync::Arc::new(sender);
    let outcome = engine
        .carry_out(&request, move |step| sender.send(step).unwrap())
        .await;
    assert_eq!(outcome, EngineOutcome::Started { hooks: vec![] });
    assert_eq!(
        progress.iter().last(),
        Some(Progress::Healthy { done: 3, of: 3 })
    );

    let at = |service: &str, field: &str| -> jiff::Timestamp {
        let name = format!("{}-{service}-1", yard.name);
        let format = format!("{{{{.State.{field}}}}}");
        run("docker", &["inspect", "-f", &format, &name])
            .parse()
            .unwrap()
    };
    assert!(at("web", "StartedAt") > at("migrate", "FinishedAt"));
    let waited = at("web", "StartedAt").duration_since(at("db", "StartedAt"));
    assert!(
        waited >= jiff::SignedDuration::from_millis(1300),
        "{waited}"
    );
}

#[tokio::test]
async fn a_one_shot_that_fails_stops_the_start_and_the_others_are_not_started() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut migrate = yard.service("migrate", &image);
    migrate.container.command = Some(words(&["sh", "-c", "echo bad schema; exit 4"]));
    let mut web = yard.service("web", &image);
    web.depends_on = BTreeMap::from([(
        migrate.name.clone(),
        dependency(Condition::CompletedSuccessfully),
    )]);
    let engine = yard.engine(vec![yard.project(vec![migrate, web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let web_id = made[1].id.to_string();
    let what = engine.not_started(made).await;
    assert!(
        what.contains("service migrate") && what.contains("exited with code 4"),
        "{what}"
    );
    assert_eq!(
        run("docker", &["inspect", "-f", "{{.State.Status}}", &web_id]),
        "created"
    );
}

#[tokio::test]
async fn a_name_taken_since_is_told() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    yard.run_named(&made[0].name, &[&image.to_string()]);
    let what = engine.not_started(made).await;
    assert!(
        what.contains("-web-1 of service web is held by another container"),
        "{what}"
    );
}

#[tokio::test]
async fn a_watch_ends_when_one_exits_and_only_then() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    web.container.restart = Restart::Always;
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let after = engine.visit(&yard, 1).await;
    let id = after.containers[0].id.clone();
    let request = EngineRequest::Watch {
        containers: vec![id.clone()],
    };
    let watch = engine.carry_out(&request, |_| ());
    tokio::pin!(watch);
    let calm = tokio::time::timeout(Duration::from_secs(2), &mut watch).await;
    assert!(calm.is_err(), "nothing happened: {calm:?}");
    run("docker", &["kill", "-s", "KILL", id.as_str()]);
    match tokio::time::timeout(Duration::from_secs(120), watch)
        .await
        .unwrap()
    {
        EngineOutcome::Breach { problem } => {
            assert!(problem.what.contains("exited with code 137"), "{problem:?}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_exit_that_kills_a_healthcheck_is_told_as_the_exit() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    // One check that passes, then one that is under way.
    let check = healthcheck("test -e /tmp/passed && sleep 60; touch /tmp/passed");
    web.container.healthcheck = Some(Healthcheck {
        timeout: Some(Duration::from_secs(60)),
        ..check
    });
    // Whether the engine tells of the check that the exit kills is chance.
    web.replicas = 6;
    let engine = yard.engine(vec![yard.project(vec![web])]);
    let after = engine.visit(&yard, 1).await;
    let ids: Vec<_> = after.containers.iter().map(|one| one.id.clone()).collect();
    let watch = |id: &ContainerId| {
        let containers = vec![id.clone()];
        engine.ask(EngineRequest::Watch { containers })
    };
    let watches = join_all(ids.iter().map(watch));
    tokio::pin!(watches);
    let calm = tokio::time::timeout(Duration::from_secs(2), &mut watches).await;
    assert!(calm.is_err(), "nothing happened: {calm:?}");
    let kill = ["kill", "-s", "KILL"].into_iter();
    let kill: Vec<&str> = kill.chain(ids.iter().map(ContainerId::as_str)).collect();
    run("docker", &kill);
    let ends = tokio::time::timeout(Duration::from_secs(120), watches).await;
    for end in ends.unwrap() {
        let EngineOutcome::Breach { problem } = end else {
            panic!("{end:?}");
        };
        assert!(problem.what.contains("exited with code 137"), "{problem:?}");
    }
}

#[tokio::test]
async fn one_shots_that_complete_while_their_healthcheck_runs_are_good() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut migrate = yard.service("migrate", &image);
    migrate.container.command = Some(words(&["sh", "-c", "sleep 1; exit 0"]));
    migrate.container.healthcheck = Some(healthcheck("sleep 60"));
    // Whether the engine tells of the check that the exit kills is chance.
    migrate.replicas = 6;
    let mut web = yard.service("web", &image);
    web.depends_on = BTreeMap::from([(
        migrate.name.clone(),
        dependency(Condition::CompletedSuccessfully),
    )]);
    let engine = yard.engine(vec![yard.project(vec![migrate, web])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    engine.started(made).await;
}

#[tokio::test]
async fn a_watch_of_one_that_does_not_run_ends_at_once() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let engine = yard.engine(vec![yard.project(vec![yard.service("web", &image)])]);
    let made = engine.prepared(yard.preparation(1, &[])).await;
    let containers = vec![made[0].id.clone()];
    match engine.ask(EngineRequest::Watch { containers }).await {
        EngineOutcome::Breach { problem } => {
            assert!(problem.what.contains("was never started"), "{problem:?}")
        }
        other => panic!("{other:?}"),
    }
}

fn dependency(condition: Condition) -> Dependency {
    Dependency {
        condition,
        is_required: true,
        restart: false,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
