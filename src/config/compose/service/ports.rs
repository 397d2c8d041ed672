//! `ports` and `expose`.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use super::draft::Draft;
use crate::config::compose::document::node::{Kind, Node};
use crate::config::compose::document::reader::{Reader, Value};
use crate::model::id::ServiceName;
use crate::model::service::{Port, Protocol, PublishedPort, Service};

const SHORT_FORM: &str = "the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as \"8080:80\"";
const PROTOCOLS: [(&str, Protocol); 3] = [
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("sctp", Protocol::Sctp),
];

/// The published ports of a service, ranges written out, each with its place.
pub(crate) fn read_ports(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<(Port, Range<usize>)> {
    let mut ports = Vec::new();
    for item in reader.list(value) {
        let read = match item.node.kind {
            Kind::Map(_) => read_long(reader, item).into_iter().collect(),
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => read_short(reader, item),
        };
        ports.extend(read.into_iter().map(|port| (port, item.node.span.clone())));
        if ports.len() > PORTS_MAX {
            reader.error(
                &item.node.span,
                format!("more than {PORTS_MAX} ports are published"),
            );
            break;
        }
    }
    ports
}

/// As many as there are.
const PORTS_MAX: usize = 65_535;

/// Two containers of one host cannot have the same port of it: such a file would fail at the
/// start, when its site is out of DNS already.
pub(crate) fn check_published(reader: &mut Reader<'_>, drafts: &[Draft]) {
    type Takers<'d> = Vec<(Option<IpAddr>, &'d ServiceName)>;
    let mut taken: BTreeMap<(Protocol, u16), Takers<'_>> = BTreeMap::new();
    for draft in drafts {
        let Service { name, replicas, .. } = &draft.service;
        for (port, span) in &draft.ports {
            let host = match port.published {
                None => continue,
                Some(PublishedPort::Fixed(host)) => host,
                Some(PublishedPort::Range(first, last)) => {
                    check_room(reader, span, u32::from(last - first) + 1, *replicas);
                    continue;
                }
            };
            check_room(reader, span, 1, *replicas);
            let others = taken.entry((port.protocol, host)).or_default();
            match others.iter().find(|(ip, _)| overlap(*ip, port.host_ip)) {
                Some((_, other)) => {
                    reader.error(
                        span,
                        format!("{other} publishes port {host} of the host too"),
                    );
                }
                None => others.push((port.host_ip, name)),
            }
        }
    }
}

fn check_room(reader: &mut Reader<'_>, span: &Range<usize>, ports: u32, replicas: u32) {
    if ports < replicas {
        let message = format!("{replicas} replicas cannot publish {ports} port of the host");
        let hint = "publish a range, such as \"8000-8009:80\", or let the engine pick: \"80\"";
        reader.error_with_hint(span, message, hint);
    }
}

fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (None, _) | (_, None) => true,
        (Some(one), Some(other)) => {
            let covers = one.is_unspecified() || other.is_unspecified();
            one == other || (covers && one.is_ipv4() == other.is_ipv4())
        }
    }
}

/// The ports of `expose`, ranges written out.
pub(crate) fn read_expose(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<(u16, Protocol)> {
    let mut exposed = Vec::new();
    for item in reader.list(value) {
        let read = reader.parsed(
            item,
            "a port such as \"3000\" or \"8000-8005/udp\"",
            |text| {
                let (ports, protocol) = split_protocol(text).ok()?;
                let (first, last) = range(ports)?;
                Some((first..=last).map(move |port| (port, protocol)))
            },
        );
        exposed.extend(read.into_iter().flatten());
    }
    exposed
}

fn read_short(reader: &mut Reader<'_>, item: Value<'_>) -> Vec<Port> {
    let Some(text) = reader.text(item) else {
        return Vec::new();
    };
    match parse_short(&text) {
        Ok(ports) => ports,
        Err(why) => {
            let message = format!("{text:?} is no published port: {why}");
            reader.error_with_hint(&item.node.span, message, SHORT_FORM);
            Vec::new()
        }
    }
}

fn parse_short(text: &str) -> Result<Vec<Port>, &'static str> {
    let (addresses, protocol) = split_protocol(text)?;
    let (before, target) = match addresses.rsplit_once(':') {
        Some((before, target)) => (Some(before), target),
        None => (None, addresses),
    };
    let (host_ip, published) = match before {
        Some(before) => split_host(before)?,
        None => (None, None),
    };
    let (first, last) = range(target).ok_or("the container's port is no port from 1 to 65535")?;
    let port = |published, target| Port {
        host_ip,
        published,
        target,
        protocol,
    };
    let Some((host_first, host_last)) = published else {
        return Ok((first..=last).map(|target| port(None, target)).collect());
    };
    if first == last && host_first < host_last {
        return Ok(vec![port(
            Some(PublishedPort::Range(host_first, host_last)),
            first,
        )]);
    }
    if host_last - host_first != last - first {
        return Err("the ranges differ in length");
    }
    let pairs = (host_first..=host_last).zip(first..=last);
    Ok(pairs
        .map(|(host, target)| port(Some(PublishedPort::Fixed(host)), target))
        .collect())
}

