//! Servers that obey: each request is answered as a healthy outside would, and nothing is real.
//! What was found not to be well when it was looked at stays so.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{engine, zone};
use crate::coordinator::effect::{EngineRequest, Follow, Preparation, ProbeManner, Request};
use crate::coordinator::follow::has_followed;
use crate::coordinator::outcome::{
    EngineOutcome, HookAnswer, Lagging, Outcome, ProbeOutcome, Problem, TrafficOutcome,
};
use crate::model::fleet::Fleet;
use crate::model::id::{ContainerId, HostName, Nonce, SiteName};
use crate::model::inventory::{Container, Inventory};
use crate::model::rrset::{ServerAnswer, UpdateOutcome, ZoneView};
use crate::model::time::Ttl;

/// Packets a second of a site that has users; one that has left has none.
const SOME_TRAFFIC: f64 = 100.0;

/// A host, by its site's name and its own.
pub type Place = (SiteName, HostName);

/// The outside as it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the primary serves. In here every name server follows it at once.
    pub zone: Arc<ZoneView>,
    /// What each engine holds, or why that is not known.
    pub inventories: BTreeMap<Place, Result<Inventory, Problem>>,
    /// Why new containers cannot be made on these hosts.
    pub unready: BTreeMap<Place, Vec<Problem>>,
    /// What these sites answer their probes with, until they are rebuilt.
    pub failing: BTreeMap<SiteName, Vec<Problem>>,
    /// How long the containers of a site take to start; at once, where that was not measured.
    pub starts: BTreeMap<SiteName, Duration>,
}

/// A primary and engines that do what they are asked.
#[derive(Clone, Debug)]
pub struct Obeying {
    fleet: Arc<Fleet>,
    zone: Arc<ZoneView>,
    engines: BTreeMap<Place, Result<Vec<Container>, Problem>>,
    unready: BTreeMap<Place, Vec<Problem>>,
    failing: BTreeMap<SiteName, Vec<Problem>>,
    starts: BTreeMap<SiteName, Duration>,
    /// The first preparation that each host was asked for.
    prepared: BTreeMap<Place, Preparation>,
    minted: u64,
}

impl Obeying {
    /// A copy of what was found, to be played with.
    pub fn new(fleet: impl Into<Arc<Fleet>>, found: Found) -> Obeying {
        let containers = |seen: Result<Inventory, Problem>| seen.map(|seen| seen.containers);
        let engines = found.inventories.into_iter();
        Obeying {
            engines: engines
                .map(|(place, seen)| (place, containers(seen)))
                .collect(),
            zone: found.zone,
            unready: found.unready,
            failing: found.failing,
            starts: found.starts,
            prepared: BTreeMap::new(),
            minted: 0,
            fleet: fleet.into(),
        }
    }

    /// What each host was first asked to prepare.
    pub fn prepared(&self) -> &BTreeMap<Place, Preparation> {
        &self.prepared
    }

    /// How long the answer takes; `None`: it does not come as long as all is well.
    pub fn takes(&self, request: &Request) -> Option<Duration> {
        match request {
            Request::Measure { .. }
            | Request::Probe {
                manner: ProbeManner::Watch,
                ..
            }
            | Request::Engine {
                request: EngineRequest::Watch { .. },
                ..
            } => None,
            Request::AwaitQuiet { quiet, .. } => Some(quiet.for_at_least),
            Request::Engine {
                site,
                request: EngineRequest::Start { .. },
                ..
            } => Some(self.starts.get(site).copied().unwrap_or_default()),
            Request::ReadPrimary
            | Request::Update(_)
            | Request::AskServers { .. }
            | Request::AwaitServers { .. }
            | Request::ResolveImages { .. }
            | Request::Engine { .. }
            | Request::Probe { .. }
            | Request::JudgeTraffic { .. }
            | Request::AwaitTraffic { .. }
            | Request::RunBefore { .. }
            | Request::CallHook(_)
            | Request::Sleep { .. } => Some(Duration::ZERO),
        }
    }

