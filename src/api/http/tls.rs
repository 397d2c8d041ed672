//! TLS of the API: the certificate and the key that `[api]` names.
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::door::DoorError;
use crate::model::fleet::ListenTls;

pub(super) fn acceptor(tls: &ListenTls) -> Result<TlsAcceptor, DoorError> {
    let pem = |why: rustls::pki_types::pem::Error| DoorError::Pem {
        why: why.to_string(),
    };
    let certs = CertificateDer::pem_slice_iter(&tls.cert).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(tls.key.reveal()).map_err(pem)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certs.map_err(pem)?, key);
    let mut config = config.map_err(DoorError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
