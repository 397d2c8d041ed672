//! Moving a tag: a manifest is fetched, and its bytes are put under another tag as they are.
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::Registries;
use super::failure::{self, Place};
use super::resolve::canonical;
use super::session::{Answer, Ask, Session, as_written, hash, is_overloaded};
use super::session::{manifest_path, told_digest};
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef};

/// The kinds that are moved. Schema 1 is none of them: its bytes hold the tag.
const KINDS: [&str; 4] = [
    INDEX,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Of one that lists others.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest as a registry has it. Nothing of it is written anew: its bytes are its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    kind: &'static str,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Manifest {
    /// What stands for a tag that is being removed, and for no other: an index of no images, which
    /// needs nothing that the registry does not have.
    pub(super) fn stand_in(image: &ImageRef) -> Manifest {
        let bytes = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"org.opencontainers.image.description":"cleanslate is removing this tag","cleanslate.removes":"{}/{}"}}}}"#,
            image.registry,
            manifest_path(image)
        );
        Manifest {
            kind: INDEX,
            digest: hash(bytes.as_bytes()),
            bytes: bytes.into_bytes(),
        }
    }

    /// The hash of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Why a manifest is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The registry says that it has none such.
    #[error("{}", .0.what)]
    Gone(Problem),
    #[error("{}", .0.what)]
    Failed(Problem),
}

/// Why a tag was not moved, or not surely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The registry does not take this manifest: it lacks a part of it, or does not know its kind.
    #[error("{}", .0.what)]
    NotTaken(Problem),
    /// The tag is as it was. `again_after`: for how long the registry asks to be left alone.
    #[error("{}", .problem.what)]
    NotDone {
        problem: Problem,
        again_after: Option<Duration>,
    },
    /// It may have been moved, or may be later: what the tag names says which.
    #[error("{}", .problem.what)]
    Unknown {
        problem: Problem,
        again_after: Option<Duration>,
    },
}

impl Registries {
    /// The manifest of an image, whose bytes are those of its digest. Asked for once.
    ///
    /// # Errors
    /// [`FetchError::Gone`] where the registry itself says that there is none.
    pub async fn manifest(&self, image: &ImageRef) -> Result<Manifest, FetchError> {
        let session = self.open(canonical(&image.registry)).await;
        let session = session.map_err(FetchError::Failed)?;
        session.fetch(image).await
    }

    /// The digest that a tag names now; `None` where the registry says that it has no such tag.
    ///
    /// # Errors
    /// Why the registry does not tell.
    pub async fn named(&self, image: &ImageRef) -> Result<Option<Digest>, Problem> {
        let session = self.open(canonical(&image.registry)).await?;
        session.named(image).await
    }

    /// Puts a manifest of the same repository under the tag of `image`. Sent once, and nothing
    /// keeps it from taking the place of what somebody else put there: registries know no
    /// condition. What came of it is read back by whoever asks.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put(&self, image: &ImageRef, manifest: &Manifest) -> Result<(), PutError> {
        let session = self.open(canonical(&image.registry)).await;
        let session = session.map_err(not_done)?;
        session.put(image, manifest).await
    }
}

impl Session {
    pub(super) async fn fetch(&self, image: &ImageRef) -> Result<Manifest, FetchError> {
        let place = Place::Image(image);
        let answer = self.ask_manifest(Method::GET, image, &mut None).await;
        let answer = answer.map_err(FetchError::Failed)?;
        if !answer.status.is_success() {
            let problem = failure::of_answer(&place, self, &answer);
            return Err(match failure::says_there_is_none(&answer) {
                true => FetchError::Gone(problem),
                false => FetchError::Failed(problem),
            });
        }
        checked(image, answer).map_err(FetchError::Failed)
    }

    /// HEAD costs a registry least; only the body of a GET can say that there is none.
    pub(super) async fn named(&self, image: &ImageRef) -> Result<Option<Digest>, Problem> {
        let mut authorization = None;
        let place = Place::Image(image);
        let head = self.ask_manifest(Method::HEAD, image, &mut authorization);
        let head = head.await?;
        if let (true, Some(told)) = (head.status.is_success(), told_digest(&head.headers)) {
            return as_written(image, told).map(Some);
        }
        if is_overloaded(head.status) {
            return Err(failure::of_answer(&place, self, &head));
        }
        let answer = self.ask_manifest(Method::GET, image, &mut authorization);
        let answer = answer.await?;
        if failure::says_there_is_none(&answer) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(failure::of_answer(&place, self, &answer));
        }
        as_written(image, hash(&answer.body)).map(Some)
    }

    pub(super) async fn put(&self, image: &ImageRef, manifest: &Manifest) -> Result<(), PutError> {
        let place = Place::Image(image);
        let scope = format!("repository:{}:pull,push", image.repository);
        let asked = Ask {
            method: Method::PUT,
            path: &manifest_path(image),
            scope: Some(&scope),
            content: Some((&HeaderValue::from_static(manifest.kind), &manifest.bytes)),
        };
        let answer = match self.ask(&place, asked, &mut None).await {
            Ok(answer) => answer,
            Err(silence) if silence.was_heard => {
                return Err(PutError::Unknown {
                    problem: silence.problem,
                    again_after: None,
                });
            }
            Err(silence) => return Err(not_done(silence.problem)),
        };
        if answer.status.is_success() {
            return Ok(());
        }
        let problem = failure::of_put(&place, self, &answer);
        let again_after = failure::asks_to_wait(&answer.headers);
        if is_about_the_manifest(answer.status) && !problem.is_transient {
            return Err(PutError::NotTaken(problem));
        }
        Err(match may_be_done(answer.status) {
            true => PutError::Unknown {
                problem,
                again_after,
            },
            false => PutError::NotDone {
                problem,
                again_after,
            },
        })
    }
}

fn not_done(problem: Problem) -> PutError {
    PutError::NotDone {
        problem,
        again_after: None,
    }
}

fn is_about_the_manifest(status: StatusCode) -> bool {
    status == StatusCode::BAD_REQUEST || status == StatusCode::NOT_FOUND
}

/// A server that failed, or something between that heard nothing from it, may have done it first.
fn may_be_done(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

fn checked(image: &ImageRef, answer: Answer) -> Result<Manifest, Problem> {
    let place = Place::Image(image);
    let found = hash(&answer.body);
    if let Some(told) = told_digest(&answer.headers).filter(|told| *told != found) {
        return Err(failure::of_digest(&place, &told, &found));
    }
    Ok(Manifest {
        digest: as_written(image, found)?,
        kind: kind(&place, &answer)?,
        bytes: answer.body,
    })
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default, rename = "mediaType")]
    media_type: String,
}

/// As the registry calls it, else as it calls itself.
fn kind(place: &Place<'_>, answer: &Answer) -> Result<&'static str, Problem> {
    let header = answer.headers.get(CONTENT_TYPE);
    let told = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let told = told.split(';').next().unwrap_or("").trim();
    let known = |name: &str| KINDS.into_iter().find(|kind| *kind == name);
    if let Some(kind) = known(told) {
        return Ok(kind);
    }
    let itself: Option<Kind> = serde_json::from_slice(&answer.body).ok();
    let itself = itself.map(|kind| kind.media_type).unwrap_or_default();
    known(&itself).ok_or_else(|| {
        let called = if told.is_empty() { &itself } else { told };
        failure::of_kind(place, called)
    })
}