    /// Does it. `None`: nothing to tell.
    pub fn answer(&mut self, request: &Request) -> Option<Outcome> {
        Some(match request {
            Request::ReadPrimary => Outcome::Primary {
                view: Ok(Arc::clone(&self.zone)),
                nonce: self.nonce(),
            },
            Request::Update(change) if zone::holds(&self.zone, change) => {
                zone::apply(Arc::make_mut(&mut self.zone), change);
                Outcome::Update(UpdateOutcome::Applied)
            }
            Request::Update(_) => Outcome::Update(UpdateOutcome::NotApplied {
                why: "a prerequisite does not hold".to_owned(),
            }),
            Request::AskServers { without } => Outcome::Servers(self.servers(without)),
            Request::AwaitServers { follow, .. } => self.followed(follow),
            Request::Engine {
                site,
                host,
                request,
            } => Outcome::Engine(self.engine(&(site.clone(), host.clone()), request)?),
            Request::Probe {
                site,
                manner: ProbeManner::Look | ProbeManner::Verify { .. },
                ..
            } => Outcome::Probe(match self.failing.get(site) {
                None => ProbeOutcome::Passed,
                Some(problems) => ProbeOutcome::Failing {
                    problems: problems.clone(),
                },
            }),
            Request::AwaitQuiet { .. } | Request::JudgeTraffic { .. } => {
                self.traffic(TrafficOutcome::Quiet { packets: 0.0 })
            }
            Request::AwaitTraffic { .. } => self.traffic(TrafficOutcome::Back {
                packets: SOME_TRAFFIC,
            }),
            Request::RunBefore { .. } => Outcome::Before(Ok(())),
            Request::CallHook(_) => Outcome::Hook(HookAnswer::Agreed),
            Request::Sleep { .. } => Outcome::Woke,
            Request::Probe {
                manner: ProbeManner::Watch,
                ..
            }
            | Request::ResolveImages { .. }
            | Request::Measure { .. } => return None,
        })
    }

    fn traffic(&self, measured: TrafficOutcome) -> Outcome {
        Outcome::Traffic(if self.fleet.measures_traffic {
            measured
        } else {
            TrafficOutcome::Unknown {
                why: "site.toml has no [traffic]".to_owned(),
            }
        })
    }

    fn servers(&self, without: &BTreeSet<SocketAddr>) -> Vec<ServerAnswer> {
        let primary = self.fleet.dns.server;
        let named = self.fleet.dns.nameservers.iter().flatten().copied();
        let all: BTreeSet<SocketAddr> = named.chain([primary]).collect();
        let asked = all.into_iter().filter(|server| !without.contains(server));
        asked
            .map(|server| ServerAnswer {
                server,
                view: Ok(ZoneView::clone(&self.zone)),
            })
            .collect()
    }

    fn followed(&self, follow: &Follow) -> Outcome {
        let Err(why) = has_followed(&self.zone, follow) else {
            let ttls = self.zone.rrsets.values().filter_map(|set| set.ttl);
            return Outcome::Followed {
                ttl: ttls.max().unwrap_or(Ttl(0)),
            };
        };
        let answers = self.servers(&follow.without).into_iter();
        let servers = answers.map(|answer| Lagging {
            answer,
            why: why.clone(),
        });
        Outcome::Behind {
            servers: servers.collect(),
        }
    }

    fn engine(&mut self, place: &Place, request: &EngineRequest) -> Option<EngineOutcome> {
        let (fleet, site) = (&self.fleet.name, &place.0);
        let declared = self.fleet.sites.get(site)?.host(&place.1)?;
        let containers = match self.engines.get_mut(place)? {
            Ok(containers) => containers,
            Err(problem) => return Some(EngineOutcome::Failed(problem.clone())),
        };
        Some(match request {
            EngineRequest::TakeInventory => {
                EngineOutcome::Inventory(engine::inventory(containers).into())
            }
            EngineRequest::Pull { pins } => EngineOutcome::Pulled {
                images: u32::try_from(pins.len()).unwrap_or(u32::MAX),
            },
            EngineRequest::Prepare(preparation) => {
                let first = self.prepared.entry(place.clone());
                first.or_insert_with(|| (**preparation).clone());
                if let Some(problems) = self.unready.get(place) {
                    return Some(EngineOutcome::Unready(problems.clone()));
                }
                let minted = &mut self.minted;
                let host = (fleet, site, declared);
                engine::make(containers, host, preparation, || made(minted))
            }
            EngineRequest::Discard { containers: ids } => {
                engine::remove(containers, ids);
                EngineOutcome::Discarded
            }
            EngineRequest::TakeEvidence { .. } => EngineOutcome::Evidence(Vec::new()),
            EngineRequest::Clear {
                containers: ids, ..
            } => {
                engine::remove(containers, ids);
                EngineOutcome::Cleared {
                    removed: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                    hooks: Vec::new(),
                }
            }
            EngineRequest::Start { containers: made } => {
                self.failing.remove(site);
                engine::start(containers, declared, made)
            }
            EngineRequest::Watch { .. } => return None,
            EngineRequest::Prune { .. } => EngineOutcome::Pruned {
                images: 0,
                bytes: 0,
            },
        })
    }

    /// Never the same twice.
    fn nonce(&mut self) -> Nonce {
        self.minted += 1;
        let text = data_encoding::BASE32_NOPAD.encode(&self.minted.to_be_bytes());
        text.parse().expect("base32 without padding is a nonce")
    }
}

fn made(minted: &mut u64) -> ContainerId {
    *minted += 1;
    let text = format!("dry-run-{minted}");
    text.parse()
        .expect("letters, digits and hyphens make a container id")
}
