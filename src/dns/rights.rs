//! Proves what the key may change, record by record, by UPDATEs that change nothing.
//!
//! Each adds what is there and deletes an exact record that is not: servers check the right to
//! either, and leave the serial alone. Prerequisites alone would prove no right at all.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use super::message::{Update, address_data, txt_data};
use super::query::QueryError;
use super::random::nonce;
use super::read::{self, Names, Owner, Reading, kind};
use super::refusal::{Refusal, bind, knot, refusal};
use super::send::{CONNECT_WITHIN, Sending, send};
use super::tsig::{Clocks, Reply, Signer};
use super::wire::Connection;

use crate::coordinator::outcome::Problem;
use crate::model::fleet;
use crate::model::rrset::{Family, MarkerSeen, RecordName, RrKey, RrSet};
use crate::model::time::Ttl;

/// What the key was seen to be allowed, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an unread report is not actionable"]
pub struct RightsReport {
    pub granted: Vec<Right>,
    pub problems: Vec<Problem>,
    /// The server's clock beside ours, from a signed answer.
    pub clocks: Option<Clocks>,
}

/// The right to change one RRset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The owner name.
    pub name: String,
    pub kind: RightKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RightKind {
    Addresses(Family),
    Marker,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RightKind::Addresses(family) => write!(f, "{} {family}", self.name),
            RightKind::Marker => write!(f, "{} TXT", self.name),
        }
    }
}

/// Asks the primary for every right that a rotation needs.
pub(super) async fn check(declared: &fleet::Dns, names: &Names, signer: &Signer) -> RightsReport {
    let mut report = RightsReport::default();
    if let Err(problem) = check_all(declared, names, signer, &mut report).await {
        report.problems.push(problem);
    }
    report
}

/// Proves that the primary knows the key, whatever its rights.
///
/// # Errors
/// Why it does not, or gave no answer.
pub(super) async fn prove_key(
    declared: &fleet::Dns,
    names: &Names,
    signer: &Signer,
) -> Result<(), Problem> {
    authenticate(declared, names, signer, &mut RightsReport::default()).await
}

/// # Errors
/// What keeps the rest from being asked.
async fn check_all(
    declared: &fleet::Dns,
    names: &Names,
    signer: &Signer,
    report: &mut RightsReport,
) -> Result<(), Problem> {
    let server = declared.server;
    let before = read_primary(server, names).await?;
    authenticate(declared, names, signer, report).await?;
    for (record, owner) in &names.records {
        for right in rights(record) {
            let message = no_op(names, owner, record, right.kind, &before);
            match ask(declared, signer, message, report).await? {
                Said::Signed(ResponseCode::NoError) => report.granted.push(right),
                Said::Signed(ResponseCode::Refused | ResponseCode::NotAuth) | Said::Denied(_) => {
                    report.problems.push(missing(declared, &right));
                }
                Said::Signed(code) => return Err(unexpected(server, &right, code)),
            }
        }
    }
    if let Some((record, owner)) = names.records.first_key_value() {
        check_prerequisites(declared, names, signer, (record, owner), report).await?;
    }
    let after = read_primary(server, names).await?;
    let serials = (before.view.serial, after.view.serial);
    report.problems.extend(moved(server, serials));
    Ok(())
}

/// An UPDATE without any change: servers answer it under signature to a key that they know,
/// whatever its rights. What is denied after it is a right, though Knot calls that BADKEY too.
async fn authenticate(
    declared: &fleet::Dns,
    names: &Names,
    signer: &Signer,
    report: &mut RightsReport,
) -> Result<(), Problem> {
    let mut update = Update::of(&names.zone);
    update.expect_any(&names.zone, RecordType::SOA);
    match ask(declared, signer, update.into_message(), report).await? {
        Said::Signed(_) => Ok(()),
        Said::Denied(refusal) => Err(Problem {
            what: refusal.why,
            cure: refusal.hint,
            is_transient: false,
        }),
    }
}

fn rights(record: &RecordName) -> [Right; 3] {
    let addresses = |family| Right {
        name: record.to_string(),
        kind: RightKind::Addresses(family),
    };
    let marker = Right {
        name: record.marker(),
        kind: RightKind::Marker,
    };
    [addresses(Family::A), addresses(Family::Aaaa), marker]
}

