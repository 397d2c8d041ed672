//! An engine a host, with names, labels and slow answers.
use super::{BadImage, Later, World, digest, problem, trouble};
use crate::coordinator::effect::{EngineRequest, Made, Preparation};
use crate::coordinator::outcome::EngineOutcome;
use crate::model::evidence::Evidence;
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, HostName, SiteName};
use crate::model::image::Pins;
use crate::model::inventory::Container;
use crate::sim::engine::{self, container, services};
use crate::sim::invariants::{self, Removal};

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
                    let id = named(&format!("{host}-old-{}-{number}", service.name));
                    container(id, project, service, number, digest(1))
                })
            });
            let found = found.collect();
            self.engines.insert(host.name.clone(), found);
            self.copies
                .insert(host.name.clone(), [digest(1)].into_iter().collect());
        }
    }

    fn containers(&mut self, host: &HostName) -> &mut Vec<Container> {
        self.engines.entry(host.clone()).or_default()
    }

    /// `None`: nothing to tell yet.
    pub(super) fn engine(
        &mut self,
        site: &SiteName,
        host: &HostName,
        request: &EngineRequest,
    ) -> Option<EngineOutcome> {
        if self.faults.down.contains(host) {
            let what = format!("{host}: no route to the engine");
            let cure = "see that the engine answers: `cleanslate doctor`";
            return Some(EngineOutcome::Failed(trouble(&what, cure)));
        }
        if let Some(unheard) = self.unheard(site, host, request) {
            return Some(unheard);
        }
        Some(match request {
            EngineRequest::TakeInventory => {
                EngineOutcome::Inventory(engine::inventory(self.containers(host)).into())
            }
            EngineRequest::Pull { pins }
                if self.faults.unpulled.contains(site) && !self.has_copies(host, pins) =>
            {
                let what = format!("{host}: the registry does not answer");
                EngineOutcome::Failed(trouble(
                    &what,
                    "see that the registry answers, from that host too",
                ))
            }
            EngineRequest::Pull { pins } => {
                let copies = self.copies.entry(host.clone()).or_default();
                copies.extend(pins.values().cloned());
                EngineOutcome::Pulled { images: 1 }
            }
            EngineRequest::Prepare(_) if self.faults.disk_full.contains(site) => {
                let cure = "free space on that host: `docker system df`";
                EngineOutcome::Unready(vec![trouble("no space left on device", cure)])
            }
            EngineRequest::Prepare(_) if self.faults.unready.contains(site) => {
                let cure = "stop what holds it: `docker ps` on that host";
                EngineOutcome::Unready(vec![trouble("port 80 is held", cure)])
            }
            EngineRequest::Prepare(preparation) => self.prepare(site, host, preparation),
            EngineRequest::Discard { containers: ids } => {
                self.discard(site, host, ids);
                EngineOutcome::Discarded
            }
            EngineRequest::TakeEvidence { containers, .. } => {
                EngineOutcome::Evidence(self.evidence(host, containers))
            }
            EngineRequest::Clear {
                containers: ids, ..
            } => {
                self.clear(site, host, ids);
                let removed = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                EngineOutcome::Cleared {
                    removed,
                    hooks: Vec::new(),
                }
            }
            EngineRequest::Start { .. } if self.faults.unhealthy.contains(site) => {
                let cure = "see its log: `cleanslate report`";
                let problem = trouble("web exited with 1", cure);
                EngineOutcome::NotStarted {
                    problem,
                    hooks: Vec::new(),
                }
            }
            EngineRequest::Start { containers } if self.dies(host, containers) => {
                let cure = "see its log: `cleanslate report`";
                let problem = trouble("web of the new image exited with 1", cure);
                EngineOutcome::NotStarted {
                    problem,
                    hooks: Vec::new(),
                }
            }
            EngineRequest::Start { containers } => self.start_made(site, host, containers),
            EngineRequest::Watch { .. }
                if self.faults.crashing.contains(site)
                    || self.is_bad(site, BadImage::DiesLater) =>
            {
                self.ghosts.broke(site);
                let problem = trouble("web restarts", "see its log: `cleanslate report`");
                EngineOutcome::Breach { problem }
            }
            EngineRequest::Watch { containers } => {
                let there = self.containers(host);
                let runs = |id: &&ContainerId| {
                    let found = there.iter().find(|c| c.id == **id);
                    found.is_some_and(Container::is_running)
                };
                let gone = containers.iter().find(|id| !runs(id))?;
                self.ghosts.broke(site);
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

    /// Whether a host needs no registry for these.
    fn has_copies(&self, host: &HostName, pins: &Pins) -> bool {
        let copies = self.copies.get(host);
        let mut digests = pins.values();
        digests.all(|digest| copies.is_some_and(|copies| copies.contains(digest)))
    }

    fn evidence(&self, host: &HostName, asked: &[ContainerId]) -> Vec<Evidence> {
        let there = self.engines.get(host).into_iter().flatten();
        let asked = there.filter(|container| asked.contains(&container.id));
        let left = asked.map(|container| Evidence {
            container: container.id.clone(),
            name: container.name.clone(),
            project: container.project.clone(),
            service: container.service.clone(),
            made_by: None,
            state: String::new(),
            exit_code: None,
            error: None,
            health: Vec::new(),
            changes: Vec::new(),
            changes_left_out: 0,
            changes_unread: None,
            groups: Vec::new(),
            not_looked_at: 0,
            written: None,
            restarts: container.restarts,
            oom_killed: false,
            logs: String::new(),
        });
        left.collect()
    }

    /// Whether one of these is of an image that exits when it is started.
    fn dies(&self, host: &HostName, made: &[Made]) -> bool {
        let there = self.engines.get(host).into_iter().flatten();
        let mut started = there.filter(|c| made.iter().any(|made| made.id == c.id));
        started.any(|container| self.badness(container) == Some(BadImage::Dies))
    }

    /// Whether something runs at the site that is of an image that is bad in this way.
    pub(super) fn is_bad(&self, site: &SiteName, how: BadImage) -> bool {
        let hosts = self.hosts_of(site).into_iter();
        let mut there = hosts.filter_map(|host| self.engines.get(&host)).flatten();
        there.any(|container| container.is_running() && self.badness(container) == Some(how))
    }

    fn badness(&self, container: &Container) -> Option<BadImage> {
        let mut digests = container.digests.iter();
        digests.find_map(|digest| self.faults.bad_images.get(digest).copied())
    }

    /// A request whose caller gives up on it: it is carried out later.
    fn unheard(
        &mut self,
        site: &SiteName,
        host: &HostName,
        request: &EngineRequest,
    ) -> Option<EngineOutcome> {
        let silent = problem("the engine did not answer in time");
        let (after, outcome) = match request {
            EngineRequest::Clear { containers, .. } => {
                let left = containers.clone();
                let problem = silent;
                let after = self.faults.late_clears.pop_front()?;
                (
                    after,
                    EngineOutcome::Uncleared {
                        left,
                        problem,
                        hooks: Vec::new(),
                    },
                )
            }
            EngineRequest::Start { .. } => {
                let after = self.faults.late_requests.pop_front()?;
                (
                    after,
                    EngineOutcome::NotStarted {
                        problem: silent,
                        hooks: Vec::new(),
                    },
                )
            }
            EngineRequest::Prepare(_) | EngineRequest::Discard { .. } => {
                let after = self.faults.late_requests.pop_front()?;
                (after, EngineOutcome::Failed(silent))
            }
            EngineRequest::TakeInventory
            | EngineRequest::Pull { .. }
            | EngineRequest::TakeEvidence { .. }
            | EngineRequest::Watch { .. }
            | EngineRequest::Prune { .. } => return None,
        };
        let late = Later::Engine {
            site: site.clone(),
            host: host.clone(),
            request: request.clone(),
            by: self.ghosts.acting,
        };
        self.later.push((self.now + after, late));
        Some(outcome)
    }

    /// What nobody hears of any more is carried out all the same.
    pub(super) fn late_engine(
        &mut self,
        site: &SiteName,
        host: &HostName,
        request: &EngineRequest,
    ) {
        match request {
            EngineRequest::Clear { containers, .. } => self.clear(site, host, containers),
            EngineRequest::Discard { containers } => self.discard(site, host, containers),
            EngineRequest::Start { containers } => {
                self.start_made(site, host, containers);
            }
            EngineRequest::Prepare(preparation) => {
                self.prepare(site, host, preparation);
            }
            EngineRequest::TakeInventory
            | EngineRequest::Pull { .. }
            | EngineRequest::TakeEvidence { .. }
            | EngineRequest::Watch { .. }
            | EngineRequest::Prune { .. } => {}
        }
    }

    fn start_made(&mut self, site: &SiteName, host: &HostName, made: &[Made]) -> EngineOutcome {
        let there = self.containers(host);
        let runs = |id: &ContainerId| there.iter().any(|c| c.id == *id && c.is_running());
        // What runs already may be started once more: that changes nothing.
        let is_change = made.iter().any(|made| !runs(&made.id));
        let Some(declared) = declared(&self.fleet, site, host) else {
            return EngineOutcome::Failed(problem("no such host"));
        };
        let outcome = engine::start(
            self.engines.entry(host.clone()).or_default(),
            declared,
            made,
        );
        if let EngineOutcome::Started { .. } = outcome {
            let now = self.now;
            if is_change {
                self.ghosts.has_changed(site, now);
                self.ghosts.started.insert(site.clone(), now);
            }
            invariants::started(self, site, host);
        }
        outcome
    }

    /// Stops and removes, now.
    fn clear(&mut self, site: &SiteName, host: &HostName, ids: &[ContainerId]) {
        self.remove(site, host, ids, true);
    }

    fn discard(&mut self, site: &SiteName, host: &HostName, ids: &[ContainerId]) {
        self.remove(site, host, ids, false);
    }

    fn remove(&mut self, site: &SiteName, host: &HostName, ids: &[ContainerId], was_run: bool) {
        let there = self.containers(host);
        let gone = there.iter().filter(|container| ids.contains(&container.id));
        let gone: Vec<Container> = gone.cloned().collect();
        let ran = gone.iter().any(Container::is_running);
        invariants::removing(
            self,
            &Removal {
                site,
                host,
                gone: &gone,
                may_run: was_run,
            },
        );
        engine::remove(self.containers(host), ids);
        if ran {
            let now = self.now;
            self.ghosts.has_changed(site, now);
        }
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
        let Some(declared) = declared(&self.fleet, site, host) else {
            return EngineOutcome::Failed(problem("no such host"));
        };
        let serial = &mut self.serial;
        let mint = || {
            *serial += 1;
            named(&format!("{host}-{serial}"))
        };
        let of = (&self.fleet.name, site, declared);
        let containers = self.engines.entry(host.clone()).or_default();
        let outcome = engine::make(containers, of, preparation, mint);
        if self.faults.wrong_images > 0
            && let EngineOutcome::Prepared {
                containers: made, ..
            } = &outcome
        {
            self.faults.wrong_images -= 1;
            let is_made = |id: &ContainerId| made.iter().any(|made| made.id == *id);
            for container in containers.iter_mut().filter(|c| is_made(&c.id)) {
                container.digests = vec![digest(99)];
            }
        }
        outcome
    }
}

fn declared<'f>(
    fleet: &'f crate::model::fleet::Fleet,
    site: &SiteName,
    host: &HostName,
) -> Option<&'f Host> {
    fleet.sites.get(site)?.host(host)
}

fn named(name: &str) -> ContainerId {
    // Hosts are called after their addresses where nobody says otherwise.
    let id: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    id.parse().expect("letters, digits and hyphens make an id")
}

/// A request that changes something, for people.
pub(super) fn in_words(request: &EngineRequest) -> String {
    let counted = |count: usize| match count {
        1 => "1 container".to_owned(),
        _ => format!("{count} containers"),
    };
    match request {
        EngineRequest::Clear { containers, .. } => {
            format!("{} stopped and removed", counted(containers.len()))
        }
        EngineRequest::Discard { containers } => {
            format!("{} removed that never ran", counted(containers.len()))
        }
        EngineRequest::Start { containers } => format!("{} started", counted(containers.len())),
        EngineRequest::Prepare(_) => "containers made".to_owned(),
        EngineRequest::TakeInventory
        | EngineRequest::Pull { .. }
        | EngineRequest::TakeEvidence { .. }
        | EngineRequest::Watch { .. }
        | EngineRequest::Prune { .. } => "a look, or an image".to_owned(),
    }
}
