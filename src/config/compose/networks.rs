//! Networks: those of the file, and where a service stands on them.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::document::node::{Entry, Kind};
use super::document::reader::{Reader, Value};
use super::not_carried;
use super::resources::{EngineName, read_name};
use super::service::container::read_mac_address;
use crate::model::id::{ProjectName, ServiceName};
use crate::model::service::{Attachment, IpamConfig, Network, NetworkMode};

/// One network of the file.
pub(crate) fn read_network(
    reader: &mut Reader<'_>,
    entry: &Entry,
    project: &ProjectName,
) -> Option<Network> {
    let mut fields = reader.fields(entry.value());
    let name = read_name(reader, &mut fields, entry, project);
    let mut network = default_network(project);
    network.driver = fields.text(reader, "driver");
    network.driver_opts = fields.assignments(reader, "driver_opts");
    network.labels = fields.assignments(reader, "labels");
    network.is_internal = fields.flag(reader, "internal").unwrap_or_default();
    network.is_attachable = fields.flag(reader, "attachable").unwrap_or_default();
    network.enable_ipv6 = fields.flag(reader, "enable_ipv6").unwrap_or_default();
    network.enable_ipv4 = fields.flag(reader, "enable_ipv4");
    if let Some(ipam) = fields.take_given("ipam") {
        read_ipam(reader, ipam, &mut network);
    }
    fields.finish(reader, &[]);
    let EngineName { name, is_external } = name?;
    Some(Network {
        name,
        is_external,
        ..network
    })
}

fn read_ipam(reader: &mut Reader<'_>, value: Value<'_>, network: &mut Network) {
    let mut fields = reader.fields(value);
    network.ipam_driver = fields
        .text(reader, "driver")
        .filter(|driver| driver != "default");
    network.ipam_options = fields.assignments(reader, "options");
    let configs = fields
        .take_given("config")
        .map(|value| reader.list(value))
        .unwrap_or_default();
    fields.finish(reader, &[]);
    for config in configs {
        let mut fields = reader.fields(config);
        network.ipam.push(IpamConfig {
            subnet: fields.text(reader, "subnet"),
            gateway: fields.text(reader, "gateway"),
            ip_range: fields.text(reader, "ip_range"),
            aux_addresses: fields.assignments(reader, "aux_addresses"),
        });
        fields.finish(reader, &[]);
    }
}

/// `networks` of a service: a list of keys, or a map with what the service is there. A service
/// that names none stands on the project's default network.
pub(crate) fn read_attachments(
    reader: &mut Reader<'_>,
    value: Option<Value<'_>>,
    declared: &[&str],
) -> Vec<Attachment> {
    let mut attachments = Vec::new();
    if let Some(value) = value {
        match value.node.kind {
            Kind::Map(_) => {
                let mut ranked = Vec::new();
                for entry in reader.entries(value) {
                    check_declared(reader, &entry.key_span, &entry.key, declared);
                    ranked.push(read_attachment(reader, entry));
                }
                // The first is the one that it is created on.
                ranked.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
                attachments.extend(ranked.into_iter().map(|(_, attachment)| attachment));
            }
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => {
                for item in reader.list(value) {
                    let Some(key) = reader.text(item) else {
                        continue;
                    };
                    check_declared(reader, &item.node.span, &key, declared);
                    if attachments
                        .iter()
                        .any(|found: &Attachment| found.network == key)
                    {
                        reader.error(&item.node.span, format!("{key:?} is given twice"));
                    }
                    attachments.push(attachment(key));
                }
            }
        }
    }
    if attachments.is_empty() {
        attachments.push(attachment("default".to_owned()));
    }
    attachments
}

fn attachment(network: String) -> Attachment {
    Attachment {
        network,
        ..Attachment::default()
    }
}

/// With its priority: where it is higher, it comes earlier.
fn read_attachment(reader: &mut Reader<'_>, entry: &Entry) -> (i64, Attachment) {
    let mut fields = reader.fields(entry.value());
    let attachment = Attachment {
        network: entry.key.clone(),
        aliases: fields.texts(reader, "aliases"),
        ipv4_address: fields.parsed(reader, "ipv4_address", "an IPv4 address", |text| {
            text.parse::<Ipv4Addr>().ok()
        }),
        ipv6_address: fields.parsed(reader, "ipv6_address", "an IPv6 address", |text| {
            text.parse::<Ipv6Addr>().ok()
        }),
        link_local_ips: fields
            .take_given("link_local_ips")
            .map(|value| read_addresses(reader, value))
            .unwrap_or_default(),
        mac_address: read_mac_address(reader, &mut fields),
        driver_opts: fields.assignments(reader, "driver_opts"),
        gw_priority: fields.parsed(reader, "gw_priority", NUMBER, |text| text.parse().ok()),
    };
    let priority = fields.parsed(reader, "priority", NUMBER, |text| text.parse().ok());
    fields.finish(reader, not_carried::ATTACHMENT);
    (priority.unwrap_or_default(), attachment)
}