type HostSide = (Option<IpAddr>, Option<(u16, u16)>);

/// `PORT`, `IP:PORT`, `IP:` and `[IPv6]:PORT`.
fn split_host(text: &str) -> Result<HostSide, &'static str> {
    let (ip, ports) = match text.rsplit_once(':') {
        Some((ip, ports)) => (Some(ip), ports),
        None if text.contains('.') => {
            return Err("a host address needs a port or a \":\" after it");
        }
        None => (None, text),
    };
    let host_ip = match ip {
        Some(ip) => Some(parse_ip(ip)?),
        None => None,
    };
    let published = match (ports, host_ip) {
        ("", Some(_)) => None,
        (ports, _) => Some(range(ports).ok_or("the host's port is no port from 1 to 65535")?),
    };
    Ok((host_ip, published))
}

fn parse_ip(text: &str) -> Result<IpAddr, &'static str> {
    let is_bracketed = text.starts_with('[') && text.ends_with(']');
    let ip: IpAddr = text
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| "the host's address is no IP address")?;
    if ip.is_ipv6() != is_bracketed {
        return Err("an IPv6 address stands in brackets, such as [::1]");
    }
    Ok(ip)
}

fn split_protocol(text: &str) -> Result<(&str, Protocol), &'static str> {
    let Some((ports, protocol)) = text.rsplit_once('/') else {
        return Ok((text, Protocol::Tcp));
    };
    let protocol = protocol.to_ascii_lowercase();
    let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
    known
        .map(|(_, protocol)| (ports, *protocol))
        .ok_or("the protocol is not tcp, udp or sctp")
}

/// `80` or `80-90`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

fn port(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| *port > 0 && is_digits)
}

/// What makes a published port the same as another one, in either form; `None`: it cannot be read.
pub(crate) fn identity(reader: &Reader<'_>, item: &Node) -> Option<String> {
    let value = Value {
        name: "ports",
        node: item,
    };
    if let Some(text) = reader.plain(value) {
        return Some(format!("{:?}", parse_short(&text).ok()?));
    }
    let Kind::Map(entries) = &item.kind else {
        return None;
    };
    let text = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        reader.plain(entry.value())
    };
    let host = text("host_ip")
        .map(|ip| format!("{ip}:"))
        .unwrap_or_default();
    let published = text("published").unwrap_or_default();
    let protocol = text("protocol").unwrap_or_else(|| "tcp".to_owned());
    let target = text("target")?;
    let short = match (host.as_str(), published.as_str()) {
        ("", "") => format!("{target}/{protocol}"),
        _ => format!("{host}{published}:{target}/{protocol}"),
    };
    Some(format!("{:?}", parse_short(&short).ok()?))
}

