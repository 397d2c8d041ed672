//! Drives one rotation to its end: one select, one input at a time, one synchronous handler.
mod asked;
mod kept;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::adapters::Adapters;
use super::audit::{self, Asking};
use super::clock::Clock;
use super::control::{self, Control, Heard};
use super::cues::Cues;
use super::executor::Executor;
use super::journal::{self, JournalError};
use crate::api::status::LastEnd;
use crate::api::wire::Command as Wanted;
use crate::config::Loaded;
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::safety::Refusal;
use crate::coordinator::state::State;
use crate::model::id::{HolderId, RotationId, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::marker::Marker;
use crate::store::{By, Store};
use asked::end_planning;

/// One committed fact, in order, with the state before and after it.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number in the journal.
    pub seq: u64,
    pub at: jiff::Timestamp,
    pub event: Event,
    pub before: Arc<State>,
    pub after: Arc<State>,
}

/// Something asked of a running rotation, and where the answer goes.
#[derive(Debug)]
pub struct Ask {
    pub command: Command,
    /// For the audit: in which words, and by whom; `None`: nobody did.
    pub asking: Option<Asking>,
    pub reply: Option<oneshot::Sender<Result<(), Problem>>>,
}

/// How a rotation ended.
#[derive(Clone, Debug)]
pub struct Finish {
    pub rotation: RotationId,
    pub end: RotationEnd,
    pub visits: BTreeMap<SiteName, (VisitEnd, Option<Problem>)>,
    /// Why the marker was not to be had.
    pub refusal: Option<Problem>,
    /// Sites that were planned and not visited.
    pub not_visited: Vec<SiteName>,
    /// The marker as it was left.
    pub marker: Option<Marker>,
}

/// What ended the process's work on a rotation before the rotation's own end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the journal cannot be written: nothing more is done")]
    Journal(#[from] JournalError),
    #[error("{}", .0.what)]
    Refused(Problem),
    /// A rule that is asked before there is a plan.
    #[error("{}: {}", .0.rule, .0.why)]
    Rule(Refusal),
    /// Something was named that the configuration does not have.
    #[error("{}", .0.what)]
    Unknown(Problem),
    /// It was asked to, and did so between two steps: the next start goes on.
    #[error("stopped between two steps")]
    Stopped,
    #[error("the plan is blocked")]
    Blocked(crate::coordinator::plan::Blocked),
}

/// How often it is seen whether a wait is to be told.
const TICK: Duration = Duration::from_secs(1);

impl RunError {
    /// Every reason why nothing was begun; none where it ended otherwise.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            RunError::Refused(problem) | RunError::Unknown(problem) => vec![problem.clone()],
            RunError::Rule(refusal) => vec![refusal.problem()],
            RunError::Blocked(blocked) => blocked.reasons.clone(),
            RunError::Journal(_) | RunError::Stopped => Vec::new(),
        }
    }
}

/// What others asked is ready to be told to the machine.
type Asks = mpsc::Receiver<Ask>;

/// The parts of a running rotation.
pub(super) struct Night<'a> {
    pub(super) control: &'a mut Control,
    /// Whoever owns the process wants it to end.
    pub(super) wants_to_stop: bool,
    pub(super) holder: HolderId,
    /// The configuration as it was read last, and whether this process begins what it schedules.
    pub(super) config: &'a Loaded,
    pub(super) is_serving: bool,
    /// How the last visit of each site ended.
    pub(super) ends: BTreeMap<SiteName, LastEnd>,
    pub(super) coordinator: &'a mut Coordinator,
    pub(super) store: &'a mut Store,
    pub(super) adapters: Arc<Adapters>,
    pub(super) clock: Clock,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) cues: Cues,
}

