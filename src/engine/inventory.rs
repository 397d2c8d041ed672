//! `TakeInventory`: every container of the host's projects, and the highest epoch of the fleet.
use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{
    ContainerInspectResponse, ContainerState as WireState, ContainerStateStatusEnum,
    HealthStatusEnum,
};
use futures_util::future::join_all;

use super::adapter::Errand;
use super::fault::Fault;
use super::labels::{self, Labels};
use super::spec_hash;
use super::survey::Listed;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::{Epoch, ServiceName};
use crate::model::image::Digest;
use crate::model::inventory::{Container, ContainerState, Health, Inventory, Role};

impl Errand<'_> {
    pub(super) async fn take_inventory(&self) -> EngineOutcome {
        match self.inventory().await {
            Ok(inventory) => EngineOutcome::Inventory(inventory.into()),
            Err(problem) => EngineOutcome::Failed(problem),
        }
    }

    async fn inventory(&self) -> Result<Inventory, Problem> {
        let problem = |fault: Fault| self.client.problem("take the inventory", &fault);
        let listed = self.client.survey().await.map_err(problem)?;
        let networks = self.network_labels().await.map_err(problem)?;
        let highest_epoch = self.highest_epoch(&listed, &networks);
        let ours = listed
            .into_iter()
            .filter(|container| self.context.project(container.project()).is_some());
        let ours: Vec<Listed> = ours.collect();
        let digests = self.digests(&ours).await.map_err(problem)?;
        let looks = ours
            .iter()
            .map(|container| self.client.inspect(&container.id));
        let mut containers = Vec::new();
        for (container, look) in ours.iter().zip(join_all(looks).await) {
            // Gone since it was listed: then it is no part of the inventory.
            if let Some(seen) = look.map_err(problem)? {
                let digests = digests.get(&container.image_id);
                containers.push(self.container(container, &seen, digests)?);
            }
        }
        Ok(Inventory {
            containers,
            highest_epoch,
        })
    }

    /// The highest `cleanslate.epoch` of this fleet on these containers and networks.
    fn highest_epoch(&self, containers: &[Listed], networks: &[Labels]) -> Epoch {
        let of_containers = containers.iter().map(|container| &container.labels);
        let of_fleet = |all: &&Labels| {
            all.get(labels::FLEET).map(String::as_str) == Some(self.context.fleet.as_str())
        };
        of_containers
            .chain(networks)
            .filter(of_fleet)
            .filter_map(|all| all.get(labels::EPOCH)?.parse().ok())
            .max()
            .map_or(Epoch(0), Epoch)
    }

    async fn network_labels(&self) -> Result<Vec<Labels>, Fault> {
        let networks = self.networks().await?;
        Ok(networks
            .into_iter()
            .map(|network| network.labels.unwrap_or_default().into_iter().collect())
            .collect())
    }

    /// The digests of every image in use, each image asked once.
    async fn digests(&self, containers: &[Listed]) -> Result<BTreeMap<String, Vec<Digest>>, Fault> {
        let ids: BTreeSet<&String> = containers
            .iter()
            .map(|container| &container.image_id)
            .collect();
        let looks = ids.iter().map(|id| self.client.image(id));
        let mut digests = BTreeMap::new();
        for (id, image) in ids.iter().zip(join_all(looks).await) {
            // An image removed by force under a running container is known by no name any more.
            let names = image?
                .and_then(|image| image.repo_digests)
                .unwrap_or_default();
            let all: BTreeSet<Digest> = names.iter().filter_map(|name| digest_in(name)).collect();
            digests.insert((*id).clone(), all.into_iter().collect());
        }
        Ok(digests)
    }

    fn container(
        &self,
        listed: &Listed,
        seen: &ContainerInspectResponse,
        digests: Option<&Vec<Digest>>,
    ) -> Result<Container, Problem> {
        let service = service_name(listed);
        let role = self.role(listed);
        let spec = listed.labels.get(labels::SPEC).cloned();
        let mut all: Vec<Digest> = digests.cloned().unwrap_or_default();
        let image = seen
            .config
            .as_ref()
            .and_then(|config| config.image.as_deref());
        if let Some(pinned) = image.and_then(digest_in) {
            // The reference that it was created from, which the engine had resolved itself.
            all.retain(|digest| *digest != pinned);
            all.insert(0, pinned);
        }
        Ok(Container {
            id: listed.id.clone(),
            name: listed.name.clone(),
            project: self.project_name(listed)?,
            service,
            number: listed.label(labels::NUMBER).parse().unwrap_or(0),
            role,
            state: state(seen.state.as_ref()),
            digests: all,
            mark: labels::mark(&listed.labels),
            is_declared_spec: spec.as_ref().map(|spec| self.declares(listed, spec)),
            spec,
            restarts: seen
                .restart_count
                .and_then(|count| count.try_into().ok())
                .unwrap_or(0),
        })
    }

    fn project_name(&self, listed: &Listed) -> Result<crate::model::id::ProjectName, Problem> {
        let project = self.context.project(listed.project());
        project.map(|project| project.name.clone()).ok_or_else(|| {
            self.refuse(
                &format!("{} belongs to no declared project", listed.describe()),
                "report this: the inventory holds declared projects only",
            )
        })
    }

    /// A one-off container (`docker compose run`) is none of its service's own.
    pub(super) fn role(&self, listed: &Listed) -> Role {
        let service = self
            .context
            .service(listed.project(), listed.label(labels::SERVICE));
        match service {
            Some(_) if listed.label(labels::ONE_OFF).eq_ignore_ascii_case("true") => Role::Stray,
            Some(service) if service.is_kept() => Role::Kept,
            Some(_) => Role::Recreated,
            None => Role::Stray,
        }
    }

    fn declares(&self, listed: &Listed, spec: &str) -> bool {
        let project = self.context.project(listed.project());
        let service = self
            .context
            .service(listed.project(), listed.label(labels::SERVICE));
        match (project, service) {
            (Some(project), Some(service)) => {
                spec_hash::of_service(&self.context.spec_key, project, service) == spec
            }
            (Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// The digest in `NAME@DIGEST`.
pub(super) fn digest_in(name: &str) -> Option<Digest> {
    name.split_once('@')?.1.parse().ok()
}

/// The state of a container as the engine tells it.
pub(super) fn state(seen: Option<&WireState>) -> ContainerState {
    let Some(seen) = seen else {
        return ContainerState::Dead;
    };
    use ContainerStateStatusEnum as Status;
    match seen.status {
        Some(Status::CREATED) => ContainerState::Created,
        Some(Status::RUNNING | Status::STOPPING) => ContainerState::Running {
            health: health(seen),
            since: seen.started_at.as_deref().and_then(timestamp),
        },
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::EXITED) => ContainerState::Exited {
            code: seen.exit_code.unwrap_or(-1),
            oom_killed: seen.oom_killed.unwrap_or(false),
        },
        Some(Status::DEAD | Status::REMOVING | Status::EMPTY) | None => ContainerState::Dead,
    }
}

fn health(seen: &WireState) -> Health {
    match seen.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::None,
    }
}

/// The engine's "never" is the year 1.
fn timestamp(text: &str) -> Option<jiff::Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at > jiff::Timestamp::UNIX_EPOCH).then_some(at)
}

/// The label; where a stray has none that is a name, the container's own name as far as it is one.
pub(super) fn service_name(listed: &Listed) -> ServiceName {
    let usable = |text: &str| -> String {
        let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.chars().filter(good).take(63).collect()
    };
    listed
        .label(labels::SERVICE)
        .parse()
        .or_else(|_| usable(&listed.name).parse())
        .unwrap_or_else(|_| "unnamed".parse().expect("a service name"))
}
