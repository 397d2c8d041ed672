//! Every outside system of one fleet, and how each request of the machine is carried out there.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::clock::Clock;
use crate::coordinator::effect::{EngineRequest, ProbeManner, Request};
use crate::coordinator::outcome::{EngineOutcome, Outcome, ProbeOutcome, Problem, TrafficOutcome};
use crate::dns::{Dns, Following, nonce};
use crate::engine::{Engine, HostContext};
use crate::model::fleet::Fleet;
use crate::model::id::{HostName, SiteName};
use crate::probe::{Looked, Prober};
use crate::registry::Registries;
use crate::traffic::{Meter, PacketSource, Packets};

/// The adapters of one fleet, made once for a rotation; nothing is contacted until it is asked.
pub struct Adapters {
    fleet: Arc<Fleet>,
    clock: Clock,
    pub dns: Dns,
    pub registries: Registries,
    prober: Prober,
    engines: BTreeMap<(SiteName, HostName), Arc<Engine>>,
    /// The meters that run. Held for moments only, never across an await.
    meters: RwLock<BTreeMap<SiteName, Arc<Meter>>>,
}

impl Adapters {
    /// Makes them for a fleet. `docker_config` is the path of Docker's `config.json`.
    ///
    /// # Errors
    /// Where the DNS key cannot sign.
    pub fn new(
        fleet: Arc<Fleet>,
        clock: Clock,
        docker_config: Option<PathBuf>,
    ) -> Result<Adapters, Problem> {
        let spec_key = spec_key(&fleet);
        let mut engines = BTreeMap::new();
        for site in fleet.sites.values() {
            for host in &site.hosts {
                let context = HostContext {
                    fleet: fleet.name.clone(),
                    site: site.name.clone(),
                    host: host.clone(),
                    registries: fleet.registries.clone(),
                    spec_key,
                };
                let engine = Arc::new(Engine::new(Arc::new(context)));
                engines.insert((site.name.clone(), host.name.clone()), engine);
            }
        }
        Ok(Adapters {
            dns: Dns::new(fleet.dns.clone())?,
            registries: Registries::new(&fleet.registries, docker_config),
            prober: Prober::new(&fleet),
            engines,
            meters: RwLock::new(BTreeMap::new()),
            fleet,
            clock,
        })
    }

    /// The fleet they were made for.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The engine of a host, where the fleet has it.
    pub fn engine(&self, site: &SiteName, host: &HostName) -> Option<Arc<Engine>> {
        self.engines.get(&(site.clone(), host.clone())).cloned()
    }

    /// Every engine of the fleet.
    pub fn engines(&self) -> impl Iterator<Item = (&SiteName, &HostName, &Arc<Engine>)> {
        self.engines
            .iter()
            .map(|((site, host), engine)| (site, host, engine))
    }

    /// Carries one request out, once. `None`: it has no outcome.
    pub(super) async fn carry_out(&self, request: &Request) -> Option<Outcome> {
        let outcome = match request {
            Request::ReadPrimary => Outcome::Primary {
                view: self.dns.read_primary().await.map(Arc::new),
                nonce: nonce(),
            },
            Request::Update(change) => Outcome::Update(self.dns.update(change).await),
            Request::AskServers { without } => {
                Outcome::Servers(self.dns.ask_servers(without).await)
            }
            Request::AwaitServers { follow, within } => {
                match self.dns.await_servers(follow, *within, |_| {}).await {
                    Following::Followed { ttl } => Outcome::Followed { ttl },
                    Following::Behind { servers } => Outcome::Behind { servers },
                }
            }
            Request::ResolveImages { images } => Outcome::Images {
                digests: self.registries.resolve(images).await,
            },
            Request::Engine {
                site,
                host,
                request,
            } => Outcome::Engine(self.ask_engine(site, host, request).await),
            Request::Probe {
                site,
                manner,
                without,
            } => Outcome::Probe(self.probe(site, *manner, without).await),
            Request::Measure { site } => {
                let meter = Arc::new(self.start_meter(site));
                self.set_meter(site, Some(&meter));
                let _stops = StopMeter {
                    adapters: self,
                    site,
                };
                std::future::pending::<()>().await;
                return None;
            }
            Request::AwaitQuiet { site, quiet } => Outcome::Traffic(match self.meter(site) {
                Some(meter) => meter.await_quiet(*quiet).await,
                None => self.unmeasured(),
            }),
            Request::JudgeTraffic { site, quiet } => Outcome::Traffic(match self.meter(site) {
                Some(meter) => meter.judge(*quiet).await,
                None => self.unmeasured(),
            }),
            Request::AwaitTraffic { site } => Outcome::Traffic(match self.meter(site) {
                Some(meter) => meter.await_traffic().await,
                None => self.unmeasured(),
            }),
            Request::RunBefore { site, before } => {
                Outcome::Before(crate::hook::run_before(before, site).await)
            }
            Request::CallHook(call) => {
                let at = self.clock.now().wall;
                Outcome::Hook(crate::hook::call(&call.hook, &call.occasion, at).await)
            }
            Request::Sleep { until } => {
                match self.clock.instant(*until) {
                    Some(instant) => tokio::time::sleep_until(instant.into()).await,
                    None => std::future::pending().await,
                }
                Outcome::Woke
            }
        };
        Some(outcome)
    }

