//! Exact records: what goes in, what a view holds, and the TTL it is served with.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::coordinator::context::Context;
use crate::coordinator::guards::Guard;
use crate::coordinator::safety::{Refusal, declared_records};
use crate::coordinator::state::State;
use crate::model::id::SiteName;
use crate::model::rrset::{Family, RecordName, RrKey, ZoneView};
use crate::model::time::Ttl;

/// What goes in: all that is owed, but for hosts left out by name.
pub(super) fn returning(
    state: &State,
    ctx: &Context<'_>,
    site: &SiteName,
) -> BTreeSet<(RecordName, IpAddr)> {
    let Some(rotation) = state.running() else {
        return BTreeSet::new();
    };
    let absent = ctx.left_out_addresses(site, &rotation.plan_of(site).options);
    let mut returning = owed_records(state, ctx, site);
    returning.retain(|(_, address)| !absent.contains(address));
    returning
}

/// What this visit took out and what an earlier one had to leave out; where it took nothing (the
/// site was found out), all that is declared.
pub(crate) fn owed_records(
    state: &State,
    ctx: &Context<'_>,
    site: &SiteName,
) -> BTreeSet<(RecordName, IpAddr)> {
    let visit = state
        .running()
        .and_then(|rotation| rotation.visits.get(site));
    let mut owed = visit.map(|visit| visit.taken.clone()).unwrap_or_default();
    if owed.is_empty() {
        owed = declared_records(ctx.fleet, site);
    }
    owed.extend(state.left_out.get(site).cloned().unwrap_or_default());
    owed
}

/// Every RRset as it was seen: the prerequisites of a change.
pub(super) fn sets(view: &ZoneView) -> BTreeMap<RrKey, BTreeSet<IpAddr>> {
    let sets = view.rrsets.iter();
    sets.map(|(key, set)| (key.clone(), set.addresses.clone()))
        .collect()
}

pub(super) fn is_served(view: &ZoneView, name: &RecordName, address: IpAddr) -> bool {
    let set = view.rrsets.get(&key_of(name, address));
    set.is_some_and(|set| set.addresses.contains(&address))
}

/// The TTL that added records get: the one already served, for an added record changes the TTL of
/// its whole RRset on BIND, Knot and PowerDNS. RRsets that do not exist get the declared one.
///
/// # Errors
/// Where the RRsets are served with different TTLs: one UPDATE would change one of them.
pub(super) fn served_ttl(
    view: &ZoneView,
    add: &BTreeSet<(RecordName, IpAddr)>,
    declared: Ttl,
) -> Result<Ttl, Refusal> {
    if !Guard::TtlKept.stands() {
        return Ok(declared);
    }
    let mut found: Option<(RrKey, Ttl)> = None;
    for key in add.iter().map(|(name, address)| key_of(name, *address)) {
        let Some(ttl) = view.rrsets.get(&key).and_then(|set| set.ttl) else {
            continue;
        };
        match &found {
            Some((other, served)) if *served != ttl => {
                return Err(Refusal::new(
                    "ttl",
                    format!("{other} is served with a TTL of {served}, {key} with {ttl}"),
                    "set the TTLs of the records on the primary so that they agree: cleanslate \
                     changes no TTL",
                ));
            }
            Some(_) => {}
            None => found = Some((key, ttl)),
        }
    }
    Ok(found.map_or(declared, |(_, ttl)| ttl))
}

/// The largest TTL of any RRset in a view; zero where there is none.
pub(crate) fn largest_ttl(view: &ZoneView) -> Ttl {
    let ttls = view.rrsets.values().filter_map(|set| set.ttl);
    ttls.max().unwrap_or(Ttl(0))
}

fn key_of(name: &RecordName, address: IpAddr) -> RrKey {
    RrKey {
        name: name.clone(),
        family: Family::of(address),
    }
}