impl Night<'_> {
    /// Tells the machine `first`, then whatever is heard, until the rotation has ended.
    pub(super) async fn run(
        mut self,
        first: Vec<Input>,
        asking: Option<Asking>,
        asks: &mut Asks,
    ) -> Result<Finish, RunError> {
        let (planned, mut queued) = mpsc::channel(4);
        let (mut executor, mut answers) = Executor::new(Arc::clone(&self.adapters));
        let (moves, mut moved) = mpsc::unbounded_channel();
        let mut asking = asking;
        for input in first {
            self.tell(&input, asking.take().as_ref(), &mut executor, &moves)?
                .map_err(RunError::Refused)?;
        }
        if let Some(rotation) = &self.coordinator.state().rotation {
            self.control.keep_promise(Ok(rotation.plan.id.clone()));
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(finish) = finished(self.coordinator.state()) {
                end_planning(queued);
                self.end_release().await?;
                self.keep_story(&finish.rotation)?;
                journal::snapshot(self.store, self.coordinator.state())?;
                return Ok(finish);
            }
            if self.wants_to_stop && self.coordinator.state().may_stop() {
                return Err(RunError::Stopped);
            }
            tokio::select! {
                Some(answer) = answers.recv() => {
                    executor.answered(answer.token);
                    self.note(&answer)?;
                    let input = Input::Outcome { token: answer.token, outcome: answer.outcome };
                    // A late answer is no fault: it is dropped.
                    drop(self.tell(&input, None, &mut executor, &moves)?);
                }
                Some(ask) = asks.recv() => self.take(ask, &mut executor, &moves)?,
                heard = self.control.next() => match heard {
                    Heard::Asked(asked) => {
                        if let Some(ask) = self.hear(asked, &planned)? {
                            self.take(ask, &mut executor, &moves)?;
                        }
                    }
                    Heard::Release(note) => self.take_release(note)?,
                },
                Some(planned) = queued.recv() => {
                    if let Some(ask) = self.planned(planned)? {
                        self.take(ask, &mut executor, &moves)?;
                    }
                }
                Some(moved) = moved.recv() => {
                    drop(self.tell(&Input::TagsMoved { moved }, None, &mut executor, &moves)?);
                }
                _ = ticks.tick() => {
                    let now = self.clock.now();
                    self.control.tell_waits(self.coordinator.state(), now);
                    let told = self.control.tell_tokens(self.store, now);
                    told.map_err(JournalError::Store)?;
                    self.tend_release()?;
                }
            }
        }
    }

    /// Tells the machine a command, and whoever asked what came of it.
    fn take(
        &mut self,
        ask: Ask,
        executor: &mut Executor,
        moves: &mpsc::UnboundedSender<BTreeMap<ImageRef, Digest>>,
    ) -> Result<(), RunError> {
        if let Command::Pause {
            ends: PauseEnd::Start,
            ..
        } = ask.command
        {
            self.wants_to_stop = true;
        }
        let input = Input::Command(ask.command);
        let result = self.tell(&input, ask.asking.as_ref(), executor, moves)?;
        if let Some(asking) = &ask.asking {
            let no = control::reply(result.clone());
            let now = self.clock.now();
            let refusals = &mut self.control.refusals;
            refusals.note(self.store, (asking, &no), now)?;
        }
        if let Some(reply) = ask.reply {
            drop(reply.send(result));
        }
        Ok(())
    }

    /// decide → commit → effects. The inner error is a rejection: nothing was recorded.
    fn tell(
        &mut self,
        input: &Input,
        asking: Option<&Asking>,
        executor: &mut Executor,
        moves: &mpsc::UnboundedSender<BTreeMap<ImageRef, Digest>>,
    ) -> Result<Result<(), Problem>, RunError> {
        let now = self.clock.now();
        let decision = match self.coordinator.decide(input, now) {
            Ok(decision) => decision,
            Err(rejection) => return Ok(Err(rejection.problem)),
        };
        let before = Arc::new(self.coordinator.state().clone());
        let events = decision.events.clone();
        let rotation = before
            .rotation
            .as_ref()
            .map(|rotation| rotation.plan.id.clone());
        let ctx = self.coordinator.context();
        let steps = audit::steps(&ctx, before, &events, now);
        let told = audit::told(&ctx, asking, &steps, now);
        let mut seq = 0;
        let store = &mut *self.store;
        if events.is_empty() {
            store.audit(&told).map_err(JournalError::Store)?;
        }
        let mut effects = self.coordinator.commit(decision, now, |events| {
            seq = journal::append(store, rotation.as_ref(), (events, &told), now)?;
            Ok::<(), JournalError>(())
        })?;
        for (offset, step) in (0..).zip(&steps) {
            let notice = Notice {
                seq: seq + offset,
                at: now.wall,
                event: step.event.clone(),
                before: Arc::clone(&step.before),
                after: Arc::clone(&step.after),
            };
            self.control.tell(self.adapters.fleet(), &notice, now.mono);
            self.cues
                .tell(self.adapters.fleet(), step.event, &step.after);
            // Whoever listened may have gone; the rotation goes on.
            drop(self.notices.send(notice));
            self.keep_duration(step.event, &step.before, now)?;
            self.keep_seen(step, now)?;
            self.note_end(step.event, now);
            self.follow_up(step.event, moves);
        }
        self.keep_on_hosts(&mut effects)?;
        executor.keep_only(self.coordinator.awaited_tokens());
        executor.start(effects);
        Ok(Ok(()))
    }

    /// What the shell does beside the machine when a fact became true.
    fn follow_up(&self, event: &Event, moves: &mpsc::UnboundedSender<BTreeMap<ImageRef, Digest>>) {
        if let Event::ChangeProven {
            intent: Intent::Withdraw { site },
            ..
        } = event
        {
            self.adapters.mark_withdrawal(site);
        } else if let Event::WaveEnded { .. } = event {
            self.look_at_tags(moves.clone());
        }
    }

    /// Asks the registries whether a tag has moved since it was pinned. That they do not answer is
    /// no matter any more: every digest is on its hosts, or is pulled by digest.
    fn look_at_tags(&self, moves: mpsc::UnboundedSender<BTreeMap<ImageRef, Digest>>) {
        let Some(rotation) = &self.coordinator.state().rotation else {
            return;
        };
        let pins = rotation.plan.pins.clone();
        let adapters = Arc::clone(&self.adapters);
        tokio::spawn(async move {
            let images = pins.keys().cloned().collect();
            let seen = adapters.registries.resolve(&images).await;
            let moved: BTreeMap<ImageRef, Digest> = seen
                .into_iter()
                .filter_map(|(image, digest)| Some((image, digest.ok()?)))
                .filter(|(image, digest)| pins.get(image) != Some(digest))
                .collect();
            if !moved.is_empty() {
                drop(moves.send(moved));
            }
        });
    }
}

/// What a process is told that is to end: between two steps, with nothing out of DNS by its own
/// doing.
pub fn stop() -> Ask {
    let by = By::itself();
    let reason = "the process was told to end".to_owned();
    Ask {
        command: Command::Pause {
            actor: by.who.clone(),
            reason: reason.clone(),
            ends: PauseEnd::Start,
        },
        asking: Some(Asking {
            by,
            command: Wanted::Pause {
                reason,
                until: None,
                then: None,
            },
        }),
        reply: None,
    }
}

/// The end of the rotation in hand, once it has one.
pub(super) fn finished(state: &State) -> Option<Finish> {
    let rotation = state.rotation.as_ref()?;
    let end = rotation.end.clone()?;
    let planned = rotation.plan.sites().cloned();
    Some(Finish {
        rotation: rotation.plan.id.clone(),
        end,
        visits: rotation.ended.clone(),
        refusal: rotation.refusal.clone(),
        not_visited: planned
            .filter(|site| !rotation.ended.contains_key(site))
            .collect(),
        marker: state.marker.clone(),
    })
}
