//! A change of DNS: the marker, and the RRsets that it changes.
use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::what::What;
use crate::coordinator::intent::Intent;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, RecordName, RrKey, ZoneChange};

/// What was, and what is in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed<T> {
    pub before: T,
    pub after: T,
}

/// An RRset as it was read for the decision, and as the UPDATE makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChange {
    pub record: RecordName,
    #[serde(rename = "type")]
    pub family: String,
    pub before: BTreeSet<IpAddr>,
    pub after: BTreeSet<IpAddr>,
}

/// The UPDATE that leaves for that purpose.
pub(super) fn sent(purpose: String, change: &ZoneChange) -> What {
    What::UpdateSent {
        purpose,
        epoch: change.marker.epoch.0,
        seq: change.marker.seq,
        marker: Changed {
            before: change.expect_marker.as_ref().map(text),
            after: Some(text(&change.marker)),
        },
        records: records(change),
    }
}

/// What a change is for, without the site: that stands beside it.
pub(super) fn purpose(intent: &Intent) -> String {
    match intent {
        Intent::Acquire => "acquire",
        Intent::Refresh => "refresh",
        Intent::Withdraw { .. } => "withdraw",
        Intent::Dirty { .. } => "dirty",
        Intent::Restore { .. } => "restore",
        Intent::Clean { .. } => "clean",
        Intent::PutBack { .. } => "put_back",
        Intent::WithdrawAgain { .. } => "withdraw_again",
        Intent::Expel { .. } => "expel",
        Intent::Hold { .. } => "hold",
        Intent::Cordon { .. } => "cordon",
        Intent::Uncordon { .. } => "uncordon",
        Intent::Release => "release",
    }
    .to_owned()
}

/// As `dig TXT` shows it, without quotes.
fn text(marker: &Marker) -> String {
    marker.strings().join(" ")
}

fn records(change: &ZoneChange) -> Vec<RecordChange> {
    let mut records = Vec::new();
    for (key, before) in &change.expect {
        let is_of = |(name, address): &&(RecordName, IpAddr)| {
            *name == key.name && Family::of(*address) == key.family
        };
        let of = |set: &BTreeSet<(RecordName, IpAddr)>| -> BTreeSet<IpAddr> {
            set.iter()
                .filter(is_of)
                .map(|(_, address)| *address)
                .collect()
        };
        let (add, delete) = (of(&change.add), of(&change.delete));
        let after: BTreeSet<IpAddr> = before.difference(&delete).chain(&add).copied().collect();
        if after != *before {
            records.push(record(key, before, after));
        }
    }
    records
}

fn record(key: &RrKey, before: &BTreeSet<IpAddr>, after: BTreeSet<IpAddr>) -> RecordChange {
    RecordChange {
        record: key.name.clone(),
        family: key.family.to_string(),
        before: before.clone(),
        after,
    }
}
