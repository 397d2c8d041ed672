//! What runs on a host beside what is declared there.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::changes::decides_what_runs;
use super::finding::{Difference, Finding};
use crate::model::evidence::{Evidence, PathChange};
use crate::model::fleet::Host;
use crate::model::id::{Epoch, RotationId};
use crate::model::image::{Digest, Pins};
use crate::model::inventory::{Container, ContainerState, Health, Inventory, Role};
use crate::model::service::{Project, Service};

/// So many changed programs of a container are listed.
const PROGRAMS_MAX: usize = 50;

/// What is known of a site beside what runs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What its tags, or its pin, name now. An image that nobody could be asked about is not in it.
    pub declared: Pins,
    /// `None`: no visit is remembered.
    pub last: Option<LastVisit>,
    /// What rotations pinned for it, by `PROJECT/SERVICE`.
    pub pinned: BTreeMap<RotationId, BTreeMap<String, BTreeSet<Digest>>>,
}

/// The last visit that recreated a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastVisit {
    pub rotation: RotationId,
    /// Containers of an older one were not made by it.
    pub epoch: Epoch,
    /// When it had recreated the site.
    pub at: Timestamp,
}

/// What is not as declared on a host: first what somebody must have done, then what went wrong by
/// itself. `evidence` is of the containers of the inventory, as far as they could be looked into.
pub fn compare(
    host: &Host,
    inventory: &Inventory,
    evidence: &[Evidence],
    known: &Known,
) -> Vec<Finding> {
    let services = host.projects.iter().flat_map(|project| {
        let services = project.services.iter();
        services.map(move |service| Declared { project, service })
    });
    let mut findings: Vec<Finding> = services
        .filter_map(|declared| declared.scale(inventory))
        .collect();
    for container in inventory.containers.iter().filter(|it| !is_left(it)) {
        let evidence = evidence.iter().find(|it| it.container == container.id);
        let look = Look {
            declared: Declared::of(host, container),
            container,
            evidence,
            known,
        };
        findings.extend(look.differences().into_iter().map(|difference| Finding {
            service: name_of(container),
            container: Some(container.name.clone()),
            difference,
        }));
    }
    findings.sort_by_cached_key(|finding| {
        let (service, container) = (finding.service.clone(), finding.container.clone());
        (finding.difference.rank(), service, container)
    });
    findings
}

/// The containers that nobody could look into: whether programs were changed in them is not known.
/// In one that was never started nothing has changed.
pub fn not_looked_into<'a>(inventory: &'a Inventory, evidence: &[Evidence]) -> Vec<&'a Container> {
    let is_seen = |container: &Container| {
        let mut evidence = evidence.iter();
        evidence.any(|it| it.container == container.id && it.changes_unread.is_none())
    };
    let containers = inventory.containers.iter();
    containers
        .filter(|it| it.state != ContainerState::Created && !is_seen(it))
        .collect()
}

/// Made by a visit that did not come to start it: it serves nothing, and the next visit removes it.
fn is_left(container: &Container) -> bool {
    container.state == ContainerState::Created && container.mark.is_some()
}

fn name_of(container: &Container) -> String {
    format!("{}/{}", container.project, container.service)
}

#[derive(Clone, Copy)]
struct Declared<'a> {
    project: &'a Project,
    service: &'a Service,
}

impl<'a> Declared<'a> {
    /// `None`: it is a stray.
    fn of(host: &'a Host, container: &Container) -> Option<Declared<'a>> {
        if container.role == Role::Stray {
            return None;
        }
        let mut projects = host.projects.iter();
        let project = projects.find(|project| project.name == container.project)?;
        let service = project.service(&container.service)?;
        Some(Declared { project, service })
    }

    /// Whether others of the project wait for its end.
    fn ends(self) -> bool {
        self.project.is_one_shot(&self.service.name)
    }

    fn is_up(self, container: &Container) -> bool {
        container.is_running() || self.has_ended_well(container)
    }

    fn has_ended_well(self, container: &Container) -> bool {
        let has_ended = matches!(container.state, ContainerState::Exited { code: 0, .. });
        has_ended && self.ends()
    }

    /// More or fewer of them than declared.
    fn scale(self, inventory: &Inventory) -> Option<Finding> {
        let (project, service) = (self.project, self.service);
        let running = inventory.containers.iter().filter(|container| {
            let is_its = container.project == project.name && container.service == service.name;
            is_its && container.role != Role::Stray && self.is_up(container)
        });
        let running = u32::try_from(running.count()).unwrap_or(u32::MAX);
        let declared = service.replicas;
        let difference = match running.cmp(&declared) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Less => Difference::Missing { running, declared },
            std::cmp::Ordering::Greater => Difference::Extra { running, declared },
        };
        Some(Finding {
            service: format!("{}/{}", project.name, service.name),
            container: None,
            difference,
        })
    }
}

