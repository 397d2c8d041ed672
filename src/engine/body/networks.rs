//! Where a container stands on networks, and which of its ports are published.
use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig, PortBinding};

use super::{Place, some, text_map};
use crate::model::service::{Attachment, ContainerSpec, Port, Protocol, PublishedPort};

/// What a container is called on a network, and whom it knows there.
pub(in crate::engine) struct Names<'a> {
    /// Its service and its own name, which the engine cannot know while it carries a temporary one.
    pub(in crate::engine) own: [&'a str; 2],
    /// `NAME:ALIAS`: others, by names that hold for it alone.
    pub(in crate::engine) links: &'a [String],
    /// Where the network says none.
    pub(in crate::engine) mac_address: Option<&'a str>,
}

/// A container's endpoint on a network.
pub(in crate::engine) fn endpoint(attachment: &Attachment, names: &Names<'_>) -> EndpointSettings {
    let own = names.own.into_iter().map(str::to_owned);
    let mac_address = attachment.mac_address.as_deref().or(names.mac_address);
    EndpointSettings {
        aliases: Some(own.chain(attachment.aliases.iter().cloned()).collect()),
        links: some(names.links.to_vec()),
        ipam_config: addresses(attachment),
        mac_address: mac_address.map(str::to_owned),
        driver_opts: text_map(&attachment.driver_opts),
        gw_priority: attachment.gw_priority,
        ..EndpointSettings::default()
    }
}

fn addresses(attachment: &Attachment) -> Option<EndpointIpamConfig> {
    let given = EndpointIpamConfig {
        ipv4_address: attachment.ipv4_address.map(|ip| ip.to_string()),
        ipv6_address: attachment.ipv6_address.map(|ip| ip.to_string()),
        link_local_ips: some(
            attachment
                .link_local_ips
                .iter()
                .map(IpAddr::to_string)
                .collect(),
        ),
    };
    (given != EndpointIpamConfig::default()).then_some(given)
}

pub(super) fn network(place: Place) -> (String, Option<NetworkingConfig>) {
    match place {
        Place::Mode(mode) => (mode, None),
        Place::Network { id, endpoint } => {
            let config = NetworkingConfig {
                endpoints_config: Some([(id.clone(), *endpoint)].into_iter().collect()),
            };
            (id, Some(config))
        }
    }
}

pub(super) fn exposed_ports(spec: &ContainerSpec) -> Vec<String> {
    let published = spec.ports.iter().map(|port| (port.target, port.protocol));
    let mut all: Vec<String> = published
        .chain(spec.expose.iter().copied())
        .map(|(port, protocol)| port_key(port, protocol))
        .collect();
    all.sort();
    all.dedup();
    all
}

pub(super) fn port_bindings(spec: &ContainerSpec) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut all: BTreeMap<String, Option<Vec<PortBinding>>> = BTreeMap::new();
    for port in &spec.ports {
        let key = port_key(port.target, port.protocol);
        all.entry(key)
            .or_default()
            .get_or_insert_default()
            .push(port_binding(port));
    }
    all
}

fn port_binding(port: &Port) -> PortBinding {
    PortBinding {
        host_ip: port.host_ip.as_ref().map(IpAddr::to_string),
        host_port: Some(match port.published {
            None => String::new(),
            Some(PublishedPort::Fixed(port)) => port.to_string(),
            Some(PublishedPort::Range(first, last)) => format!("{first}-{last}"),
        }),
    }
}

/// `80/tcp`.
fn port_key(port: u16, protocol: Protocol) -> String {
    format!("{port}/{}", protocol_name(protocol))
}

/// As the engine writes it.
pub(in crate::engine) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
