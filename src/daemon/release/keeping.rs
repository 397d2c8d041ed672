//! What is kept of good releases, as the loop settles it: from the ledger to what is asked of
//! registries and engines, and back to the store.
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::desk::Note;
use super::keeper::{Errand, Kept, look_after};
use crate::api::audit::What;
use crate::coordinator::effect::{Effect, EngineRequest, Request};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::State;
use crate::daemon::adapters::Adapters;
use crate::daemon::audit;
use crate::daemon::journal::JournalError;
use crate::model::fleet::Fleet;
use crate::model::image::Digest;
use crate::model::release::{Facts, KeepPhase, Moved, Passed, Upkeep, kept_at};
use crate::store::{By, Reader, Store};

/// Whether keep-tags are being looked after, and what comes of it.
#[derive(Default)]
pub(super) struct Keeping {
    is_out: bool,
    /// What a person is to hear of it.
    to_tell: Vec<Problem>,
}

impl Keeping {
    pub(super) fn is_out(&self) -> bool {
        self.is_out
    }

    pub(super) fn take_to_tell(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.to_tell)
    }

    /// One at a time: two would put two tags on one digest. What a rotation leaves that ends before
    /// the errand of the one before is back, the next one finds.
    pub(super) fn send_out(
        &mut self,
        errand: Errand,
        adapters: &Arc<Adapters>,
        notes: &mpsc::UnboundedSender<Note>,
    ) {
        if self.is_out {
            return;
        }
        self.is_out = true;
        let (adapters, notes) = (Arc::clone(adapters), notes.clone());
        tokio::spawn(async move {
            let problems = Box::pin(look_after(adapters, errand, notes.clone())).await;
            // Nobody hears of it only when the process is ending.
            drop(notes.send(Note::LookedAfter(problems)));
        });
    }

    pub(super) fn returned(&mut self, problems: Vec<Problem>) {
        self.is_out = false;
        for problem in &problems {
            tracing::warn!(cure = problem.cure, "keep-tags: {}", problem.what);
        }
        self.to_tell.extend(problems);
    }
}

/// What is to be done at the registries; `None`: nothing.
pub(super) fn errand(
    store: &Reader,
    fleet: &Fleet,
    state: &State,
    at: Timestamp,
) -> Result<Option<Errand>, JournalError> {
    let tags = store.keep_tags()?;
    if fleet.release.keep == 0 && tags.is_empty() {
        return Ok(None);
    }
    let known = Known::of(store, state, at)?;
    let upkeep = Upkeep::of(fleet, known.facts(), &tags);
    let taken = tags.into_iter().map(|tag| tag.image);
    Ok((!upkeep.is_nothing()).then(|| Errand {
        upkeep,
        fleet: fleet.clone(),
        taken: taken.collect(),
        at,
    }))
}

/// Writes down how a keep-tag has changed, and tells the audit.
pub(super) fn write(store: &mut Store, kept: &Kept, at: Timestamp) -> Result<(), JournalError> {
    let told = |what: &What| vec![audit::entry(By::itself(), at, what)];
    match kept {
        Kept::Phase(tag) => {
            let entries = match tag.phase {
                KeepPhase::Kept => told(&What::KeepTagPut {
                    image: tag.image.clone(),
                    digest: tag.digest.clone(),
                }),
                KeepPhase::Putting | KeepPhase::Removing => Vec::new(),
            };
            store.keep_tag(tag, &entries)?;
        }
        Kept::Removed(tag) => {
            let removed = What::KeepTagRemoved {
                image: tag.image.clone(),
                digest: tag.digest.clone(),
            };
            store.drop_tag(&tag.image, &told(&removed))?;
        }
        Kept::Left(tag, found) => {
            let left = What::KeepTagLeft {
                image: tag.image.clone(),
                digest: tag.digest.clone(),
                found: found.clone(),
            };
            store.drop_tag(&tag.image, &told(&left))?;
        }
    }
    Ok(())
}

/// More is kept on hosts than the machine asks for: the last good digests. Nothing is taken from what
/// it keeps.
///
/// # Errors
/// Where the ledger cannot be read.
pub(in crate::daemon) fn kept_on_hosts(
    store: &Reader,
    (fleet, state): (&Fleet, &State),
    effects: &mut [Effect],
    at: Timestamp,
) -> Result<(), JournalError> {
    let mut known = None;
    for effect in effects {
        let Request::Engine { site, request, .. } = &mut effect.request else {
            continue;
        };
        let EngineRequest::Prune { keep } = request else {
            continue;
        };
        let Some(site) = fleet.sites.get(site).filter(|_| fleet.release.keep > 0) else {
            continue;
        };
        let known = match &mut known {
            Some(known) => known,
            none => none.insert(Known::of(store, state, at)?),
        };
        keep.extend(kept_at(fleet, &site.hosts, known.facts()));
    }
    Ok(())
}

struct Known {
    passed: Vec<Passed>,
    moved: Vec<Moved>,
    barred: BTreeSet<Digest>,
    at: Timestamp,
}

impl Known {
    fn of(store: &Reader, state: &State, at: Timestamp) -> Result<Known, JournalError> {
        Ok(Known {
            passed: store.passed()?,
            moved: store.moves()?,
            barred: state.barred.keys().cloned().collect(),
            at,
        })
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            passed: &self.passed,
            moved: &self.moved,
            barred: &self.barred,
            at: self.at,
        }
    }
}