const NUMBER: &str = "a whole number";

fn read_addresses(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<IpAddr> {
    let items = reader.list(value);
    let address = |item| reader.parsed(item, "an IP address", |text| text.parse::<IpAddr>().ok());
    items.into_iter().filter_map(address).collect()
}

fn check_declared(
    reader: &mut Reader<'_>,
    span: &std::ops::Range<usize>,
    key: &str,
    declared: &[&str],
) {
    if key != "default" && !declared.contains(&key) {
        reader.unknown(
            span,
            format!("the network {key:?} is not declared"),
            key,
            declared.iter().copied(),
            &format!("declare it under the top-level `networks`: `{key}: {{}}`"),
        );
    }
}

/// `network_mode`; a service named in it is checked with the dependencies.
pub(crate) fn read_network_mode(reader: &mut Reader<'_>, value: Value<'_>) -> Option<NetworkMode> {
    let expected = "host, none, bridge, service:NAME or container:NAME; networks of the project \
                    are named under \"networks\"";
    reader.parsed(value, expected, |text| {
        if let Some(container) = text.strip_prefix("container:") {
            return (!container.is_empty()).then(|| NetworkMode::Container(container.to_owned()));
        }
        if let Some(service) = text.strip_prefix("service:") {
            return service
                .parse::<ServiceName>()
                .ok()
                .map(NetworkMode::Service);
        }
        match text {
            "host" => Some(NetworkMode::Host),
            "none" => Some(NetworkMode::None),
            "bridge" => Some(NetworkMode::Bridge),
            _ => None,
        }
    })
}

/// The network of services that name none.
pub(crate) fn default_network(project: &ProjectName) -> Network {
    Network {
        name: format!("{project}_default"),
        ..Network::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, assert_same, errors, service};
    use crate::model::service::NetworkMode;

    #[test]
    fn networks_are_named_and_made_as_compose_does() {
        let source = "
name: shop
services:
  web:
    image: web
    networks:
      front: { aliases: [www, \"${SITE}\"], ipv4_address: 10.1.0.5, ipv6_address: \"fd00::5\" }
      out:
  db: { image: db, networks: [back] }
  job: { image: job }
networks:
  front:
    driver: bridge
    driver_opts: { com.docker.network.bridge.name: br0, mtu: 1400 }
    labels: [team=edge, bare]
    internal: true
    attachable: true
    enable_ipv6: true
    ipam: { driver: default, config: [{ subnet: 10.1.0.0/24, gateway: 10.1.0.1, ip_range: 10.1.0.8/29 }] }
    x-note: fine
  back: { name: backbone }
  out: { external: true, name: \"shared-${SITE}\" }
  unused: {}
";
        let project = Fixture::new().project(source);
        let attached: Vec<_> = project
            .services
            .iter()
            .map(|s| &s.container.networks)
            .collect();
        insta::assert_debug_snapshot!((&project.networks, attached), @r#"
        (
            {
                "back": Network {
                    name: "backbone",
                    is_external: false,
                    driver: None,
                    driver_opts: {},
                    labels: {},
                    is_internal: false,
                    is_attachable: false,
                    enable_ipv6: false,
                    enable_ipv4: None,
                    ipam: [],
                    ipam_driver: None,
                    ipam_options: {},
                },
                "default": Network {
                    name: "shop_default",
                    is_external: false,
                    driver: None,
                    driver_opts: {},
                    labels: {},
                    is_internal: false,
                    is_attachable: false,
                    enable_ipv6: false,
                    enable_ipv4: None,
                    ipam: [],
                    ipam_driver: None,
                    ipam_options: {},
                },
                "front": Network {
                    name: "shop_front",
                    is_external: false,
                    driver: Some(
                        "bridge",
                    ),
                    driver_opts: {
                        "com.docker.network.bridge.name": "br0",
                        "mtu": "1400",
                    },
                    labels: {
                        "bare": "",
                        "team": "edge",
                    },
                    is_internal: true,
                    is_attachable: true,
                    enable_ipv6: true,
                    enable_ipv4: None,
                    ipam: [
                        IpamConfig {
                            subnet: Some(
                                "10.1.0.0/24",
                            ),
                            gateway: Some(
                                "10.1.0.1",
                            ),
                            ip_range: Some(
                                "10.1.0.8/29",
                            ),
                            aux_addresses: {},
                        },
                    ],
                    ipam_driver: None,
                    ipam_options: {},
                },
                "out": Network {
                    name: "shared-fra",
                    is_external: true,
                    driver: None,
                    driver_opts: {},
                    labels: {},
                    is_internal: false,
                    is_attachable: false,
                    enable_ipv6: false,
                    enable_ipv4: None,
                    ipam: [],
                    ipam_driver: None,
                    ipam_options: {},
                },
            },
            [
                [
                    Attachment {
                        network: "front",
                        aliases: [
                            "www",
                            "fra",
                        ],
                        ipv4_address: Some(
                            10.1.0.5,
                        ),
                        ipv6_address: Some(
                            fd00::5,
                        ),
                        link_local_ips: [],
                        mac_address: None,
                        driver_opts: {},
                        gw_priority: None,
                    },
                    Attachment {
                        network: "out",
                        aliases: [],
                        ipv4_address: None,
                        ipv6_address: None,
                        link_local_ips: [],
                        mac_address: None,
                        driver_opts: {},
                        gw_priority: None,
                    },
                ],
                [
                    Attachment {
                        network: "back",
                        aliases: [],
                        ipv4_address: None,
                        ipv6_address: None,
                        link_local_ips: [],
                        mac_address: None,
                        driver_opts: {},
                        gw_priority: None,
                    },
                ],
                [
                    Attachment {
                        network: "default",
                        aliases: [],
                        ipv4_address: None,
                        ipv6_address: None,
                        link_local_ips: [],
                        mac_address: None,
                        driver_opts: {},
                        gw_priority: None,
                    },
                ],
            ],
        )
        "#);
    }

    #[test]
    fn a_list_and_a_map_of_networks_mean_the_same() {
        assert_same(
            "networks: [back, default]",
            "networks: { back: , default: {} }",
        );
        assert_same("networks: [default]", "networks: []");
    }

    #[test]
    fn a_network_mode_stands_alone() {
        assert_eq!(
            service("network_mode: host").container.network_mode,
            NetworkMode::Host
        );
        let bridged = service("network_mode: bridge\nports: [\"80:80\"]").container;
        assert_eq!((bridged.networks.len(), bridged.ports.len()), (0, 1));
        insta::assert_snapshot!(errors("network_mode: host\nports: [\"80:80\"]\nnetworks: [back]"), @r#"
        4:19 "network_mode" does not go with "networks"
        4:19 "ports" cannot be published with this "network_mode"
            = remove "ports"
        "#);
        insta::assert_snapshot!(errors("network_mode: service:wbe"), @r#"
        4:19 the service "wbe" is not in this file
            = did you mean "web"?
        "#);
        insta::assert_snapshot!(errors("network_mode: back"), @r#"4:19 "network_mode" must be host, none, bridge, service:NAME or container:NAME; networks of the project are named under "networks", not "back""#);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        insta::assert_snapshot!(errors("networks: { bakc: { alias: [x], ipv4_address: x }, back: 5 }"), @r#"
        4:17 the network "bakc" is not declared
            = did you mean "back"?
        4:25 unknown key "alias"
        4:51 "ipv4_address" must be an IPv4 address, not "x"
        4:62 "back" must be a map, this is text
        "#);
        let source = "
services: { web: { image: web, networks: [a, b] } }
networks:
  a: { external: true, driver: bridge }
  b: { external: { name: old }, enable_ipv4: true }
  c: { ipam: { driver: special, config: [{ aux_addresses: {} }] }, intern: true }
  d/e: {}
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        4:3 "a" is external, nothing but its name can be said
        5:3 "b" is external, nothing but its name can be said
        5:18 "external" must be true or false
            = write `external: true` and `name: …`
        6:68 unknown key "intern"
            = did you mean "internal"?
        7:3 "d/e" is no name: use a-z, A-Z, 0-9, _, . and -
        "#);
    }
}
