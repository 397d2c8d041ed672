//! The effects that a visit awaits: a function of its state, so that resuming needs no code.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::coordinator::context::Context;
use crate::coordinator::effect::{
    Effect, EngineRequest, Follow, Preparation, ProbeManner, Request,
};
use crate::coordinator::event::VisitKind;
use crate::coordinator::plan::Plan;
use crate::coordinator::retry;
use crate::coordinator::state::{
    EvidenceWork, HostWork, LastInventory, Quietness, Rotation, Stage, State, TrafficWait, Visit,
    Wait,
};
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, Epoch, HostName, SiteName, Token};
use crate::model::image::{Digest, Pins};
use crate::model::inventory::Inventory;
use crate::model::rrset::RrKey;

use super::hosts::leaving;
/// Every effect this visit awaits.
pub(crate) fn requests(asks: &Asks<'_>) -> Vec<Effect> {
    let visit = asks.visit;
    let mut effects = Vec::new();
    if asks.ctx.fleet.measures_traffic && has_users_to_measure(visit) {
        effects.push(of(visit.measure, Request::Measure { site: asks.site() }));
    }
    let hosts = visit.hosts.iter();
    effects.extend(hosts.filter_map(|(host, work)| asks.of_host_work(host, work)));
    effects.extend(asks.of_evidence());
    effects.extend(asks.of_stage());
    effects
}

/// A visit, and all that its requests are made of.
pub(crate) struct Asks<'a> {
    pub(crate) state: &'a State,
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) rotation: &'a Rotation,
    pub(crate) visit: &'a Visit,
}

