//! One registry, asked for the length of one resolve or one move of a tag. The requests are those of
//! the OCI distribution specification 1.1, "Pulling manifests", "Pushing manifests" and
//! "Deleting tags".
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::credentials::Credentials;
use super::failure::{self, Place};
use super::{token, transport};
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef, ImageVersion};

/// Of one whole request, from connecting to the last byte.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The specification's bound for a manifest.
const MANIFEST_BYTES: usize = 4 << 20;

/// Every kind of manifest an engine may pull. Asked for less, a registry may answer a tag with
/// another manifest than the engine gets, or with none.
const MANIFEST_TYPES: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json",
);

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Tls,
    /// Plain HTTP, as `site.toml` says.
    Plain,
    /// Plain HTTP, never through a proxy.
    PlainOnLoopback,
}

/// A registry and what is needed to ask it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) host: String,
    pub(super) scheme: Scheme,
    pub(super) credentials: Credentials,
    pub(super) http: reqwest::Client,
}

/// One request to the registry.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Below `/v2/`.
    pub(super) path: &'a str,
    /// What a token is asked for.
    pub(super) scope: Option<&'a str>,
    /// What is sent, as what.
    pub(super) content: Option<(&'a HeaderValue, &'a [u8])>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Silence {
    pub(super) problem: Problem,
    /// The registry may have heard the request, and may still carry it out.
    pub(super) was_heard: bool,
}

impl From<Problem> for Silence {
    fn from(problem: Problem) -> Silence {
        Silence {
            problem,
            was_heard: false,
        }
    }
}

impl From<Silence> for Problem {
    fn from(silence: Silence) -> Problem {
        silence.problem
    }
}

/// What one request brought.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Session {
    /// Contacts nothing.
    pub(super) fn open(
        host: &str,
        scheme: Scheme,
        credentials: Credentials,
    ) -> Result<Session, Problem> {
        Ok(Session {
            host: host.to_owned(),
            scheme,
            credentials,
            http: client(host, scheme)?,
        })
    }

    /// The digest the registry has for `image`. `authorization` is what a former request to the
    /// same repository was let in with; it is replaced when the registry asks for another.
    ///
    /// HEAD first: it costs the registry least and does not count as a pull where pulls are
    /// counted. What HEAD leaves open, GET settles: a digest that is not told, or the reason of a
    /// refusal, which only a body can carry.
    pub(super) async fn digest(
        &self,
        image: &ImageRef,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Digest, Problem> {
        let place = Place::Image(image);
        let head = self
            .ask_manifest(Method::HEAD, image, authorization)
            .await?;
        if head.status.is_success() {
            if let Some(told) = told_digest(&head.headers) {
                return as_written(image, told);
            }
        } else if is_overloaded(head.status) {
            return Err(failure::of_answer(&place, self, &head));
        }
        let answer = self.ask_manifest(Method::GET, image, authorization).await?;
        if !answer.status.is_success() {
            return Err(failure::of_answer(&place, self, &answer));
        }
        let hashed = hash(&answer.body);
        match told_digest(&answer.headers) {
            Some(told) if told != hashed => Err(failure::of_digest(&place, &told, &hashed)),
            _ => as_written(image, hashed),
        }
    }

    /// Whether the registry answers and lets us in (the specification's `end-1`).
    pub(super) async fn ping(&self) -> Result<(), Problem> {
        let place = Place::Registry(&self.host);
        let asked = Ask {
            method: Method::GET,
            path: "",
            scope: None,
            content: None,
        };
        let answer = self.ask(&place, asked, &mut None).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(failure::of_answer(&place, self, &answer))
        }
    }

    pub(super) async fn ask_manifest(
        &self,
        method: Method,
        image: &ImageRef,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Answer, Problem> {
        let scope = format!("repository:{}:pull", image.repository);
        let asked = Ask {
            method,
            path: &manifest_path(image),
            scope: Some(&scope),
            content: None,
        };
        let place = Place::Image(image);
        Ok(self.ask(&place, asked, authorization).await?)
    }

    /// Asks, and once more with what a 401 demands.
    pub(super) async fn ask(
        &self,
        place: &Place<'_>,
        asked: Ask<'_>,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Answer, Silence> {
        let first = self.send(place, &asked, authorization.as_ref()).await?;
        if first.status != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let let_in = token::authorize(self, place, &first.headers, asked.scope).await?;
        *authorization = Some(let_in);
        let second = self.send(place, &asked, authorization.as_ref()).await?;
        if second.status == StatusCode::UNAUTHORIZED {
            let problem = match asked.method {
                Method::PUT => failure::may_not_push(place, self),
                Method::DELETE => failure::may_not_delete(place, self),
                _ => failure::unauthorized(place, self),
            };
            return Err(problem.into());
        }
        Ok(second)
    }

    async fn send(
        &self,
        place: &Place<'_>,
        asked: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Silence> {
        let (host, path) = (api_host(&self.host), asked.path);
        let url = match self.scheme {
            Scheme::Tls => format!("https://{host}/v2/{path}"),
            Scheme::Plain | Scheme::PlainOnLoopback => format!("http://{host}/v2/{path}"),
        };
        let mut request = self
            .http
            .request(asked.method.clone(), url)
            .header(ACCEPT, MANIFEST_TYPES);
        if let Some((kind, bytes)) = asked.content {
            request = request.header(CONTENT_TYPE, kind).body(bytes.to_vec());
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        read(place, self, request).await
    }
}

/// A client for one registry. The system's certificates cost some 10 ms and a megabyte, so they
/// are read only for TLS.
pub(super) fn client(host: &str, scheme: Scheme) -> Result<reqwest::Client, Problem> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("cleanslate/", env!("CARGO_PKG_VERSION")))
        .timeout(REQUEST_TIMEOUT);
    let builder = match scheme {
        // Neither a redirect nor a token server takes us, or the credentials, out of TLS.
        Scheme::Tls => builder.https_only(true),
        Scheme::Plain => builder.tls_certs_only([]),
        Scheme::PlainOnLoopback => builder.tls_certs_only([]).no_proxy(),
    };
    builder
        .build()
        .map_err(|error| transport::of_client(host, &error))
}

