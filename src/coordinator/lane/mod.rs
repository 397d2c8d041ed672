//! The lane: DNS changes, one at a time. Each is looked at, decided, sent and proven; or settled
//! where it is unknown whether it was applied.
//!
//! Every change is decided on a fresh look at the primary, states all of what was seen as
//! prerequisites, and is proven by reading the primary back (RFC 2136 sections 2.4 and 5.6).
mod acquire;
mod change;
mod look;
mod moved;
mod records;
mod settle;
mod transitions;

use super::context::Context;
use super::event::Event;
use super::intent::Intent;
use super::outcome::{Outcome, Problem};
use super::retry;
use super::state::{Hold, Lane, Rotation, State};
use crate::model::time::Now;

pub(crate) use moved::moved;
pub(crate) use records::{largest_ttl, owed_records};
pub(crate) use transitions::Proven;

/// The next change, where the lane is free and something wants one.
pub(crate) fn begin(state: &State) -> Option<Event> {
    if state.lane != Lane::Free {
        return None;
    }
    let intent = wanted(state, state.running()?)?;
    Some(Event::ChangeBegun { intent })
}

/// What the answer to the lane's effect means.
pub(crate) fn react(state: &State, ctx: &Context<'_>, outcome: &Outcome, now: Now) -> Vec<Event> {
    match (&state.lane, outcome) {
        (
            Lane::Looking { .. },
            Outcome::Primary {
                view: Ok(view),
                nonce,
            },
        ) => look::decide(&look::Seen {
            state,
            ctx,
            view,
            nonce,
            now,
        }),
        (
            Lane::Looking {
                intent, attempt, ..
            },
            Outcome::Primary {
                view: Err(problem), ..
            },
        ) => {
            vec![unreachable(state, intent, *attempt, problem, now)]
        }
        (Lane::Sent { flight, .. }, Outcome::Update(outcome)) => {
            settle::answered(state, flight, outcome, now)
        }
        (
            Lane::ReadingBack { flight, .. } | Lane::Settling { flight, .. },
            Outcome::Primary {
                view: Ok(view),
                nonce,
            },
        ) => settle::settled(
            &look::Seen {
                state,
                ctx,
                view,
                nonce,
                now,
            },
            flight,
        ),
        (
            Lane::ReadingBack { flight, .. } | Lane::Settling { flight, .. },
            Outcome::Primary {
                view: Err(problem), ..
            },
        ) => vec![settle::unread(state, flight, problem, now)],
        (Lane::Fencing { .. }, Outcome::Update(outcome)) => {
            vec![Event::ChangeAnswered {
                outcome: outcome.clone(),
            }]
        }
        (Lane::SettlingLater { .. } | Lane::Delayed { .. }, Outcome::Woke) => {
            vec![Event::LookDue]
        }
        (Lane::Contended { marker, since, .. }, Outcome::Woke) => {
            acquire::waited(state, marker, *since, now)
        }
        // An answer of another kind than was asked for says nothing.
        (_, _) => Vec::new(),
    }
}

/// Safety first, then the refresh, then progress; the lists of the marker wait for everybody.
fn wanted(state: &State, rotation: &Rotation) -> Option<Intent> {
    if rotation.has_lost() {
        return None;
    }
    let Hold::Held { refresh, .. } = &state.hold else {
        let has_work = !rotation.is_ending() || !rotation.visits.is_empty();
        let has_work = has_work || (rotation.has_held && !rotation.is_released);
        return has_work.then_some(Intent::Acquire);
    };
    let of_visits = rotation
        .visits
        .values()
        .filter_map(|visit| visit.wants(rotation.plan_of(&visit.site)));
    let refresh = refresh.is_over.then_some(Intent::Refresh);
    let release = rotation.is_over().then_some(Intent::Release);
    let asked = rotation.writes.front().cloned();
    of_visits
        .chain(refresh)
        .chain(asked)
        .chain(release)
        .min_by_key(urgency)
}

fn urgency(intent: &Intent) -> u8 {
    match intent {
        Intent::PutBack { .. } | Intent::WithdrawAgain { .. } | Intent::Expel { .. } => 0,
        Intent::Acquire | Intent::Refresh => 1,
        Intent::Restore { .. } | Intent::Clean { .. } => 2,
        Intent::Dirty { .. } => 3,
        Intent::Withdraw { .. } | Intent::Hold { .. } => 4,
        Intent::Cordon { .. } | Intent::Uncordon { .. } => 5,
        Intent::Release => 6,
    }
}

/// The primary could not be read, or an UPDATE could not be sent.
fn unreachable(state: &State, intent: &Intent, attempt: u32, problem: &Problem, now: Now) -> Event {
    if can_wait(state, intent, now) || attempt < retry::CHANGE_ATTEMPTS {
        return delayed(attempt, &problem.what, now);
    }
    Event::ChangeRefused {
        intent: intent.clone(),
        refusal: super::safety::Refusal {
            rule: "dns".to_owned(),
            why: problem.what.clone(),
            cure: problem.cure.clone(),
            is_transient: true,
        },
    }
}

/// Whether this change is waited for: as long as it takes where a site is out or a debt is open, as
/// long as was asked where nothing has begun.
fn can_wait(state: &State, intent: &Intent, now: Now) -> bool {
    match intent {
        Intent::Refresh
        | Intent::Dirty { .. }
        | Intent::Restore { .. }
        | Intent::Clean { .. }
        | Intent::PutBack { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. } => true,
        // After a crash: the visits in hand have to be brought to safety.
        Intent::Acquire => state
            .running()
            .is_some_and(|rotation| !rotation.visits.is_empty() || now.mono < rotation.patience),
        Intent::Withdraw { .. }
        | Intent::Hold { .. }
        | Intent::Cordon { .. }
        | Intent::Uncordon { .. }
        | Intent::Release => false,
    }
}

fn delayed(attempt: u32, why: &str, now: Now) -> Event {
    Event::ChangeDelayed {
        why: why.to_owned(),
        until: now.mono.plus(retry::look_again(attempt)),
    }
}
