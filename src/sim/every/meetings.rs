//! Two coordinators on three sites, in every order.
use super::search::{Found, search};
use super::table::{Ask, Left, Table};
use crate::coordinator::event::RotationEnd;
use crate::coordinator::plan::Mode;

/// More steps than any rotation of three sites takes.
const MOST_STEPS: usize = 2_000;

/// From a state in which nobody has anything in hand, one recovery and one night bring everything
/// back, whoever begins them.
fn flaw(table: &Table) -> Option<String> {
    for (n, seat) in table.seats.iter().enumerate() {
        let state = seat.machine.state();
        if let Some(rotation) = state.running() {
            return Some(format!(
                "ends: {n} waits for nothing, {:?} {:?} {:?}",
                rotation.ending, state.lane, rotation.visits
            ));
        }
    }
    for seat in 0..table.seats.len() {
        let mut table = table.clone();
        table.sit(seat);
        table.lags = false;
        table.world.faults.servers_lag = false;
        for mode in [Mode::Recover, Mode::Rotate] {
            table.asks(&Ask::taking_over(mode, &[]));
            for _ in 0..MOST_STEPS {
                let machine = &mut table.seats[seat].machine;
                if !table.world.step(machine) {
                    break;
                }
            }
        }
        if let Some(violation) = table.violation() {
            return Some(violation.to_string());
        }
        let state = table.seats[seat].machine.state();
        let end = state.rotation.as_ref().and_then(|r| r.end.clone());
        let marker = table.world.marker();
        let owes = marker.is_none_or(|marker| !marker.out.is_empty() || !marker.dirty.is_empty());
        let (view, ghosts) = (&table.world.view, &table.world.ghosts);
        let sites = table.world.fleet.sites.keys();
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

    fn search(&self) -> Found {
        let start = Table::of(&self.asks, self.left, self.lags);
        let found = search(start, MOST_STATES, &flaw);
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

fn left(deaths: u8, messages: u8) -> Left {
    Left {
        deaths,
        messages,
        ..Left::default()
    }
}

/// In every test run.
fn always() -> Vec<Meeting> {
    vec![
        meeting("one dies", [rotates(), None], left(1, 0)),
        meeting("a second recovers", [rotates(), recovers()], left(0, 0)),
    ]
}

/// What `make sim` adds.
fn at_length() -> Vec<Meeting> {
    let fails = |left| Left {
        failures: 1,
        ..left
    };
    let aborts = |left| Left { aborts: 1, ..left };
    vec![
        meeting("alone, 2 deaths, 2 messages", [rotates(), None], left(2, 2)),
        meeting(
            "alone, 1 start fails, 1 abort, 2 messages",
            [rotates(), None],
            aborts(fails(left(0, 2))),
        ),
        meeting("a second rebuilds", [rotates(), rebuilds()], left(0, 0)),
        meeting(
            "a second rebuilds, the public server lags",
            [rotates(), rebuilds()],
            left(0, 0),
        )
        .lagging(),
        meeting(
            "a second recovers, 1 start fails, 1 abort",
            [rotates(), recovers()],
            aborts(fails(left(0, 0))),
        ),
        meeting(
            "a second recovers, 2 deaths",
            [rotates(), recovers()],
            left(2, 0),
        ),
        meeting(
            "a second recovers, 2 messages",
            [rotates(), recovers()],
            left(0, 2),
        ),
        meeting(
            "a second recovers, 1 death, 1 message",
            [rotates(), recovers()],
            left(1, 1),
        ),
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
    let found: Vec<Found> = meetings.iter().map(Meeting::search).collect();
    let states: u64 = found.iter().map(|found| found.states).sum();
    println!("{} meetings, {states} states", found.len());
    assert!(
        found
            .iter()
            .all(|found| found.bad.is_empty() && !found.is_cut)
    );
    assert!(
        found
            .iter()
            .all(|found| found.quiet > 0 && found.states > 100)
    );
}