fn read_long(reader: &mut Reader<'_>, item: Value<'_>) -> Option<Port> {
    const PORT: &str = "a port from 1 to 65535";
    let mut fields = reader.fields(item);
    let target = fields.take("target");
    let published = fields.take_given("published").and_then(|value| {
        reader.parsed(value, "a port or a range of ports", |text| {
            // Compose writes "" where none is given.
            if text.is_empty() {
                Some(None)
            } else {
                range(text).map(Some)
            }
        })
    });
    let host_ip = fields.take_given("host_ip").and_then(|value| {
        reader.parsed(value, "an IP address", |text| text.parse::<IpAddr>().ok())
    });
    let protocol = fields
        .take_given("protocol")
        .and_then(|value| reader.word(value, &PROTOCOLS))
        .unwrap_or(Protocol::Tcp);
    // Without Swarm both publish on the host.
    if let Some(mode) = fields.take_given("mode") {
        reader.word(mode, &[("ingress", ()), ("host", ())]);
    }
    // For people, and for Swarm's proxies: they change nothing about a port.
    fields.text(reader, "name");
    fields.text(reader, "app_protocol");
    fields.finish(reader, &[]);
    let Some(target) = target else {
        reader.error(&item.node.span, "a published port needs a \"target\"");
        return None;
    };
    let target = reader.parsed(target, PORT, port)?;
    let published = published.flatten().map(|(first, last)| {
        if first == last {
            PublishedPort::Fixed(first)
        } else {
            PublishedPort::Range(first, last)
        }
    });
    Some(Port {
        host_ip,
        published,
        target,
        protocol,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::compose::fixture::{Fixture, assert_same, errors, service};

    fn ports(text: &str) -> Vec<String> {
        let shown = |port: &Port| {
            let ip = port.host_ip.map(|ip| format!("{ip} ")).unwrap_or_default();
            format!(
                "{ip}{:?} → {} {:?}",
                port.published, port.target, port.protocol
            )
        };
        service(&format!("ports: [\"{text}\"]"))
            .container
            .ports
            .iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn every_short_form_is_read() {
        let forms = [
            "80",
            "8080:80",
            "8080:53/udp",
            "127.0.0.1:8080:80",
            "127.0.0.1::80",
            "[::1]:8080:80",
            "${PORT}:80",
            "3000-3001",
            "8000-8002:80-82",
            "9000-9010:80",
        ];
        let shown: Vec<String> = forms
            .iter()
            .map(|form| format!("{form}: {}", ports(form).join(", ")))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        80: None → 80 Tcp
        8080:80: Some(Fixed(8080)) → 80 Tcp
        8080:53/udp: Some(Fixed(8080)) → 53 Udp
        127.0.0.1:8080:80: 127.0.0.1 Some(Fixed(8080)) → 80 Tcp
        127.0.0.1::80: 127.0.0.1 None → 80 Tcp
        [::1]:8080:80: ::1 Some(Fixed(8080)) → 80 Tcp
        ${PORT}:80: Some(Fixed(8080)) → 80 Tcp
        3000-3001: None → 3000 Tcp, None → 3001 Tcp
        8000-8002:80-82: Some(Fixed(8000)) → 80 Tcp, Some(Fixed(8001)) → 81 Tcp, Some(Fixed(8002)) → 82 Tcp
        9000-9010:80: Some(Range(9000, 9010)) → 80 Tcp
        ");
    }

    #[test]
    fn the_long_form_means_the_same() {
        assert_same(
            "ports: [\"127.0.0.1:8080:80/udp\", 22]",
            "ports:\n  - { target: 80, published: \"${PORT}\", host_ip: 127.0.0.1, protocol: udp, \
             mode: host }\n  - { target: 22, published: \"\", mode: ingress }",
        );
        assert_same(
            "ports: [\"8000-8009:80\"]",
            "ports: [{ target: 80, published: 8000-8009 }]",
        );
        assert_same(
            "expose: [3000, \"8000-8001/udp\"]",
            "expose: [3000, 8000/udp, 8001/udp]",
        );
    }

    #[test]
    fn what_is_no_port_is_refused() {
        insta::assert_snapshot!(
            errors(
                "ports:\n  - 8080:http\n  - 99999:80\n  - 0\n  - ::1:80:80\n  - 8000-8001:80-82\n  \
                 - 80/icmp\n  - 1.2.3.4:80\n  - { published: 80 }\n  - { target: 80, nmae: x }\n  \
                 - { target: 80, mode: hots }\nexpose: [80-, x]"
            ),
            @r#"
            5:9 "8080:http" is no published port: the container's port is no port from 1 to 65535
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            6:9 "99999:80" is no published port: the host's port is no port from 1 to 65535
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            7:9 "0" is no published port: the container's port is no port from 1 to 65535
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            8:9 "::1:80:80" is no published port: an IPv6 address stands in brackets, such as [::1]
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            9:9 "8000-8001:80-82" is no published port: the ranges differ in length
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            10:9 "80/icmp" is no published port: the protocol is not tcp, udp or sctp
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            11:9 "1.2.3.4:80" is no published port: a host address needs a port or a ":" after it
                = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
            12:9 a published port needs a "target"
            13:23 unknown key "nmae"
                = did you mean "name"?
            14:29 "mode" must be ingress or host, not "hots"
                = did you mean "host"?
            15:14 "expose" must be a port such as "3000" or "8000-8005/udp", not "80-"
            15:19 "expose" must be a port such as "3000" or "8000-8005/udp", not "x"
            "#
        );
    }

    #[test]
    fn one_port_on_different_addresses_or_protocols_is_no_conflict() {
        let source = "
services:
  a: { image: a, ports: [\"192.0.2.1:80:80\", \"[::1]:80:80\", \"0.0.0.0:81:81\", \"53:53\"] }
  b: { image: b, ports: [\"192.0.2.2:80:80\", \"[::2]:80:80\", \"[::]:81:81\", \"53:53/udp\"] }
  c: { image: c, ports: [\"8000-8002:80\", \"80\"], deploy: { replicas: 3 } }
";
        let project = Fixture::new().project(source);
        let ports = project
            .services
            .iter()
            .map(|service| service.container.ports.len());
        assert_eq!(ports.collect::<Vec<_>>(), [4, 4, 2]);
    }

    #[test]
    fn no_port_of_the_host_is_promised_twice() {
        let source = "
services:
  a: { image: a, ports: [\"80:80\", \"127.0.0.1:81:81\", \"[::1]:81:81\", \"53:53/udp\"] }
  b: { image: b, ports: [\"0.0.0.0:80:80\", \"0.0.0.0:81:81\", \"53:53/tcp\", \"80\"] }
  c: { image: c, ports: [\"82:80\", \"8000-8001:81\", \"83\"], deploy: { replicas: 3 } }
  d: { image: d, ports: [\"84:84\", \"84:84\"] }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        4:26 a publishes port 80 of the host too
        4:43 a publishes port 81 of the host too
        5:26 3 replicas cannot publish 1 port of the host
            = publish a range, such as "8000-8009:80", or let the engine pick: "80"
        5:35 3 replicas cannot publish 2 port of the host
            = publish a range, such as "8000-8009:80", or let the engine pick: "80"
        6:35 d publishes port 84 of the host too
        "#);
    }
}
