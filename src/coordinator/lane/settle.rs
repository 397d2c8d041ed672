//! What became of an UPDATE: applied, not applied, or unknown until the marker tells.
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence, Refusal, Standing};
use crate::coordinator::state::{Flight, State};
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{UpdateOutcome, ZoneChange};
use crate::model::time::Now;

use super::look::{Seen, backwards, deposed};
use super::records::sets;
use super::{delayed, unreachable};

/// The server's answer to an UPDATE. NOERROR is no proof, and no answer is none either: the
/// primary is read in both cases.
pub(super) fn answered(
    state: &State,
    flight: &Flight,
    outcome: &UpdateOutcome,
    now: Now,
) -> Vec<Event> {
    let (intent, attempt) = (&flight.intent, flight.attempt);
    let refused = |refusal| {
        vec![Event::ChangeRefused {
            intent: intent.clone(),
            refusal,
        }]
    };
    match outcome {
        UpdateOutcome::Unknown { why } if !Guard::UnknownSettled.stands() => {
            vec![delayed(attempt, why, now)]
        }
        UpdateOutcome::Applied | UpdateOutcome::Unknown { .. } => {
            vec![Event::ChangeAnswered {
                outcome: outcome.clone(),
            }]
        }
        UpdateOutcome::NotSent { why } => {
            let problem = Problem {
                what: why.clone(),
                cure: "see that the primary answers on TCP port 53".to_owned(),
                is_transient: true,
            };
            vec![unreachable(state, intent, attempt, &problem, now)]
        }
        UpdateOutcome::NotApplied { why } if attempt < retry::CHANGE_ATTEMPTS => {
            vec![delayed(attempt, why, now)]
        }
        UpdateOutcome::NotApplied { why } => refused(Refusal {
            rule: "compare-and-swap".to_owned(),
            why: format!("somebody keeps changing the records: {why}"),
            cure: "find who else writes to this zone, then try again".to_owned(),
            is_transient: true,
        }),
        UpdateOutcome::Refused { why, hint } => {
            refused(Refusal::new("dns", why.clone(), hint.clone()))
        }
    }
}

/// What the primary's marker says of changes that may have been applied.
///
/// Where it still shows the old marker, a fence is sent: whichever of them the server lets pass,
/// the others never can any more.
pub(super) fn settled(seen: &Seen<'_>, flight: &Flight) -> Vec<Event> {
    let attempt = flight.attempt;
    match safety::one_marker(seen.ctx.fleet, seen.view) {
        Ok(marker) => {
            proven(seen, flight, marker).unwrap_or_else(|| vec![unsettled(seen, flight, marker)])
        }
        Err(refusal) if attempt < retry::SETTLE_ATTEMPTS => {
            vec![delayed(attempt, &refusal.why, seen.now)]
        }
        Err(refusal) => vec![Event::Deposed { refusal }],
    }
}

/// None of the flight's changes stands on the primary: not yet, or never.
fn unsettled(seen: &Seen<'_>, flight: &Flight, marker: Option<&Marker>) -> Event {
    let (intent, attempt) = (&flight.intent, flight.attempt);
    let fences = flight.changes.len() - 1;
    let is_as_before = |first: &&Arc<ZoneChange>| first.expect_marker.as_ref() == marker;
    let Some(first) = flight.changes.first().filter(is_as_before) else {
        return Event::Deposed {
            refusal: overtaken(flight, marker),
        };
    };
    if fences < attempt as usize {
        return Event::FenceDecided {
            change: Arc::new(fence(first, intent, seen)),
        };
    }
    if attempt < retry::SETTLE_ATTEMPTS {
        let why = "the primary takes neither an UPDATE nor its fence";
        return delayed(attempt, why, seen.now);
    }
    let refusal = stuck(fences);
    if may_be_left(intent) {
        return Event::ChangeRefused {
            intent: intent.clone(),
            refusal,
        };
    }
    Event::Deposed { refusal }
}

