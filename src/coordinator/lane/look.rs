//! What a look at the primary leads to.
use std::sync::Arc;

use crate::coordinator::context::Context;
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence, Refusal, Standing};
use crate::coordinator::state::{Lane, State};
use crate::model::id::{Epoch, Nonce};
use crate::model::marker::Marker;
use crate::model::rrset::ZoneView;
use crate::model::time::Now;

use super::{acquire, change, delayed};

/// One look: what the primary showed, and what is known beside it. `nonce` is fresh, for the
/// marker of the change that may follow.
pub(super) struct Seen<'a> {
    pub(super) state: &'a State,
    pub(super) ctx: &'a Context<'a>,
    pub(super) view: &'a Arc<ZoneView>,
    pub(super) nonce: &'a Nonce,
    pub(super) now: Now,
}

/// Why a look leads to no change.
pub(super) enum No {
    /// Somebody newer holds the marker, or the zone went backwards: nothing more is sent.
    Stop(Refusal),
    /// What was seen may be different in a moment.
    Again(Refusal),
    /// A rule says no.
    Rule(Refusal),
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> No {
        No::Rule(refusal)
    }
}

/// The change that follows from a look, or why there is none.
pub(super) fn decide(seen: &Seen<'_>) -> Vec<Event> {
    let Lane::Looking {
        intent, attempt, ..
    } = &seen.state.lane
    else {
        return Vec::new();
    };
    let decided = match intent {
        Intent::Acquire => acquire::acquisition(seen).map(|event| vec![event]),
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
        | Intent::Uncordon { .. }
        | Intent::Release => under_our_marker(seen, intent),
    };
    let refused = |refusal| {
        vec![Event::ChangeRefused {
            intent: intent.clone(),
            refusal,
        }]
    };
    match decided {
        Ok(events) => events,
        Err(No::Stop(refusal)) if *intent == Intent::Acquire => refused(refusal),
        Err(No::Stop(refusal)) => vec![Event::Deposed { refusal }],
        Err(No::Again(refusal)) if *attempt < retry::CHANGE_ATTEMPTS => {
            vec![delayed(*attempt, &refusal.why, seen.now)]
        }
        Err(No::Again(refusal) | No::Rule(refusal)) => refused(refusal),
    }
}

/// A change that only the holder makes. A site in hand that somebody put in DNS comes first.
fn under_our_marker(seen: &Seen<'_>, intent: &Intent) -> Result<Vec<Event>, No> {
    let old = ours(seen)?;
    if let Some(events) = put_back_by_hand(seen) {
        return Ok(events);
    }
    Ok(vec![change::change(seen, intent, old)?])
}

/// The marker on the primary, which must be the one that we wrote last.
fn ours<'a>(seen: &'a Seen<'_>) -> Result<&'a Marker, No> {
    let marker = safety::one_marker(seen.ctx.fleet, seen.view).map_err(No::Again)?;
    let Some(ours) = &seen.state.marker else {
        return Err(No::Stop(deposed(marker)));
    };
    match safety::standing(ours, marker) {
        Standing::Ours => Ok(ours),
        Standing::Deposed if !Guard::DeposedStops.stands() => Ok(marker.unwrap_or(ours)),
        Standing::Deposed => Err(No::Stop(deposed(marker))),
        Standing::Backwards if !Guard::BackwardsStops.stands() => Ok(marker.unwrap_or(ours)),
        Standing::Backwards => Err(No::Stop(backwards(marker, ours))),
    }
}

/// A site that is being emptied or rebuilt stands in DNS: by nobody's hand of ours.
fn put_back_by_hand(seen: &Seen<'_>) -> Option<Vec<Event>> {
    let rotation = seen.state.running()?;
    let is_in = |site| safety::presence(seen.ctx.fleet, seen.view, site) != Presence::None;
    let visit = rotation
        .visits
        .values()
        .find(|visit| visit.is_kept_out() && is_in(&visit.site) && Guard::HandsNoticed.stands())?;
    Some(visit.put_back_by_hand(rotation))
}

pub(super) fn deposed(seen: Option<&Marker>) -> Refusal {
    let holder = seen.and_then(|marker| marker.holder.as_ref());
    let who = holder.map_or("somebody", |holder| holder.as_str());
    let epoch = seen.map_or(Epoch(0), |marker| marker.epoch);
    Refusal::new(
        "one rotation",
        format!("{who} took the marker over (epoch {epoch})"),
        "nothing more is done here; see `cleanslate status`",
    )
}

pub(super) fn backwards(seen: Option<&Marker>, remembered: &Marker) -> Refusal {
    let seen = seen.map_or("there is no marker".to_owned(), |marker| {
        format!("the marker is of epoch {} seq {}", marker.epoch, marker.seq)
    });
    Refusal::new(
        "zone went backwards",
        format!(
            "{seen}, this store remembers epoch {} seq {}: was the zone restored?",
            remembered.epoch, remembered.seq
        ),
        "look at the zone; when it is as it should be: `cleanslate take-over --reason TEXT`",
    )
}
