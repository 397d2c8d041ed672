//! Why a registry gave no answer, or half of one, in words that name the place and the cure.
use std::error::Error;

use super::failure::{Place, speaks_tls_only};
use super::session::{REQUEST_TIMEOUT, Scheme, Session};
use crate::coordinator::outcome::Problem;

/// What became of a request instead of an answer.
pub(super) fn of_request(place: &Place<'_>, session: &Session, error: &reqwest::Error) -> Problem {
    let host = &session.host;
    if error.is_timeout() {
        return Problem {
            what: format!("{place}: no answer within {REQUEST_TIMEOUT:?}"),
            cure: format!("check that the registry {host} runs and is reached from here"),
            is_transient: true,
        };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return of_tls(place, host, tls);
    }
    if session.scheme != Scheme::Tls
        && find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
    {
        return speaks_tls_only(place, session);
    }
    Problem {
        what: format!("{place}: {}", innermost(error)),
        cure: format!("check that the registry {host} runs and is reached from here"),
        is_transient: true,
    }
}

/// The HTTP client could not be made.
pub(super) fn of_client(host: &str, error: &reqwest::Error) -> Problem {
    Problem {
        what: format!("{host}: TLS cannot be set up: {}", innermost(error)),
        cure: "install the system's certificates (Debian: ca-certificates)".to_owned(),
        is_transient: false,
    }
}

fn of_tls(place: &Place<'_>, host: &str, error: &rustls::Error) -> Problem {
    // A server that does not speak TLS answers in a way that is no TLS record at all; whichever
    // error that becomes, it is one about the message. The other errors keep the general cure.
    let cure = if matches!(error, rustls::Error::InvalidMessage(_)) {
        format!(
            "if it serves plain HTTP, set insecure = true under [registry.{host:?}] in site.toml"
        )
    } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
        format!(
            "let {host} present a certificate for this name, of an authority that the \
             coordinator's system trusts (Debian: /usr/local/share/ca-certificates and \
             update-ca-certificates)"
        )
    } else {
        format!("check the TLS settings of {host}")
    };
    Problem {
        what: format!("{place}: TLS failed: {error}"),
        cure,
        is_transient: false,
    }
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    sources(error).find_map(|source| unwrapped(source).downcast_ref())
}

/// An I/O error does not show what it wraps as its source, and may wrap another.
fn unwrapped<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(inner) = error
        .downcast_ref()
        .and_then(|error: &std::io::Error| error.get_ref())
    {
        error = inner;
    }
    error
}

fn innermost(error: &reqwest::Error) -> String {
    sources(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&source| source.source())
}