impl Asks<'_> {
    fn site(&self) -> SiteName {
        self.visit.site.clone()
    }

    fn plan(&self) -> &Plan {
        self.rotation.plan_of(&self.visit.site)
    }

    fn of_host_work(&self, host: &HostName, work: &HostWork) -> Option<Effect> {
        match work {
            HostWork::None | HostWork::Prepared { .. } | HostWork::Unready { .. } => None,
            HostWork::Looking { token } => {
                Some(self.engine(*token, host, EngineRequest::TakeInventory))
            }
            HostWork::Pulling { token, .. } => Some(self.engine(
                *token,
                host,
                EngineRequest::Pull {
                    pins: self.pins_on(host),
                },
            )),
            HostWork::Preparing { token, inventory } => {
                let preparation = Box::new(self.preparation(host, inventory)?);
                Some(self.engine(*token, host, EngineRequest::Prepare(preparation)))
            }
        }
    }

    fn preparation(&self, host: &HostName, inventory: &Inventory) -> Option<Preparation> {
        let (epoch, hold) = self.state.held()?;
        let recreate = &self.ctx.playbook.recreate;
        Some(Preparation {
            rotation: self.rotation.plan.id.clone(),
            epoch,
            hold: hold.clone(),
            pins: self.pins_on(host),
            anonymous: recreate.anonymous,
            volumes: recreate.volumes,
            leaving: leaving(inventory, &[], recreate.strays, None)
                .into_iter()
                .collect(),
        })
    }

    /// Once a host was looked at; and the time after which no more is waited for.
    fn of_evidence(&self) -> Vec<Effect> {
        let EvidenceWork::Asked { hosts, until } = &self.visit.evidence else {
            return Vec::new();
        };
        let logs = self.ctx.playbook.recreate.logs;
        let is_looked_at =
            |host: &HostName| !matches!(self.visit.hosts.get(host), Some(HostWork::Looking { .. }));
        let asked = hosts
            .iter()
            .filter(|(host, _)| is_looked_at(host))
            .map(|(host, token)| {
                let containers = self.found_on(host);
                self.engine(
                    *token,
                    host,
                    EngineRequest::TakeEvidence { containers, logs },
                )
            });
        asked.chain([sleep(until)]).collect()
    }

    fn of_stage(&self) -> Vec<Effect> {
        let visit = self.visit;
        match &visit.stage {
            Stage::Readying
            | Stage::Withdrawing
            | Stage::Drained
            | Stage::Dirtying { .. }
            | Stage::Restoring
            | Stage::Expelling
            | Stage::PuttingBack { .. }
            | Stage::WithdrawingAgain { .. }
            | Stage::OutAgain { .. }
            | Stage::Writing { .. }
            | Stage::Refused { .. } => Vec::new(),
            Stage::Probing { asked, .. } => {
                let look = |(site, token): (&SiteName, &Token)| of(*token, self.look(site));
                asked.iter().map(look).collect()
            }
            Stage::Following { token } => vec![of(*token, self.await_servers(self.absent()))],
            Stage::PutBackFollowing { token, .. } | Stage::RestoreFollowing { token } => {
                vec![of(*token, self.await_servers(self.present()))]
            }
            Stage::Draining {
                least, most, quiet, ..
            } => self.of_drain(least, most, quiet),
            Stage::RunningBefore { token } => {
                let before = self.ctx.playbook.recreate.before.clone();
                let run = |before| {
                    of(
                        *token,
                        Request::RunBefore {
                            site: self.site(),
                            before,
                        },
                    )
                };
                before.map(run).into_iter().collect()
            }
            Stage::LastLook {
                servers,
                inventories,
            } => self.of_last_look(servers.as_ref(), inventories),
            Stage::Clearing { hosts, .. } => self.of_hosts(hosts, |_, (token, containers)| {
                let recreate = &self.ctx.playbook.recreate;
                (
                    *token,
                    EngineRequest::Clear {
                        containers: containers.clone(),
                        volumes: recreate.volumes,
                        anonymous: recreate.anonymous,
                    },
                )
            }),
            Stage::Starting { hosts, .. } => self.of_hosts(hosts, |_, (token, made)| {
                (
                    *token,
                    EngineRequest::Start {
                        containers: made.clone(),
                    },
                )
            }),
            Stage::Inspecting { hosts, .. } => {
                self.of_hosts(hosts, |_, token| (*token, EngineRequest::TakeInventory))
            }
            Stage::Verifying { token } => vec![of(*token, self.probe(ProbeManner::Verify))],
            Stage::Soaking {
                time,
                traffic,
                probes,
                containers,
            } => {
                let mut effects = self.of_soak(time, traffic);
                effects.push(of(*probes, self.probe(ProbeManner::Watch)));
                effects.extend(self.of_hosts(containers, |host, token| {
                    let containers = visit.serving.get(host).cloned().unwrap_or_default();
                    (*token, EngineRequest::Watch { containers })
                }));
                effects
            }
            Stage::Pruning { hosts } => self.of_hosts(hosts, |_, token| {
                (
                    *token,
                    EngineRequest::Prune {
                        keep: self.kept_images(),
                    },
                )
            }),
            Stage::BackingOff { wait, .. } | Stage::RefusedWrite { wait, .. } => vec![sleep(wait)],
            Stage::Discarding { hosts, .. } => self.of_hosts(hosts, |_, (token, containers)| {
                (
                    *token,
                    EngineRequest::Discard {
                        containers: containers.clone(),
                    },
                )
            }),
        }
    }

    fn of_hosts<W>(
        &self,
        hosts: &BTreeMap<HostName, W>,
        request: impl Fn(&HostName, &W) -> (Token, EngineRequest),
    ) -> Vec<Effect> {
        let effect = |(host, work): (&HostName, &W)| {
            let (token, request) = request(host, work);
            self.engine(token, host, request)
        };
        hosts.iter().map(effect).collect()
    }

    fn of_drain(&self, least: &Wait, most: &Wait, quiet: &Quietness) -> Vec<Effect> {
        let timers = [most, least].into_iter().filter(|it| !it.is_over);
        let mut effects: Vec<_> = timers.map(sleep).collect();
        let (site, bound) = (self.site(), self.ctx.playbook.drain.quiet);
        match quiet {
            Quietness::Asked(token) => {
                effects.push(of(*token, Request::AwaitQuiet { site, quiet: bound }));
            }
            Quietness::AskedLast(token) => {
                effects.push(of(*token, Request::JudgeTraffic { site, quiet: bound }));
            }
            Quietness::NotAsked | Quietness::Seen { .. } | Quietness::Unknown { .. } => {}
        }
        effects
    }

    fn of_last_look(
        &self,
        servers: Option<&Token>,
        inventories: &BTreeMap<HostName, LastInventory>,
    ) -> Vec<Effect> {
        let without = &self.plan().options.without_ns;
        let ask = |token: &Token| {
            of(
                *token,
                Request::AskServers {
                    without: without.clone(),
                },
            )
        };
        let look = |(host, inventory): (&HostName, &LastInventory)| match inventory {
            LastInventory::Asked(token) => {
                Some(self.engine(*token, host, EngineRequest::TakeInventory))
            }
            LastInventory::Taken(_) => None,
        };
        servers
            .map(ask)
            .into_iter()
            .chain(inventories.iter().filter_map(look))
            .collect()
    }

    fn of_soak(&self, time: &Wait, traffic: &TrafficWait) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !time.is_over {
            effects.push(sleep(time));
        }
        if let TrafficWait::Awaited { token, deadline } = traffic {
            effects.push(of(*token, Request::AwaitTraffic { site: self.site() }));
            effects.push(sleep(deadline));
        }
        effects
    }

    fn engine(&self, token: Token, host: &HostName, request: EngineRequest) -> Effect {
        let (site, host) = (self.site(), host.clone());
        of(
            token,
            Request::Engine {
                site,
                host,
                request,
            },
        )
    }

    /// The floor's look at one site; what stays out with a host left out is not asked.
    fn look(&self, site: &SiteName) -> Request {
        let (site, manner) = (site.clone(), ProbeManner::Look);
        let without = self.state.absent_addresses(&site);
        Request::Probe {
            site,
            manner,
            without,
        }
    }

    /// The visited site's own addresses, but those of hosts left out by name.
    fn probe(&self, manner: ProbeManner) -> Request {
        let site = self.site();
        let without = self.ctx.left_out_addresses(&site, &self.plan().options);
        Request::Probe {
            site,
            manner,
            without,
        }
    }

    fn await_servers(&self, follow: Follow) -> Request {
        Request::AwaitServers {
            follow,
            within: retry::FOLLOW_WITHIN,
        }
    }

    fn absent(&self) -> Follow {
        follow_absent(self.state, self.ctx, self.plan(), &self.visit.site)
    }

    /// After a restore: what stands on the primary.
    fn present(&self) -> Follow {
        let mut follow = self.absent();
        let view = self.state.view.as_ref();
        let present = std::mem::take(&mut follow.absent)
            .into_iter()
            .map(|(key, declared)| {
                let set = view.and_then(|view| view.rrsets.get(&key));
                let served = set.map(|set| set.addresses.clone()).unwrap_or_default();
                (key, declared.intersection(&served).copied().collect())
            });
        follow.present = present.collect();
        follow
    }

    fn pins_on(&self, host: &HostName) -> Pins {
        let site = self.ctx.fleet.sites.get(&self.visit.site);
        let images = site
            .and_then(|site| site.host(host))
            .map(Host::images)
            .unwrap_or_default();
        let pinned = images.into_iter().filter_map(|image| {
            let digest = self.plan().pins.get(&image)?.clone();
            Some((image, digest))
        });
        pinned.collect()
    }

    fn found_on(&self, host: &HostName) -> Vec<ContainerId> {
        let strays = self.ctx.playbook.recreate.strays;
        let inventory = self.visit.hosts.get(host).and_then(HostWork::inventory);
        inventory
            .map(|found| leaving(found, &[], strays, None))
            .unwrap_or_default()
    }

    /// The images that the site passed on last, and those it runs.
    fn kept_images(&self) -> BTreeSet<Digest> {
        let last = self.state.last_good.get(&self.visit.site).into_iter();
        last.chain([&self.plan().pins])
            .flat_map(|pins| pins.values().cloned())
            .collect()
    }
}

