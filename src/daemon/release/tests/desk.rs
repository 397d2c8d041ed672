//! What is open and what waits for its time is taken up, whatever the store says.
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::super::desk::{Place, Releases};
use super::super::said::Waiting;
use super::super::scheduled::{Calendar, Due};
use super::super::standing::{answer_standing, heed_act};
use super::super::wanted::Wanted;
use crate::api::asked::Answer;
use crate::api::wire::{Command, Promote, Reply};
use crate::coordinator::tests::world;
use crate::daemon::adapters::Adapters;
use crate::daemon::audit::Asking;
use crate::daemon::clock::Clock;
use crate::daemon::night::RunError;
use crate::model::release::{Approval, Cause, Moved};
use crate::model::time::{Mono, Now};
use crate::model::way::Way;
use crate::store::{By, Occupant, Scheduled, Store};

#[tokio::test]
async fn a_damaged_act_is_told_once_a_minute_and_stops_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let by = By::itself();
    let act = store.begin_act(at(1), &by, "nonsense", |_| Vec::new());
    act.unwrap();
    let adapters = Adapters::new(Arc::new(world::fleet()), Clock::start(), None).unwrap();
    let adapters = Arc::new(adapters);
    let mut releases = Releases::default();
    let mut take_up = |second| releases.take_up((&store, &adapters), now(second)).is_ok();
    let told: Vec<bool> = (0..120).map(&mut take_up).collect();
    let failed: Vec<usize> = (0..)
        .zip(&told)
        .filter_map(|(n, ok)| (!ok).then_some(n))
        .collect();
    assert_eq!(failed, [0, 60]);
    assert!(!releases.is_driven());
}

#[tokio::test]
async fn whoever_asks_for_something_of_a_damaged_ledger_is_told_so_and_nothing_ends() {
    let harms = [
        "UPDATE moves SET reason = 'another'",
        "UPDATE acts SET body = '[]'",
        "UPDATE scheduled SET due = at",
        "UPDATE approvals SET who = 'eve'",
    ];
    for harm in harms {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder);
        keep_one_of_each(&mut store);
        if harm.contains("acts") {
            let act = store.begin_act(at(1), &By::itself(), "{}", |_| Vec::new());
            act.unwrap();
        }
        let path = folder.path().join(world::fleet().name.as_str());
        let file = rusqlite::Connection::open(path.join("journal.db")).unwrap();
        assert_eq!(file.execute(harm, ()).unwrap(), 1, "{harm}");
        let clock = Clock::start();
        let adapters = Adapters::new(Arc::new(world::fleet()), clock, None).unwrap();
        let adapters = Arc::new(adapters);
        let loaded = crate::config::test_folder::Folder::new().loaded();
        let mut releases = Releases::default();
        let told = |answer: Option<Answer>| match answer {
            Some(Answer::Reply(Reply::Refused(refusal))) => refusal.rule == "ledger",
            Some(Answer::Reply(Reply::Ok(_)) | Answer::Events(_)) | None => false,
        };
        if !harm.contains("scheduled") {
            let place = Place {
                adapters: &adapters,
                loaded: &loaded,
                store: &mut store,
                barred: &Arc::default(),
                now: now(1),
            };
            let (waiting, wanted) = promotion();
            let said = releases.ask(wanted, waiting, &place).unwrap();
            assert!(told(said.map(|it| it.answer)), "{harm}");
        }

        let (Waiting { asking, .. }, _) = promotion();
        let master = "master".parse().unwrap();
        let reply = releases.cancel(&mut store, (&master, &asking), now(2));
        let told_so = told(Some(Answer::Reply(reply.unwrap())));
        assert_eq!(told_so, harm.contains("scheduled"), "{harm}");

        let (answer, mut heard) = oneshot::channel();
        let place = (&world::fleet(), &adapters);
        answer_standing(&store, place, at(3), answer).unwrap();
        assert!(told(heard.try_recv().ok()), "{harm}");

        let heeded = heed_act(&store);
        let is_refused = matches!(heeded, Err(RunError::Refused(_)));
        assert_eq!(is_refused, harm.contains("acts"), "{harm}");
    }
}

fn promotion() -> (Waiting, Wanted) {
    let command = Command::Promote(Promote {
        from: "staging".parse().unwrap(),
        to: "master".parse().unwrap(),
        services: Vec::new(),
        reason: None,
        now: false,
        at: None,
        unsoaked: false,
        dry_run: false,
        seen: None,
    });
    let wanted = Wanted::of_words(&command).unwrap().unwrap();
    let (answer, _) = oneshot::channel();
    let by = By::itself();
    let waiting = Waiting {
        asking: Asking { by, command },
        answer,
        scheduled: None,
    };
    (waiting, wanted)
}

fn keep_one_of_each(store: &mut Store) {
    let moved = Moved {
        at: at(1),
        image: "r.example.com/web:master".parse().unwrap(),
        old: None,
        new: world::digest(1),
        cause: Cause::Promote,
        who: "ana".to_owned(),
        way: Way::Socket,
        act: None,
        reason: None,
    };
    store.keep_move(&moved, &[]).unwrap();
    let waits = Scheduled {
        tag: "master".parse().unwrap(),
        at: at(0),
        due: at(100),
        who: "ana".to_owned(),
        way: Way::Socket,
        body: "{}".to_owned(),
    };
    store.keep_scheduled(&waits, &[]).unwrap();
    let approval = Approval {
        at: at(1),
        digest: world::digest(1),
        who: "ana".to_owned(),
        way: Way::Socket,
        reason: "tried it".to_owned(),
    };
    store.keep_approval(&approval, &[]).unwrap();
}

#[test]
fn what_is_scheduled_begins_at_its_time_once_and_not_when_it_is_an_hour_late() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let master = "master".parse().unwrap();
    let waits = Scheduled {
        tag: "master".parse().unwrap(),
        at: at(0),
        due: at(100),
        who: "ana".to_owned(),
        way: Way::Socket,
        body: "{}".to_owned(),
    };
    store.keep_scheduled(&waits, &[]).unwrap();
    let mut calendar = Calendar::default();
    assert!(calendar.due(&store, now(99)).unwrap().is_none());
    let due = calendar.due(&store, now(100)).unwrap();
    assert!(matches!(due, Some(Due::Begins(it)) if it == waits));
    assert!(
        calendar.due(&store, now(101)).unwrap().is_none(),
        "it is in hand"
    );
    // The registry does not answer.
    calendar.postpone(now(102));
    assert!(calendar.due(&store, now(161)).unwrap().is_none());
    assert!(calendar.due(&store, now(162)).unwrap().is_some());
    // The process dies; the next one was not there in time.
    let mut calendar = Calendar::default();
    let late = calendar.due(&store, now(100 + 3601)).unwrap();
    assert!(matches!(late, Some(Due::Late(_))));
    calendar.settle(&mut store, &master).unwrap();
    assert!(calendar.due(&store, now(9999)).unwrap().is_none());
    assert_eq!(store.scheduled().unwrap(), []);
}

fn store(folder: &tempfile::TempDir) -> Store {
    let fleet = world::fleet();
    let owner = Occupant {
        pid: 1,
        user: "test".to_owned(),
        command: "serve".to_owned(),
        since: at(0),
    };
    Store::open(folder.path(), &fleet.name, &owner).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn now(second: u64) -> Now {
    Now {
        wall: at(i64::try_from(second).unwrap()),
        mono: Mono(second * 1000),
    }
}