/// Sends a request and reads the whole answer, bounded.
pub(super) async fn read(
    place: &Place<'_>,
    session: &Session,
    request: reqwest::RequestBuilder,
) -> Result<Answer, Silence> {
    let failed = |error: &reqwest::Error| Silence {
        problem: transport::of_request(place, session, error),
        was_heard: !error.is_connect() && !error.is_builder(),
    };
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > MANIFEST_BYTES {
            return Err(Silence {
                problem: failure::too_long(place, MANIFEST_BYTES),
                was_heard: true,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

/// A status that a second request at once would only make worse.
pub(super) fn is_overloaded(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Where the registry keeps the manifest of an image.
pub(super) fn manifest_path(image: &ImageRef) -> String {
    let version = match &image.version {
        ImageVersion::Tag(tag) => tag.as_str(),
        ImageVersion::Digest(digest) => digest.as_str(),
    };
    format!("{}/manifests/{version}", image.repository)
}

/// `Docker-Content-Digest`, where it is one that we can compare.
pub(super) fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    let told = headers.get("docker-content-digest")?;
    told.to_str().ok()?.trim().parse().ok()
}

pub(super) fn as_written(image: &ImageRef, found: Digest) -> Result<Digest, Problem> {
    match &image.version {
        ImageVersion::Digest(written) if *written != found => {
            Err(failure::of_digest(&Place::Image(image), written, &found))
        }
        ImageVersion::Digest(_) | ImageVersion::Tag(_) => Ok(found),
    }
}

pub(super) fn hash(manifest: &[u8]) -> Digest {
    let hex = data_encoding::HEXLOWER.encode(&Sha256::digest(manifest));
    format!("sha256:{hex}")
        .parse()
        .expect("sha256: and 64 hex digits are a digest")
}

/// Docker Hub's API answers under another name than its images carry.
fn api_host(host: &str) -> &str {
    match host {
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}
