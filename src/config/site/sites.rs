//! `[site.NAME]` and its hosts, short and long.
use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use super::engine_address::host_part;
use super::pin::PinTable;
use super::quiet::read_quiet;
use super::vars::Vars;
use crate::model::fleet::EngineAddress;
use crate::model::hours::QuietHours;
use crate::model::id::{Channel, HostName, ProjectName};

/// `[site.NAME]` as written.
#[derive(Clone, Debug)]
pub(crate) struct SiteTable {
    pub(crate) addresses: Vec<Spanned<IpAddr>>,
    pub(crate) channel: Option<Spanned<Channel>>,
    pub(crate) in_floor: bool,
    pub(crate) quiet: Option<QuietHours>,
    pub(crate) pin: Option<PinTable>,
    pub(crate) env_file: Option<Spanned<String>>,
    pub(crate) vars: Vars,
    pub(crate) hosts: Vec<HostTable>,
}

/// `[[site.NAME.host]]` as written, or an element of `hosts`.
#[derive(Clone, Debug)]
pub(crate) struct HostTable {
    pub(crate) name: Spanned<HostName>,
    pub(crate) engine: Spanned<EngineAddress>,
    /// `None`: every project.
    pub(crate) projects: Option<Vec<Spanned<ProjectName>>>,
    pub(crate) channel: Option<Spanned<Channel>>,
    pub(crate) vars: Vars,
    pub(crate) address: Option<Spanned<IpAddr>>,
}

impl<'a> FromToml<'a> for SiteTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<SiteTable> {
        let mut table = Table::from_toml(value, findings)?;
        let addresses: Option<Vec<Spanned<IpAddr>>> = table.optional("addresses", findings);
        let channel = table.optional("channel", findings);
        let in_floor = table.optional("in_floor", findings).unwrap_or(true);
        let quiet = read_quiet(&mut table, findings);
        let pin = table.optional("pin", findings);
        let env_file = table.optional("env_file", findings);
        let vars = table.optional("vars", findings).unwrap_or_default();
        let hosts = read_hosts(&mut table, findings);
        table.finish(findings);
        let addresses = addresses.unwrap_or_default();
        check_addresses(&addresses, findings);
        Some(SiteTable {
            addresses,
            channel,
            in_floor,
            quiet,
            pin,
            env_file,
            vars,
            hosts: hosts?,
        })
    }
}

impl<'a> FromToml<'a> for HostTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<HostTable> {
        let mut table = Table::from_toml(value, findings)?;
        let name = table.required("name", "\"nyc4\"", findings);
        let engine = table.required("engine", "\"tcp://10.2.0.4:2375\"", findings);
        let cure = "use unix:// with a forwarded socket, or tcp:// inside a private network";
        table.later("tls", cure, findings);
        let projects = table.optional("projects", findings);
        let channel = table.optional("channel", findings);
        let vars = table.optional("vars", findings).unwrap_or_default();
        let address = table.optional("address", findings);
        table.finish(findings);
        Some(HostTable {
            name: name?,
            engine: engine?,
            projects,
            channel,
            vars,
            address,
        })
    }
}

/// Addresses that DNS may carry. Loopback ones may be: a fleet can live on one machine.
pub(crate) fn check_addresses(addresses: &[Spanned<IpAddr>], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for written in addresses {
        let address = *written.get_ref();
        let why = match address {
            _ if address.is_unspecified() => Some("stands for no host"),
            _ if address.is_multicast() => Some("is a multicast address"),
            IpAddr::V4(v4) if v4.is_broadcast() => Some("is the broadcast address"),
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("is an IPv4 address in IPv6"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("holds on one link only"),
            IpAddr::V4(_) | IpAddr::V6(_) if !seen.insert(address) => Some("stands here twice"),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        };
        if let Some(why) = why {
            findings.error(written.span(), format!("{address} {why}"));
        }
    }
}

fn read_hosts(table: &mut Table<'_>, findings: &mut Findings) -> Option<Vec<HostTable>> {
    let (has_short, has_long) = (table.has("hosts"), table.has("host"));
    let long: Option<Vec<HostTable>> = table.optional("host", findings);
    let short: Option<Vec<Spanned<EngineAddress>>> = table.optional("hosts", findings);
    let hosts = match (has_short, has_long) {
        (true, true) => {
            let message = format!("{} has both hosts and [[…host]]", table.name);
            findings
                .error(table.span_of("hosts"), message)
                .hint("write every host in the long form");
            return None;
        }
        (true, false) => short_hosts(short?, findings)?,
        (false, _) => long.filter(|_| has_long).or((!has_long).then(Vec::new))?,
    };
    if hosts.is_empty() {
        let message = format!("{} has no host", table.name);
        let hint = "add hosts = [\"unix:///var/run/docker.sock\"], or \"tcp://10.0.0.1:2375\"";
        findings.error(table.span.clone(), message).hint(hint);
        return None;
    }
    check_names(&hosts, has_short, findings);
    Some(hosts)
}

fn short_hosts(
    engines: Vec<Spanned<EngineAddress>>,
    findings: &mut Findings,
) -> Option<Vec<HostTable>> {
    let host = |engine: Spanned<EngineAddress>, findings: &mut Findings| {
        let Ok(name) = host_part(engine.get_ref()).parse() else {
            findings
                .error(engine.span(), "an IPv6 address makes no host name")
                .hint(LONG_FORM);
            return None;
        };
        Some(HostTable {
            name: Spanned::new(engine.span(), name),
            engine,
            projects: None,
            channel: None,
            vars: Vars::default(),
            address: None,
        })
    };
    let hosts: Vec<_> = engines
        .into_iter()
        .map(|engine| host(engine, findings))
        .collect();
    hosts.into_iter().collect()
}

const LONG_FORM: &str = "name it in the long form: [[site.NAME.host]] with name and engine";

fn check_names(hosts: &[HostTable], is_short: bool, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for host in hosts {
        let name = host.name.get_ref();
        if !seen.insert(name) {
            let finding = findings.error(
                host.name.span(),
                format!("two hosts of the site are called {name}"),
            );
            if is_short {
                finding.hint(LONG_FORM);
            }
        }
    }
}
