//! What a proven change of DNS is to others.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::place::visit;
use crate::api::public::Public;
use crate::coordinator::intent::Intent;
use crate::coordinator::state::{Lane, State};
use crate::model::marker::Marker;
use crate::model::rrset::{RecordName, ZoneChange};

pub(super) fn proven(intent: &Intent, marker: &Marker, before: &State) -> Option<Public> {
    let addresses = |of: fn(&ZoneChange) -> &BTreeSet<(RecordName, IpAddr)>| {
        let change = sent(&before.lane).find(|change| change.marker == *marker);
        by_record(change.map(of))
    };
    match intent {
        // It was out already: a person who tried it by hand did not like it.
        Intent::Hold { site } if visit(before, site).is_none() => None,
        Intent::Withdraw { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. }
        | Intent::Hold { .. } => Some(Public::Withdrawn {
            addresses: addresses(|change| &change.delete),
        }),
        Intent::Restore { .. } => Some(Public::Restored {
            addresses: addresses(|change| &change.add),
        }),
        Intent::Acquire => {
            let from = before.rotation.as_ref()?.take_over_from.as_ref()?;
            Some(Public::TakenOver {
                from: from.holder.as_ref().map(ToString::to_string),
                from_epoch: from.epoch.0,
            })
        }
        // A site that goes back is told of when its visit ends.
        Intent::PutBack { .. }
        | Intent::Refresh
        | Intent::Dirty { .. }
        | Intent::Clean { .. }
        | Intent::Cordon { .. }
        | Intent::Uncordon { .. }
        | Intent::Release => None,
    }
}

/// The changes of which one was just proven.
fn sent(lane: &Lane) -> impl Iterator<Item = &ZoneChange> {
    lane.changes().iter().map(AsRef::as_ref)
}

fn by_record(
    records: Option<&BTreeSet<(RecordName, IpAddr)>>,
) -> BTreeMap<RecordName, BTreeSet<IpAddr>> {
    let mut by_record: BTreeMap<RecordName, BTreeSet<IpAddr>> = BTreeMap::new();
    for (name, address) in records.into_iter().flatten() {
        by_record.entry(name.clone()).or_default().insert(*address);
    }
    by_record
}
