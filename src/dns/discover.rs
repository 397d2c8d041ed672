//! Finds out what a server knows of one record: its zone, addresses, TTLs and name servers.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use super::query::{EXCHANGE_WITHIN, QueryError, Question, ask, records};
use super::read::{self, kind, rrset};
use super::servers::{self, name_servers};
use super::wire::{Connection, name, record_name};
use crate::coordinator::outcome::Problem;
use crate::model::rrset::{Family, RecordName, RrSet};

/// What `cleanslate init` writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    pub zone: RecordName,
    /// Those that exist.
    pub rrsets: BTreeMap<Family, RrSet>,
    /// Of the zone's NS records; a name that cannot be resolved here spoils only this.
    pub nameservers: Result<BTreeSet<SocketAddr>, Problem>,
}

/// Asks `server` about `record`.
///
/// # Errors
/// What is wrong and its cure: it cannot be reached, does not serve the record, or the record is
/// an alias.
pub async fn discover(server: SocketAddr, record: &RecordName) -> Result<Discovered, Problem> {
    let problem = |error: QueryError| read::problem(&error);
    let owner = name(record.as_str()).map_err(|error| problem(error.into()))?;
    let opened = Connection::open(server, EXCHANGE_WITHIN).await;
    let mut connection = opened.map_err(|error| problem(error.into()))?;
    let (zone, rrsets) = look(&mut connection, &owner).await.map_err(problem)?;
    let nameservers = name_servers(server, &zone).await;
    let no_name = || {
        problem(QueryError::NoSoa {
            server,
            asked: format!("{owner} SOA"),
        })
    };
    Ok(Discovered {
        zone: record_name(&zone).ok_or_else(no_name)?,
        rrsets,
        nameservers: nameservers.map_err(|error| servers::problem(&error)),
    })
}

/// The zone of `owner` and its addresses.
pub(super) async fn look(
    connection: &mut Connection,
    owner: &Name,
) -> Result<(Name, BTreeMap<Family, RrSet>), QueryError> {
    let server = connection.server();
    let kinds = [RecordType::SOA, RecordType::A, RecordType::AAAA];
    let questions = kinds.map(|kind| Question::new(owner, kind));
    let answers = ask(connection, &questions).await?;
    let zone = zone_of(server, &questions[0], &answers[0])?;
    let mut rrsets = BTreeMap::new();
    for family in Family::BOTH {
        let asked = questions.iter().zip(&answers);
        for (question, answer) in asked.filter(|(asked, _)| asked.kind == kind(family)) {
            let rrset = rrset(server, question, answer)?;
            if !rrset.addresses.is_empty() {
                rrsets.insert(family, rrset);
            }
        }
    }
    Ok((zone, rrsets))
}

/// The owner of the SOA record: in the answer at the apex of a zone, else in the authority section
/// of the negative answer (RFC 2308 section 3).
fn zone_of(server: SocketAddr, asked: &Question, answer: &Message) -> Result<Name, QueryError> {
    if let Some(apex) = records(server, asked, answer)?.next() {
        return Ok(apex.name.clone());
    }
    let mut authorities = answer.authorities.iter();
    let soa = authorities
        .find(|record| record.record_type() == RecordType::SOA && record.name.zone_of(&asked.name));
    soa.map(|soa| soa.name.clone())
        .ok_or_else(|| QueryError::NoSoa {
            server,
            asked: asked.to_string(),
        })
}
