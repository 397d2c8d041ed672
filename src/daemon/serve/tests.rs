//! Nights that do not begin are told.
use std::collections::BTreeMap;

use super::*;
use crate::config::test_folder::Folder;
use crate::coordinator::plan::{Mode, Options, Plan};
use crate::daemon::session::Paths;
use crate::model::id::Epoch;
use crate::store::StoreError;

/// A coordinator of a fleet of which nothing answers, and what it notes.
async fn server(folder: &Folder) -> (Server, mpsc::UnboundedReceiver<Note>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let nobody = "tcp://127.0.0.1:9";
    folder.change(&[
        ("server = \"10.0.0.53\"", "server = \"127.0.0.1:9\""),
        ("tcp://10.1.0.1:2375", nobody),
        ("tcp://10.2.0.1:2375", "tcp://127.0.0.2:9"),
        ("tcp://10.3.0.1:2375", "tcp://127.0.0.3:9"),
        (
            "[traffic]",
            "[registry.\"127.0.0.1:9\"]\ninsecure = true\n\n[traffic]",
        ),
    ]);
    let image = "name: edge\nservices:\n  web:\n    image: 127.0.0.1:9/web:master\n";
    folder.write("compose.yaml", image);
    let session = Session::open(Paths {
        config: folder.site(),
        state: folder.path().join("state"),
        options: folder.options(),
        docker_config: None,
        command: "serve".to_owned(),
        by: audit::schedule(),
    });
    let session = session.unwrap();
    let control = session.listen().await;
    let (_, orders) = mpsc::channel(1);
    let (notes, noted) = mpsc::unbounded_channel();
    let supervised = Supervised {
        socket: None,
        has_watchdog: false,
    };
    let server = Server::new(session, control, orders, notes, &supervised).unwrap();
    (server, noted)
}

fn due(verdict: Verdict) -> Due {
    Due {
        run: Run {
            planned: "2026-11-22T02:00:00Z".parse().unwrap(),
            playbook: "nightly".parse().unwrap(),
        },
        overtaken: 0,
        verdict,
    }
}

fn said(noted: &mut mpsc::UnboundedReceiver<Note>) -> Vec<(Severity, String)> {
    let mut said = Vec::new();
    while let Ok(note) = noted.try_recv() {
        assert_eq!(note.cure.is_some(), note.severity == Severity::Critical);
        said.push((note.severity, note.what));
    }
    said
}

#[tokio::test]
async fn a_run_that_the_planner_refuses_is_told_once_and_again_when_it_is_missed() {
    let folder = Folder::new();
    let (mut server, mut noted) = server(&folder).await;
    server.settle(due(Verdict::Begins)).await.unwrap();
    server.settle(due(Verdict::Begins)).await.unwrap();
    let told = said(&mut noted);
    assert_eq!(told.len(), 1, "{told:?}");
    let (severity, what) = &told[0];
    assert_eq!(*severity, Severity::Critical);
    let begins = "nightly-20261122T020000-cron cannot begin yet: ";
    assert!(what.starts_with(begins), "{what}");
    let late = jiff::SignedDuration::from_hours(2);
    server.settle(due(Verdict::Missed { late })).await.unwrap();
    let missed = "nightly-20261122T020000-cron did not begin in time: 2h late";
    assert_eq!(said(&mut noted), [(Severity::Critical, missed.to_owned())]);
}

#[tokio::test]
async fn a_run_that_is_refused_after_it_was_planned_is_told_by_its_name() {
    let folder = Folder::new();
    let (mut server, mut noted) = server(&folder).await;
    let plan = Plan {
        id: due(Verdict::Begins).run.rotation(),
        playbook: "gone".parse().unwrap(),
        mode: Mode::Rotate,
        waves: Vec::new(),
        windows: BTreeMap::new(),
        pins: BTreeMap::new(),
        site_pins: BTreeMap::new(),
        highest_epoch: Epoch(0),
        options: Options::default(),
        actor: "schedule".to_owned(),
        reason: None,
    };
    let asking = Asking::of_schedule(&"nightly".parse().unwrap(), 0);
    let work = Work::Begin(Box::new(plan), asking);
    let finish = server.drive(work).await.unwrap();
    assert!(finish.is_none());
    let what = "nightly-20261122T020000-cron did not begin: no playbook is called gone";
    assert_eq!(said(&mut noted), [(Severity::Critical, what.to_owned())]);
}

#[tokio::test]
async fn a_coordinator_that_cannot_go_on_says_so_before_it_ends() {
    let folder = Folder::new();
    let (server, mut noted) = server(&folder).await;
    let error = StoreError::Corrupt {
        path: "journal.db".into(),
        what: "record 7 is not as it was written".to_owned(),
    };
    server.warn_of_end(&RunError::Journal(JournalError::Store(error)));
    let told = said(&mut noted);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, Severity::Critical);
    assert!(told[0].1.contains("record 7"), "{told:?}");
}

#[tokio::test]
async fn whoever_asks_in_a_freeze_is_refused_by_the_name_of_the_rule() {
    let folder = Folder::new();
    folder.change(&[(
        "[[probe]]",
        "[[freeze]]\nfrom = \"2000-01-01\"\nuntil = \"2999-12-31\"\nreason = \"a move\"\n[[probe]]",
    )]);
    let (mut server, _noted) = server(&folder).await;
    let ask = |in_freeze, reason: Option<&str>| crate::api::wire::Command::Rotate {
        playbook: "nightly".parse().unwrap(),
        sites: Vec::new(),
        reason: reason.map(str::to_owned),
        wait: 0,
        now: false,
        in_freeze,
    };
    let mut rules = Vec::new();
    for command in [ask(false, None), ask(true, None), ask(true, Some("a hole"))] {
        let (answer, heard) = oneshot::channel();
        let actor = crate::api::actor::Actor::own().unwrap();
        let asked = Asked {
            command,
            actor,
            answer,
        };
        server.answer(asked).await.unwrap();
        let Answer::Reply(crate::api::wire::Reply::Refused(refusal)) = heard.await.unwrap() else {
            panic!("nothing of this fleet answers");
        };
        rules.push((refusal.rule, refusal.exit));
    }
    let refused = |rule: &str, exit| (rule.to_owned(), exit);
    // The third one is planned, and the primary does not answer.
    let expected = [
        refused("freeze", 4),
        refused("freeze", 4),
        refused("refused", 5),
    ];
    assert_eq!(rules, expected);
}
