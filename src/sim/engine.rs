//! What an engine does with what it is asked, on a list of its containers.
use crate::coordinator::effect::{Made, Preparation};
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::fleet::Host;
use crate::model::id::{ContainerId, FleetName, SiteName};
use crate::model::image::Digest;
use crate::model::inventory::{Container, ContainerState, Health, Inventory, Mark, Role};
use crate::model::service::{Keep, Project, Service};

/// Running and green, since nobody knows when.
pub(crate) const HEALTHY: ContainerState = ContainerState::Running {
    health: Health::Healthy,
    since: None,
};

/// Every service that the host is to run, with its project.
pub(crate) fn services(host: &Host) -> Vec<(&Project, &Service)> {
    let projects = host.projects.iter();
    projects
        .flat_map(|project| project.services.iter().map(move |s| (project, s)))
        .collect()
}

/// What becomes of the containers of a service in a visit.
pub(crate) fn role(service: &Service) -> Role {
    match service.keep {
        Keep::Yes => Role::Kept,
        Keep::No | Keep::Lifted => Role::Recreated,
    }
}

/// A healthy container of a declared service.
pub(crate) fn container(
    id: ContainerId,
    project: &Project,
    service: &Service,
    number: u32,
    digest: Digest,
) -> Container {
    Container {
        id,
        name: service.container_name(&project.name, number),
        project: project.name.clone(),
        service: service.name.clone(),
        number,
        role: role(service),
        state: HEALTHY,
        digests: vec![digest],
        is_declared_spec: None,
        spec: None,
        mark: None,
        restarts: 0,
    }
}

pub(crate) fn inventory(containers: &[Container]) -> Inventory {
    let marks = containers
        .iter()
        .filter_map(|container| container.mark.as_ref());
    Inventory {
        highest_epoch: marks.map(|mark| mark.epoch).max().unwrap_or_default(),
        containers: containers.to_vec(),
    }
}

/// Those already gone are no matter.
pub(crate) fn remove(containers: &mut Vec<Container>, ids: &[ContainerId]) {
    containers.retain(|container| !ids.contains(&container.id));
}

/// Creates the containers of every service that is not kept. `mint` gives each its id.
pub(crate) fn make(
    containers: &mut Vec<Container>,
    (fleet, site, host): (&FleetName, &SiteName, &Host),
    preparation: &Preparation,
    mut mint: impl FnMut() -> ContainerId,
) -> EngineOutcome {
    let mut made = Vec::new();
    for (project, service) in services(host) {
        if service.is_kept() {
            continue;
        }
        let Some(pin) = preparation.pins.get(&service.image) else {
            let what = format!("{}: {} has no pin", host.name, service.image);
            return EngineOutcome::Unready(vec![fault(what)]);
        };
        for number in 1..=service.replicas {
            let mut new = container(mint(), project, service, number, pin.clone());
            new.state = ContainerState::Created;
            new.is_declared_spec = Some(true);
            new.mark = Some(Mark {
                epoch: preparation.epoch,
                hold: preparation.hold.clone(),
                fleet: fleet.clone(),
                site: site.clone(),
            });
            made.push(Made {
                id: new.id.clone(),
                project: new.project.clone(),
                service: new.service.clone(),
                number,
                name: new.name.clone(),
            });
            containers.push(new);
        }
    }
    EngineOutcome::Prepared {
        containers: made,
        is_proof: false,
    }
}

/// A name that is taken, or a container that is gone, starts nothing.
pub(crate) fn start(containers: &mut [Container], host: &Host, made: &[Made]) -> EngineOutcome {
    for made in made {
        let is_taken = containers
            .iter()
            .any(|other| other.name == made.name && other.id != made.id && other.is_running());
        let Some(new) = containers.iter_mut().find(|c| c.id == made.id && !is_taken) else {
            let problem = fault(format!("{}: {} cannot start", host.name, made.name));
            return EngineOutcome::NotStarted {
                problem,
                hooks: Vec::new(),
            };
        };
        new.state = HEALTHY;
    }
    EngineOutcome::Started { hooks: Vec::new() }
}

/// What an engine never says that is asked by a sound machine.
fn fault(what: String) -> Problem {
    Problem {
        what,
        cure: "report this as a fault of cleanslate".to_owned(),
        is_transient: false,
    }
}
