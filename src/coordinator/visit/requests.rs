//! The effects that a visit awaits: a function of its state, so that resuming needs no code.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::coordinator::awaited::Awaited;
use crate::coordinator::context::Context;
use crate::coordinator::effect::{
    EngineRequest, Follow, HookCall, Preparation, ProbeManner, Request,
};
use crate::coordinator::event::VisitKind;
use crate::coordinator::plan::Plan;
use crate::coordinator::retry;
use crate::coordinator::state::{
    EvidenceWork, HookTurn, HostWork, LastInventory, Quietness, Rotation, Stage, State,
    TrafficWait, Trial, Visit, Wait,
};
use crate::model::fleet::Host;
use crate::model::hook::{Gate, Occasion};
use crate::model::id::{ContainerId, Epoch, HostName, Nonce, SiteName, Token};
use crate::model::image::{Digest, Pins};
use crate::model::inventory::{Inventory, Role};
use crate::model::playbook::Strays;
use crate::model::rrset::RrKey;

use super::hosts::leaving;

/// A visit, and all that its requests are made of.
pub(crate) struct Asks<'a> {
    pub(crate) state: &'a State,
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) rotation: &'a Rotation,
    pub(crate) visit: &'a Visit,
}

impl Asks<'_> {
    /// Every answer this visit awaits.
    pub(crate) fn add_to(&self, awaited: &mut Awaited<'_>) {
        let visit = self.visit;
        if self.ctx.fleet.measures_traffic && has_users_to_measure(visit) {
            awaited.add(visit.measure, || Request::Measure { site: self.site() });
        }
        for (host, work) in &visit.hosts {
            self.add_host_work(awaited, host, work);
        }
        self.add_evidence(awaited);
        self.add_hook(awaited);
        self.add_stage(awaited);
    }

    fn site(&self) -> SiteName {
        self.visit.site.clone()
    }

    fn plan(&self) -> &Plan {
        self.rotation.plan_of(&self.visit.site)
    }

    fn add_host_work(&self, awaited: &mut Awaited<'_>, host: &HostName, work: &HostWork) {
        match work {
            HostWork::None | HostWork::Prepared { .. } | HostWork::Unready { .. } => {}
            HostWork::Looking { token } => {
                self.add_engine(awaited, *token, host, || EngineRequest::TakeInventory);
            }
            HostWork::Pulling { token, .. } => {
                self.add_engine(awaited, *token, host, || EngineRequest::Pull {
                    pins: self.pins_on(host),
                });
            }
            HostWork::Preparing { token, inventory } => {
                if let Some(hold) = self.state.held()
                    && !self.visit.owes_last_words(host)
                {
                    self.add_engine(awaited, *token, host, || {
                        let preparation = self.preparation(hold, host, inventory);
                        EngineRequest::Prepare(Box::new(preparation))
                    });
                }
            }
        }
    }

    fn preparation(
        &self,
        (epoch, hold): (Epoch, &Nonce),
        host: &HostName,
        inventory: &Inventory,
    ) -> Preparation {
        let recreate = &self.ctx.playbook.recreate;
        Preparation {
            rotation: self.rotation.plan.id.clone(),
            epoch,
            hold: hold.clone(),
            pins: self.pins_on(host),
            anonymous: recreate.anonymous,
            volumes: recreate.volumes,
            leaving: leaving(inventory, &[], recreate.strays, None)
                .into_iter()
                .collect(),
        }
    }

    /// Once a host was looked at; and the time after which no more is waited for.
    fn add_evidence(&self, awaited: &mut Awaited<'_>) {
        let EvidenceWork::Asked { hosts, until } = &self.visit.evidence else {
            return;
        };
        for (host, token) in hosts {
            if !matches!(self.visit.hosts.get(host), Some(HostWork::Looking { .. })) {
                self.add_engine(awaited, *token, host, || EngineRequest::TakeEvidence {
                    containers: self.found_on(host),
                    kept: self.kept_on(host),
                    logs: self.ctx.playbook.recreate.logs,
                });
            }
        }
        awaited.add_wait(until);
    }

    fn add_hook(&self, awaited: &mut Awaited<'_>) {
        let Some(asked) = self.visit.asked_at_gate() else {
            return;
        };
        match &asked.turn {
            HookTurn::Later { wait, .. } => awaited.add_wait(wait),
            HookTurn::Theirs(token) => {
                let mut hooks = self.ctx.fleet.hooks.iter();
                if let Some(hook) = hooks.find(|hook| hook.name == asked.hook) {
                    awaited.add(*token, || {
                        Request::CallHook(Box::new(HookCall {
                            hook: hook.clone(),
                            occasion: self.occasion(asked.gate),
                        }))
                    });
                }
            }
        }
    }

    fn occasion(&self, gate: Gate) -> Occasion {
        let (site, plan) = (self.site(), self.plan());
        Occasion {
            fleet: self.ctx.fleet.name.clone(),
            rotation: plan.id.clone(),
            step: gate.as_str(),
            digests: self.ctx.fleet.pins_of(&site, self.visit.pins(plan)),
            actor: plan.actor.clone(),
            reason: plan.reason.clone(),
            next_site: self.rotation.next_site().cloned(),
            peers: self.state.peers(self.ctx.fleet, Some(&site)),
            site: Some(site),
            end: None,
        }
    }

    fn add_stage(&self, awaited: &mut Awaited<'_>) {
        let recreate = &self.ctx.playbook.recreate;
        match &self.visit.stage {
            Stage::Readying
            | Stage::Withdrawing
            | Stage::Drained
            | Stage::Dirtying { .. }
            | Stage::OnTrial { .. }
            | Stage::Restoring
            | Stage::Expelling
            | Stage::PuttingBack { .. }
            | Stage::WithdrawingAgain { .. }
            | Stage::OutAgain { .. }
            | Stage::Writing { .. }
            | Stage::Refused { .. } => {}
            Stage::Probing { asked, .. } => {
                for (site, token) in asked {
                    awaited.add(*token, || self.look(site));
                }
            }
            Stage::Following { token } => {
                awaited.add(*token, || await_servers(self.absent()));
            }
            Stage::PutBackFollowing { token, .. } | Stage::RestoreFollowing { token } => {
                awaited.add(*token, || await_servers(self.present()));
            }
            Stage::Draining {
                least, most, quiet, ..
            } => self.add_drain(awaited, least, most, quiet),
            Stage::RunningBefore { token } => {
                if let Some(before) = &recreate.before {
                    awaited.add(*token, || Request::RunBefore {
                        site: self.site(),
                        before: before.clone(),
                    });
                }
            }
            Stage::LastLook {
                servers,
                inventories,
            } => self.add_last_look(awaited, servers.as_ref(), inventories),
            Stage::Clearing { hosts, .. } => {
                for (host, (token, containers)) in hosts {
                    self.add_engine(awaited, *token, host, || EngineRequest::Clear {
                        containers: containers.clone(),
                        volumes: recreate.volumes,
                        anonymous: recreate.anonymous,
                    });
                }
            }
            Stage::Starting { hosts, .. } => {
                for (host, (token, made)) in hosts {
                    self.add_engine(awaited, *token, host, || EngineRequest::Start {
                        containers: made.clone(),
                    });
                }
            }
            Stage::Inspecting { hosts, .. } => {
                for (host, token) in hosts {
                    self.add_engine(awaited, *token, host, || EngineRequest::TakeInventory);
                }
            }
            Stage::Verifying { token, trial } => {
                awaited.add(*token, || self.probe(self.verify(*trial)));
            }
            Stage::Soaking {
                time,
                traffic,
                probes,
                containers,
            } => {
                self.add_soak(awaited, time, traffic);
                awaited.add(*probes, || self.probe(ProbeManner::Watch));
                for (host, token) in containers {
                    self.add_engine(awaited, *token, host, || {
                        let serving = self.visit.serving.get(host);
                        let containers = serving.cloned().unwrap_or_default();
                        EngineRequest::Watch { containers }
                    });
                }
            }
            Stage::Pruning { hosts } => {
                for (host, token) in hosts {
                    self.add_engine(awaited, *token, host, || EngineRequest::Prune {
                        keep: self.kept_images(),
                    });
                }
            }
            Stage::BackingOff { wait, .. } | Stage::RefusedWrite { wait, .. } => {
                awaited.add_wait(wait);
            }
            Stage::Discarding { hosts, .. } => {
                for (host, (token, containers)) in hosts {
                    self.add_engine(awaited, *token, host, || EngineRequest::Discard {
                        containers: containers.clone(),
                    });
                }
            }
        }
    }

    fn add_drain(&self, awaited: &mut Awaited<'_>, least: &Wait, most: &Wait, quiet: &Quietness) {
        for wait in [most, least].into_iter().filter(|wait| !wait.is_over) {
            awaited.add_wait(wait);
        }
        let bound = self.ctx.playbook.drain.quiet;
        match quiet {
            Quietness::Asked(token) => awaited.add(*token, || Request::AwaitQuiet {
                site: self.site(),
                quiet: bound,
            }),
            Quietness::AskedLast(token) => awaited.add(*token, || Request::JudgeTraffic {
                site: self.site(),
                quiet: bound,
            }),
            Quietness::NotAsked | Quietness::Seen { .. } | Quietness::Unknown { .. } => {}
        }
    }

    fn add_last_look(
        &self,
        awaited: &mut Awaited<'_>,
        servers: Option<&Token>,
        inventories: &BTreeMap<HostName, LastInventory>,
    ) {
        if let Some(token) = servers {
            awaited.add(*token, || Request::AskServers {
                without: self.plan().options.without_ns.clone(),
            });
        }
        for (host, inventory) in inventories {
            match inventory {
                LastInventory::Asked(token) => {
                    self.add_engine(awaited, *token, host, || EngineRequest::TakeInventory);
                }
                LastInventory::Taken(_) => {}
            }
        }
    }

    fn add_soak(&self, awaited: &mut Awaited<'_>, time: &Wait, traffic: &TrafficWait) {
        if !time.is_over {
            awaited.add_wait(time);
        }
        if let TrafficWait::Awaited { token, deadline } = traffic {
            awaited.add(*token, || Request::AwaitTraffic { site: self.site() });
            awaited.add_wait(deadline);
        }
    }

    fn add_engine(
        &self,
        awaited: &mut Awaited<'_>,
        token: Token,
        host: &HostName,
        request: impl FnOnce() -> EngineRequest,
    ) {
        awaited.add(token, || Request::Engine {
            site: self.site(),
            host: host.clone(),
            request: request(),
        });
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

    /// What is gone back to has been watched before, in its soak; and a person has tried what they put
    /// in.
    fn verify(&self, trial: Trial) -> ProbeManner {
        let is_known = self.visit.rollback.is_some() || trial == Trial::Accepted;
        let is_new = self.visit.recreates() && !is_known;
        let lasts = self.ctx.playbook.verify.for_at_least;
        ProbeManner::Verify {
            lasts: if is_new { lasts } else { Duration::ZERO },
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
            let digest = self.visit.pins(self.plan()).get(&image)?.clone();
            Some((image, digest))
        });
        pinned.collect()
    }

    /// What goes from the host, and strays that stay: they are reported. Without what this visit has
    /// begun to remove: that was asked before.
    fn found_on(&self, host: &HostName) -> Vec<ContainerId> {
        let inventory = self.visit.hosts.get(host).and_then(HostWork::inventory);
        let mut found = inventory
            .map(|found| leaving(found, &[], Strays::Remove, None))
            .unwrap_or_default();
        found.retain(|id| !self.visit.condemned.contains(id));
        found
    }

    /// What stays there, and is looked into once a visit.
    fn kept_on(&self, host: &HostName) -> Vec<ContainerId> {
        if self.visit.is_another_attempt() {
            return Vec::new();
        }
        let inventory = self.visit.hosts.get(host).and_then(HostWork::inventory);
        let found = inventory.into_iter().flat_map(|found| &found.containers);
        let kept = found.filter(|container| container.role == Role::Kept);
        kept.map(|container| container.id.clone()).collect()
    }

    /// The images that the site passed on last, and those it runs.
    fn kept_images(&self) -> BTreeSet<Digest> {
        let last = self.state.last_good.get(&self.visit.site).into_iter();
        last.chain([self.visit.pins(self.plan())])
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

fn await_servers(follow: Follow) -> Request {
    Request::AwaitServers {
        follow,
        within: retry::FOLLOW_WITHIN,
    }
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