/// One container, and all that is known of it.
struct Look<'a> {
    declared: Option<Declared<'a>>,
    container: &'a Container,
    evidence: Option<&'a Evidence>,
    known: &'a Known,
}

impl Look<'_> {
    fn differences(&self) -> Vec<Difference> {
        let Some(declared) = self.declared else {
            let programs = self.programs().into_iter();
            return programs.chain([Difference::Stray]).collect();
        };
        let container = self.container;
        let is_kept = container.role == Role::Kept;
        let mut all: Vec<Difference> = self.programs().into_iter().collect();
        all.extend(self.digest(declared));
        if container.mark.is_none() && !is_kept {
            all.push(Difference::ByHand);
        }
        if container.is_declared_spec == Some(false) {
            all.push(Difference::OtherSpec);
        }
        all.extend(self.older().filter(|_| !is_kept));
        if self.was_oom_killed() {
            all.push(Difference::OomKilled);
        }
        all.extend(self.state().filter(|_| !declared.has_ended_well(container)));
        if container.restarts > 0 {
            let times = container.restarts;
            all.push(Difference::Restarted { times });
        }
        all
    }

    fn programs(&self) -> Option<Difference> {
        let changes = &self.evidence?.changes;
        let deciding = changes.iter().filter(|change| decides_what_runs(change));
        let mut changes: Vec<PathChange> = deciding.cloned().collect();
        let more = changes.len().saturating_sub(PROGRAMS_MAX) as u64;
        changes.truncate(PROGRAMS_MAX);
        (!changes.is_empty()).then_some(Difference::Programs { changes, more })
    }

    fn made_by(&self) -> Option<&RotationId> {
        self.evidence?.made_by.as_ref()
    }

    /// What the visit that made it pinned is what it is to run; what its tag names by now, only
    /// where that visit is not known.
    fn digest(&self, declared: Declared<'_>) -> Option<Difference> {
        let container = self.container;
        let runs = |digest: &Digest| container.digests.contains(digest);
        let service = name_of(container);
        let pinned_by = |rotation: &RotationId| self.known.pinned.get(rotation)?.get(&service);
        let tag = self.known.declared.get(&declared.service.image);
        let running = container.digests.first();
        let behind = || {
            let (running, tag) = (running?.clone(), tag.filter(|tag| !runs(tag))?.clone());
            Some(Difference::Behind { running, tag })
        };
        let other = |pinned: &BTreeSet<Digest>| Difference::OtherDigest {
            running: running.cloned(),
            pinned: pinned.clone(),
        };
        if let Some(pinned) = self.made_by().and_then(pinned_by) {
            return match pinned.iter().any(runs) {
                true => behind(),
                false => Some(other(pinned)),
            };
        }
        if tag.is_some_and(runs) {
            return None;
        }
        let last = self.known.last.as_ref();
        let last = last.and_then(|last| pinned_by(&last.rotation));
        match (last, running) {
            _ if container.role == Role::Kept => behind(),
            (Some(pinned), _) if pinned.iter().any(runs) => behind(),
            (Some(pinned), _) if container.mark.is_none() => Some(other(pinned)),
            (_, None) => Some(other(&tag.into_iter().cloned().collect())),
            (_, Some(running)) => Some(Difference::UnknownVisit {
                running: running.clone(),
                made_by: self.made_by().cloned(),
            }),
        }
    }

    fn older(&self) -> Option<Difference> {
        let (mark, last) = (self.container.mark.as_ref()?, self.known.last.as_ref()?);
        let made_by = self.made_by().cloned();
        (mark.epoch < last.epoch).then_some(Difference::OlderVisit { made_by })
    }

    fn was_oom_killed(&self) -> bool {
        let ended = matches!(
            self.container.state,
            ContainerState::Exited {
                oom_killed: true,
                ..
            }
        );
        ended || self.evidence.is_some_and(|evidence| evidence.oom_killed)
    }

    fn state(&self) -> Option<Difference> {
        let down = |state: &str, exit_code| {
            let state = state.to_owned();
            Some(Difference::NotRunning { state, exit_code })
        };
        match &self.container.state {
            ContainerState::Running {
                health: Health::Unhealthy,
                ..
            } => Some(Difference::Unhealthy),
            // One that restarts is told by how often it did.
            ContainerState::Running { .. } | ContainerState::Restarting => None,
            ContainerState::Created => down("created", None),
            ContainerState::Paused => down("paused", None),
            ContainerState::Exited { code, .. } => down("exited", Some(*code)),
            ContainerState::Dead => down("dead", None),
        }
    }
}
