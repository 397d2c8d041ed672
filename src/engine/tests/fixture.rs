//! Small specs.
use std::collections::{BTreeMap, BTreeSet};

use crate::model::service::{ContainerSpec, Network, Project, Service};

/// A service with one container and nothing special.
pub(in crate::engine) fn service(name: &str, image: &str) -> Service {
    Service {
        name: name.parse().unwrap(),
        image: image.parse().unwrap(),
        follows_channel: false,
        keep: crate::model::service::Keep::No,
        replicas: 1,
        depends_on: BTreeMap::new(),
        container: ContainerSpec::default(),
    }
}

/// A network that nothing is said of.
pub(in crate::engine) fn bare_network(name: &str) -> Network {
    Network {
        name: name.to_owned(),
        ..Network::default()
    }
}

/// A project of these services, without networks and volumes.
pub(in crate::engine) fn project(name: &str, services: Vec<Service>) -> Project {
    Project {
        name: name.parse().unwrap(),
        after: BTreeSet::new(),
        services,
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        config_files: vec!["/srv/compose.yaml".into()],
        working_dir: "/srv".into(),
    }
}
