//! Taking a tag away, and only the tag. A registry that deletes by digest deletes every tag of that
//! manifest with it, `master` among them: the digest of an image is never deleted here.
//!
//! The OCI distribution specification 1.1 has a request that deletes a tag alone. docker-registry 2.8
//! does not know it: it answers 400 where it deletes manifests, and 405 where it deletes nothing.
//! There a *stand-in* takes the tag over: a manifest of ours, another for each tag, that nothing else
//! can name. It is deleted by its digest, and the tag goes with it.
use reqwest::{Method, StatusCode};

use super::Registries;
use super::failure::{self, Place};
use super::manifest::{FetchError, Manifest, PutError};
use super::resolve::canonical;
use super::session::{Ask, Session, hash, manifest_path};
use crate::coordinator::outcome::Problem;
use crate::model::image::{Digest, ImageRef};

/// What became of a tag that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There is no such tag, as the registry says itself.
    Gone,
    /// It names this, which is not what was to be removed: it is left alone.
    Others(Digest),
    /// The registry deletes nothing: the tag is as it was.
    Unsupported(Problem),
}

/// What a registry says to a DELETE.
enum Deleted {
    /// It is not there, or not any more.
    Yes,
    Unsupported(Problem),
}

impl Registries {
    /// Whether tags of this repository can be removed with our credentials: it is asked to delete
    /// what it does not have, and refuses that or does not.
    ///
    /// # Errors
    /// Why none can be, or why that is not known.
    pub async fn may_delete(&self, image: &ImageRef) -> Result<(), Problem> {
        let session = self.open(canonical(&image.registry)).await?;
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).expect("the system has random numbers");
        let nothing = image.by_digest(&hash(&octets));
        match session.delete(&nothing).await? {
            Deleted::Yes => Ok(()),
            Deleted::Unsupported(problem) => Err(problem),
        }
    }

    /// Removes the tag of `image` if it names `ours`, and no other tag of that manifest. May be asked
    /// again wherever it was left off.
    ///
    /// # Errors
    /// Why it is not known to be gone: it may be, or the tag names the stand-in.
    pub async fn remove_tag(&self, image: &ImageRef, ours: &Digest) -> Result<Removal, Problem> {
        let session = self.open(canonical(&image.registry)).await?;
        session.remove_tag(image, ours).await
    }
}

impl Session {
    async fn remove_tag(&self, image: &ImageRef, ours: &Digest) -> Result<Removal, Problem> {
        let stand_in = Manifest::stand_in(image);
        match self.named(image).await? {
            None => return Ok(Removal::Gone),
            // Whoever put it was left off before it was deleted.
            Some(found) if found == *stand_in.digest() => {}
            Some(found) if found != *ours => return Ok(Removal::Others(found)),
            Some(_) => match self.delete(image).await? {
                Deleted::Yes => return self.read_back(image, ours).await,
                Deleted::Unsupported(_) => {
                    if let Some(other) = self.stand_in_for(image, ours, &stand_in).await? {
                        return Ok(other);
                    }
                }
            },
        }
        match self.delete(&image.by_digest(stand_in.digest())).await? {
            Deleted::Yes => self.read_back(image, stand_in.digest()).await,
            // It deleted before, or the tag would not name the stand-in.
            Deleted::Unsupported(problem) => {
                let back = self.fetch(&image.by_digest(ours)).await.map_err(failed)?;
                self.put(image, &back).await.map_err(not_put)?;
                Ok(Removal::Unsupported(problem))
            }
        }
    }

    /// Lets the stand-in take the tag over; `Some`: it may not.
    async fn stand_in_for(
        &self,
        image: &ImageRef,
        ours: &Digest,
        stand_in: &Manifest,
    ) -> Result<Option<Removal>, Problem> {
        // Asked about what it does not have, a registry that deletes says so: nobody is left with a
        // stand-in that cannot be deleted.
        if let Deleted::Unsupported(problem) =
            self.delete(&image.by_digest(stand_in.digest())).await?
        {
            return Ok(Some(Removal::Unsupported(problem)));
        }
        match self.named(image).await? {
            None => return Ok(Some(Removal::Gone)),
            Some(found) if found != *ours => return Ok(Some(Removal::Others(found))),
            Some(_) => {}
        }
        match self.put(image, stand_in).await {
            Ok(()) => Ok(None),
            Err(PutError::NotTaken(problem)) => Ok(Some(Removal::Unsupported(problem))),
            Err(error) => Err(not_put(error)),
        }
    }

    async fn read_back(&self, image: &ImageRef, deleted: &Digest) -> Result<Removal, Problem> {
        match self.named(image).await? {
            None => Ok(Removal::Gone),
            Some(found) if found == *deleted => Err(Problem {
                what: format!("{image}: the registry says that it is deleted, and still has it"),
                cure: "it is asked again after the next rotation; the registry's log may tell why"
                    .to_owned(),
                is_transient: true,
            }),
            Some(found) => Ok(Removal::Others(found)),
        }
    }

    async fn delete(&self, image: &ImageRef) -> Result<Deleted, Problem> {
        let place = Place::Image(image);
        let scope = format!("repository:{}:pull,delete", image.repository);
        let asked = Ask {
            method: Method::DELETE,
            path: &manifest_path(image),
            scope: Some(&scope),
            content: None,
        };
        let answer = self.ask(&place, asked, &mut None).await?;
        if answer.status.is_success() || failure::says_there_is_none(&answer) {
            return Ok(Deleted::Yes);
        }
        let problem = failure::of_delete(&place, self, &answer);
        match is_unsupported(answer.status) {
            true => Ok(Deleted::Unsupported(problem)),
            false => Err(problem),
        }
    }
}

/// The specification's 400 and 405, and what HTTP has for it.
fn is_unsupported(status: StatusCode) -> bool {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ]
    .contains(&status)
}

fn failed(error: FetchError) -> Problem {
    match error {
        FetchError::Gone(problem) | FetchError::Failed(problem) => problem,
    }
}

fn not_put(error: PutError) -> Problem {
    match error {
        PutError::NotTaken(problem)
        | PutError::NotDone { problem, .. }
        | PutError::Unknown { problem, .. } => problem,
    }
}
