//! What each host of the site does beside the site's stage: it is looked at, its images are
//! pulled, its new containers are made.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Turn;
use crate::coordinator::effect::Made;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{HostWork, Stage, Visit};
use crate::model::id::{ContainerId, HostName, ProjectName};
use crate::model::inventory::{Container, ContainerState, Inventory, Role};
use crate::model::playbook::Strays;

impl Visit {
    pub(crate) fn host_looked(
        &mut self,
        turn: &mut Turn<'_>,
        host: &HostName,
        inventory: &Arc<Inventory>,
    ) {
        self.count_scale(inventory);
        let (token, inventory) = (turn.mint(), Arc::clone(inventory));
        self.set(host, HostWork::Pulling { token, inventory });
    }

    pub(crate) fn host_pulled(&mut self, turn: &mut Turn<'_>, host: &HostName) {
        if let Some(inventory) = self.inventory_of(host) {
            let token = turn.mint();
            self.set(host, HostWork::Preparing { token, inventory });
        }
    }

    pub(crate) fn host_prepared(
        &mut self,
        turn: &mut Turn<'_>,
        host: &HostName,
        made: &[Made],
        is_proof: bool,
    ) {
        if let Some(inventory) = self.inventory_of(host) {
            let made = made.to_vec();
            self.set(
                host,
                HostWork::Prepared {
                    inventory,
                    made,
                    is_proof,
                },
            );
        }
        self.discard_late(turn, host);
    }

    pub(crate) fn host_unready(
        &mut self,
        turn: &mut Turn<'_>,
        host: &HostName,
        problems: &[Problem],
    ) {
        let (inventory, problems) = (self.inventory_of(host), problems.to_vec());
        self.set(
            host,
            HostWork::Unready {
                inventory,
                problems,
            },
        );
        self.discard_late(turn, host);
    }

    /// Nothing that was made and never started stays behind. What a host is still making goes
    /// when it is made.
    pub(super) fn discard_all(&mut self, turn: &mut Turn<'_>) {
        let making = |work: &HostWork| matches!(work, HostWork::Preparing { .. });
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        for host in hosts {
            if !self.hosts.get(&host).is_some_and(making) {
                self.discard_late(turn, &host);
            }
        }
    }

    fn discard_late(&mut self, turn: &mut Turn<'_>, host: &HostName) {
        let Stage::Discarding { hosts, .. } = &mut self.stage else {
            return;
        };
        let Some(work) = self.hosts.insert(host.clone(), HostWork::None) else {
            return;
        };
        let containers = never_started(&work);
        if !containers.is_empty() {
            hosts.insert(host.clone(), (turn.mint(), containers));
        }
    }

    /// The scale as found: what ran before anything was stopped.
    fn count_scale(&mut self, inventory: &Inventory) {
        if self.recreate_since.is_some() {
            return;
        }
        let goes = |container: &&Container| container.role != Role::Kept && container.is_running();
        for container in inventory.containers.iter().filter(goes) {
            let service = format!("{}/{}", container.project, container.service);
            *self.scale_from.entry(service).or_insert(0) += 1;
        }
    }

    fn inventory_of(&self, host: &HostName) -> Option<Arc<Inventory>> {
        self.hosts.get(host).and_then(HostWork::inventory).cloned()
    }

    fn set(&mut self, host: &HostName, work: HostWork) {
        self.hosts.insert(host.clone(), work);
    }
}

/// What a visit removes from one host, of one level of projects: all but kept services, strays by
/// the playbook, and what it has just made.
pub(super) fn leaving(
    inventory: &Inventory,
    made: &[Made],
    strays: Strays,
    projects: Option<&BTreeSet<ProjectName>>,
) -> Vec<ContainerId> {
    let goes = |container: &&Container| {
        let by_role = match container.role {
            Role::Recreated => true,
            Role::Stray => strays == Strays::Remove,
            Role::Kept => false,
        };
        by_role
            && !made.iter().any(|made| made.id == container.id)
            && projects.is_none_or(|projects| projects.contains(&container.project))
    };
    let leaving = inventory.containers.iter().filter(goes);
    leaving.map(|container| container.id.clone()).collect()
}

/// What was made on a host and never started: by this visit, or by an earlier life of it.
fn never_started(work: &HostWork) -> Vec<ContainerId> {
    let was_left = |container: &&Container| {
        container.mark.is_some() && container.state == ContainerState::Created
    };
    let made = work.made().iter().map(|made| &made.id);
    let found = work
        .inventory()
        .into_iter()
        .flat_map(|inventory| &inventory.containers);
    let left = found.filter(was_left).map(|container| &container.id);
    let all: BTreeSet<ContainerId> = made.chain(left).cloned().collect();
    all.into_iter().collect()
}
