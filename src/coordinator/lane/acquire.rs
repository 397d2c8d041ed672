//! Taking the marker: at once where it is idle or our own, by patience where another holds it.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence, Refusal, Standing};
use crate::coordinator::state::{Rotation, State};
use crate::model::id::{Epoch, SiteName};
use crate::model::marker::Marker;
use crate::model::rrset::ZoneChange;
use crate::model::time::{Mono, Now};

use super::look::{No, Seen, backwards};
use super::records::{largest_ttl, sets};

/// The UPDATE that makes the marker ours, its epoch above every one that is known.
pub(super) fn acquisition(seen: &Seen<'_>) -> Result<Event, No> {
    let Some(rotation) = seen.state.running() else {
        let why = "no rotation wants the marker";
        return Err(Refusal::new("one rotation", why, "begin one").into());
    };
    let marker = safety::one_marker(seen.ctx.fleet, seen.view).map_err(No::Again)?;
    let newer = newer_than(seen.state, marker);
    if let Some(newer) = newer.filter(|_| !may_take_over(rotation)) {
        return Err(No::Stop(backwards(marker, newer)));
    }
    if let Some(held) = held_by_another(seen, rotation, marker) {
        return Ok(contended(held, rotation, seen.now));
    }
    let change = ZoneChange {
        expect: sets(seen.view),
        marker: taken(seen, rotation, marker, newer),
        expect_marker: marker.cloned(),
        add: BTreeSet::new(),
        delete: BTreeSet::new(),
        ttl: seen.ctx.fleet.dns.ttl,
    };
    let ttl = largest_ttl(seen.view);
    Ok(Event::ChangeDecided {
        intent: Intent::Acquire,
        change: Arc::new(change),
        ttl,
    })
}

/// After a pause before another holder's marker: it may have stood for long enough, or was waited
/// for as long as was asked.
pub(super) fn waited(state: &State, marker: &Marker, since: Mono, now: Now) -> Vec<Event> {
    let Some(rotation) = state.running() else {
        return Vec::new();
    };
    if now.mono.since(since) >= retry::TAKE_OVER_AFTER {
        return vec![
            Event::TakeOverAllowed {
                from: marker.clone(),
            },
            Event::LookDue,
        ];
    }
    if now.mono >= rotation.patience {
        return vec![not_yours(marker)];
    }
    vec![Event::LookDue]
}

/// The marker that this store wrote last, where the one on the primary is older or gone.
fn newer_than<'a>(state: &'a State, seen: Option<&Marker>) -> Option<&'a Marker> {
    let ours = state.marker.as_ref()?;
    match safety::standing(ours, seen) {
        Standing::Backwards if Guard::BackwardsStops.stands() => Some(ours),
        Standing::Backwards => None,
        Standing::Ours | Standing::Deposed => None,
    }
}

/// A person's word holds for the acquisition it was said for: not for one after that was lost.
fn may_take_over(rotation: &Rotation) -> bool {
    rotation.plan.options.take_over && !rotation.has_held
}

/// Our own may be taken at once: the process that held it is gone, or it would hold the store. One
/// of an epoch that this store never asked for was taken by somebody who works with a copy of it.
fn held_by_another<'m>(
    seen: &Seen<'_>,
    rotation: &Rotation,
    marker: Option<&'m Marker>,
) -> Option<&'m Marker> {
    let marker = marker?;
    let holder = marker.holder.as_ref()?;
    let has_stood = rotation.take_over_from.as_ref() == Some(marker);
    let is_ours = holder == seen.ctx.holder && marker.epoch <= seen.state.epoch;
    let is_free = is_ours || may_take_over(rotation) || has_stood;
    let is_free = is_free || !Guard::PatientTakeOver.stands();
    (!is_free).then_some(marker)
}

fn contended(marker: &Marker, rotation: &Rotation, now: Now) -> Event {
    let left = now.mono.until(rotation.patience);
    if left == Duration::ZERO {
        return not_yours(marker);
    }
    Event::MarkerHeld {
        marker: marker.clone(),
        until: now.mono.plus(retry::LOOK_AT_MARKER_EVERY.min(left)),
    }
}

fn not_yours(marker: &Marker) -> Event {
    let holder = marker
        .holder
        .as_ref()
        .map_or("nobody", |holder| holder.as_str());
    Event::ChangeRefused {
        intent: Intent::Acquire,
        refusal: Refusal {
            rule: "one rotation".to_owned(),
            why: format!("the marker is held by {holder} (epoch {})", marker.epoch),
            cure: "wait for it (`--wait 35m`), see `cleanslate status`, or, if that coordinator \
                   is dead, `cleanslate take-over --reason TEXT`"
                .to_owned(),
            is_transient: true,
        },
    }
}

/// The marker under our hold. Where there is none, or an older one than this store remembers, no
/// list can be trusted: every declared site that is out counts as dirty.
fn taken(
    seen: &Seen<'_>,
    rotation: &Rotation,
    old: Option<&Marker>,
    newer: Option<&Marker>,
) -> Marker {
    let known = [old, newer];
    let epochs = known.iter().flatten().map(|marker| marker.epoch);
    let highest = epochs
        .chain([seen.state.epoch])
        .chain(
            Guard::EpochAboveLabels
                .stands()
                .then_some(rotation.plan.highest_epoch),
        )
        .max();
    let list = |pick: fn(&Marker) -> &BTreeSet<SiteName>| -> BTreeSet<SiteName> {
        known
            .iter()
            .flatten()
            .flat_map(|marker| pick(marker).clone())
            .collect()
    };
    let mut dirty = list(|marker| &marker.dirty);
    if (old.is_none() || newer.is_some()) && Guard::NewMarkerDirty.stands() {
        let fleet = seen.ctx.fleet;
        let is_out = |site: &&SiteName| safety::presence(fleet, seen.view, site) == Presence::None;
        dirty.extend(fleet.sites.keys().filter(is_out).cloned());
    }
    Marker {
        fleet: seen.ctx.fleet.name.clone(),
        epoch: Epoch(highest.unwrap_or_default().0 + 1),
        seq: old.map_or(0, |marker| marker.seq) + 1,
        holder: Some(seen.ctx.holder.clone()),
        rotation: Some(rotation.plan.id.clone()),
        out: old.map(|marker| marker.out.clone()).unwrap_or_default(),
        dirty,
        held: list(|marker| &marker.held),
        cordon: list(|marker| &marker.cordon),
        nonce: seen.nonce.clone(),
    }
}
