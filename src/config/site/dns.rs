//! `[dns]`: one zone, one primary, one view.
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace, quoted};
use super::super::table::{FromToml, Named, Table, Value};
use super::keyfile;
use crate::model::fleet::TsigKey;
use crate::model::id::SiteName;
use crate::model::rrset::RecordName;
use crate::model::time::Ttl;

/// `[dns]` as written.
#[derive(Clone, Debug)]
pub(crate) struct DnsTable {
    pub(crate) span: Range<usize>,
    pub(crate) server: SocketAddr,
    pub(crate) zone: RecordName,
    pub(crate) records: Vec<Spanned<RecordName>>,
    pub(crate) ttl: Spanned<Ttl>,
    pub(crate) ttl_was: Option<Spanned<Ttl>>,
    pub(crate) key: SecretPlace,
    pub(crate) nameservers: Option<Vec<SocketAddr>>,
    pub(crate) by_record: Named<RecordName, RecordTable>,
}

/// `[dns.record."NAME"]` as written.
#[derive(Clone, Debug)]
pub(crate) struct RecordTable {
    pub(crate) sites: Option<Vec<Spanned<SiteName>>>,
    pub(crate) min_in_service: Option<Spanned<u32>>,
    pub(crate) addresses: Named<SiteName, Vec<Spanned<IpAddr>>>,
}

impl<'a> FromToml<'a> for DnsTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<DnsTable> {
        if value.toml.is_array() {
            findings
                .error(value.span, "a fleet has one [dns], with one zone")
                .hint("write [dns]; several zones need a fleet each");
            return None;
        }
        let mut table = Table::from_toml(value, findings)?;
        let span = table.span.clone();
        let server = table.required::<Server>("server", "\"10.0.0.53:53\"", findings);
        let zone = table.required("zone", "\"example.com.\"", findings);
        let records = table.optional("records", findings);
        let ttl = table.required("ttl", "\"30s\"", findings);
        let ttl_was = table.optional("ttl_was", findings);
        let key = table.required("key", "{ file = \"tsig.key\" }", findings);
        let nameservers = table.optional::<Spanned<Vec<Spanned<Server>>>>("nameservers", findings);
        let nameservers = nameservers.map(|servers| distinct(servers, findings));
        let by_record = table.optional("record", findings).unwrap_or_default();
        table.finish(findings);
        Some(DnsTable {
            span,
            server: server?.0,
            zone: zone?,
            records: records.unwrap_or_default(),
            ttl: ttl?,
            ttl_was,
            key: key?,
            nameservers,
            by_record,
        })
    }
}

impl<'a> FromToml<'a> for RecordTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<RecordTable> {
        let mut table = Table::from_toml(value, findings)?;
        let read = RecordTable {
            sites: table.optional("sites", findings),
            min_in_service: table.optional("min_in_service", findings),
            addresses: table.optional("addresses", findings).unwrap_or_default(),
        };
        table.finish(findings);
        Some(read)
    }
}

impl DnsTable {
    /// The key that signs UPDATEs, from its file.
    pub(crate) fn read_key(&self, reading: &mut Reading<'_>) -> Option<TsigKey> {
        let text = reading.secret(&self.key)?.reveal_text();
        let (span, from) = match &self.key {
            SecretPlace::File(written) => {
                let path = reading.path(written.get_ref());
                warn_of_readable_key(&path, written.span(), reading);
                (written.span(), quoted(&path))
            }
            SecretPlace::Env(name) => (name.span(), format!("the variable {}", name.get_ref())),
        };
        match keyfile::parse(&text) {
            Ok(key) => Some(key),
            Err(error) => {
                let message = format!("{from} holds no key that can be used: {error}");
                reading.findings.error(span, message).hint(error.hint());
                None
            }
        }
    }
}

/// An address with a port; 53 where none is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server(SocketAddr);

impl<'a> FromToml<'a> for Server {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Server> {
        let span = value.span.clone();
        let text = String::from_toml(value, findings)?;
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(&text).parse::<IpAddr>() {
            return Some(Server(SocketAddr::new(ip, 53)));
        }
        if let Ok(server) = text.parse() {
            return Some(Server(server));
        }
        findings
            .error(
                span,
                format!("{text:?} is no IP address with or without a port"),
            )
            .hint("write the address itself, like \"10.0.0.53:53\": it must be known without DNS");
        None
    }
}

/// Whole seconds, at most a day.
impl<'a> FromToml<'a> for Ttl {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Ttl> {
        let (span, name) = (value.span.clone(), value.name.clone());
        let duration = Duration::from_toml(value, findings)?;
        let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        if duration.subsec_nanos() > 0 || seconds > 86_400 {
            findings
                .error(span, format!("{name} is no TTL for a rotation"))
                .label("expected whole seconds, at most 24h");
            return None;
        }
        Some(Ttl(seconds))
    }
}

fn distinct(servers: Spanned<Vec<Spanned<Server>>>, findings: &mut Findings) -> Vec<SocketAddr> {
    if servers.get_ref().is_empty() {
        findings
            .error(servers.span(), "no name server is named")
            .hint("leave the key out to ask the zone's NS records");
    }
    let mut distinct = Vec::new();
    for server in servers.into_inner() {
        let Server(address) = *server.get_ref();
        if distinct.contains(&address) {
            findings.error(
                server.span(),
                format!("the name server {address} stands here twice"),
            );
        }
        distinct.push(address);
    }
    distinct
}

fn warn_of_readable_key(path: &std::path::Path, span: Range<usize>, reading: &mut Reading<'_>) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let message = format!("the key file can be read by others (mode {mode:03o})");
        let hint = format!("chmod 600 {}", path.display());
        reading.findings.warning(span, message).hint(hint);
    }
}
