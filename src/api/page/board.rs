//! What the page shows, asked for once for all who look at the same time: a fleet is not asked
//! more often because more people watch it.
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::answer::told;
use super::night::{Running, Tale};
use crate::api::actor::Actor;
use crate::api::history::Entry;
use crate::api::http::{Front, Problem};
use crate::api::public::Line;
use crate::api::status::Status;
use crate::api::wire::Command;
use crate::model::id::RotationId;

/// So many past nights are on the first page.
const NIGHTS: usize = 5;

/// Past nights change when one ends; and, who knows, otherwise.
const NIGHTS_FRESH: Duration = Duration::from_secs(60);

/// Everything at one time.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) at: Timestamp,
    pub(super) status: Status,
    /// Of the rotation that runs, else of the last one.
    pub(super) lines: Arc<Vec<Line>>,
    /// The latest first.
    pub(super) nights: Arc<Vec<Entry>>,
}

/// What was seen last, and what makes the next one cheap.
#[derive(Debug, Default)]
pub(in crate::api) struct Board(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    sight: Option<(Instant, Arc<Sight>)>,
    nights: Option<Nights>,
    tale: Option<Tale>,
}

#[derive(Debug)]
struct Nights {
    asked: Instant,
    /// What ran then.
    running: Option<RotationId>,
    entries: Arc<Vec<Entry>>,
}

#[derive(Deserialize)]
struct History {
    rotations: Vec<Entry>,
}

impl Sight {
    /// How far the rotation is that a process drives.
    pub(super) fn running(&self) -> Option<Running> {
        let rotation = self.status.rotation.as_ref();
        rotation.filter(|rotation| !rotation.interrupted)?;
        let sites = self.status.sites.iter();
        let steps = sites.filter_map(|site| Some((site.name.clone(), site.step.clone()?)));
        Some(Running {
            now: self.at,
            steps: steps.collect(),
        })
    }
}

impl Board {
    /// What is seen after this was called: whoever comes while somebody looks shares the next look
    /// with all who do.
    ///
    /// # Errors
    /// The coordinator is ending.
    pub(super) async fn sight(&self, front: &Front, actor: &Actor) -> Result<Arc<Sight>, Problem> {
        let called = Instant::now();
        let mut kept = self.0.lock().await;
        if let Some((began, sight)) = &kept.sight
            && *began >= called
        {
            return Ok(Arc::clone(sight));
        }
        let began = Instant::now();
        let sight = Arc::new(kept.see_anew(front, actor).await?);
        kept.sight = Some((began, Arc::clone(&sight)));
        Ok(sight)
    }
}

impl Kept {
    /// A journal that cannot be read hides the past, and nothing else.
    async fn see_anew(&mut self, front: &Front, actor: &Actor) -> Result<Sight, Problem> {
        let mut status: Status = told(front, Command::Status {}, actor).await?;
        let running = status.rotation.as_ref().map(|rotation| rotation.id.clone());
        let nights = self.nights(front, actor, running.as_ref()).await;
        let nights = nights.unwrap_or_else(|problem| {
            let why = problem.refusal.what;
            status.unknown.push(format!("past nights: {why}"));
            Arc::default()
        });
        let last = || nights.first().and_then(|entry| entry.rotation.parse().ok());
        let lines = match running.or_else(last) {
            Some(rotation) => self.lines(front, actor, &rotation).await?,
            None => Arc::default(),
        };
        Ok(Sight {
            at: Timestamp::now(),
            status,
            lines,
            nights,
        })
    }

    async fn nights(
        &mut self,
        front: &Front,
        actor: &Actor,
        running: Option<&RotationId>,
    ) -> Result<Arc<Vec<Entry>>, Problem> {
        if let Some(nights) = &self.nights
            && nights.running.as_ref() == running
            && nights.asked.elapsed() < NIGHTS_FRESH
        {
            return Ok(Arc::clone(&nights.entries));
        }
        let asked = Instant::now();
        let last = Command::History { last: NIGHTS };
        let history: History = told(front, last, actor).await?;
        let entries = Arc::new(history.rotations);
        self.nights = Some(Nights {
            asked,
            running: running.cloned(),
            entries: Arc::clone(&entries),
        });
        Ok(entries)
    }

    /// The lines of a rotation: read once, then heard as they come.
    async fn lines(
        &mut self,
        front: &Front,
        actor: &Actor,
        rotation: &RotationId,
    ) -> Result<Arc<Vec<Line>>, Problem> {
        let goes_on = self
            .tale
            .as_mut()
            .is_some_and(|tale| tale.goes_on(rotation));
        if !goes_on {
            self.tale = Tale::of(front, actor, rotation).await?;
        }
        Ok(self.tale.as_ref().map(Tale::lines).unwrap_or_default())
    }
}
