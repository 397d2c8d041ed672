//! What is open and what waits for its time is taken up, whatever the store says.
use std::sync::Arc;

use jiff::Timestamp;

use super::super::desk::Releases;
use super::super::scheduled::{Calendar, Due};
use crate::coordinator::tests::world;
use crate::daemon::adapters::Adapters;
use crate::daemon::clock::Clock;
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