/// The primary could not be read while an UPDATE is unknown. Who wants nothing but the marker does
/// not wait for ever: the next one to begin settles it by its own compare-and-swap.
pub(super) fn unread(state: &State, flight: &Flight, problem: &Problem, now: Now) -> Event {
    let has_work = state
        .running()
        .is_some_and(|rotation| !rotation.visits.is_empty());
    if has_work || !may_be_left(&flight.intent) {
        return delayed(flight.attempt, &problem.what, now);
    }
    unreachable(state, &flight.intent, flight.attempt, problem, now)
}

/// Whether nothing else is sent after this change, so that it may stay unknown.
fn may_be_left(intent: &Intent) -> bool {
    match intent {
        Intent::Acquire | Intent::Release => true,
        Intent::Refresh
        | Intent::Withdraw { .. }
        | Intent::Dirty { .. }
        | Intent::Restore { .. }
        | Intent::Clean { .. }
        | Intent::PutBack { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. }
        | Intent::Hold { .. }
        | Intent::Cordon { .. }
        | Intent::Uncordon { .. } => false,
    }
}

/// One of the flight's markers stands on the primary: that change was applied, and with it the
/// others never can be. A fence is nothing but a refresh, and what it fenced off is begun anew;
/// for an acquisition any of them will do.
fn proven(seen: &Seen<'_>, flight: &Flight, marker: Option<&Marker>) -> Option<Vec<Event>> {
    let which = flight
        .changes
        .iter()
        .position(|change| Some(&change.marker) == marker)?;
    let is_itself = which == 0 || flight.intent == Intent::Acquire;
    let intent = if is_itself {
        flight.intent.clone()
    } else {
        Intent::Refresh
    };
    let by_hand = match &intent {
        Intent::Dirty { site } if is_in(seen, site) => {
            Some(Event::PutBackByHand { site: site.clone() })
        }
        Intent::Dirty { .. }
        | Intent::Acquire
        | Intent::Refresh
        | Intent::Withdraw { .. }
        | Intent::Restore { .. }
        | Intent::Clean { .. }
        | Intent::PutBack { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. }
        | Intent::Hold { .. }
        | Intent::Cordon { .. }
        | Intent::Uncordon { .. }
        | Intent::Release => None,
    };
    let (marker, view) = (
        flight.changes.get(which)?.marker.clone(),
        Arc::clone(seen.view),
    );
    let proven = Event::ChangeProven {
        intent,
        marker,
        view,
    };
    Some(std::iter::once(proven).chain(by_hand).collect())
}

/// Read back, it is in DNS again: by somebody's hand, after the last look was written.
fn is_in(seen: &Seen<'_>, site: &SiteName) -> bool {
    safety::presence(seen.ctx.fleet, seen.view, site) != Presence::None
}

/// A change from the same old marker that alters nothing else (RFC 2136 section 5.6).
fn fence(first: &ZoneChange, intent: &Intent, seen: &Seen<'_>) -> ZoneChange {
    let nonce = seen.nonce.clone();
    let marker = match &first.expect_marker {
        Some(old) if *intent != Intent::Acquire => Marker {
            seq: old.seq + 1,
            nonce,
            ..old.clone()
        },
        Some(_) | None => Marker {
            nonce,
            ..first.marker.clone()
        },
    };
    ZoneChange {
        expect: sets(seen.view),
        expect_marker: first.expect_marker.clone(),
        add: BTreeSet::new(),
        delete: BTreeSet::new(),
        ttl: first.ttl,
        marker,
    }
}

/// The marker is none of the flight's, nor the one they were decided on.
fn overtaken(flight: &Flight, marker: Option<&Marker>) -> Refusal {
    let Some(ours) = flight.changes.first().map(|first| &first.marker) else {
        return deposed(marker);
    };
    match safety::standing(ours, marker) {
        Standing::Backwards => backwards(marker, ours),
        Standing::Ours | Standing::Deposed => deposed(marker),
    }
}

fn stuck(fences: usize) -> Refusal {
    Refusal::new(
        "three outcomes",
        format!("the primary answers, but took neither an UPDATE nor any of {fences} fences"),
        "see in the primary's log why it applies no UPDATE, then start again: the marker still \
         tells where things stand",
    )
}
