//! Looks after keep-tags at the registries, beside the loop that writes them down. Nothing waits for
//! it: what cannot be done now is told, and done after the next rotation.
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::desk::Note;
use crate::coordinator::outcome::Problem;
use crate::daemon::adapters::Adapters;
use crate::model::fleet::Fleet;
use crate::model::image::{Digest, ImageRef, ImageVersion};
use crate::model::release::{KeepPhase, KeepTag, TagRule, Upkeep, Wanted, followed};
use crate::registry::{FetchError, PutError, Registries, Removal};

/// So many tags of one day and version are looked through for a name that is free. Nobody releases
/// so often: something is wrong.
const NAMES: u32 = 200;

/// The label of an image that tells its version (OCI image specification, annotations).
const VERSION: &str = "org.opencontainers.image.version";

/// How a keep-tag has changed, for whoever writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Kept {
    /// It has come so far.
    Phase(KeepTag),
    /// The registry has it no more.
    Removed(KeepTag),
    /// Somebody made it name something else: it is theirs.
    Left(KeepTag, Digest),
}

/// What is to be done, as it was settled in the loop.
pub(super) struct Errand {
    pub(super) upkeep: Upkeep,
    pub(super) fleet: Fleet,
    /// Names that are taken, as far as we took them.
    pub(super) taken: BTreeSet<ImageRef>,
    pub(super) at: Timestamp,
}

/// Does it; what a person is to hear of.
pub(super) async fn look_after(
    adapters: Arc<Adapters>,
    errand: Errand,
    notes: mpsc::UnboundedSender<Note>,
) -> Vec<Problem> {
    let Errand {
        upkeep,
        fleet,
        taken,
        at,
    } = errand;
    let mut keeper = Keeper {
        registries: &adapters.registries,
        rule: &fleet.release.tag,
        fleet: &fleet,
        at,
        notes,
        taken,
        given_up: BTreeSet::new(),
        problems: Vec::new(),
    };
    // Whoever writes it down is gone only when the process is ending.
    let _is_whole = keeper.all(upkeep).await;
    keeper.problems
}

struct Keeper<'a> {
    registries: &'a Registries,
    rule: &'a TagRule,
    fleet: &'a Fleet,
    at: Timestamp,
    notes: mpsc::UnboundedSender<Note>,
    taken: BTreeSet<ImageRef>,
    /// Registries and repositories of which no more is asked this time.
    given_up: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// Nobody writes anything down any more.
struct Cut;

