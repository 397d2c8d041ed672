//! Questions of which only an authoritative answer counts, several at once on one connection.
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{DNSClass, Name, Record, RecordData, RecordType};
use tokio::time::timeout;

use super::wire::{Connection, WireError, encode};

/// One flight of questions, with its connection where that must be made first.
pub(super) const EXCHANGE_WITHIN: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: RecordType,
}

impl Question {
    pub(super) fn new(name: &Name, kind: RecordType) -> Question {
        Question {
            name: name.clone(),
            kind,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// Why a question has no usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{server} answers {asked} with {code}")]
    Code {
        server: SocketAddr,
        asked: String,
        code: ResponseCode,
    },
    #[error("{server} answers {asked} without authority: it does not serve the zone, or not yet")]
    NoAuthority { server: SocketAddr, asked: String },
    #[error("{server} truncates its answer to {asked} over TCP")]
    Truncated { server: SocketAddr, asked: String },
    #[error("{server} answers what was not asked: {why}")]
    Mismatch {
        server: SocketAddr,
        why: &'static str,
    },
    #[error("{name} is a CNAME to {target} at {server}")]
    Cname {
        server: SocketAddr,
        name: String,
        target: String,
    },
    #[error("{server} answers {asked} without an SOA record")]
    NoSoa { server: SocketAddr, asked: String },
}

/// Asks all questions in one flight; the answers come in their order. NXDOMAIN is an answer.
///
/// # Errors
/// [`QueryError`] of the first question without an authoritative answer.
pub(super) async fn ask(
    connection: &mut Connection,
    questions: &[Question],
) -> Result<Vec<Message>, QueryError> {
    let server = connection.server();
    let flight = timeout(EXCHANGE_WITHIN, fly(connection, questions));
    flight.await.map_err(|_elapsed| WireError::Silent {
        server,
        within: EXCHANGE_WITHIN,
    })?
}

async fn fly(
    connection: &mut Connection,
    questions: &[Question],
) -> Result<Vec<Message>, QueryError> {
    let mut waiting = BTreeMap::new();
    let mut messages = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        let message = query(question, &waiting);
        waiting.insert(message.id, at);
        messages.push(encode(&message)?);
    }
    connection.send(&messages).await?;
    let mut answers = BTreeMap::new();
    while !waiting.is_empty() {
        let bytes = connection.receive().await?;
        let answer = connection.parse(&bytes)?;
        let at = waiting.remove(&answer.id);
        let at = at.ok_or_else(|| mismatch(connection, "its id is none of ours"))?;
        check(connection, &questions[at], &answer)?;
        answers.insert(at, answer);
    }
    Ok(answers.into_values().collect())
}

/// A question under an id that nobody can guess and no other of the flight has.
fn query(question: &Question, taken: &BTreeMap<u16, usize>) -> Message {
    let mut message = Message::query();
    while taken.contains_key(&message.id) {
        message = Message::query();
    }
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(question.name.clone(), question.kind));
    message
}

fn check(connection: &Connection, asked: &Question, answer: &Message) -> Result<(), QueryError> {
    let server = connection.server();
    let echo = Query::query(asked.name.clone(), asked.kind);
    if answer.message_type != MessageType::Response || answer.op_code != OpCode::Query {
        return Err(mismatch(connection, "it is no answer to a query"));
    }
    let asked = asked.to_string();
    if !matches!(
        answer.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    ) {
        let code = answer.response_code;
        return Err(QueryError::Code {
            server,
            asked,
            code,
        });
    }
    if answer.queries != [echo] {
        return Err(mismatch(connection, "it repeats another question"));
    }
    if answer.truncation {
        return Err(QueryError::Truncated { server, asked });
    }
    if !answer.authoritative {
        return Err(QueryError::NoAuthority { server, asked });
    }
    Ok(())
}

fn mismatch(connection: &Connection, why: &'static str) -> QueryError {
    QueryError::Mismatch {
        server: connection.server(),
        why,
    }
}

/// The records of an answer that are of the name and type asked for.
///
/// # Errors
/// [`QueryError::Cname`] where the name is an alias.
pub(super) fn records<'m>(
    server: SocketAddr,
    asked: &'m Question,
    answer: &'m Message,
) -> Result<impl Iterator<Item = &'m Record>, QueryError> {
    let here = |record: &&Record| record.name == asked.name && record.dns_class == DNSClass::IN;
    for record in answer.answers.iter().filter(here) {
        if let Some(target) = CNAME::try_borrow(&record.data) {
            return Err(QueryError::Cname {
                server,
                name: asked.name.to_string(),
                target: target.to_string(),
            });
        }
    }
    let records = answer.answers.iter().filter(here);
    Ok(records.filter(|record| record.record_type() == asked.kind))
}

/// The address that a record holds.
pub(super) fn address(record: &Record) -> Option<IpAddr> {
    let v4 = A::try_borrow(&record.data).map(|a| IpAddr::V4(a.0));
    v4.or_else(|| AAAA::try_borrow(&record.data).map(|aaaa| IpAddr::V6(aaaa.0)))
}
