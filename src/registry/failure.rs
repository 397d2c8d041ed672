//! Answers of a registry that are not what was asked for, in words that name the place and the
//! cure.
use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::session::{Answer, Scheme, Session};
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef};

/// How much of a registry's own words is repeated.
const QUOTED_CHARACTERS: usize = 200;

/// What was asked for when it failed.
pub(super) enum Place<'a> {
    Image(&'a ImageRef),
    Registry(&'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Image(image) => image.fmt(f),
            Place::Registry(host) => f.write_str(host),
        }
    }
}

/// An answer that is not what was asked for.
pub(super) fn of_answer(place: &Place<'_>, session: &Session, answer: &Answer) -> Problem {
    let said = said(answer);
    match answer.status {
        StatusCode::UNAUTHORIZED => unauthorized(place, session),
        StatusCode::FORBIDDEN => Problem {
            what: format!(
                "{place}: refused (HTTP 403){said} with {}",
                session.credentials
            ),
            cure: session.credentials.cure(&session.host),
            is_transient: false,
        },
        StatusCode::NOT_FOUND => not_found(place, &said),
        StatusCode::BAD_REQUEST if speaks_tls(&answer.body) => speaks_tls_only(place, session),
        status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            overloaded(place, answer, &said)
        }
        status if status.is_redirection() => Problem {
            what: format!(
                "{place}: redirected in circles{} ({status})",
                location(&answer.headers)
            ),
            cure: format!(
                "check what answers in front of the registry {}",
                session.host
            ),
            is_transient: false,
        },
        status => Problem {
            what: format!("{place}: HTTP {status}{said}"),
            cure: format!("check that {} is a registry (GET /v2/)", session.host),
            is_transient: false,
        },
    }
}

/// The token server refused for another reason than the credentials.
pub(super) fn of_token_server(
    place: &Place<'_>,
    session: &Session,
    realm: &Url,
    answer: &Answer,
) -> Problem {
    let problem = of_answer(place, session, answer);
    Problem {
        what: format!("{} (from its token server {})", problem.what, server(realm)),
        ..problem
    }
}

/// A manifest that was to be put under a tag was not taken, or not surely.
pub(super) fn of_put(place: &Place<'_>, session: &Session, answer: &Answer) -> Problem {
    let (said, host) = (said(answer), &session.host);
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => may_not_push(place, session),
        StatusCode::METHOD_NOT_ALLOWED => Problem {
            what: format!("{place}: the registry takes no pushes (HTTP 405){said}"),
            cure: format!("let {host} take pushes: a mirror, or one that is read only, does not"),
            is_transient: false,
        },
        StatusCode::BAD_REQUEST if speaks_tls(&answer.body) => speaks_tls_only(place, session),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Problem {
            what: format!(
                "{place}: the registry does not take the manifest (HTTP {}){said}",
                answer.status.as_u16()
            ),
            cure: "push the image anew: the registry lacks a part of it, or does not take its kind"
                .to_owned(),
            is_transient: false,
        },
        _ => of_answer(place, session, answer),
    }
}

/// Whoever we are to the registry may pull, and not push.
pub(super) fn may_not_push(place: &Place<'_>, session: &Session) -> Problem {
    let credentials = &session.credentials;
    Problem {
        what: format!("{place}: may not be pushed with {credentials}"),
        cure: format!(
            "let this user push to the repository; {}",
            credentials.cure(&session.host)
        ),
        is_transient: false,
    }
}

/// A tag was not deleted.
pub(super) fn of_delete(place: &Place<'_>, session: &Session, answer: &Answer) -> Problem {
    let (said, host) = (said(answer), &session.host);
    let status = answer.status;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => may_not_delete(place, session),
        StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Problem {
                what: format!(
                    "{place}: the registry does not delete it (HTTP {}){said}",
                    status.as_u16()
                ),
                cure: format!(
                    "let {host} delete (docker-registry: delete: {{ enabled: true }} under storage), or \
                 remove it there by hand"
                ),
                is_transient: false,
            }
        }
        _ => of_answer(place, session, answer),
    }
}

/// Whoever we are to the registry may not delete.
pub(super) fn may_not_delete(place: &Place<'_>, session: &Session) -> Problem {
    let credentials = &session.credentials;
    Problem {
        what: format!("{place}: may not be deleted with {credentials}"),
        cure: format!(
            "let this user delete tags of the repository; {}",
            credentials.cure(&session.host)
        ),
        is_transient: false,
    }
}

/// For how long the registry asks to be left alone.
pub(super) fn asks_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the registry itself says that there is no such image: not something in front of it.
pub(super) fn says_there_is_none(answer: &Answer) -> bool {
    const NONE: [&str; 2] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN"];
    let body: Option<ErrorBody> = serde_json::from_slice(&answer.body).ok();
    let mut codes = body.into_iter().flat_map(|body| body.errors);
    answer.status == StatusCode::NOT_FOUND && codes.any(|it| NONE.contains(&it.code.as_str()))
}

/// A manifest of a kind that cannot be passed on as it is.
pub(super) fn of_kind(place: &Place<'_>, kind: &str) -> Problem {
    Problem {
        what: format!(
            "{place}: its manifest is of a kind that is not moved: {}",
            quoted(kind)
        ),
        cure: "push the image anew with a Docker of this decade (schema 2), or as OCI".to_owned(),
        is_transient: false,
    }
}