impl Keeper<'_> {
    /// What is put comes before what is removed: where the one fails, the other does not happen; and a
    /// registry that removes nothing gets its tags all the same.
    async fn all(&mut self, upkeep: Upkeep) -> Result<(), Cut> {
        for tag in upkeep.look_at {
            self.look_at(tag).await?;
        }
        for wanted in upkeep.put {
            self.put_on(wanted).await?;
        }
        for tag in upkeep.finish.into_iter().chain(upkeep.remove) {
            self.remove(tag).await?;
        }
        Ok(())
    }

    /// A tag that is to be there names its digest, or is put again.
    async fn look_at(&mut self, tag: KeepTag) -> Result<(), Cut> {
        if self.is_given_up(&tag.image) {
            return Ok(());
        }
        match self.registries.named(&tag.image).await {
            Ok(Some(found)) if found == tag.digest => match tag.phase {
                KeepPhase::Putting => self.is_kept(tag).await,
                KeepPhase::Kept | KeepPhase::Removing => Ok(()),
            },
            Ok(None) => self.put_again(tag).await,
            Ok(Some(found)) => {
                let again = Wanted {
                    image: tag.image.clone(),
                    digest: tag.digest.clone(),
                    is_last: false,
                };
                self.left(tag, found).await?;
                self.put_on(again).await
            }
            Err(problem) => {
                self.give_up(&tag.image, problem);
                Ok(())
            }
        }
    }

    /// It was removed by somebody else, or its process died before it was put.
    async fn put_again(&mut self, tag: KeepTag) -> Result<(), Cut> {
        match self
            .registries
            .named(&tag.image.by_digest(&tag.digest))
            .await
        {
            Ok(Some(_)) => self.put(tag).await,
            Ok(None) => {
                let (image, digest) = (&tag.image, &tag.digest);
                self.problems.push(Problem {
                    what: format!("{image}: the tag is gone, and {digest} with it"),
                    cure:
                        "see who or what removes it there: keep-tags are not for others to remove"
                            .to_owned(),
                    is_transient: false,
                });
                self.tell(Kept::Removed(tag)).await
            }
            Err(problem) => {
                self.give_up(&tag.image, problem);
                Ok(())
            }
        }
    }

    /// A good digest gets a tag of a name that nobody has.
    async fn put_on(&mut self, wanted: Wanted) -> Result<(), Cut> {
        let Wanted {
            image,
            digest,
            is_last,
        } = wanted;
        if self.is_given_up(&image) {
            return Ok(());
        }
        let name = match self.free_name(&image, &digest).await {
            Ok(Some(name)) => name,
            // An older one that the registry has cleaned up already: there is nothing to keep.
            Ok(None) if !is_last => return Ok(()),
            Ok(None) => {
                self.give_up(&image, lost(&image, &digest));
                return Ok(());
            }
            Err(problem) => {
                self.give_up(&image, problem);
                return Ok(());
            }
        };
        let tag = KeepTag {
            image: name,
            digest,
            at: self.at,
            phase: KeepPhase::Putting,
            refused: None,
        };
        self.put(tag).await
    }

    /// `None`: the registry has no such manifest.
    async fn free_name(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<Option<ImageRef>, Problem> {
        let pinned = image.by_digest(digest);
        if self.registries.named(&pinned).await?.is_none() {
            return Ok(None);
        }
        let version = match self.registries.describe(&pinned).await {
            Ok((_, labels)) => labels.get(VERSION).cloned(),
            Err(problem) if problem.is_transient => return Err(problem),
            // Of a kind that has no labels: it is kept all the same.
            Err(_) => None,
        };
        for n in 1..=NAMES {
            let tag = self.rule.name(version.as_deref(), self.at, n);
            let name = ImageRef {
                version: ImageVersion::Tag(tag),
                ..image.clone()
            };
            // Whoever has the name keeps it, even where it names the same: only what we put is ours
            // to remove.
            if !self.taken.contains(&name) && self.registries.named(&name).await?.is_none() {
                return Ok(Some(name));
            }
        }
        Err(Problem {
            what: format!("{image}: {NAMES} keep-tags of this day and version are there already"),
            cure: "see who puts them; [release].tag names those of this fleet".to_owned(),
            is_transient: false,
        })
    }

    /// Written down first: whoever comes after a crash knows whose it is.
    async fn put(&mut self, tag: KeepTag) -> Result<(), Cut> {
        let tag = KeepTag {
            phase: KeepPhase::Putting,
            at: self.at,
            ..tag
        };
        let manifest = match self
            .registries
            .manifest(&tag.image.by_digest(&tag.digest))
            .await
        {
            Ok(manifest) => manifest,
            Err(FetchError::Gone(problem) | FetchError::Failed(problem)) => {
                self.give_up(&tag.image, problem);
                return Ok(());
            }
        };
        self.taken.insert(tag.image.clone());
        self.tell(Kept::Phase(tag.clone())).await?;
        let put = self.registries.put(&tag.image, &manifest).await;
        if let Err(
            PutError::NotTaken(problem)
            | PutError::NotDone { problem, .. }
            | PutError::Unknown { problem, .. },
        ) = put
        {
            self.give_up(&tag.image, problem);
            return Ok(());
        }
        match self.registries.named(&tag.image).await {
            Ok(Some(found)) if found == tag.digest => self.is_kept(tag).await,
            Ok(Some(found)) => self.left(tag, found).await,
            Ok(None) => {
                let problem = not_there(&tag.image);
                self.give_up(&tag.image, problem);
                Ok(())
            }
            Err(problem) => {
                self.give_up(&tag.image, problem);
                Ok(())
            }
        }
    }

    async fn is_kept(&mut self, tag: KeepTag) -> Result<(), Cut> {
        let phase = KeepPhase::Kept;
        self.tell(Kept::Phase(KeepTag { phase, ..tag })).await
    }

    async fn left(&mut self, tag: KeepTag, found: Digest) -> Result<(), Cut> {
        self.problems.push(Problem {
            what: format!("somebody made the keep-tag {} name {found}", tag.image),
            cure: "it is theirs from here on; let nobody else put tags that [release].tag makes"
                .to_owned(),
            is_transient: false,
        });
        self.tell(Kept::Left(tag, found)).await
    }

    async fn remove(&mut self, tag: KeepTag) -> Result<(), Cut> {
        if self.is_given_up(&tag.image) {
            return Ok(());
        }
        match self.has_to_stay(&tag).await {
            Ok(false) => {}
            Ok(true) if tag.phase == KeepPhase::Kept => return Ok(()),
            Ok(true) => {
                let refused = None;
                return self.is_kept(KeepTag { refused, ..tag }).await;
            }
            Err(problem) => {
                self.give_up(&tag.image, problem);
                return Ok(());
            }
        }
        let leaving = KeepTag {
            phase: KeepPhase::Removing,
            ..tag
        };
        self.tell(Kept::Phase(leaving.clone())).await?;
        match self
            .registries
            .remove_tag(&leaving.image, &leaving.digest)
            .await
        {
            Ok(Removal::Gone) => self.tell(Kept::Removed(leaving)).await,
            Ok(Removal::Others(found)) => self.left(leaving, found).await,
            Ok(Removal::Unsupported(problem)) => {
                self.given_up.insert(leaving.image.registry.clone());
                self.stays(leaving, problem).await
            }
            // It will hardly be otherwise tomorrow: we may not, say.
            Err(problem) if !problem.is_transient => {
                self.given_up.insert(leaving.image.name());
                self.stays(leaving, problem).await
            }
            Err(problem) => {
                self.give_up(&leaving.image, problem);
                Ok(())
            }
        }
    }

    /// Told once, and tried again after each rotation: with one tag of a registry that deletes nothing,
    /// the others wait.
    async fn stays(&mut self, tag: KeepTag, problem: Problem) -> Result<(), Cut> {
        let refused = Some(problem.what.clone());
        if tag.refused != refused {
            self.problems.push(problem);
        }
        self.tell(Kept::Phase(KeepTag { refused, ..tag })).await
    }

    /// Whether a tag that sites follow names the same manifest. There are registries that delete more
    /// than the tag they are told: what sites may take tonight is not put at their mercy.
    async fn has_to_stay(&self, tag: &KeepTag) -> Result<bool, Problem> {
        // What an earlier errand sent has made it name something else, or nothing: it is finished.
        let names = self.registries.named(&tag.image).await?;
        if names.as_ref() != Some(&tag.digest) {
            return Ok(false);
        }
        let sites = self.fleet.sites.values();
        let channels = sites.flat_map(|site| site.hosts.iter().map(|host| &host.channel));
        let channels: BTreeSet<_> = channels.chain(&self.fleet.channels).collect();
        let name = tag.image.name();
        let images = followed(self.fleet).unwrap_or_default().into_keys();
        for image in images.filter(|it| it.name() == name) {
            for image in channels.iter().filter_map(|channel| image.at(channel)) {
                if self.registries.named(&image).await?.as_ref() == Some(&tag.digest) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_given_up(&self, image: &ImageRef) -> bool {
        self.given_up.contains(&image.registry) || self.given_up.contains(&image.name())
    }

    /// No more is asked about the repository this time; of a registry that fails as a whole, nothing.
    fn give_up(&mut self, image: &ImageRef, problem: Problem) {
        self.given_up.insert(match problem.is_transient {
            true => image.registry.clone(),
            false => image.name(),
        });
        self.problems.push(problem);
    }

    /// Goes on once it is on disk.
    async fn tell(&self, kept: Kept) -> Result<(), Cut> {
        let (written, is_written) = oneshot::channel();
        let note = Note::Kept { kept, written };
        self.notes.send(note).map_err(|_| Cut)?;
        is_written.await.map_err(|_| Cut)
    }
}

fn lost(image: &ImageRef, digest: &Digest) -> Problem {
    Problem {
        what: format!(
            "{}: the registry has lost what sites run",
            image.pinned(digest)
        ),
        cure: "see what cleans it up, and push the image anew before a host is replaced".to_owned(),
        is_transient: false,
    }
}

fn not_there(image: &ImageRef) -> Problem {
    Problem {
        what: format!("{image}: the registry took it, and does not have it"),
        cure: "it is put again after the next rotation; the registry's log may tell why".to_owned(),
        is_transient: true,
    }
}
