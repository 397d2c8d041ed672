//! The DNS of one fleet: what the machine asks of it. One attempt a request; only
//! [`Dns::await_servers`] asks again.
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::follow::{self, Following};
use super::line::Line;
use super::neighbours::{self, Neighbour};
use super::read::{self, Names};
use super::rights::{self, RightsReport};
use super::scratch::Scratch;
use super::servers::{self, NameServer, Servers, ServersError};
use super::tsig::Signer;
use super::unserved;
use super::update;
use super::wire::WireError;
use crate::coordinator::effect::Follow;
use crate::coordinator::outcome::{Lagging, Problem};
use crate::model::fleet;
use crate::model::rrset::{RecordName, ServerAnswer, UpdateOutcome, ZoneChange, ZoneView};

/// While the servers themselves are not known, as after a start beside a primary that is away.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The DNS of one fleet.
pub struct Dns {
    declared: fleet::Dns,
    names: Names,
    signer: Signer,
    servers: Servers,
}

impl Dns {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// Where a name is too long or the key cannot sign.
    pub fn new(declared: fleet::Dns) -> Result<Dns, Problem> {
        let problem = |error: WireError| Problem {
            what: format!("[dns]: {error}"),
            cure: "correct it in site.toml".to_owned(),
            is_transient: false,
        };
        let names = Names::of(&declared).map_err(problem)?;
        let signer = Signer::new(&declared.key).map_err(problem)?;
        let nameservers = declared.nameservers.clone();
        let servers = Servers::new(declared.server, names.zone.clone(), nameservers);
        Ok(Dns {
            declared,
            names,
            signer,
            servers,
        })
    }

    /// Reads every RRset and marker on the primary.
    ///
    /// # Errors
    /// Where any of it was not answered with authority, or a record is an alias.
    pub async fn read_primary(&self) -> Result<ZoneView, Problem> {
        let reading = Line::new(self.declared.server).read(&self.names).await;
        match reading {
            Ok(reading) => Ok(reading.view),
            Err(error) => Err(read::problem(&error)),
        }
    }

    /// Proves that the primary knows the key, by a signed UPDATE that changes nothing. The answer
    /// to a wrong key is not signed and decides nothing: after an UPDATE that matters nobody could
    /// ever prove that it was not applied, so this is asked before the first.
    ///
    /// # Errors
    /// Why it does not, or gave no answer.
    pub async fn prove_key(&self) -> Result<(), Problem> {
        rights::prove_key(&self.declared, &self.names, &self.signer).await
    }

    /// Sends one UPDATE to the primary, once.
    pub async fn update(&self, change: &ZoneChange) -> UpdateOutcome {
        update::update(&self.declared, &self.names, &self.signer, change).await
    }

    /// The servers that must agree, the primary among them.
    ///
    /// # Errors
    /// Where the zone's NS records, or the address of one of them, are not known.
    pub async fn servers(&self) -> Result<BTreeSet<SocketAddr>, Problem> {
        let servers = self.servers.all().await;
        servers.map_err(|error| servers::problem(&error))
    }

    /// The servers that the zone itself names, whoever must agree.
    ///
    /// # Errors
    /// Where the primary does not tell.
    pub async fn delegated(&self) -> Result<Vec<NameServer>, Problem> {
        let found = servers::delegated(self.declared.server, &self.names.zone).await;
        found.map_err(|error| servers::problem(&error))
    }

    /// Asks every server once, all at the same time. Those of `without` are asked too, and are
    /// missing from the answers where they are silent; the primary never is. Where the servers
    /// are not known, one answer says so: no answer less would be safe.
    pub async fn ask_servers(&self, without: &BTreeSet<SocketAddr>) -> Vec<ServerAnswer> {
        let servers = match self.servers.all().await {
            Ok(servers) => servers,
            Err(error) => return vec![self.unknown(&error)],
        };
        let asking = servers.into_iter().map(|server| async move {
            let mut line = Line::new(server);
            line.answer(&self.names).await
        });
        let mut answers = join_all(asking).await;
        let without = self.excused(without);
        answers.retain(|answer| answer.view.is_ok() || !without.contains(&answer.server));
        answers
    }

    /// Asks every server until all have followed, or until `within` has passed. `progress` sees
    /// who lags, whenever that changes.
    pub async fn await_servers(
        &self,
        follow: &Follow,
        within: Duration,
        mut progress: impl FnMut(&[Lagging]),
    ) -> Following {
        let until = Instant::now() + within;
        let servers = loop {
            let error = match self.servers.all().await {
                Ok(servers) => break servers,
                Err(error) => error,
            };
            let answer = self.unknown(&error);
            let why = error.to_string();
            let servers = vec![Lagging { answer, why }];
            progress(&servers);
            if Instant::now() + ASK_AGAIN_AFTER > until {
                return Following::Behind { servers };
            }
            sleep(ASK_AGAIN_AFTER).await;
        };
        let follow = Follow {
            without: self.excused(&follow.without),
            ..follow.clone()
        };
        follow::await_servers(&self.names, servers, &follow, until, progress).await
    }

    /// Proves what the key may change, without changing anything, and compares the clocks.
    pub async fn check_rights(&self) -> RightsReport {
        rights::check(&self.declared, &self.names, &self.signer).await
    }

    /// A name that the primary is tried out on, apart from the fleet's own. Asks nothing yet.
    ///
    /// # Errors
    /// The name is not in the zone, or is one of the fleet's own.
    pub fn scratch(&self, name: &RecordName) -> Result<Scratch<'_>, Problem> {
        Scratch::new(&self.declared, &self.signer, name)
    }

    /// What stands at the fleet's records and is not served, one problem each: it would send
    /// users to a site that the address records no longer name.
    ///
    /// # Errors
    /// Where the primary could not be asked.
    pub async fn unserved(&self) -> Result<Vec<Problem>, Problem> {
        let found = unserved::find(self.declared.server, &self.names).await;
        found.map_err(|error| read::problem(&error))
    }

    /// The other names of the zone at which one of these addresses stands.
    ///
    /// # Errors
    /// Why that is not known: the primary hands the zone out to nobody, most often.
    pub async fn neighbours(
        &self,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<BTreeSet<Neighbour>, String> {
        let server = self.declared.server;
        neighbours::find(server, &self.names, &self.signer, addresses).await
    }

    /// Servers whose silence is no matter: those that a person left out, but never the primary.
    fn excused(&self, without: &BTreeSet<SocketAddr>) -> BTreeSet<SocketAddr> {
        let primary = self.declared.server;
        let without = without.iter().copied();
        without.filter(|server| *server != primary).collect()
    }

    fn unknown(&self, error: &ServersError) -> ServerAnswer {
        ServerAnswer {
            server: self.declared.server,
            view: Err(error.to_string()),
        }
    }
}
