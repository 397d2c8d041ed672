//! Carries out an act at the registries, beside the loop that writes it down.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::desk::Note;
use crate::coordinator::outcome::Problem;
use crate::daemon::adapters::Adapters;
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Act, End, Mover, Phase, Want};
use crate::registry::{FetchError, Manifest, PutError, Registries};

/// So often in a row a registry may fail. With the pauses between, half a minute: people wait.
const TRIES: u32 = 5;

/// No pause that a registry asks for is longer for us: whoever asks for more is tried later.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the work on an act ended.
#[derive(Clone, Debug)]
pub(in crate::daemon) enum Driven {
    Ended(End),
    /// The registry does not let it be finished now: it stays open.
    Open(Problem),
    /// Nobody writes anything down any more: the process is ending.
    Cut,
}

/// Works on an act until it has ended, or cannot go on.
pub(super) async fn drive(
    adapters: Arc<Adapters>,
    act: Act,
    notes: mpsc::UnboundedSender<Note>,
) -> Driven {
    let drive = Drive {
        registries: &adapters.registries,
        mover: Mover::take_up(act),
        notes,
        manifests: BTreeMap::new(),
        put_here: BTreeSet::new(),
        failures: 0,
        put_failures: 0,
    };
    match drive.run().await {
        Ok(end) => Driven::Ended(end),
        Err(Some(problem)) => Driven::Open(problem),
        Err(None) => Driven::Cut,
    }
}

struct Drive<'a> {
    registries: &'a Registries,
    mover: Mover,
    notes: mpsc::UnboundedSender<Note>,
    /// Fetched once, put as often as it takes.
    manifests: BTreeMap<ImageRef, Manifest>,
    put_here: BTreeSet<usize>,
    /// Questions in a row that were not answered.
    failures: u32,
    /// PUTs in a row of which nothing came.
    put_failures: u32,
}

/// `Some`: why it stays open; `None`: nobody writes it down.
type Left<T> = Result<T, Option<Problem>>;

impl Drive<'_> {
    async fn run(mut self) -> Left<End> {
        loop {
            match self.mover.wants() {
                Want::Nothing(end) => return Ok(end),
                Want::Record(act) => {
                    self.tell(|written| Note::Keep { act, written }).await?;
                    self.put_failures = 0;
                    self.mover.recorded();
                }
                Want::Read { at } => self.read(at).await?,
                Want::Put { at, digest } => self.put(at, &digest).await?,
            }
        }
    }

    async fn read(&mut self, at: usize) -> Left<()> {
        let Some(image) = self.image(at) else {
            return Ok(());
        };
        match self.registries.named(&image).await {
            Ok(found) => {
                self.failures = 0;
                self.mover.read(at, found.clone());
                self.note_move(at, found).await
            }
            Err(problem) => self.failed(problem, None).await,
        }
    }

    /// The ledger hears of what was put, and of what an earlier process put and could not tell.
    async fn note_move(&mut self, at: usize, found: Option<Digest>) -> Left<()> {
        let Some(it) = self.mover.act().moves.get(at) else {
            return Ok(());
        };
        let is_there = match &self.mover.act().phase {
            Phase::Forward => found.as_ref() == Some(&it.new),
            Phase::Back { .. } => found == it.old && self.put_here.contains(&at),
            Phase::Ended(_) => false,
        };
        let Some(digest) = found.filter(|_| is_there) else {
            return Ok(());
        };
        self.put_failures = 0;
        let note = |written| Note::Moved {
            at,
            digest,
            written,
        };
        self.tell(note).await
    }

    async fn put(&mut self, at: usize, digest: &Digest) -> Left<()> {
        let Some(image) = self.image(at) else {
            return Ok(());
        };
        let Some(manifest) = self.manifest(at, &image, digest).await? else {
            return Ok(());
        };
        let result = self.registries.put(&image, &manifest).await;
        let (problem, pause) = match result {
            Ok(()) => {
                self.put_here.insert(at);
                self.mover.put(at);
                return Ok(());
            }
            Err(PutError::NotTaken(problem)) => {
                self.mover.refused(at, problem.what);
                return Ok(());
            }
            Err(PutError::NotDone { problem, .. }) if !problem.is_transient => {
                return self.may_not(at, problem);
            }
            Err(PutError::NotDone {
                problem,
                again_after,
            }) => (problem, again_after),
            Err(PutError::Unknown {
                problem,
                again_after,
            }) => {
                self.put_here.insert(at);
                (problem, again_after)
            }
        };
        self.mover.unknown(at);
        self.put_failures += 1;
        if self.put_failures < TRIES {
            tokio::time::sleep(pause_before(self.put_failures, pause)).await;
            return Ok(());
        }
        self.may_not(at, problem)
    }

    /// It cannot be put as things stand. On the way back there is nowhere further to go: a person
    /// mends what is wrong, and it is tried again.
    fn may_not(&mut self, at: usize, problem: Problem) -> Left<()> {
        match self.mover.act().phase {
            Phase::Forward => {
                self.mover.refused(at, problem.what);
                Ok(())
            }
            Phase::Back { .. } | Phase::Ended(_) => Err(Some(problem)),
        }
    }

    /// `None`: there is no such manifest any more, and the act knows.
    async fn manifest(
        &mut self,
        at: usize,
        image: &ImageRef,
        digest: &Digest,
    ) -> Left<Option<Manifest>> {
        let pinned = image.by_digest(digest);
        if let Some(manifest) = self.manifests.get(&pinned) {
            return Ok(Some(manifest.clone()));
        }
        match self.registries.manifest(&pinned).await {
            Ok(manifest) => {
                self.failures = 0;
                self.manifests.insert(pinned, manifest.clone());
                Ok(Some(manifest))
            }
            Err(FetchError::Gone(problem)) => {
                self.mover.refused(at, problem.what);
                Ok(None)
            }
            Err(FetchError::Failed(problem)) if !problem.is_transient => {
                self.may_not(at, problem).map(|()| None)
            }
            Err(FetchError::Failed(problem)) => {
                self.mover.unknown(at);
                self.failed(problem, None).await.map(|()| None)
            }
        }
    }

    async fn failed(&mut self, problem: Problem, pause: Option<Duration>) -> Left<()> {
        self.failures += 1;
        if self.failures >= TRIES || !problem.is_transient {
            return Err(Some(problem));
        }
        tokio::time::sleep(pause_before(self.failures, pause)).await;
        Ok(())
    }

    fn image(&self, at: usize) -> Option<ImageRef> {
        let it = self.mover.act().moves.get(at)?;
        Some(it.image.clone())
    }

    /// Goes on once it is on disk.
    async fn tell(&self, note: impl FnOnce(oneshot::Sender<()>) -> Note) -> Left<()> {
        let (written, is_written) = oneshot::channel();
        self.notes.send(note(written)).map_err(|_| None)?;
        is_written.await.map_err(|_| None)
    }
}

/// Twice as long each time, or as long as the registry says.
fn pause_before(failures: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1) * 2_u32.saturating_pow(failures.saturating_sub(1));
    asked.unwrap_or(doubled).min(LONGEST_PAUSE)
}
