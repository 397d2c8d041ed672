//! What a container is to others: networks, names, links, shared volumes.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::id::ServiceName;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// The project's networks.
    #[default]
    Project,
    Host,
    None,
    Bridge,
    /// The network namespace of a container of that service.
    Service(ServiceName),
    /// The network namespace of a container of another project.
    Container(String),
}

/// A service's place on a network of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's key.
    pub network: String,
    pub aliases: Vec<String>,
    pub ipv4_address: Option<Ipv4Addr>,
    pub ipv6_address: Option<Ipv6Addr>,
    pub link_local_ips: Vec<IpAddr>,
    pub mac_address: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    /// The network with the highest one has the default gateway.
    pub gw_priority: Option<i64>,
}

/// Another service of the project, by a name that holds in this container only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub to: ServiceName,
    pub alias: String,
}

/// A container that somebody else made, by a name that holds in this one only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalLink {
    pub container: String,
    pub alias: String,
}

/// The mounts of another container, taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedVolumes {
    OfService {
        service: ServiceName,
        is_read_only: bool,
    },
    /// Of a container of another project, by its name.
    OfContainer {
        container: String,
        is_read_only: bool,
    },
}

/// How names are resolved; what is empty is the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}