/// The UPDATE that changes nothing. What it adds is stated first, so that what left meanwhile
/// does not come back.
fn no_op(
    names: &Names,
    owner: &Owner,
    record: &RecordName,
    asked: RightKind,
    reading: &Reading,
) -> Message {
    let mut update = Update::of(&names.zone);
    match asked {
        RightKind::Addresses(family) => {
            let name = record.clone();
            let rrset = reading.view.rrsets.get(&RrKey { name, family });
            let RrSet { addresses, ttl } = rrset.cloned().unwrap_or_default();
            let data: Vec<RData> = addresses.iter().map(|ip| address_data(*ip)).collect();
            update.expect(&owner.record, kind(family), data.clone());
            for data in data {
                update.add(&owner.record, ttl.unwrap_or(Ttl(0)), data);
            }
            let nobody = address_data(nobody(family));
            update.delete(&owner.record, nobody);
        }
        RightKind::Marker => {
            if let Some(MarkerSeen::Here(marker)) = reading.view.markers.get(record) {
                let data = txt_data(marker.strings());
                update.expect(&owner.marker, RecordType::TXT, vec![data.clone()]);
                let ttl = reading.marker_ttls.get(record);
                update.add(&owner.marker, ttl.copied().unwrap_or(Ttl(0)), data);
            }
            update.delete(&owner.marker, never_there());
        }
    }
    update.into_message()
}

/// Addresses that no server of anybody has: the IPv4 dummy address (RFC 7600 section 4.8) and
/// one of the discard-only prefix (RFC 6666).
fn nobody(family: Family) -> IpAddr {
    match family {
        Family::A => IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8)),
        Family::Aaaa => IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
    }
}

fn never_there() -> RData {
    txt_data(vec![format!("cleanslate rights check {}", nonce())])
}

/// A server that changes what its prerequisites forbid would let two coordinators work at once.
async fn check_prerequisites(
    declared: &fleet::Dns,
    names: &Names,
    signer: &Signer,
    (record, owner): (&RecordName, &Owner),
    report: &mut RightsReport,
) -> Result<(), Problem> {
    let mut update = Update::of(&names.zone);
    update.expect(&owner.marker, RecordType::TXT, vec![never_there()]);
    update.delete(&owner.marker, never_there());
    let said = ask(declared, signer, update.into_message(), report).await?;
    if let Said::Signed(ResponseCode::NoError) = said {
        report.problems.push(Problem {
            what: format!(
                "{} accepts an update of {} whose prerequisite does not hold",
                declared.server,
                record.marker()
            ),
            cure: "use a primary that keeps RFC 2136 section 2.4.2: BIND, Knot or PowerDNS"
                .to_owned(),
            is_transient: false,
        });
    }
    Ok(())
}

/// How the server answered one UPDATE.
enum Said {
    Signed(ResponseCode),
    /// Without signature, or with a fault of ours under it.
    Denied(Refusal),
}

async fn ask(
    declared: &fleet::Dns,
    signer: &Signer,
    message: Message,
    report: &mut RightsReport,
) -> Result<Said, Problem> {
    let (answer, is_signed) = match send(declared.server, signer, message).await {
        Sending::NotSent(error) => return Err(read::problem(&QueryError::Wire(error))),
        Sending::NoAnswer(what) => {
            return Err(Problem {
                what,
                cure: "see the server's log".to_owned(),
                is_transient: true,
            });
        }
        Sending::Answered(Reply::Signed(answer)) => (answer, true),
        Sending::Answered(Reply::Unsigned { answer, .. }) => (answer, false),
    };
    if is_signed {
        report.clocks = answer.clocks.or(report.clocks);
        if answer.tsig_error.is_none() {
            return Ok(Said::Signed(answer.code));
        }
    }
    Ok(Said::Denied(refusal(declared, &answer)))
}

async fn read_primary(server: SocketAddr, names: &Names) -> Result<Reading, Problem> {
    let opened = Connection::open(server, CONNECT_WITHIN).await;
    let mut connection = opened.map_err(|error| read::problem(&QueryError::Wire(error)))?;
    let reading = read::read(&mut connection, names).await;
    reading.map_err(|error| read::problem(&error))
}

fn missing(declared: &fleet::Dns, right: &Right) -> Problem {
    let (key, server) = (&declared.key.name, declared.server);
    Problem {
        what: format!("key {key} may not change {right} at {server}"),
        cure: format!(
            "grant it just what is needed; BIND, in the zone:\n{}\nKnot:\n{}",
            bind(declared),
            knot(declared)
        ),
        is_transient: false,
    }
}

fn unexpected(server: SocketAddr, right: &Right, code: ResponseCode) -> Problem {
    Problem {
        what: format!("{server} answers {code} to an update of {right} that changes nothing"),
        cure: "somebody may have changed the zone meanwhile: ask again; if it stays, see the \
               server's log"
            .to_owned(),
        is_transient: true,
    }
}

fn moved(server: SocketAddr, (before, after): (u32, u32)) -> Option<Problem> {
    (before != after).then(|| Problem {
        what: format!(
            "the serial at {server} went from {before} to {after} during updates that change \
             nothing"
        ),
        cure: "if nobody else changed the zone, this server counts what changes nothing: each \
               check makes its secondaries transfer the zone"
            .to_owned(),
        is_transient: true,
    })
}