impl State {
    /// Addresses of a site that stay out because their host was left out by name.
    pub(crate) fn absent_addresses(&self, site: &SiteName) -> BTreeSet<IpAddr> {
        let left_out = self.left_out.get(site).into_iter().flatten();
        left_out.map(|(_, address)| *address).collect()
    }
}

/// What a server shows that has followed a withdrawal of the site: our last marker or a newer one,
/// and none of the site's addresses.
pub(super) fn follow_absent(
    state: &State,
    ctx: &Context<'_>,
    plan: &Plan,
    site: &SiteName,
) -> Follow {
    let keys = ctx.fleet.rrsets_of(site).into_iter();
    let absent: BTreeMap<RrKey, BTreeSet<IpAddr>> = keys
        .map(|key| (key.clone(), ctx.fleet.addresses_of(site, &key)))
        .collect();
    let marker = state.marker.as_ref();
    Follow {
        epoch: marker.map_or(Epoch(0), |marker| marker.epoch),
        seq: marker.map_or(0, |marker| marker.seq),
        present: BTreeMap::new(),
        absent,
        without: plan.options.without_ns.clone(),
    }
}

fn sleep(wait: &Wait) -> Effect {
    of(wait.token, Request::Sleep { until: wait.until })
}

fn of(token: Token, request: Request) -> Effect {
    Effect { token, request }
}

/// Whether the visit withdraws or restores, so that its traffic says something.
fn has_users_to_measure(visit: &Visit) -> bool {
    match visit.kind {
        VisitKind::InService
        | VisitKind::Rebuild
        | VisitKind::Quarantined
        | VisitKind::FoundOut
        | VisitKind::AsItStands => true,
        VisitKind::WithdrawOnly | VisitKind::MarkerOnly => false,
    }
}
