//! One look at all containers of an engine, in our own words.
use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum, PortSummary, PortSummaryTypeEnum,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use jiff::Timestamp;

use super::client::{ASK, Client};
use super::fault::Fault;
use super::labels::{self, Labels};
use crate::model::id::ContainerId;
use crate::model::service::Protocol;

/// A container as the engine lists it, of whichever project.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) image_id: String,
    pub(super) stage: Stage,
    /// By the engine's clock.
    pub(super) created: Option<Timestamp>,
    pub(super) ports: Vec<HeldPort>,
    pub(super) volumes: Vec<HeldVolume>,
    /// Name and, where the container ever ran on it, id.
    pub(super) networks: BTreeMap<String, String>,
    pub(super) network_mode: String,
}

/// How far a listed container's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Created,
    /// Its processes exist; paused and restarting ones too.
    Running,
    Ended,
}

/// A host port that a running container holds. `ip`: `None` on every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldPort {
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldVolume {
    pub(super) name: String,
    pub(super) is_writable: bool,
}

impl Client {
    /// Every container of the engine, running or not.
    pub(super) async fn survey(&self) -> Result<Vec<Listed>, Fault> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let summaries = self
            .ask(ASK, self.docker.list_containers(Some(options)))
            .await?;
        summaries.into_iter().map(listed).collect()
    }
}

impl Listed {
    /// The value of a label, empty where there is none.
    pub(super) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map(String::as_str).unwrap_or_default()
    }

    /// Its Compose project, empty where there is none.
    pub(super) fn project(&self) -> &str {
        self.label(labels::PROJECT)
    }

    /// Whether it hangs on the network, connected or not.
    pub(super) fn is_on(&self, network: &str, network_id: &str) -> bool {
        self.network_mode == network_id
            || self
                .networks
                .iter()
                .any(|(name, id)| id == network_id || (id.is_empty() && name == network))
    }

    /// `container NAME (ID) of project P`, for people.
    pub(super) fn describe(&self) -> String {
        let whose = match self.project() {
            "" => "of no project".to_owned(),
            project => format!("of project {project}"),
        };
        format!("container {} ({}) {whose}", self.name, self.id.short())
    }
}

fn listed(summary: ContainerSummary) -> Result<Listed, Fault> {
    let id = summary.id.unwrap_or_default();
    let id = id.parse().map_err(|error| Fault::Cut {
        why: format!("a listed container has the id {id:?}: {error}"),
    })?;
    let name = summary.names.unwrap_or_default().into_iter().next();
    let networks = summary.network_settings.and_then(|all| all.networks);
    let one_network = |(name, endpoint): (String, bollard::models::EndpointSettings)| {
        (name, endpoint.network_id.unwrap_or_default())
    };
    Ok(Listed {
        id,
        name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        image_id: summary.image_id.unwrap_or_default(),
        stage: stage(summary.state),
        created: summary
            .created
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        ports: summary
            .ports
            .unwrap_or_default()
            .iter()
            .filter_map(held_port)
            .collect(),
        volumes: summary
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter(|mount| mount.typ.as_deref() == Some("volume"))
            .map(|mount| HeldVolume {
                name: mount.name.unwrap_or_default(),
                is_writable: mount.rw.unwrap_or(true),
            })
            .collect(),
        networks: networks
            .unwrap_or_default()
            .into_iter()
            .map(one_network)
            .collect(),
        network_mode: summary
            .host_config
            .and_then(|config| config.network_mode)
            .unwrap_or_default(),
    })
}

fn stage(state: Option<ContainerSummaryStateEnum>) -> Stage {
    use ContainerSummaryStateEnum as State;
    match state {
        Some(State::CREATED) => Stage::Created,
        Some(State::RUNNING | State::PAUSED | State::RESTARTING | State::STOPPING) => {
            Stage::Running
        }
        Some(State::EXITED | State::REMOVING | State::DEAD | State::EMPTY) | None => Stage::Ended,
    }
}

fn held_port(port: &PortSummary) -> Option<HeldPort> {
    let ip = port.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    Some(HeldPort {
        ip: ip.filter(|ip| !ip.is_unspecified()),
        port: port.public_port.filter(|port| *port > 0)?,
        protocol: match port.typ {
            Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
            Some(PortSummaryTypeEnum::SCTP) => Protocol::Sctp,
            Some(PortSummaryTypeEnum::TCP | PortSummaryTypeEnum::EMPTY) | None => Protocol::Tcp,
        },
    })
}
