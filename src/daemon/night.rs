//! Drives one rotation to its end: one select, one input at a time, one synchronous handler.
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
use super::executor::{self, Executor};
use super::journal::{self, JournalError};
use super::release::{self, Note, keep_found};
use super::request::Request;
use super::schedule::next_run;
use super::status::Known;
use super::survey::{ImageSource, observe};
use crate::api::asked::{Answer, Asked};
use crate::api::public;
use crate::api::status::LastEnd;
use crate::api::wire::Command as Wanted;
use crate::config::Loaded;
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, Then, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::{EngineOutcome, Outcome, Problem};
use crate::coordinator::plan::{Mode, Plan, Wish, plan};
use crate::coordinator::safety::Refusal;
use crate::coordinator::state::{Rotation, State};
use crate::model::evidence::Evidence;
use crate::model::id::{HolderId, HostName, RotationId, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::marker::Marker;
use crate::model::time::{Now, millis};
use crate::store::{By, Store};

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

/// A plan that was made beside the loop, or why there is none, and who waits for it.
struct Planned {
    asking: Asking,
    plan: Result<Box<Plan>, Problem>,
    answer: oneshot::Sender<Answer>,
}

impl Planned {
    /// The rotation has ended meanwhile.
    fn answer_too_late(self) {
        let ended = Problem {
            what: "the rotation has ended".to_owned(),
            cure: "ask again".to_owned(),
            is_transient: true,
        };
        // Whoever asked may have gone.
        drop(self.answer.send(control::reply(Err(ended))));
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
                    let releases = &mut self.control.releases;
                    releases.tend((&*self.store, &self.adapters), now)?;
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

    /// Hears a question from the socket: answers it, or turns it into a command. What needs a plan
    /// is planned beside the loop, and comes back through `planned`.
    fn hear(
        &mut self,
        asked: Asked,
        planned: &mpsc::Sender<Planned>,
    ) -> Result<Option<Ask>, RunError> {
        let Asked {
            command,
            actor,
            answer,
        } = asked;
        let asking = Asking {
            by: (&actor).into(),
            command: command.clone(),
        };
        let actor = actor.user;
        Ok(match command {
            Wanted::Abort { reason } => {
                let reason = Some(reason);
                Some(plain(Command::Abort { actor, reason }, asking, answer))
            }
            Wanted::Cordon { site, .. } => {
                let intent = Intent::Cordon { site };
                Some(plain(Command::Write { intent }, asking, answer))
            }
            Wanted::Uncordon { site, .. } => {
                let intent = Intent::Uncordon { site };
                Some(plain(Command::Write { intent }, asking, answer))
            }
            Wanted::Pause {
                reason,
                until,
                then,
            } => Some(plain(pause(actor, reason, until, then), asking, answer)),
            Wanted::Resume { reason, site } => {
                let command = Command::Resume {
                    actor,
                    reason,
                    site,
                };
                Some(plain(command, asking, answer))
            }
            Wanted::ReleaseClear { digest, reason } => {
                let command = Command::Clear {
                    digest,
                    actor,
                    reason,
                };
                Some(plain(command, asking, answer))
            }
            // Whoever tried it by hand does not like it.
            Wanted::Withdraw { site, reason, .. } if self.is_on_trial(&site) => {
                let command = Command::Refuse {
                    site,
                    actor,
                    reason,
                };
                Some(plain(command, asking, answer))
            }
            // The adapters of a running rotation are made for a fleet that leaves kept services
            // alone.
            Wanted::Rebuild(rebuild) if rebuild.kept => {
                let no = self.not_while_running(&Wanted::Rebuild(rebuild));
                self.refuse(&asking, no, answer)?;
                None
            }
            wanted @ (Wanted::Withdraw { .. } | Wanted::Rebuild(_)) => {
                match Request::of_words(&wanted) {
                    Some(Ok(request)) => {
                        let asks_registry = request.source == ImageSource::Registry;
                        let heeded = match asks_registry {
                            true => release::heed_act(self.store),
                            false => Ok(()),
                        };
                        match heeded {
                            Err(RunError::Refused(problem)) => {
                                self.refuse(&asking, control::reply(Err(problem)), answer)?;
                            }
                            Err(error) => return Err(error),
                            Ok(()) => self.plan(request, asking, planned.clone(), answer),
                        }
                    }
                    Some(Err(problem)) => {
                        self.refuse(&asking, control::reply(Err(problem)), answer)?;
                    }
                    None => {
                        let no = self.not_while_running(&wanted);
                        self.refuse(&asking, no, answer)?;
                    }
                }
                None
            }
            Wanted::Status {} => {
                let known = Known {
                    state: Some(self.coordinator.state().clone()),
                    holder: Some(self.holder.clone()),
                    ends: self.ends.clone(),
                    is_live: true,
                    next_run: next_run(self.config, self.clock.now().wall, self.is_serving),
                };
                control::answer_status(Arc::clone(&self.adapters), known, self.clock, answer);
                None
            }
            Wanted::Watch { after } => {
                self.control.watch(after, answer);
                None
            }
            Wanted::History { last } => {
                self.control.archive().history(last, answer);
                None
            }
            Wanted::Pushed { images } => {
                let fleet = &self.coordinator.context().fleet;
                drop(answer.send(self.control.pushed(fleet, &images)));
                None
            }
            Wanted::Report { rotation } => {
                self.control.archive().report(rotation, answer);
                None
            }
            // What it pinned is finished; the move is told, and taken next time.
            Wanted::Promote(_) | Wanted::Rollback(_) => {
                let now = self.clock.now();
                let place = (&mut *self.store, self.config, &self.adapters);
                self.control.release((asking, answer), place, now)?;
                None
            }
            Wanted::ReleaseHistory { image, last } => {
                self.control.archive().moves(image, last, answer);
                None
            }
            Wanted::ReleaseStatus {} => {
                let fleet = &self.config.fleet;
                release::answer_standing(self.store, fleet, &self.adapters, answer)?;
                None
            }
            other @ (Wanted::Rotate { .. }
            | Wanted::Retry { .. }
            | Wanted::Restore { .. }
            | Wanted::TakeOver { .. }
            | Wanted::Recover { .. }) => {
                let no = self.not_while_running(&other);
                self.refuse(&asking, no, answer)?;
                None
            }
        })
    }

    /// A process that ends with its rotation ends no sooner than the act in hand.
    async fn end_release(&mut self) -> Result<(), JournalError> {
        while !self.is_serving && self.control.releases.is_driven() {
            let note = self.control.releases.next().await;
            self.take_release(note)?;
        }
        Ok(())
    }

    /// Takes in what comes of an act that moves tags.
    fn take_release(&mut self, note: Note) -> Result<(), JournalError> {
        let now = self.clock.now();
        let place = (&mut *self.store, &self.adapters);
        self.control.take_release(note, place, now)
    }

    /// Says no, once it is written down that it was said.
    fn refuse(
        &mut self,
        asking: &Asking,
        no: Answer,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), RunError> {
        let now = self.clock.now();
        let refusals = &mut self.control.refusals;
        refusals.note(self.store, (asking, &no), now)?;
        drop(answer.send(no));
        Ok(())
    }

    fn not_while_running(&self, wanted: &Wanted) -> Answer {
        let rotation = self.coordinator.state().rotation.as_ref();
        let which = rotation.map_or("one that is about to begin".to_owned(), |rotation| {
            let until = self.likely_end(rotation);
            let until = until.map_or(String::new(), |until| format!(", likely until {until:.0}"));
            format!("{} of {}{until}", rotation.plan.id, rotation.plan.actor)
        });
        self.control.not_while_running(wanted, &which)
    }

    /// When the rest of it is done, if each site takes as long as it mostly did; `None` where one
    /// was never visited.
    fn likely_end(&self, rotation: &Rotation) -> Option<jiff::Timestamp> {
        let now = self.clock.now().wall;
        let left = rotation
            .plan
            .sites()
            .filter(|site| !rotation.ended.contains_key(*site));
        let mut end = now;
        for site in left {
            let millis = self.store.typical(site, "visit").ok().flatten()?;
            let visit = rotation.visits.get(site);
            let passed = visit.map_or(0, |visit| {
                u64::try_from(now.duration_since(visit.began).as_millis()).unwrap_or(0)
            });
            end += Duration::from_millis(millis.saturating_sub(passed));
        }
        Some(end)
    }

    fn is_on_trial(&self, site: &SiteName) -> bool {
        let running = self.coordinator.state().running();
        running.is_some_and(|rotation| rotation.on_trial().any(|waiting| waiting == site))
    }

    fn wish(&self, request: Request, actor: String) -> Wish {
        let rotation = self.coordinator.state().rotation.as_ref();
        let id = rotation.map_or_else(
            || super::session::rotation_id("rebuild", self.clock.now().wall),
            |rotation| rotation.plan.id.clone(),
        );
        request.wish(id, actor)
    }

    /// Plans beside the loop; the plan, or why there is none, comes back.
    fn plan(
        &self,
        request: Request,
        asking: Asking,
        planned: mpsc::Sender<Planned>,
        answer: oneshot::Sender<Answer>,
    ) {
        let source = request.source;
        let wish = self.wish(request, asking.by.who.clone());
        let adapters = Arc::clone(&self.adapters);
        let playbook = self.coordinator.context().playbook.clone();
        let state = self.coordinator.state().clone();
        let now = self.clock.now().wall;
        tokio::spawn(async move {
            let fleet = adapters.fleet();
            let sites = wish.sites.iter().flatten().cloned().collect();
            let observed = observe(&adapters, fleet, &sites, source, &state).await;
            let plan = observed.survey(fleet, now).and_then(|survey| {
                plan(fleet, &playbook, wish, &survey).map_err(|blocked| blocked.problem())
            });
            let made = Planned {
                asking,
                plan: plan.map(Box::new),
                answer,
            };
            if let Err(mpsc::error::SendError(made)) = planned.send(made).await {
                made.answer_too_late();
            }
        });
    }

    /// A plan that was made beside the loop is told to the machine.
    fn planned(&mut self, planned: Planned) -> Result<Option<Ask>, RunError> {
        let Planned {
            asking,
            plan,
            answer,
        } = planned;
        match plan {
            Ok(plan) => Ok(Some(plain(Command::QueueRebuild { plan }, asking, answer))),
            Err(problem) => {
                self.refuse(&asking, control::reply(Err(problem)), answer)?;
                Ok(None)
            }
        }
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
        let effects = self.coordinator.commit(decision, now, |events| {
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

    /// Keeps what an answer carries beside the machine: TTLs as they were served, and evidence.
    fn note(&mut self, answer: &executor::Answer) -> Result<(), RunError> {
        if let Outcome::Primary { view: Ok(view), .. } = &answer.outcome {
            for (key, set) in &view.rrsets {
                if let Some(ttl) = set.ttl {
                    let at = self.clock.now().wall;
                    self.store
                        .note_ttl(&key.name, ttl, at)
                        .map_err(JournalError::Store)?;
                }
            }
        }
        if let Outcome::Engine(EngineOutcome::Evidence(evidence)) = &answer.outcome
            && let Some((site, host)) = &answer.host
        {
            self.keep(site, host, evidence)?;
        }
        Ok(())
    }

    /// Keeps what the rotation was told as: the configuration that it is told with goes.
    fn keep_story(&mut self, rotation: &RotationId) -> Result<(), JournalError> {
        let body = serde_json::to_string(self.control.story());
        let body = body.expect("texts, numbers and string keys always serialize");
        Ok(self.store.keep_story(rotation, &body)?)
    }

    fn note_end(&mut self, event: &Event, now: Now) {
        if let Event::VisitEnded { site, end, problem } = event {
            let last = LastEnd {
                at: now.wall,
                end: *end,
                problem: problem.clone(),
            };
            self.ends.insert(site.clone(), last);
        }
    }

    /// Remembers how long a step took, for the time left of later nights.
    fn keep_duration(&mut self, event: &Event, before: &State, now: Now) -> Result<(), RunError> {
        let (site, step, millis) = if let Event::Drained { site, seconds, .. } = event {
            (site, "drain", seconds * 1000)
        } else if let Event::Recreated { site, seconds, .. } = event {
            (site, "recreate", seconds * 1000)
        } else if let Event::VisitEnded {
            site,
            end: VisitEnd::Completed,
            ..
        } = event
            && let Some(visit) = before.rotation.as_ref().and_then(|r| r.visits.get(site))
        {
            let took = now.wall.duration_since(visit.began).as_millis();
            let took = u64::try_from(took).unwrap_or(0);
            // How long people took to try it says nothing of the next night.
            (site, "visit", took.saturating_sub(millis(visit.on_trial)))
        } else {
            return Ok(());
        };
        self.store
            .keep_duration(site, step, millis)
            .map_err(JournalError::Store)?;
        Ok(())
    }

    /// The ledger hears what registries were seen to have, and what a site passed with.
    fn keep_seen(&mut self, step: &audit::Step<'_>, now: Now) -> Result<(), RunError> {
        let by = By::itself();
        let rotation = step.after.rotation.as_ref().map(|it| &it.plan.id);
        let name = rotation.map_or("a rotation", |id| id.as_str());
        if let Event::Planned { plan } = step.event
            && plan.mode == Mode::Rotate
        {
            let why = format!("seen when {name} was planned");
            keep_found(self.store, &plan.pins, (&by, &why), now.wall)?;
        } else if let Event::TagMoved { moved } = step.event {
            let why = format!("seen while {name} ran");
            keep_found(self.store, moved, (&by, &why), now.wall)?;
        } else if let Event::Soaked { site } = step.event
            && !Arc::ptr_eq(&step.before.last_good, &step.after.last_good)
            && let Some(pins) = step.after.last_good.get(site)
        {
            let kept = self.store.keep_passed(site, pins, rotation, now.wall);
            release::unless_damaged(kept)?;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        site: &SiteName,
        host: &HostName,
        evidence: &[Evidence],
    ) -> Result<(), RunError> {
        let Some(rotation) = &self.coordinator.state().rotation else {
            return Ok(());
        };
        let id = rotation.plan.id.clone();
        let body = serde_json::to_string(evidence).map_err(|error| JournalError::Unreadable {
            seq: 0,
            why: error.to_string(),
        })?;
        self.store
            .keep_evidence(&id, site, host, &body)
            .map_err(JournalError::Store)?;
        Ok(())
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

/// No rotation runs any more that a plan could be told to.
fn end_planning(mut queued: mpsc::Receiver<Planned>) {
    queued.close();
    while let Ok(planned) = queued.try_recv() {
        planned.answer_too_late();
    }
}

/// A command for the machine whose result is the answer.
fn plain(command: Command, asking: Asking, answer: oneshot::Sender<Answer>) -> Ask {
    let (reply, result) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(result) = result.await {
            drop(answer.send(control::reply(result)));
        }
    });
    Ask {
        command,
        asking: Some(asking),
        reply: Some(reply),
    }
}

fn pause(
    actor: String,
    reason: String,
    until: Option<jiff::Timestamp>,
    then: Option<public::Then>,
) -> Command {
    let ends = until.map_or(PauseEnd::Word, |at| PauseEnd::Time {
        at,
        then: match then {
            Some(public::Then::Abort) => Then::Abort,
            Some(public::Then::Resume) | None => Then::Resume,
        },
    });
    Command::Pause {
        actor,
        reason,
        ends,
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
