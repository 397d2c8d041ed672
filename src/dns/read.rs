//! Reads what one server serves: every RRset and marker of the fleet, over one connection.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{SOA, TXT};
use hickory_proto::rr::{Name, RecordData, RecordType};

use super::query::{QueryError, Question, address, ask, records};
use super::wire::{Connection, WireError, name};
use crate::coordinator::outcome::Problem;
use crate::model::fleet;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, MarkerSeen, RecordName, RrKey, RrSet, ZoneView};
use crate::model::time::Ttl;

/// The names of the fleet as the library has them, made once.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) zone: Name,
    pub(super) records: BTreeMap<RecordName, Owner>,
}

/// One record: where its addresses stand, and where its marker.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) record: Name,
    pub(super) marker: Name,
}

impl Names {
    pub(super) fn of(declared: &fleet::Dns) -> Result<Names, WireError> {
        let owner = |record: &RecordName| {
            Ok((
                record.clone(),
                Owner {
                    record: name(record.as_str())?,
                    marker: name(&record.marker())?,
                },
            ))
        };
        Ok(Names {
            zone: name(declared.zone.as_str())?,
            records: declared
                .records
                .keys()
                .map(owner)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// What one server serves, with the TTLs of the markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) view: ZoneView,
    pub(super) marker_ttls: BTreeMap<RecordName, Ttl>,
}

/// How often a reading is made anew because the zone changed under it.
const PASSES: u32 = 3;

/// Reads all. The markers come in a first flight and the addresses in a second, so the addresses
/// are never older than the markers beside them. The serial is asked before and after: where it
/// moved, all is read again, at most [`PASSES`] times in a zone that never rests; what is then
/// torn fails at the prerequisites of the UPDATE that rests on it.
///
/// # Errors
/// [`QueryError`] where anything was not answered with authority, or a record is an alias.
pub(super) async fn read(
    connection: &mut Connection,
    names: &Names,
) -> Result<Reading, QueryError> {
    let mut pass = 1;
    loop {
        let (first, reading) = read_once(connection, names).await?;
        if first == reading.view.serial || pass == PASSES {
            return Ok(reading);
        }
        pass += 1;
    }
}

async fn read_once(
    connection: &mut Connection,
    names: &Names,
) -> Result<(u32, Reading), QueryError> {
    let server = connection.server();
    let soa = Question::new(&names.zone, RecordType::SOA);
    let mut questions = vec![soa.clone()];
    let owners = names.records.values();
    questions.extend(owners.map(|owner| Question::new(&owner.marker, RecordType::TXT)));
    let answers = ask(connection, &questions).await?;
    let first = serial(server, &soa, &answers[0])?;
    let mut markers = BTreeMap::new();
    let mut marker_ttls = BTreeMap::new();
    for ((record, asked), answer) in names.records.keys().zip(&questions[1..]).zip(&answers[1..]) {
        let (seen, ttl) = marker(server, asked, answer)?;
        markers.insert(record.clone(), seen);
        marker_ttls.extend(ttl.map(|ttl| (record.clone(), ttl)));
    }
    let (rrsets, serial) = read_rrsets(connection, names, soa).await?;
    let view = ZoneView {
        rrsets,
        markers,
        serial,
    };
    Ok((first, Reading { view, marker_ttls }))
}

async fn read_rrsets(
    connection: &mut Connection,
    names: &Names,
    soa: Question,
) -> Result<(BTreeMap<RrKey, RrSet>, u32), QueryError> {
    let server = connection.server();
    let mut keys = Vec::new();
    let mut questions = Vec::new();
    for (record, owner) in &names.records {
        for family in Family::BOTH {
            questions.push(Question::new(&owner.record, kind(family)));
            let name = record.clone();
            keys.push(RrKey { name, family });
        }
    }
    questions.push(soa);
    let answers = ask(connection, &questions).await?;
    let mut rrsets = BTreeMap::new();
    for ((key, asked), answer) in keys.into_iter().zip(&questions).zip(&answers) {
        rrsets.insert(key, rrset(server, asked, answer)?);
    }
    let last = questions.len() - 1;
    Ok((rrsets, serial(server, &questions[last], &answers[last])?))
}

/// The record type of a family.
pub(super) fn kind(family: Family) -> RecordType {
    match family {
        Family::A => RecordType::A,
        Family::Aaaa => RecordType::AAAA,
    }
}

/// The addresses of one answer; where their TTLs differ, which RFC 2181 section 5.2 forbids, the
/// largest counts.
pub(super) fn rrset(
    server: SocketAddr,
    asked: &Question,
    answer: &Message,
) -> Result<RrSet, QueryError> {
    let mut rrset = RrSet::default();
    for record in records(server, asked, answer)? {
        rrset.addresses.extend(address(record));
        rrset.ttl = rrset.ttl.max(Some(Ttl(record.ttl)));
    }
    Ok(rrset)
}

fn serial(server: SocketAddr, asked: &Question, answer: &Message) -> Result<u32, QueryError> {
    let mut found = records(server, asked, answer)?;
    let serial = found.find_map(|record| Some(SOA::try_borrow(&record.data)?.serial));
    serial.ok_or_else(|| QueryError::NoSoa {
        server,
        asked: asked.to_string(),
    })
}

fn marker(
    server: SocketAddr,
    asked: &Question,
    answer: &Message,
) -> Result<(MarkerSeen, Option<Ttl>), QueryError> {
    let mut ttl = None;
    let mut texts = BTreeSet::new();
    for record in records(server, asked, answer)? {
        ttl = ttl.max(Some(Ttl(record.ttl)));
        texts.extend(TXT::try_borrow(&record.data).map(strings));
    }
    Ok((seen(texts), ttl))
}

/// The strings of a TXT record. Octets that are no UTF-8 are replaced: a marker has none.
fn strings(txt: &TXT) -> Vec<String> {
    let strings = txt.txt_data.iter();
    strings
        .map(|string| String::from_utf8_lossy(string).into_owned())
        .collect()
}

/// A marker counts only as cleanslate itself writes it: every UPDATE states its exact octets, so
/// the same fields in another order could be read and never be changed.
fn seen(texts: BTreeSet<Vec<String>>) -> MarkerSeen {
    let why = match texts.iter().collect::<Vec<_>>().as_slice() {
        [] => return MarkerSeen::Absent,
        [strings] => match Marker::parse(strings) {
            Ok(marker) if marker.strings() == **strings => return MarkerSeen::Here(marker),
            Ok(_) => "its strings are not in the order in which cleanslate writes them".to_owned(),
            Err(error) => error.to_string(),
        },
        several => format!("{} TXT records stand there", several.len()),
    };
    let texts = texts.into_iter().map(|strings| strings.join(" ")).collect();
    MarkerSeen::Foreign { texts, why }
}

/// What a person reads when the primary cannot be read.
pub(super) fn problem(error: &QueryError) -> Problem {
    let (cure, is_transient) = match error {
        QueryError::Wire(_) => (
            "check [dns].server, that the server runs and that TCP port 53 is open to it",
            true,
        ),
        QueryError::Code { .. } | QueryError::NoSoa { .. } => {
            ("check [dns].zone and the server's log", true)
        }
        QueryError::NoAuthority { .. } => (
            "name a server that serves the zone itself: no resolver, no forwarder",
            true,
        ),
        QueryError::Truncated { .. } | QueryError::Mismatch { .. } => (
            "check what stands between here and the server: a proxy or a faulty server",
            true,
        ),
        QueryError::Cname { .. } => (
            "aliases are not served: give the record A and AAAA records of its own, or list the \
             target in [dns].records",
            false,
        ),
    };
    Problem {
        what: error.to_string(),
        cure: cure.to_owned(),
        is_transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::a_marker;

    #[test]
    fn one_record_as_we_write_it_is_the_marker() {
        let strings = a_marker(3).strings();
        assert_eq!(
            seen(BTreeSet::from([strings])),
            MarkerSeen::Here(a_marker(3))
        );
        assert_eq!(seen(BTreeSet::new()), MarkerSeen::Absent);
    }

    #[test]
    fn a_marker_in_another_order_is_foreign_for_no_update_could_state_it() {
        let mut strings = a_marker(3).strings();
        strings.reverse();
        let MarkerSeen::Foreign { why, texts } = seen(BTreeSet::from([strings])) else {
            panic!("a marker in another order was taken for ours");
        };
        assert_eq!(
            why,
            "its strings are not in the order in which cleanslate writes them"
        );
        assert!(texts[0].starts_with("nonce="));
    }

    #[test]
    fn two_records_are_foreign_even_where_one_is_the_marker() {
        let texts = BTreeSet::from([a_marker(3).strings(), vec!["hello".to_owned()]]);
        let MarkerSeen::Foreign { why, texts } = seen(texts) else {
            panic!("two records were taken for a marker");
        };
        assert_eq!(why, "2 TXT records stand there");
        assert_eq!(texts.len(), 2);
    }
}
