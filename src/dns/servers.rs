//! Which servers must agree: the configured ones, else those of the zone's NS records. The
//! primary is always among them.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RecordData, RecordType};
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::query::{EXCHANGE_WITHIN, QueryError, Question, address, ask, records};
use super::read;
use super::wire::{Connection, WireError};
use crate::coordinator::outcome::Problem;

/// After this the NS records are read again, so that every night sees its own.
const FRESH_FOR: Duration = Duration::from_secs(600);

/// The system's resolver may ask several servers in turn.
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);

const DNS_PORT: u16 = 53;

/// Finds the servers and remembers them.
pub(super) struct Servers {
    primary: SocketAddr,
    zone: Name,
    configured: Option<BTreeSet<SocketAddr>>,
    found: Mutex<Option<(Instant, BTreeSet<SocketAddr>)>>,
}

/// Why the servers are not known. Never a smaller set: a server that was not asked might be the
/// one that still sends users.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServersError {
    #[error("the name servers of {zone} are not known: {source}")]
    Query { zone: Name, source: QueryError },
    #[error("{zone} has no NS record at {primary}")]
    None { zone: Name, primary: SocketAddr },
    #[error("name server {name} of {zone} has no address: {why}")]
    NoAddress { zone: Name, name: Name, why: String },
}

impl Servers {
    pub(super) fn new(
        primary: SocketAddr,
        zone: Name,
        configured: Option<Vec<SocketAddr>>,
    ) -> Servers {
        Servers {
            primary,
            zone,
            configured: configured.map(|servers| servers.into_iter().collect()),
            found: Mutex::new(None),
        }
    }

    /// The servers. What was found is kept for ten minutes, and longer while it cannot be found
    /// anew.
    ///
    /// # Errors
    /// [`ServersError`] where they were never found.
    pub(super) async fn all(&self) -> Result<BTreeSet<SocketAddr>, ServersError> {
        if let Some(configured) = &self.configured {
            return Ok(with(configured.clone(), self.primary));
        }
        let mut found = self.found.lock().await;
        if let Some((at, servers)) = found.as_ref()
            && at.elapsed() < FRESH_FOR
        {
            return Ok(servers.clone());
        }
        match (name_servers(self.primary, &self.zone).await, found.as_ref()) {
            (Ok(servers), _) => {
                let servers = with(servers, self.primary);
                *found = Some((Instant::now(), servers.clone()));
                Ok(servers)
            }
            (Err(error), Some((_, servers))) => {
                tracing::warn!("asking the name servers found before: {error}");
                Ok(servers.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn with(mut servers: BTreeSet<SocketAddr>, primary: SocketAddr) -> BTreeSet<SocketAddr> {
    servers.insert(primary);
    servers
}

/// A name server as the zone names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// What the NS record says.
    pub name: String,
    /// Every address of it; or why there is none.
    pub addresses: Result<BTreeSet<SocketAddr>, String>,
}

/// Every address of every name server of `zone`, as `primary` knows them: those named inside the
/// zone from `primary` itself, others from the system's resolver.
pub(super) async fn name_servers(
    primary: SocketAddr,
    zone: &Name,
) -> Result<BTreeSet<SocketAddr>, ServersError> {
    let mut servers = BTreeSet::new();
    for (name, found) in by_name(primary, zone).await? {
        let zone = zone.clone();
        servers.extend(found.map_err(|why| ServersError::NoAddress { zone, name, why })?);
    }
    Ok(servers)
}

/// The same server by server, with those that have no address.
pub(super) async fn delegated(
    primary: SocketAddr,
    zone: &Name,
) -> Result<Vec<NameServer>, ServersError> {
    let found = by_name(primary, zone).await?.into_iter();
    let found = found.map(|(name, addresses)| NameServer {
        name: name.to_ascii(),
        addresses,
    });
    let mut found: Vec<NameServer> = found.collect();
    // Servers answer them in any order.
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

type Found = Result<BTreeSet<SocketAddr>, String>;

async fn by_name(primary: SocketAddr, zone: &Name) -> Result<Vec<(Name, Found)>, ServersError> {
    let failed = |source| ServersError::Query {
        zone: zone.clone(),
        source,
    };
    let mut connection = Connection::open(primary, EXCHANGE_WITHIN)
        .await
        .map_err(|error| failed(error.into()))?;
    let names = ns_names(&mut connection, zone).await.map_err(failed)?;
    if names.is_empty() {
        let zone = zone.clone();
        return Err(ServersError::None { zone, primary });
    }
    let mut servers = Vec::new();
    for name in names {
        let found = if zone.zone_of(&name) {
            Ok(inside(&mut connection, &name).await.map_err(failed)?)
        } else {
            outside(&name).await
        };
        servers.push((name, found.and_then(with_port)));
    }
    Ok(servers)
}

fn with_port(addresses: BTreeSet<IpAddr>) -> Found {
    if addresses.is_empty() {
        return Err("neither A nor AAAA".to_owned());
    }
    let servers = addresses.into_iter();
    Ok(servers.map(|ip| SocketAddr::new(ip, DNS_PORT)).collect())
}

/// The names of the zone's servers.
pub(super) async fn ns_names(
    connection: &mut Connection,
    zone: &Name,
) -> Result<Vec<Name>, QueryError> {
    let question = Question::new(zone, RecordType::NS);
    let answers = ask(connection, std::slice::from_ref(&question)).await?;
    let found = records(connection.server(), &question, &answers[0])?;
    let names = found.filter_map(|record| NS::try_borrow(&record.data));
    Ok(names.map(|ns| ns.0.clone()).collect())
}

/// The addresses of a server that is named inside the zone.
pub(super) async fn inside(
    connection: &mut Connection,
    name: &Name,
) -> Result<BTreeSet<IpAddr>, QueryError> {
    let kinds = [RecordType::A, RecordType::AAAA];
    let questions = kinds.map(|kind| Question::new(name, kind));
    let answers = ask(connection, &questions).await?;
    let mut addresses = BTreeSet::new();
    for (question, answer) in questions.iter().zip(&answers) {
        addresses.extend(records(connection.server(), question, answer)?.filter_map(address));
    }
    Ok(addresses)
}

async fn outside(name: &Name) -> Result<BTreeSet<IpAddr>, String> {
    let host = name.to_ascii();
    let lookup = lookup_host((host.as_str(), DNS_PORT));
    let found = timeout(LOOKUP_WITHIN, lookup).await;
    let found = found.map_err(|_elapsed| "the system's resolver does not answer".to_owned())?;
    let found = found.map_err(|error| format!("the system's resolver: {error}"))?;
    Ok(found.map(|server| server.ip()).collect())
}

/// What a person reads when the servers cannot be found.
pub(super) fn problem(error: &ServersError) -> Problem {
    let cure = "list every server of the zone in [dns].nameservers".to_owned();
    match error {
        ServersError::Query {
            source: QueryError::Wire(WireError::NotConnected { .. } | WireError::Silent { .. }),
            ..
        } => Problem {
            what: error.to_string(),
            cure: "check [dns].server, that the server runs and that TCP port 53 is open to it"
                .to_owned(),
            is_transient: true,
        },
        ServersError::Query { source, .. } => Problem {
            what: error.to_string(),
            ..read::problem(source)
        },
        ServersError::None { .. } => Problem {
            what: error.to_string(),
            cure,
            is_transient: false,
        },
        ServersError::NoAddress { .. } => Problem {
            what: error.to_string(),
            cure,
            is_transient: true,
        },
    }
}
