//! The rules about what stands on an engine: whose it is, and whether it is what was planned.
use std::collections::BTreeSet;

use super::Refusal;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, Epoch, HostName, Nonce};
use crate::model::image::Pins;
use crate::model::inventory::{Container, ContainerState, Inventory, Mark, Role};
use crate::model::service::{Project, Service};

/// **fence**: nothing on the engine was made by a higher epoch, or by this epoch under another
/// hold.
///
/// # Errors
/// The container that shows a newer coordinator.
pub fn fence(
    inventory: &Inventory,
    epoch: Epoch,
    hold: &Nonce,
    host: &HostName,
) -> Result<(), Refusal> {
    let newer = |mark: &Mark| mark.epoch > epoch || (mark.epoch == epoch && mark.hold != *hold);
    let is_newer = |container: &&Container| container.mark.as_ref().is_some_and(newer);
    let why = match inventory.containers.iter().find(is_newer) {
        Some(container) => format!(
            "container {} on {host} was made by a newer coordinator (ours is epoch {epoch})",
            container.name
        ),
        None if inventory.highest_epoch > epoch => format!(
            "{host} carries labels of epoch {}, ours is {epoch}",
            inventory.highest_epoch
        ),
        None => return Ok(()),
    };
    Err(Refusal::new(
        "fence",
        why,
        "another coordinator works on this fleet: see `cleanslate status`; where none does, the \
         next rotation raises its epoch above every label",
    ))
}

/// What a verified host holds.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub pins: &'a Pins,
    pub epoch: Epoch,
    pub hold: &'a Nonce,
    /// A stop or removal may have been sent to these, and may still be carried out.
    pub condemned: &'a BTreeSet<ContainerId>,
    pub removes_strays: bool,
}

/// **own work** and the first half of verify: every container of the site's projects, kept ones
/// apart, is of our own epoch and hold, runs on its pinned digest, from the spec as declared, and
/// none of them is condemned; every service has its baseline scale; kept services run on theirs.
///
/// Returns every reason why not.
pub fn own_work(host: &Host, inventory: &Inventory, expected: &Expected<'_>) -> Vec<Problem> {
    let strangers = inventory.containers.iter().filter_map(|container| {
        let why = expected.not_ours(container)?;
        Some(problem(
            format!("{}: {} {why}", host.name, container.name),
            AGAIN,
        ))
    });
    let services = host.projects.iter().flat_map(|project| {
        project
            .services
            .iter()
            .map(move |service| (project, service))
    });
    let short = services.filter_map(|(project, service)| {
        let count = expected.good(project, service, inventory);
        if count == service.replicas as usize {
            return None;
        }
        let what = format!(
            "{}: {count} of {} containers of {}/{} are healthy, on the pinned digest and the \
             declared spec",
            host.name, service.replicas, project.name, service.name
        );
        Some(problem(
            what,
            if service.is_kept() { START_KEPT } else { AGAIN },
        ))
    });
    strangers.chain(short).collect()
}

const AGAIN: &str = "the containers are made again; if it stays, run `cleanslate rebuild SITE`";
const START_KEPT: &str = "a kept service must run: start it with `docker compose up -d`, or run \
                          `cleanslate rebuild SITE --kept`";

impl Expected<'_> {
    /// Why a container must not be there, if it must not.
    fn not_ours(&self, container: &Container) -> Option<String> {
        match container.role {
            Role::Kept => return None,
            Role::Stray if !self.removes_strays => return None,
            Role::Stray | Role::Recreated => {}
        }
        if self.condemned.contains(&container.id) && Guard::Condemned.stands() {
            return Some("may still be stopped by an earlier request".to_owned());
        }
        match &container.mark {
            _ if !Guard::OwnWork.stands() => None,
            None => Some("was there before".to_owned()),
            Some(mark) if mark.epoch != self.epoch || mark.hold != *self.hold => {
                Some(format!("was made by epoch {}", mark.epoch))
            }
            Some(_) if container.state == ContainerState::Created => {
                Some("was made and never started".to_owned())
            }
            Some(_) => None,
        }
    }

    /// How many containers of a service are as they should be.
    fn good(&self, project: &Project, service: &Service, inventory: &Inventory) -> usize {
        let is_one_shot = project.is_one_shot(&service.name);
        let is_good = |container: &&Container| {
            let has_ended_well =
                is_one_shot && matches!(container.state, ContainerState::Exited { code: 0, .. });
            let digest = self.pins.get(&service.image);
            let is_pinned = digest.is_some_and(|digest| container.digests.contains(digest));
            let is_declared = container.is_declared_spec != Some(false);
            let is_as_planned = service.is_kept() || (is_pinned && is_declared);
            (container.is_healthy() || has_ended_well) && is_as_planned
        };
        let of_service = inventory.containers.iter().filter(|container| {
            container.project == project.name && container.service == service.name
        });
        of_service.filter(is_good).count()
    }
}

fn problem(what: String, cure: &str) -> Problem {
    Problem {
        what,
        cure: cure.to_owned(),
        is_transient: true,
    }
}