    /// Probes a site, but not at the addresses left out.
    pub async fn probe(
        &self,
        site: &SiteName,
        manner: ProbeManner,
        without: &BTreeSet<IpAddr>,
    ) -> ProbeOutcome {
        if without.is_empty() {
            return self.prober.probe(site, manner, &|_| {}).await;
        }
        let mut fleet = (*self.fleet).clone();
        for record in fleet.dns.records.values_mut() {
            for addresses in record.addresses.values_mut() {
                addresses.retain(|address| !without.contains(address));
            }
        }
        if let Some(site) = fleet.sites.get_mut(site) {
            site.addresses.retain(|address| !without.contains(address));
        }
        Prober::new(&fleet).probe(site, manner, &|_| {}).await
    }

    /// Looks at a site and tells each check by itself.
    ///
    /// # Errors
    /// What keeps the site from being probed at all.
    pub async fn look_at_each(&self, site: &SiteName) -> Result<Vec<Looked>, Problem> {
        self.prober.look_at_each(site).await
    }

    /// Tells the meter of a site that it has just left DNS: the minute before is its baseline.
    pub(super) fn mark_withdrawal(&self, site: &SiteName) {
        if let Some(meter) = self.meter(site) {
            meter.mark_withdrawal();
        }
    }

    /// Packets a second at a site, where they are measured.
    pub fn rate(&self, site: &SiteName) -> Option<f64> {
        self.meter(site).and_then(|meter| meter.rate())
    }

    async fn ask_engine(
        &self,
        site: &SiteName,
        host: &HostName,
        request: &EngineRequest,
    ) -> EngineOutcome {
        match self.engine(site, host) {
            Some(engine) => engine.carry_out(request, |_| {}).await,
            None => EngineOutcome::Failed(Problem {
                what: format!("{site} has no host {host}"),
                cure: "site.toml has changed since the rotation began".to_owned(),
                is_transient: false,
            }),
        }
    }

    fn start_meter(&self, site: &SiteName) -> Meter {
        if !self.fleet.measures_traffic {
            return Meter::unmeasured("site.toml has no [traffic]");
        }
        let of_site = self.engines.iter().filter(|((of, _), _)| of == site);
        let sources = of_site.map(|((_, host), engine)| {
            let engine = Arc::clone(engine);
            PacketSource::new(host.clone(), move || {
                let engine = Arc::clone(&engine);
                async move {
                    let packets = engine.packets().await?;
                    Ok(Packets {
                        containers: packets.containers,
                    })
                }
            })
        });
        Meter::start(site, sources.collect())
    }

    fn unmeasured(&self) -> TrafficOutcome {
        TrafficOutcome::Unknown {
            why: "site.toml has no [traffic]".to_owned(),
        }
    }

    fn meter(&self, site: &SiteName) -> Option<Arc<Meter>> {
        let meters = self
            .meters
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        meters.get(site).cloned()
    }

    fn set_meter(&self, site: &SiteName, meter: Option<&Arc<Meter>>) {
        let mut meters = self
            .meters
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match meter {
            Some(meter) => meters.insert(site.clone(), Arc::clone(meter)),
            None => meters.remove(site),
        };
    }
}

/// Lets go of a site's meter when nobody awaits it any more.
struct StopMeter<'a> {
    adapters: &'a Adapters,
    site: &'a SiteName,
}

impl Drop for StopMeter<'_> {
    fn drop(&mut self) {
        self.adapters.set_meter(self.site, None);
    }
}

/// The key of spec labels, the same at every coordinator of the fleet: derived from the DNS key,
/// which all of them have and nobody else.
fn spec_key(fleet: &Fleet) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(fleet.dns.key.secret.reveal())
        .expect("HMAC takes a key of any length");
    mac.update(b"cleanslate.spec");
    mac.finalize().into_bytes().into()
}
