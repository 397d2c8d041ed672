//! An engine a host, with names, labels and slow answers.
use super::{Later, World, digest, problem};
use crate::coordinator::effect::{EngineRequest, Preparation};
use crate::coordinator::outcome::EngineOutcome;
use crate::coordinator::plan::Plan;
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, HostName, SiteName};
use crate::model::inventory::{Container, Role};
use crate::sim::engine::{self, container, role, services};

impl World {
    /// Every host runs what it should, made by somebody else long ago.
    pub(super) fn found_containers(&mut self) {
        let hosts: Vec<Host> = self
            .fleet
            .sites
            .values()
            .flat_map(|site| site.hosts.clone())
            .collect();
        for host in hosts {
            let found = services(&host).into_iter().flat_map(|(project, service)| {
                let host = &host.name;
                (1..=service.replicas).map(move |number| {
                    let id = format!("{host}-old-{}-{number}", service.name);
                    container(id.parse().unwrap(), project, service, number, digest(1))
                })
            });
            let found = found.collect();
            self.engines.insert(host.name.clone(), found);
        }
    }

    /// Why a site is not fit to be put in DNS, if it is not.
    pub(super) fn why_unfit(&self, site: &SiteName) -> Option<String> {
        for host in self
            .hosts_of(site)
            .into_iter()
            .filter(|host| !self.faults.down.contains(host))
        {
            let containers = &self.engines[&host];
            let going = self.later.iter().find_map(|(_, late)| match late {
                Later::Clear { ids, .. } => containers
                    .iter()
                    .find(|container| ids.contains(&container.id)),
                Later::Update(_) => None,
            });
            if let Some(container) = going {
                return Some(format!("{} may still be removed", container.id.as_str()));
            }
            let declared = &self.fleet.sites[site].host(&host).unwrap().projects;
            let expected: u32 = declared
                .iter()
                .flat_map(|p| &p.services)
                .map(|s| s.replicas)
                .sum();
            let healthy = containers
                .iter()
                .filter(|container| container.is_healthy())
                .count();
            if healthy != expected as usize {
                return Some(format!("{host} has {healthy} of {expected} containers"));
            }
        }
        None
    }

    /// `None`: nothing to tell yet.
    pub(super) fn engine(
        &mut self,
        site: &SiteName,
        host: &HostName,
        request: &EngineRequest,
    ) -> Option<EngineOutcome> {
        if self.faults.down.contains(host) {
            return Some(EngineOutcome::Failed(problem(&format!(
                "{host}: no route to the engine"
            ))));
        }
        Some(match request {
            EngineRequest::TakeInventory => {
                EngineOutcome::Inventory(engine::inventory(&self.engines[host]))
            }
            EngineRequest::Pull { .. } => EngineOutcome::Pulled { images: 1 },
            EngineRequest::Prepare(_) if self.faults.unready.contains(site) => {
                EngineOutcome::Unready(vec![problem("port 80 is held")])
            }
            EngineRequest::Prepare(preparation) => self.prepare(site, host, preparation),
            EngineRequest::Discard { containers: ids } => {
                let discarded = |container: &&Container| ids.contains(&container.id);
                let ran = self.engines[host]
                    .iter()
                    .filter(discarded)
                    .any(Container::is_running);
                if ran {
                    self.hurt.push(format!(
                        "{site}: running containers were discarded: {ids:?}"
                    ));
                }
                self.remove(host, ids);
                EngineOutcome::Discarded
            }
            EngineRequest::TakeEvidence { .. } => EngineOutcome::Evidence(Vec::new()),
            EngineRequest::Clear {
                containers: ids, ..
            } => {
                if let Some(after) = self.faults.late_clears.pop_front() {
                    let (site, host, ids) = (site.clone(), host.clone(), ids.clone());
                    let left = ids.clone();
                    self.later
                        .push((self.now + after, Later::Clear { site, host, ids }));
                    let problem = problem("the engine did not answer in time");
                    return Some(EngineOutcome::Uncleared { left, problem });
                }
                self.clear(site, host, ids);
                let removed = u32::try_from(ids.len()).unwrap();
                EngineOutcome::Cleared { removed }
            }
            EngineRequest::Start { .. } if self.faults.unhealthy.contains(site) => {
                let problem = problem("web exited with 1");
                EngineOutcome::NotStarted { problem }
            }
            EngineRequest::Start { containers } => {
                let declared = self.fleet.sites[site].host(host).unwrap();
                engine::start(self.engines.get_mut(host).unwrap(), declared, containers)
            }
            EngineRequest::Watch { .. } if self.faults.crashing.contains(site) => {
                let problem = problem("web restarts");
                EngineOutcome::Breach { problem }
            }
            EngineRequest::Watch { containers } => {
                let runs = |id: &&ContainerId| {
                    let found = self.engines[host].iter().find(|c| c.id == **id);
                    found.is_some_and(Container::is_running)
                };
                let gone = containers.iter().find(|id| !runs(id))?;
                let problem = problem(&format!("{} does not run", gone.as_str()));
                EngineOutcome::Breach { problem }
            }
            EngineRequest::Prune { .. } if self.faults.prune_fails => {
                EngineOutcome::Failed(problem("cannot prune"))
            }
            EngineRequest::Prune { keep } => {
                self.kept_images.push((host.clone(), keep.clone()));
                EngineOutcome::Pruned {
                    images: 0,
                    bytes: 0,
                }
            }
        })
    }

    /// From now on engines see the fleet as this plan treats it.
    pub(crate) fn treat(&mut self, plan: &Plan) {
        self.fleet = plan.treat(self.fleet.clone());
        let hosts = self.fleet.sites.values().flat_map(|site| &site.hosts);
        for host in hosts {
            for container in self.engines.get_mut(&host.name).into_iter().flatten() {
                let declared = services(host).into_iter().find(|(project, service)| {
                    project.name == container.project && service.name == container.service
                });
                if let Some((_, service)) = declared {
                    container.role = role(service);
                }
            }
        }
    }

    /// Stops and removes, now.
    pub(super) fn clear(&mut self, site: &SiteName, host: &HostName, ids: &[ContainerId]) {
        let gone = self.engines[host]
            .iter()
            .filter(|container| ids.contains(&container.id));
        let gone: Vec<Container> = gone.cloned().collect();
        if gone.iter().any(|container| container.role == Role::Kept) {
            self.hurt
                .push(format!("{host}: a kept container was removed"));
        }
        let is_hurt = gone.iter().any(Container::is_running) && self.has_users(site);
        if is_hurt {
            self.hurt
                .push(format!("{site} has users, and {host} lost {ids:?}"));
        }
        self.remove(host, ids);
    }

    fn remove(&mut self, host: &HostName, ids: &[ContainerId]) {
        engine::remove(self.engines.get_mut(host).unwrap(), ids);
    }

    fn prepare(
        &mut self,
        site: &SiteName,
        host: &HostName,
        preparation: &Preparation,
    ) -> EngineOutcome {
        if self.faults.proofs > 0 {
            self.faults.proofs -= 1;
            return EngineOutcome::Prepared {
                containers: Vec::new(),
                is_proof: true,
            };
        }
        let declared = self.fleet.sites[site].host(host).unwrap();
        let serial = &mut self.serial;
        let mint = || {
            *serial += 1;
            format!("{host}-{serial}").parse().unwrap()
        };
        let of = (&self.fleet.name, site, declared);
        let containers = self.engines.get_mut(host).unwrap();
        engine::make(containers, of, preparation, mint)
    }
}
