//! Two coordinators on three sites, in every order.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::search::{Found, Until, search};
use super::shape::shape;
use super::table::{Ask, Left, Table};
use crate::coordinator::event::RotationEnd;
use crate::coordinator::guards::{Guard, Missed};
use crate::coordinator::plan::Mode;

/// From a state in which nobody has anything in hand, one recovery and one night bring everything
/// back, whoever begins them.
fn flaw(table: &Table) -> Option<String> {
    for (n, machine) in table.crew.machines().enumerate() {
        let state = machine.state();
        if let Some(rotation) = state.running() {
            return Some(format!(
                "ends: {n} waits for nothing, {:?} {:?} {:?}",
                rotation.ending, state.lane, rotation.visits
            ));
        }
    }
    for seat in 0..table.asks.len() {
        let mut table = table.clone();
        table.crew.sit(seat);
        table.lags = false;
        table.crew.world.faults.servers_lag = false;
        let asked = |mode| Ask::taking_over(mode, &[]);
        // Where the marker was deleted nobody knows who took a site out, and what a person took
        // out nobody else puts in.
        let marker = table.crew.world.marker();
        let is_held = marker.is_some_and(|marker| !marker.held.is_empty());
        let restored = restores().filter(|_| table.is_deleted || is_held);
        let asks = [asked(Mode::Recover)].into_iter().chain(restored);
        for ask in asks.chain([asked(Mode::Rotate)]) {
            table.asks(&ask);
            table.plays_on();
        }
        if let Some(violation) = table.violation() {
            return Some(violation.to_string());
        }
        let state = table.crew.machine_at(seat).state();
        let end = state.rotation.as_ref().and_then(|r| r.end.clone());
        let marker = table.crew.world.marker();
        let owes = marker.is_none_or(|marker| !marker.out.is_empty() || !marker.dirty.is_empty());
        let (view, ghosts) = (&table.crew.world.view, &table.crew.world.ghosts);
        let sites = table.crew.world.fleet.sites.keys();
        let out: Vec<_> = sites.filter(|site| !ghosts.is_whole(view, site)).collect();
        if end != Some(RotationEnd::Completed) || owes || !out.is_empty() {
            return Some(format!("comes back: {end:?}, {out:?} are out"));
        }
    }
    None
}

/// Who meets, and what may go wrong meanwhile.
struct Meeting {
    name: &'static str,
    asks: Vec<Ask>,
    left: Left,
    lags: bool,
}

fn meeting(name: &'static str, asks: [Option<Ask>; 2], left: Left) -> Meeting {
    Meeting {
        name,
        asks: asks.into_iter().flatten().collect(),
        left,
        lags: false,
    }
}

impl Meeting {
    fn lagging(self) -> Meeting {
        Meeting { lags: true, ..self }
    }

    fn search(&self, until: Until) -> Found {
        let start = Table::of(&self.asks, self.left, self.lags);
        let found = search(start, MOST_STATES, until, &flaw);
        println!("{}: {found}", self.name);
        found
    }
}

/// More than this is cut, and said.
const MOST_STATES: usize = 60_000_000;

fn rotates() -> Option<Ask> {
    Some(Ask::of(Mode::Rotate, &["fra"]))
}

fn recovers() -> Option<Ask> {
    Some(Ask::taking_over(Mode::Recover, &[]))
}

fn rebuilds() -> Option<Ask> {
    Some(Ask::taking_over(Mode::Rebuild, &["fra"]))
}

fn restores() -> Option<Ask> {
    let mode = Mode::Restore { unverified: false };
    Some(Ask::taking_over(mode, &["fra"]))
}

fn withdraws() -> Option<Ask> {
    Some(Ask::taking_over(Mode::Withdraw, &["fra"]))
}

const NOTHING: Left = Left {
    deaths: 0,
    messages: 0,
    failures: 0,
    aborts: 0,
    deletions: 0,
};

fn left(deaths: u8, messages: u8) -> Left {
    Left {
        deaths,
        messages,
        ..NOTHING
    }
}

const FAILS: Left = Left {
    failures: 1,
    ..NOTHING
};

const FAILS_AND_ABORTS: Left = Left {
    failures: 1,
    aborts: 1,
    ..NOTHING
};

const DELETED: Left = Left {
    deletions: 1,
    ..NOTHING
};

/// In every test run.
fn always() -> Vec<Meeting> {
    vec![
        meeting("alone, 1 death", [rotates(), None], left(1, 0)),
        meeting("a second recovers", [rotates(), recovers()], NOTHING),
    ]
}

