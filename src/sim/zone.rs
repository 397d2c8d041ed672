//! What a primary does with an UPDATE: all of it where every prerequisite holds, else nothing (RFC
//! 2136, section 3).
use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::coordinator::guards::Guard;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, MarkerSeen, RecordName, RrKey, RrSet, ZoneChange, ZoneView};

/// Whether every prerequisite holds.
pub(crate) fn holds(view: &ZoneView, change: &ZoneChange) -> bool {
    let is_as_expected = |(key, addresses): (&RrKey, &BTreeSet<IpAddr>)| {
        view.rrsets.get(key).map(|set| &set.addresses) == Some(addresses)
    };
    let are_sets = change.expect.iter().all(is_as_expected) || !Guard::RrsetsStated.stands();
    let is_marker = marker(view) == change.expect_marker.as_ref() || !Guard::MarkerStated.stands();
    are_sets && is_marker
}

/// Deletes, adds, and writes the marker at every record.
pub(crate) fn apply(view: &mut ZoneView, change: &ZoneChange) {
    for (name, address) in &change.delete {
        set_of(view, name, *address).addresses.remove(address);
    }
    for (name, address) in &change.add {
        let set = set_of(view, name, *address);
        set.addresses.insert(*address);
        set.ttl = Some(change.ttl);
    }
    for set in view.rrsets.values_mut() {
        // An RRset that does not exist has no TTL.
        set.ttl = set.ttl.filter(|_| !set.addresses.is_empty());
    }
    for seen in view.markers.values_mut() {
        *seen = MarkerSeen::Here(change.marker.clone());
    }
    view.serial += 1;
}

/// The marker that stands at the first record: all are alike.
pub(crate) fn marker(view: &ZoneView) -> Option<&Marker> {
    match view.markers.values().next() {
        Some(MarkerSeen::Here(marker)) => Some(marker),
        Some(MarkerSeen::Absent | MarkerSeen::Foreign { .. }) | None => None,
    }
}

fn set_of<'v>(view: &'v mut ZoneView, name: &RecordName, address: IpAddr) -> &'v mut RrSet {
    let (name, family) = (name.clone(), Family::of(address));
    view.rrsets.entry(RrKey { name, family }).or_default()
}
