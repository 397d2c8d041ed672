//! What an engine was seen to hold of a site's projects.
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{ContainerId, Epoch, FleetName, Nonce, ProjectName, ServiceName, SiteName};
use super::image::Digest;

/// The containers of one host, in one look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Every container that carries the label of a project this host runs, running or not.
    pub containers: Vec<Container>,
    /// The highest `cleanslate.epoch` on any container or network of this fleet on the engine.
    pub highest_epoch: Epoch,
}

/// A container as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: ContainerId,
    pub name: String,
    pub project: ProjectName,
    pub service: ServiceName,
    /// Compose's container number.
    pub number: u32,
    /// What it is to the spec as declared.
    pub role: Role,
    pub state: ContainerState,
    /// Digests of the image it was made from, as the host knows them; empty where the image was
    /// built there or its name is gone.
    pub digests: Vec<Digest>,
    /// The labels of whoever made it; `None`: not made by cleanslate.
    pub mark: Option<Mark>,
    /// `cleanslate.spec`; `None` where not made by cleanslate.
    pub spec: Option<String>,
    /// Whether it was made from the spec as it stands; `None`: not made by cleanslate.
    pub is_declared_spec: Option<bool>,
    pub restarts: u64,
}

/// What a container is to the declared services of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Of a declared service that a visit recreates.
    Recreated,
    /// Of a kept service.
    Kept,
    /// Of our project label, but of no declared service.
    Stray,
}

/// The labels `cleanslate.epoch`, `.hold`, `.fleet` and `.site`: which hold made this container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub epoch: Epoch,
    /// The nonce of the marker that began this hold.
    pub hold: Nonce,
    pub fleet: FleetName,
    pub site: SiteName,
}

/// A container's state as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    Created,
    Running {
        health: Health,
        since: Option<Timestamp>,
    },
    Restarting,
    Paused,
    Exited {
        code: i64,
        oom_killed: bool,
    },
    /// Dead, or being removed.
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// No healthcheck.
    None,
    Starting,
    Healthy,
    Unhealthy,
}

impl Container {
    /// Whether it runs and its healthcheck, where it has one, is green.
    pub fn is_healthy(&self) -> bool {
        matches!(
            self.state,
            ContainerState::Running {
                health: Health::None | Health::Healthy,
                ..
            }
        )
    }

    /// Since when it runs, where it does and the engine tells.
    pub fn runs_since(&self) -> Option<Timestamp> {
        match self.state {
            ContainerState::Running { since, .. } => since,
            ContainerState::Created
            | ContainerState::Restarting
            | ContainerState::Paused
            | ContainerState::Exited { .. }
            | ContainerState::Dead => None,
        }
    }

    /// Whether it is running, whatever its health.
    pub fn is_running(&self) -> bool {
        matches!(
            self.state,
            ContainerState::Running { .. } | ContainerState::Restarting
        )
    }
}

impl Inventory {
    /// Running containers of each service, kept ones and strays too: the scale as found.
    pub fn scale(&self) -> BTreeMap<(ProjectName, ServiceName), u32> {
        let mut scale = BTreeMap::new();
        for container in self
            .containers
            .iter()
            .filter(|container| container.is_running())
        {
            let key = (container.project.clone(), container.service.clone());
            *scale.entry(key).or_insert(0) += 1;
        }
        scale
    }
}
