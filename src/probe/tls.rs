//! Whom TLS probes trust. Read when the first probe needs it: a fleet on plain HTTP pays nothing.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WantsClientCert};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::check::{Ask, Authority, Check};

/// TLS as each authority wants it, or why it cannot be had.
pub(super) type Configs = BTreeMap<AuthorityKey, Result<Arc<ClientConfig>, String>>;

/// `None`: the system's authorities.
type AuthorityKey = Option<PathBuf>;

/// What these checks need. Certificate files are read anew each time: they may have been renewed.
pub(super) async fn configs(checks: &[Check], known_system: &SystemConfig) -> Configs {
    let mut configs = Configs::new();
    for check in checks {
        let Ask::Http(ask) = &check.ask else { continue };
        let Some(authority) = &ask.tls else { continue };
        let key = key(authority);
        if configs.contains_key(&key) {
            continue;
        }
        let config = match authority {
            Authority::System => known_system.get().await,
            Authority::Private(path) => private(path).await,
        };
        configs.insert(key, config);
    }
    configs
}

/// The one of [`configs`] that a check's authority needs.
pub(super) fn config_for(
    configs: &Configs,
    authority: &Authority,
) -> Result<Arc<ClientConfig>, String> {
    configs
        .get(&key(authority))
        .cloned()
        .unwrap_or_else(|| Err("TLS was not set up".to_owned()))
}

fn key(authority: &Authority) -> AuthorityKey {
    match authority {
        Authority::System => None,
        Authority::Private(path) => Some(path.clone()),
    }
}

/// The system's authorities, read once: there are over a hundred.
#[derive(Debug, Default)]
pub(super) struct SystemConfig(tokio::sync::OnceCell<Arc<ClientConfig>>);

impl SystemConfig {
    async fn get(&self) -> Result<Arc<ClientConfig>, String> {
        let read = || async {
            tokio::task::spawn_blocking(|| {
                let builder = builder().map_err(|error| error.to_string())?;
                let trusting = builder.with_platform_verifier();
                Ok(finished(trusting.map_err(|error| error.to_string())?))
            })
            .await
            .map_err(|error| error.to_string())?
        };
        self.0.get_or_try_init(read).await.cloned()
    }
}

async fn private(path: &Path) -> Result<Arc<ClientConfig>, String> {
    let at = |why: String| format!("{}: {why}", path.display());
    let pem = tokio::fs::read(path)
        .await
        .map_err(|error| at(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| at(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| at(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(at("holds no certificate (PEM)".to_owned()));
    }
    let builder = builder().map_err(|error| error.to_string())?;
    Ok(finished(builder.with_root_certificates(roots)))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

fn finished(builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Arc<ClientConfig> {
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate: one that expired or was swapped would go unseen.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
