//! The UPDATE for every purpose but the acquisition: what it states, adds, deletes and writes.
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::Mode;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence, Refusal, present_records};
use crate::coordinator::state::Visit;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{RecordName, ZoneChange};

use super::look::{No, Seen};
use super::records::{is_served, largest_ttl, returning, served_ttl, sets};

/// The change for `intent`, decided on what was seen beside `old`, our marker.
pub(super) fn change(seen: &Seen<'_>, intent: &Intent, old: &Marker) -> Result<Event, No> {
    if let Some(event) = moot(seen, intent) {
        return Ok(event);
    }
    let draft = draft(seen, intent, old)?;
    let expect = sets(seen.view);
    safety::never_empty(&expect, &draft.add, &draft.delete)?;
    let change = ZoneChange {
        expect,
        expect_marker: Some(old.clone()),
        ttl: served_ttl(seen.view, &draft.add, seen.ctx.fleet.dns.ttl)?,
        add: draft.add,
        delete: draft.delete,
        marker: draft.marker,
    };
    let ttl = largest_ttl(seen.view);
    Ok(Event::ChangeDecided {
        intent: intent.clone(),
        change: Arc::new(change),
        ttl,
    })
}

/// The new marker, and the records that go with it.
struct Draft {
    marker: Marker,
    add: BTreeSet<(RecordName, IpAddr)>,
    delete: BTreeSet<(RecordName, IpAddr)>,
}

/// What stands in place of a change: the site is out already, or the floor's look is too old to
/// let it leave.
fn moot(seen: &Seen<'_>, intent: &Intent) -> Option<Event> {
    let (site, is_for_nothing_else) = match intent {
        Intent::Withdraw { site } | Intent::Expel { site } => (site, true),
        Intent::Hold { site } | Intent::WithdrawAgain { site } => (site, false),
        Intent::Acquire
        | Intent::Refresh
        | Intent::Dirty { .. }
        | Intent::Restore { .. }
        | Intent::Clean { .. }
        | Intent::PutBack { .. }
        | Intent::Cordon { .. }
        | Intent::Uncordon { .. }
        | Intent::Release => return None,
    };
    if safety::presence(seen.ctx.fleet, seen.view, site) == Presence::None {
        let (intent, view) = (intent.clone(), seen.view.clone());
        return is_for_nothing_else.then_some(Event::ChangeNotNeeded { intent, view });
    }
    let looked = visit(seen, site)?.looked;
    let is_old = seen.now.mono.since(looked) > retry::LOOK_HOLDS && Guard::LookIsFresh.stands();
    is_old.then(|| Event::LookExpired { site: site.clone() })
}

fn draft(seen: &Seen<'_>, intent: &Intent, old: &Marker) -> Result<Draft, Refusal> {
    let mut draft = Draft {
        marker: Marker {
            seq: old.seq + 1,
            nonce: seen.nonce.clone(),
            ..old.clone()
        },
        add: BTreeSet::new(),
        delete: BTreeSet::new(),
    };
    let marker = &mut draft.marker;
    match intent {
        Intent::Acquire | Intent::Refresh => {}
        Intent::Release => {
            marker.holder = None;
            marker.rotation = None;
            if !Guard::DebtsStay.stands() {
                marker.out.clear();
                marker.dirty.clear();
            }
        }
        Intent::Withdraw { site } => {
            let mode = mode(seen, site);
            safety::cordon(Some(old), mode, site)?;
            safety::max_unavailable(old, mode, seen.ctx.playbook.max_unavailable, site)?;
            safety::ttl(seen.ctx.fleet, seen.view, site)?;
            draft.delete = leaving(seen, old, site)?;
            taken_out(marker, site);
        }
        Intent::Hold { site } => {
            // Of one that is out already nobody's answers are left to be waited for.
            if safety::presence(seen.ctx.fleet, seen.view, site) != Presence::None {
                safety::ttl(seen.ctx.fleet, seen.view, site)?;
                draft.delete = leaving(seen, old, site)?;
            }
            marker.held.insert(site.clone());
        }
        Intent::Expel { site } => {
            draft.delete = leaving(seen, old, site)?;
            taken_out(marker, site);
        }
        // Out without a drain, and failing: whoever visits it next drains and recreates it.
        Intent::WithdrawAgain { site } => {
            draft.delete = leaving(seen, old, site)?;
            marker.out.insert(site.clone());
            marker.dirty.insert(site.clone());
        }
        Intent::Dirty { site } => {
            if let Some(visit) = visit(seen, site).filter(|visit| visit.can_go_back()) {
                safety::still_served(seen.view, &visit.taken)?;
            }
            marker.dirty.insert(site.clone());
        }
        Intent::Restore { site } => {
            draft.add = coming(seen, site);
            for list in [&mut marker.out, &mut marker.dirty, &mut marker.held] {
                list.remove(site);
            }
        }
        Intent::PutBack { site } => {
            never_dirty(old, site)?;
            draft.add = coming(seen, site);
            marker.out.remove(site);
        }
        // It stays out as somebody else's: a visit owes it no more.
        Intent::Clean { site } => {
            marker.out.remove(site);
            marker.dirty.remove(site);
        }
        Intent::Cordon { site } => {
            marker.cordon.insert(site.clone());
        }
        Intent::Uncordon { site } => {
            marker.cordon.remove(site);
        }
    }
    Ok(draft)
}

/// **floor**, asked again right before the UPDATE, on what the primary just showed.
fn leaving(
    seen: &Seen<'_>,
    marker: &Marker,
    site: &SiteName,
) -> Result<BTreeSet<(RecordName, IpAddr)>, Refusal> {
    let fleet = seen.ctx.fleet;
    let answering = visit(seen, site)
        .map(|visit| visit.answering.clone())
        .unwrap_or_default();
    let rotation = seen.state.running();
    let below = rotation.is_some_and(|rotation| rotation.plan_of(site).options.below_floor);
    safety::floor(fleet, seen.view, marker, &answering, site, below)?;
    Ok(present_records(fleet, seen.view, site))
}

/// By a visit, that owes it from now on. Whoever held it has put it in since.
fn taken_out(marker: &mut Marker, site: &SiteName) {
    marker.out.insert(site.clone());
    marker.held.remove(site);
}

fn coming(seen: &Seen<'_>, site: &SiteName) -> BTreeSet<(RecordName, IpAddr)> {
    let mut add = returning(seen.state, seen.ctx, site);
    add.retain(|(name, address)| !is_served(seen.view, name, *address));
    add
}

/// **dirty**: what may have lost containers is never put back.
fn never_dirty(marker: &Marker, site: &SiteName) -> Result<(), Refusal> {
    if marker.dirty.contains(site) && Guard::DirtyNeverPutBack.stands() {
        return Err(Refusal::new(
            "dirty",
            format!("{site} may have lost containers: it is never put back"),
            format!("cleanslate rebuild {site} --reason TEXT"),
        ));
    }
    Ok(())
}

fn mode<'a>(seen: &'a Seen<'_>, site: &SiteName) -> &'a Mode {
    let rotation = seen.state.running();
    rotation.map_or(&Mode::Rotate, |rotation| &rotation.plan_of(site).mode)
}

fn visit<'a>(seen: &'a Seen<'_>, site: &SiteName) -> Option<&'a Visit> {
    seen.state.running()?.visits.get(site).map(AsRef::as_ref)
}
