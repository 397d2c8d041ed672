//! `[[probe]]`: what healthy means.
use std::ops::Range;
use std::time::Duration;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, quoted};
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::{Probe, ProbeTarget};
use crate::model::id::SiteName;

/// `[[probe]]` as written.
#[derive(Clone, Debug)]
pub(crate) struct ProbeTable {
    pub(crate) name: Spanned<String>,
    pub(crate) sites: Option<Vec<Spanned<SiteName>>>,
    target: Target,
    timeout: Duration,
    passes: u32,
    within: Duration,
}

#[derive(Clone, Debug)]
enum Target {
    Http {
        url: Spanned<String>,
        host: Option<String>,
        expect: u16,
        body: Option<String>,
        ca: Option<Spanned<String>>,
    },
    Tcp(String),
}

impl<'a> FromToml<'a> for ProbeTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ProbeTable> {
        let mut table = Table::from_toml(value, findings)?;
        let name = table.required("name", "\"front\"", findings);
        let target = read_target(&mut table, findings);
        let timeout = positive(&mut table, "timeout", Duration::from_secs(2), findings);
        let within = positive(&mut table, "within", Duration::from_secs(60), findings);
        let passes: Option<Spanned<u32>> = table.optional("passes", findings);
        if let Some(zero) = passes.as_ref().filter(|passes| *passes.get_ref() == 0) {
            findings
                .error(zero.span(), "a probe must pass at least once")
                .hint("write passes = 1");
        }
        if timeout > within {
            let span = table.span_of("timeout").or(table.span_of("within"));
            findings.error(
                span,
                "one try may take longer than all of them: timeout > within",
            );
        }
        let sites = table.optional("sites", findings);
        table.finish(findings);
        Some(ProbeTable {
            name: name?,
            sites,
            target: target?,
            timeout,
            passes: passes.map_or(3, Spanned::into_inner),
            within,
        })
    }
}

impl ProbeTable {
    /// The probe; its authority is looked at, so that a missing file is found before the night.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Probe {
        let target = match &self.target {
            Target::Tcp(address) => ProbeTarget::Tcp {
                address: address.clone(),
            },
            Target::Http {
                url,
                host,
                expect,
                body,
                ca,
            } => ProbeTarget::Http {
                url: url.get_ref().clone(),
                host: host.clone(),
                expect: *expect,
                body: body.clone(),
                ca: ca.as_ref().map(|ca| check_authority(ca, reading)),
            },
        };
        let names = |sites: &Vec<Spanned<SiteName>>| {
            sites.iter().map(|site| site.get_ref().clone()).collect()
        };
        Probe {
            name: self.name.get_ref().clone(),
            target,
            timeout: self.timeout,
            passes: self.passes,
            within: self.within,
            sites: self.sites.as_ref().map(names),
        }
    }
}

fn read_target(table: &mut Table<'_>, findings: &mut Findings) -> Option<Target> {
    let span = table.span.clone();
    let (has_http, has_tcp) = (table.has("http"), table.has("tcp"));
    let http: Option<Spanned<String>> = table.optional("http", findings);
    let tcp: Option<Spanned<String>> = table.optional("tcp", findings);
    let of_http = read_http(http, table, findings);
    match (has_http, has_tcp) {
        (true, true) | (false, false) => {
            findings
                .error(span, "a probe has one of http and tcp")
                .hint("http = \"https://{address}/healthz\", or tcp = \"{address}:5432\"");
            None
        }
        (true, false) => of_http,
        (false, true) => {
            refuse_http_keys(table, findings);
            check_tcp(&tcp?, findings)
        }
    }
}

fn read_http(
    url: Option<Spanned<String>>,
    table: &mut Table<'_>,
    findings: &mut Findings,
) -> Option<Target> {
    let host: Option<Spanned<String>> = table.optional("host", findings);
    let expect: Option<Spanned<u32>> = table.optional("expect", findings);
    let body = table.optional("body", findings);
    let ca: Option<Spanned<String>> = table.optional("ca", findings);
    if let Some(host) = &host {
        check_placeholders(host, &["record"], findings);
    }
    let url = url?;
    check_url(&url, findings);
    if let Some(ca) = ca.as_ref().filter(|_| url.get_ref().starts_with("http://")) {
        findings
            .error(ca.span(), "plain HTTP has no certificate to check")
            .hint("write https:// in http, or leave ca out");
    }
    Some(Target::Http {
        host: host.map(Spanned::into_inner),
        expect: expect.map_or(Some(200), |expect| check_status(&expect, findings))?,
        body,
        ca,
        url,
    })
}