/// The registry, or its token server, does not let us in.
pub(super) fn unauthorized(place: &Place<'_>, session: &Session) -> Problem {
    Problem {
        what: format!(
            "{place}: not let in (HTTP 401) with {}",
            session.credentials
        ),
        cure: session.credentials.cure(&session.host),
        is_transient: false,
    }
}

/// A 401 that does not say what it wants.
pub(super) fn no_challenge(place: &Place<'_>, session: &Session) -> Problem {
    Problem {
        what: format!("{place}: HTTP 401 that offers neither Basic nor Bearer authentication"),
        cure: format!("check that {} is a registry (GET /v2/)", session.host),
        is_transient: false,
    }
}

pub(super) fn identity_token_unusable(place: &Place<'_>, session: &Session) -> Problem {
    let host = &session.host;
    Problem {
        what: format!(
            "{place}: the registry wants user and password, but there is only {}",
            session.credentials
        ),
        cure: format!("give username and password under [registry.{host:?}] in site.toml"),
        is_transient: false,
    }
}

pub(super) fn bad_token(place: &Place<'_>, realm: &Url) -> Problem {
    Problem {
        what: format!(
            "{place}: the token server {} answers without a token",
            server(realm)
        ),
        cure: "check the token server that the registry names".to_owned(),
        is_transient: false,
    }
}

pub(super) fn plain_realm(place: &Place<'_>, realm: &Url) -> Problem {
    Problem {
        what: format!(
            "{place}: the registry is on TLS and sends us to a token server without ({})",
            server(realm)
        ),
        cure: "let the registry name its token server by an https URL".to_owned(),
        is_transient: false,
    }
}

/// Two digests that should be one.
pub(super) fn of_digest(place: &Place<'_>, expected: &Digest, found: &Digest) -> Problem {
    Problem {
        what: format!("{place}: should be {expected}, but its manifest is {found}"),
        cure: "do not use this image: check the registry and what stands in front of it".to_owned(),
        is_transient: false,
    }
}

pub(super) fn too_long(place: &Place<'_>, bytes: usize) -> Problem {
    Problem {
        what: format!("{place}: the answer is longer than {bytes} bytes, no manifest is"),
        cure: "check that a registry answers there".to_owned(),
        is_transient: false,
    }
}

fn not_found(place: &Place<'_>, said: &str) -> Problem {
    let (what, cure) = match place {
        Place::Image(image) => (
            "no such image",
            format!(
                "push it, or correct the reference: `docker manifest inspect {image}` shows what \
                 the registry has"
            ),
        ),
        Place::Registry(host) => (
            "it is no registry (HTTP 404)",
            format!("correct the host: GET /v2/ of {host} must answer"),
        ),
    };
    Problem {
        what: format!("{place}: {what}{said}"),
        cure,
        is_transient: false,
    }
}

fn overloaded(place: &Place<'_>, answer: &Answer, said: &str) -> Problem {
    let status = answer.status;
    let wait = answer
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(|value| match value.trim().parse::<u64>() {
            Ok(seconds) => format!("in {seconds} s"),
            Err(_) => format!("after {}", quoted(value)),
        });
    let asked = wait
        .as_ref()
        .map(|wait| format!(", asks to come again {wait}"))
        .unwrap_or_default();
    let cure = match (status, wait) {
        (StatusCode::TOO_MANY_REQUESTS, wait) => format!(
            "try again {}; credentials may raise the limit",
            wait.as_deref().unwrap_or("later")
        ),
        (_, Some(wait)) => format!("try again {wait}; the registry's log tells why"),
        (_, None) => "try again later; the registry's log tells why".to_owned(),
    };
    Problem {
        what: format!("{place}: HTTP {status}{said}{asked}"),
        cure,
        is_transient: true,
    }
}

/// Plain HTTP is not what it speaks.
pub(super) fn speaks_tls_only(place: &Place<'_>, session: &Session) -> Problem {
    let host = &session.host;
    let cure = match session.scheme {
        Scheme::PlainOnLoopback => "a registry on loopback is asked over plain HTTP: name it by \
                                    the host's name, or let it serve plain HTTP there"
            .to_owned(),
        Scheme::Plain | Scheme::Tls => {
            format!("remove insecure = true under [registry.{host:?}] in site.toml")
        }
    };
    Problem {
        what: format!("{place}: asked over plain HTTP, the registry does not speak it"),
        cure,
        is_transient: false,
    }
}

/// How nginx and Go's server turn away plain HTTP on a TLS port.
fn speaks_tls(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("HTTP request to an HTTPS server") || text.contains("sent to HTTPS port")
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The registry's own words, `": …"`, or nothing.
fn said(answer: &Answer) -> String {
    let body: Option<ErrorBody> = serde_json::from_slice(&answer.body).ok();
    let Some(error) = body.and_then(|body| body.errors.into_iter().next()) else {
        return String::new();
    };
    let words = if error.message.is_empty() {
        error.code
    } else {
        error.message
    };
    format!(": {}", quoted(&words))
}

fn location(headers: &HeaderMap) -> String {
    match headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
        Some(location) => format!(" to {}", quoted(location)),
        None => String::new(),
    }
}

/// Escaped and bounded: it comes from outside, and goes to a terminal.
fn quoted(text: &str) -> String {
    let short: String = text.trim().chars().take(QUOTED_CHARACTERS).collect();
    format!("{short:?}")
}

fn server(realm: &Url) -> String {
    realm.origin().ascii_serialization()
}
