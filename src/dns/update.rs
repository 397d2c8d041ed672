//! One change of the zone: decided on what was read, applied only if that still holds.
use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use super::message::{Update, address_data, txt_data};
use super::read::{Names, kind};
use super::refusal::{Refusal, refusal};
use super::send::{Sending, send};
use super::tsig::{Answer, Reply, Signer};
use crate::model::fleet;
use crate::model::rrset::{Family, RecordName, RrKey, UpdateOutcome, ZoneChange};

/// A change that breaks a rule of ours; it is never sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadChange {
    #[error("{key} is not stated in its prerequisites")]
    Unstated { key: RrKey },
    #[error("{name} is no record of the fleet")]
    Undeclared { name: RecordName },
    #[error("{name} {address} is both added and deleted: servers differ in what comes first")]
    AddedAndDeleted { name: RecordName, address: IpAddr },
    #[error("it would leave {key} without any address")]
    Empties { key: RrKey },
    #[error("its marker is the one that stands there: no two may have the same value")]
    SameMarker,
}

/// Sends `change`, once, and judges the answer.
pub(super) async fn update(
    declared: &fleet::Dns,
    names: &Names,
    signer: &Signer,
    change: &ZoneChange,
) -> UpdateOutcome {
    let message = match build(names, change) {
        Ok(message) => message,
        Err(error) => {
            let why = format!("the change breaks a rule: {error}");
            return UpdateOutcome::NotSent { why };
        }
    };
    match send(declared.server, signer, message).await {
        Sending::NotSent(error) => UpdateOutcome::NotSent {
            why: error.to_string(),
        },
        Sending::NoAnswer(why) => UpdateOutcome::Unknown { why },
        Sending::Answered(reply) => judge(declared, reply),
    }
}

/// Only a signed answer decides. An unsigned refusal may have been written by anyone, after the
/// change was applied; what it says is passed on as a diagnosis.
pub(super) fn judge(declared: &fleet::Dns, reply: Reply) -> UpdateOutcome {
    match reply {
        Reply::Signed(answer) => judge_signed(declared, &answer),
        Reply::Unsigned { answer, why } => {
            let Refusal { why: says, hint } = refusal(declared, &answer);
            UpdateOutcome::Unknown {
                why: format!("the answer proves nothing ({why}); it says: {says}; {hint}"),
            }
        }
    }
}

fn judge_signed(declared: &fleet::Dns, answer: &Answer) -> UpdateOutcome {
    let (server, code) = (declared.server, answer.code);
    if answer.tsig_error.is_some() || REFUSALS.contains(&code) {
        let Refusal { why, hint } = refusal(declared, answer);
        return UpdateOutcome::Refused { why, hint };
    }
    if code == ResponseCode::NoError {
        return UpdateOutcome::Applied;
    }
    if UNFULFILLED.contains(&code) {
        let why = format!("{server} answers {code}: the zone is not as it was read");
        return UpdateOutcome::NotApplied { why };
    }
    // RFC 2136 section 3.4.2.1 has SERVFAIL undo everything; not every server is that strict.
    let why = format!("{server} answers {code}");
    UpdateOutcome::Unknown { why }
}

/// The server would not even look at the prerequisites, or not at the changes.
const REFUSALS: [ResponseCode; 5] = [
    ResponseCode::FormErr,
    ResponseCode::NotAuth,
    ResponseCode::NotImp,
    ResponseCode::NotZone,
    ResponseCode::Refused,
];

/// A prerequisite did not hold (RFC 2136 section 3.2).
pub(super) const UNFULFILLED: [ResponseCode; 4] = [
    ResponseCode::NXDomain,
    ResponseCode::NXRRSet,
    ResponseCode::YXDomain,
    ResponseCode::YXRRSet,
];

/// The message of section 3 of RFC 2136: every RRset and every marker stated, exact records
/// changed, a new marker at every record.
fn build(names: &Names, change: &ZoneChange) -> Result<Message, BadChange> {
    check(names, change)?;
    let mut update = Update::of(&names.zone);
    let old = change.expect_marker.as_ref().map(|old| old.strings());
    let new = change.marker.strings();
    for (record, owner) in &names.records {
        for family in Family::BOTH {
            let name = record.clone();
            let expected = change.expect.get(&RrKey { name, family });
            let members = data(expected.into_iter().flatten());
            update.expect(&owner.record, kind(family), members);
        }
        let marker: Vec<RData> = old.clone().map(txt_data).into_iter().collect();
        update.expect(&owner.marker, RecordType::TXT, marker.clone());
        for data in marker {
            update.delete(&owner.marker, data);
        }
        update.add(&owner.marker, change.ttl, txt_data(new.clone()));
        for data in data(of(&change.delete, record)) {
            update.delete(&owner.record, data);
        }
        for data in data(of(&change.add, record)) {
            update.add(&owner.record, change.ttl, data);
        }
    }
    Ok(update.into_message())
}

fn check(names: &Names, change: &ZoneChange) -> Result<(), BadChange> {
    if change.expect_marker.as_ref() == Some(&change.marker) {
        return Err(BadChange::SameMarker);
    }
    if let Some((name, address)) = change.add.intersection(&change.delete).next().cloned() {
        return Err(BadChange::AddedAndDeleted { name, address });
    }
    let touched = change
        .add
        .iter()
        .chain(&change.delete)
        .map(|(name, _)| name);
    let stated = change.expect.keys().map(|key| &key.name);
    for name in touched.chain(stated) {
        if !names.records.contains_key(name) {
            return Err(BadChange::Undeclared { name: name.clone() });
        }
    }
    for name in names.records.keys() {
        for family in Family::BOTH {
            let name = name.clone();
            check_rrset(RrKey { name, family }, change)?;
        }
    }
    Ok(())
}

fn check_rrset(key: RrKey, change: &ZoneChange) -> Result<(), BadChange> {
    let Some(expected) = change.expect.get(&key) else {
        return Err(BadChange::Unstated { key });
    };
    let pair = |address: &&IpAddr| (key.name.clone(), **address);
    let stays = |address: &&IpAddr| !change.delete.contains(&pair(address));
    let is_added = of(&change.add, &key.name).any(|added| Family::of(*added) == key.family);
    if !expected.is_empty() && !is_added && !expected.iter().any(|address| stays(&address)) {
        return Err(BadChange::Empties { key });
    }
    Ok(())
}

/// The addresses of one record.
fn of<'c>(
    pairs: &'c BTreeSet<(RecordName, IpAddr)>,
    record: &'c RecordName,
) -> impl Iterator<Item = &'c IpAddr> {
    let here = pairs.iter().filter(move |(name, _)| name == record);
    here.map(|(_, address)| address)
}

fn data<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Vec<RData> {
    addresses.map(|address| address_data(*address)).collect()
}