fn check_status(expect: &Spanned<u32>, findings: &mut Findings) -> Option<u16> {
    let status = u16::try_from(*expect.get_ref()).ok();
    let status = status.filter(|status| (100..600).contains(status));
    if status.is_none() {
        let message = format!("{} is no HTTP status", expect.get_ref());
        findings
            .error(expect.span(), message)
            .label("expected a number from 100 to 599");
    }
    status
}

fn check_url(url: &Spanned<String>, findings: &mut Findings) {
    let text = url.get_ref();
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let Some(rest) = rest else {
        findings
            .error(
                url.span(),
                format!("{text:?} is no http:// or https:// address"),
            )
            .hint("write http = \"https://{address}/healthz\"");
        return;
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.contains('@') {
        findings.hide(url.span());
        findings
            .error(url.span(), "the address holds a user name or password")
            .label("not shown")
            .hint("probe a path that needs none");
    } else if host.split(':').next() != Some("{address}") {
        findings
            .error(url.span(), "the probe does not ask the site at hand")
            .label("expected {address} as the host")
            .hint("name the virtual host with host = \"…\"");
    } else {
        check_placeholders(url, &["address", "record"], findings);
    }
}

fn check_tcp(tcp: &Spanned<String>, findings: &mut Findings) -> Option<Target> {
    let port = tcp.get_ref().strip_prefix("{address}:");
    let port = port.and_then(|port| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        findings
            .error(
                tcp.span(),
                format!("{:?} is no place to connect to", tcp.get_ref()),
            )
            .label("expected an address and a port, like \"{address}:5432\"");
        return None;
    }
    Some(Target::Tcp(tcp.get_ref().clone()))
}

fn refuse_http_keys(table: &Table<'_>, findings: &mut Findings) {
    for key in ["host", "expect", "body", "ca"] {
        if let Some(span) = table.span_of(key) {
            findings.error(
                span,
                format!("{key} belongs to http probes, this one is tcp"),
            );
        }
    }
}

/// Reports `{…}` forms that nobody fills in.
fn check_placeholders(text: &Spanned<String>, known: &[&str], findings: &mut Findings) {
    for after in text.get_ref().split('{').skip(1) {
        let name = after.split('}').next().unwrap_or_default();
        if !known.contains(&name) {
            let message = format!("nothing fills in {{{name}}}");
            findings
                .error(text.span(), message)
                .nearest(name, known.iter().copied());
        }
    }
}

fn check_authority(ca: &Spanned<String>, reading: &mut Reading<'_>) -> std::path::PathBuf {
    let path = reading.path(ca.get_ref());
    match reading.sources.read_text(&path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {}
        Ok(_) => {
            let message = format!("{} holds no certificate", quoted(&path));
            reading
                .findings
                .error(ca.span(), message)
                .label("expected a PEM file: -----BEGIN CERTIFICATE-----");
        }
        Err(error) => {
            let message = format!("cannot read {}: {error}", quoted(&path));
            reading.findings.error(ca.span(), message);
        }
    }
    path
}

/// A duration that is not zero.
pub(crate) fn positive(
    table: &mut Table<'_>,
    key: &'static str,
    default: Duration,
    findings: &mut Findings,
) -> Duration {
    let written: Option<Spanned<Duration>> = table.optional(key, findings);
    let Some(written) = written else {
        return default;
    };
    if written.get_ref().is_zero() {
        zero(written.span(), &table.of(key), findings);
    }
    written.into_inner()
}

fn zero(span: Range<usize>, name: &str, findings: &mut Findings) {
    findings
        .error(span, format!("{name} is zero"))
        .label("expected a time, like \"2s\"");
}
