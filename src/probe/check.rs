//! A check: one probe at one address of a site, under one name.
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Fleet, Probe, ProbeTarget, Site};
use crate::model::rrset::RecordName;

/// One probe at one address. The connection always goes to `address`, whatever name is asked for.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// The record that was put in for `{record}`.
    pub(super) record: Option<RecordName>,
    pub(super) timeout: Duration,
    pub(super) passes: u32,
    pub(super) within: Duration,
    pub(super) ask: Ask,
}

/// What is asked once connected.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// That the connection is accepted is the answer.
    Tcp,
    Http(Box<HttpAsk>),
}

#[derive(Clone, Debug)]
pub(super) struct HttpAsk {
    /// Path and query.
    pub(super) path: String,
    /// Host header; without its port also the SNI.
    pub(super) host: String,
    pub(super) tls: Option<Authority>,
    pub(super) expect: u16,
    pub(super) body: Option<String>,
}

/// Who must vouch for the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// Any that the system trusts.
    System,
    /// Those of this PEM file, and no other.
    Private(PathBuf),
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address.ip())?;
        match &self.record {
            Some(record) => write!(f, " ({})", without_final_dot(record)),
            None => Ok(()),
        }
    }
}

impl Check {
    /// What is wrong, at this check. Transient: a server that fails now may answer later.
    pub(super) fn problem(&self, what: impl fmt::Display, cure: impl Into<String>) -> Problem {
        Problem {
            what: format!("{self}: {what}"),
            cure: cure.into(),
            is_transient: true,
        }
    }
}

/// Every check of a site: each of its probes, at each of its addresses; one with `{record}` at
/// the addresses the site gives each record.
pub(super) fn checks_of(fleet: &Fleet, site: &Site) -> Result<Vec<Check>, Problem> {
    let mut checks = Vec::new();
    for probe in fleet.probes_of(&site.name) {
        let before = checks.len();
        for (record, address) in places(fleet, site, probe) {
            checks.push(check(fleet, probe, record, address)?);
        }
        if checks.len() == before {
            return Err(Problem {
                what: format!("{}: site {} has no address to probe", probe.name, site.name),
                cure: format!("give [site.{}] addresses in site.toml", site.name),
                is_transient: false,
            });
        }
    }
    Ok(checks)
}

/// Where a probe is asked, and with which record put in.
fn places<'a>(
    fleet: &'a Fleet,
    site: &'a Site,
    probe: &Probe,
) -> Vec<(Option<&'a RecordName>, IpAddr)> {
    if !mentions_record(&probe.target) {
        let addresses = fleet.all_addresses(&site.name);
        return addresses.into_iter().map(|ip| (None, ip)).collect();
    }
    let of_record = |(name, policy): (&'a RecordName, &'a crate::model::fleet::RecordPolicy)| {
        let addresses = policy.addresses.get(&site.name).into_iter().flatten();
        addresses.map(move |address| (Some(name), *address))
    };
    fleet.dns.records.iter().flat_map(of_record).collect()
}

fn mentions_record(target: &ProbeTarget) -> bool {
    const RECORD: &str = "{record}";
    match target {
        ProbeTarget::Http { url, host, .. } => {
            url.contains(RECORD) || host.as_ref().is_some_and(|host| host.contains(RECORD))
        }
        ProbeTarget::Tcp { .. } => false,
    }
}

fn check(
    fleet: &Fleet,
    probe: &Probe,
    record: Option<&RecordName>,
    address: IpAddr,
) -> Result<Check, Problem> {
    let fill = |text: &str| {
        let text = text.replace("{address}", &bracketed(address));
        match record {
            Some(record) => text.replace("{record}", without_final_dot(record)),
            None => text,
        }
    };
    let refused = |why: String| Problem {
        what: format!("{}: {why}", probe.name),
        cure: format!("correct the [[probe]] {:?} in site.toml", probe.name),
        is_transient: false,
    };
    let (port, ask) = match &probe.target {
        ProbeTarget::Tcp { address: text } => {
            let filled = fill(text);
            let target: SocketAddr = filled
                .parse()
                .map_err(|_| refused(format!("{filled:?} is no ADDRESS:PORT")))?;
            (target.port(), Ask::Tcp)
        }
        ProbeTarget::Http {
            url,
            host,
            expect,
            body,
            ca,
        } => {
            let url = Url::parse(&fill(url)).map_err(refused)?;
            let default_host = || record.or_else(|| fleet.dns.records.keys().next());
            let host = match host {
                Some(host) => fill(host),
                None => default_host().map_or(url.host, |name| without_final_dot(name).to_owned()),
            };
            let authority = ca.clone().map_or(Authority::System, Authority::Private);
            let ask = HttpAsk {
                path: url.path,
                host,
                tls: url.is_tls.then_some(authority),
                expect: *expect,
                body: body.clone(),
            };
            (url.port, Ask::Http(Box::new(ask)))
        }
    };
    Ok(Check {
        name: probe.name.clone(),
        address: SocketAddr::new(address, port),
        record: record.cloned(),
        timeout: probe.timeout,
        passes: probe.passes,
        within: probe.within,
        ask,
    })
}

/// The parts of an `http` or `https` URL that a probe needs.
struct Url {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl Url {
    fn parse(text: &str) -> Result<Url, String> {
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("{text:?} is no URL: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(format!("{text:?} is neither http:// nor https://")),
        };
        let default_port = if is_tls { 443 } else { 80 };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Url {
            is_tls,
            host: uri.host().unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            path: path.to_owned(),
        })
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn without_final_dot(record: &RecordName) -> &str {
    record.as_str().trim_end_matches('.')
}
