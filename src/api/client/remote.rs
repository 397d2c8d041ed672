//! A coordinator on another machine: `--api URL`.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Client, ClientError};
use crate::model::text::Secret;

/// Connecting takes no longer, TLS included.
const WITHIN: Duration = Duration::from_secs(10);

/// Where a coordinator answers, and what lets us in.
#[derive(Clone, Debug)]
pub struct Remote {
    url: Url,
    host: String,
    port: u16,
    /// `None`: plain HTTP, to this machine only.
    tls: Option<Arc<ClientConfig>>,
    token: Secret,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("{url} is no https://HOST[:PORT]: {why}")]
    Url { url: String, why: String },
    #[error("the certificates in {path} cannot be read: {why}")]
    Ca { path: String, why: String },
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Remote {
    /// `ca`: who signed its certificate, where the system does not know them.
    ///
    /// # Errors
    /// [`RemoteError`]. Nothing is contacted.
    pub fn new(text: &str, token: Secret, ca: Option<&Path>) -> Result<Remote, RemoteError> {
        let wrong = |why: &str| RemoteError::Url {
            url: text.to_owned(),
            why: why.to_owned(),
        };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let host = url.host_str().ok_or_else(|| wrong("it has no host"))?;
        let bare = host.trim_matches(['[', ']']).to_owned();
        let tls = match url.scheme() {
            "https" => Some(Arc::new(tls(ca)?)),
            "http" if is_here(&bare) => None,
            "http" => return Err(wrong("a token would travel for all to read")),
            _ => return Err(wrong("it is of another kind")),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(wrong("it goes on after the port"));
        }
        Ok(Remote {
            host: bare,
            port: url.port_or_known_default().unwrap_or(443),
            url,
            tls,
            token,
        })
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub async fn connect(&self) -> Result<Client, ClientError> {
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        let connected = timeout(WITHIN, self.dial()).await;
        connected.map_err(late).map_err(ClientError::Connect)?
    }

    async fn dial(&self) -> Result<Client, ClientError> {
        let address = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(ClientError::Connect)?;
        stream.set_nodelay(true).map_err(ClientError::Connect)?;
        let authority = self.url.authority().to_owned();
        let token = Some(self.token.clone());
        let Some(tls) = &self.tls else {
            return Client::over(stream, authority, token).await;
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| {
            ClientError::Connect(std::io::Error::new(std::io::ErrorKind::InvalidInput, error))
        })?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let stream = connector.connect(name, stream).await;
        Client::over(stream.map_err(ClientError::Connect)?, authority, token).await
    }
}

fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(ca: Option<&Path>) -> Result<ClientConfig, RemoteError> {
    let Some(path) = ca else {
        return ClientConfig::with_platform_verifier().map_err(RemoteError::Tls);
    };
    let failed = |why: String| RemoteError::Ca {
        path: path.display().to_string(),
        why,
    };
    let certs = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for cert in certs {
        let cert = cert.map_err(|error| failed(error.to_string()))?;
        roots.add(cert).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there are none".to_owned()));
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_in_the_clear_to_this_machine_only() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let remote = |url: &str| Remote::new(url, Secret::from("x"), None);
        for url in [
            "http://127.0.0.1:8080",
            "http://[::1]:80/",
            "http://localhost:1",
        ] {
            assert!(remote(url).is_ok(), "{url}");
        }
        for (url, word) in [
            ("http://192.0.2.1", "for all to read"),
            ("ftp://127.0.0.1", "another kind"),
            ("https://example.com/v1", "goes on"),
            ("example.com", "relative"),
        ] {
            let why = remote(url).unwrap_err().to_string();
            assert!(why.contains(word), "{url}: {why}");
        }
    }
}