/// What `make sim` adds.
fn at_length() -> Vec<Meeting> {
    let alone = Left {
        messages: 2,
        ..FAILS_AND_ABORTS
    };
    vec![
        meeting("alone, 2 deaths", [rotates(), None], left(2, 0)),
        meeting("alone, 2 deaths, 1 message", [rotates(), None], left(2, 1)),
        meeting("alone, 1 death, 2 messages", [rotates(), None], left(1, 2)),
        meeting(
            "alone, 2 messages, a start fails, an abort",
            [rotates(), None],
            alone,
        ),
        meeting(
            "a second recovers, 2 deaths",
            [rotates(), recovers()],
            left(2, 0),
        ),
        meeting(
            "a second recovers, 1 death, 1 message",
            [rotates(), recovers()],
            left(1, 1),
        ),
        meeting(
            "a second recovers, 2 messages",
            [rotates(), recovers()],
            left(0, 2),
        ),
        meeting(
            "a second recovers, a start fails, an abort",
            [rotates(), recovers()],
            FAILS_AND_ABORTS,
        ),
        meeting(
            "one withdraws, a second restores, 1 death",
            [withdraws(), restores()],
            left(1, 0),
        ),
        meeting(
            "one withdraws, a second restores, 1 message",
            [withdraws(), restores()],
            left(0, 1),
        ),
        meeting(
            "a second restores, the marker is deleted",
            [rotates(), restores()],
            DELETED,
        ),
        meeting(
            "a second restores, 1 death, 1 message",
            [rotates(), restores()],
            left(1, 1),
        ),
        meeting(
            "a second rebuilds, a start fails",
            [rotates(), rebuilds()],
            FAILS,
        ),
        meeting(
            "a second rebuilds, the public server lags",
            [rotates(), rebuilds()],
            NOTHING,
        )
        .lagging(),
        meeting(
            "a second rebuilds, 1 death",
            [rotates(), rebuilds()],
            left(1, 0),
        ),
        meeting(
            "a second rebuilds, 1 message",
            [rotates(), rebuilds()],
            left(0, 1),
        ),
    ]
}

#[test]
fn however_two_coordinators_meet_no_rule_is_broken_and_all_comes_back() {
    let mut meetings = always();
    if super::is_at_length() {
        meetings.extend(at_length());
    }
    let found: Vec<Found> = meetings
        .iter()
        .map(|meeting| meeting.search(Until::Everywhere))
        .collect();
    let states: u64 = found.iter().map(|found| found.states).sum();
    println!("{} meetings, {states} states", found.len());
    let is_whole = |found: &Found| found.bad.is_empty() && !found.is_cut;
    assert!(found.iter().all(is_whole));
    let has_gone = |found: &Found| found.quiet > 0 && found.states > 100;
    assert!(found.iter().all(has_gone));
}

/// Everything a table may become at once, as shapes.
fn successors(table: &Table) -> BTreeMap<(u64, Left), bool> {
    let played = table.moves().into_iter().map(|next| {
        let mut table = table.clone();
        table.plays(next);
        ((shape(&table), table.left), table.violation().is_some())
    });
    played.collect()
}

/// Whoever has been at one state of a shape need not go on from another: both lead to the same.
#[test]
fn states_of_one_shape_go_on_alike() {
    let second = recovers().filter(|_| super::is_at_length());
    let asks: Vec<Ask> = rotates().into_iter().chain(second).collect();
    let mut waiting = vec![Table::of(&asks, left(1, 0), false)];
    let mut seen = BTreeMap::new();
    let mut again = 0;
    while let Some(table) = waiting.pop() {
        for next in table.moves() {
            let mut table = table.clone();
            table.plays(next);
            match seen.entry((shape(&table), table.left)) {
                Entry::Occupied(first) => {
                    assert_eq!(*first.get(), successors(&table), "after {next:?}");
                    again += 1;
                }
                Entry::Vacant(first) => {
                    first.insert(successors(&table));
                    waiting.push(table);
                }
            }
        }
    }
    println!("{} shapes, {again} seen again went on alike", seen.len());
    assert!(again > 50);
}

/// The guards that no night misses, each with the meeting that does.
fn missing() -> [(Guard, Meeting); 3] {
    let restarted = Left {
        messages: 1,
        ..FAILS
    };
    [
        (
            Guard::Fence,
            meeting(
                "a second rebuilds, a start fails",
                [rotates(), rebuilds()],
                FAILS,
            ),
        ),
        (
            Guard::StartsAfterWrite,
            meeting(
                "alone, 1 message, a start fails",
                [rotates(), None],
                restarted,
            ),
        ),
        (
            Guard::NewMarkerDirty,
            meeting(
                "a second restores, the marker is deleted",
                [rotates(), restores()],
                DELETED,
            ),
        ),
    ]
}

#[test]
fn guards_that_no_night_misses_are_missed_when_two_meet() {
    let of_meetings = Guard::ALL
        .iter()
        .filter(|(_, _, missed)| *missed == Missed::Meeting);
    let all: Vec<Guard> = of_meetings.map(|(guard, _, _)| *guard).collect();
    let mut known = missing().map(|(guard, _)| guard);
    known.sort();
    assert_eq!(all, known);
    for (guard, meeting) in missing() {
        let found = guard.off(|| meeting.search(Until::Harm));
        let (rule, (what, moves)) = found.bad.first_key_value().expect("a rule is broken");
        println!("{guard:?}: {rule}: {what} after {} moves", moves.len());
        // With it, nothing goes wrong: of the long ones `make sim` tells that.
        if super::is_at_length() || guard == Guard::StartsAfterWrite {
            let stands = meeting.search(Until::Everywhere);
            assert!(stands.bad.is_empty(), "{guard:?} stands");
        }
    }
}
