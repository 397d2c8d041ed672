//! Records beside A and AAAA that name addresses too: HTTPS and SVCB with hints (RFC 9460 section
//! 7.3). A withdrawal would leave them standing.
use std::net::SocketAddr;

use hickory_proto::rr::rdata::svcb::SvcParamKey;
use hickory_proto::rr::rdata::{HTTPS, SVCB};
use hickory_proto::rr::{Record, RecordData, RecordType};

use super::query::{QueryError, Question, ask, records};
use super::read::Names;
use super::send::CONNECT_WITHIN;
use super::wire::Connection;
use crate::coordinator::outcome::Problem;

/// One problem for each RRset with hints.
pub(super) async fn find(server: SocketAddr, names: &Names) -> Result<Vec<Problem>, QueryError> {
    let mut connection = Connection::open(server, CONNECT_WITHIN).await?;
    find_over(&mut connection, names).await
}

pub(super) async fn find_over(
    connection: &mut Connection,
    names: &Names,
) -> Result<Vec<Problem>, QueryError> {
    let server = connection.server();
    let owners = names.records.values();
    let questions: Vec<Question> = owners
        .flat_map(|owner| KINDS.map(|kind| Question::new(&owner.record, kind)))
        .collect();
    let answers = ask(connection, &questions).await?;
    let mut problems = Vec::new();
    for (asked, answer) in questions.iter().zip(&answers) {
        if records(server, asked, answer)?.any(has_hints) {
            problems.push(hinted(asked));
        }
    }
    Ok(problems)
}

const KINDS: [RecordType; 2] = [RecordType::HTTPS, RecordType::SVCB];

fn has_hints(record: &Record) -> bool {
    let https = HTTPS::try_borrow(&record.data).map(|https| &https.0);
    let svcb = https.or_else(|| SVCB::try_borrow(&record.data));
    let mut params = svcb.into_iter().flat_map(|svcb| &svcb.svc_params);
    params.any(|(key, _)| matches!(key, SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint))
}

fn hinted(asked: &Question) -> Problem {
    Problem {
        what: format!("{asked} has address hints"),
        cure: "take ipv4hint and ipv6hint out of it: clients that follow them go on to a site \
               that was withdrawn"
            .to_owned(),
        is_transient: false,
    }
}
