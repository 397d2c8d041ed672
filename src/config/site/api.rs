//! `[api]`: where the coordinator answers over the network.
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace, quoted};
use super::super::table::{FromToml, Table, Value};
use crate::api::http::Net;
use crate::model::fleet::{Listen, ListenTls};

/// `[api]` as written.
#[derive(Clone, Debug)]
pub(crate) struct ApiTable {
    listen: Spanned<SocketAddr>,
    cert: Option<Spanned<String>>,
    key: Option<SecretPlace>,
}

impl<'a> FromToml<'a> for ApiTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ApiTable> {
        let mut table = Table::from_toml(value, findings)?;
        let listen: Option<Spanned<String>> =
            table.required("listen", "\"10.0.0.5:8443\"", findings);
        let cert = table.optional("cert", findings);
        let key = table.optional("key", findings);
        let is_half = table.has("cert") != table.has("key");
        let span = table.span.clone();
        table.finish(findings);
        let listen = address(&listen?, findings)?;
        if is_half {
            findings
                .error(span, "[api] needs cert and key together")
                .hint("cert = \"api.pem\" and key = { file = \"api.key\" }, both PEM");
            return None;
        }
        if cert.is_none() && !listen.get_ref().ip().is_loopback() {
            findings
                .error(listen.span(), "tokens would travel for all to read")
                .label("not an address of this machine alone")
                .hint("give [api] a cert and a key, or listen on 127.0.0.1");
            return None;
        }
        Some(ApiTable { listen, cert, key })
    }
}

fn address(written: &Spanned<String>, findings: &mut Findings) -> Option<Spanned<SocketAddr>> {
    match written.get_ref().parse() {
        Ok(address) => Some(Spanned::new(written.span(), address)),
        Err(_) => {
            let message = format!("{:?} is no address and port", written.get_ref());
            findings
                .error(written.span(), message)
                .hint("write \"10.0.0.5:8443\" or \"[2001:db8::5]:8443\"");
            None
        }
    }
}

impl ApiTable {
    /// Its certificate and key read, and found to belong together.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Option<Listen> {
        let address = *self.listen.get_ref();
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Some(Listen { address, tls: None });
        };
        let path: PathBuf = reading.path(cert.get_ref());
        let pem = match reading.sources.read(&path) {
            Ok(pem) => pem.to_vec(),
            Err(error) => {
                let message = format!("cannot read the certificate {}: {error}", quoted(&path));
                reading.findings.error(cert.span(), message);
                return None;
            }
        };
        let key = reading.secret(key)?;
        let tls = ListenTls { cert: pem, key };
        if let Err(error) = Net::check(&tls) {
            reading
                .findings
                .error(cert.span(), error.to_string())
                .hint("cert holds the certificate and those that signed it, key its private key");
            return None;
        }
        let tls = Some(tls);
        Some(Listen { address, tls })
    }
}
