//! The coordinator: one process that owns a fleet for months. It takes up what was interrupted,
//! runs what is planned and what is asked, one rotation at a time, and tells how things stand.
mod asked;
mod clockwork;
mod lookout;
mod measuring;
mod messenger;
mod pushes;
mod rehearse;
mod reread;
mod severity;
mod supervisor;
#[cfg(test)]
mod tests;
mod tracer;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::audit::{self, Asking};
use super::control::{self, Control, Heard};
use super::journal::JournalError;
use super::night::{Finish, Notice, RunError, stop};
use super::request::Request;
use super::schedule::{Due, Run, Timetable, Verdict};
use super::session::{Ears, OpenError, Session, rotation_id};
use super::{past, release, status};
use crate::api::asked::{Answer, Asked};
use crate::api::audit::What;
use crate::api::http::{Door, Net};
use crate::coordinator::input::Command;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Deadline, Plan};
use crate::model::id::{Channel, PlaybookName};
use crate::model::notice::Severity;
use crate::model::time::{Mono, span};
use crate::notify::AuditHead;
use crate::store::By;
use clockwork::Clockwork;
use measuring::Measuring;
use messenger::Messenger;
use pushes::{News, Pushes};
pub(in crate::daemon) use pushes::{known, playbook_of};
use rehearse::Rehearsing;
use reread::{reread, tightened};
pub use supervisor::Supervised;
use supervisor::Supervisor;
use tracer::Tracer;

/// What whoever owns the process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The configuration is read anew.
    Reload,
    /// It ends, as soon as no site is out by its own doing.
    Stop,
}

/// Something for whoever reads the log, beside the lines of rotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub severity: Severity,
    pub what: String,
    /// What to do about it, where a person is needed.
    pub cure: Option<String>,
    /// What it is about, where that is a channel: who hears of others is not told.
    pub channels: Option<BTreeSet<Channel>>,
}

/// How often it is seen whether a run is due, and whoever supervises the process hears that it
/// lives.
const TICK: Duration = Duration::from_secs(1);

/// How long a rotation of the schedule waits for another holder's marker: until it may be taken
/// over, and a little more.
const PATIENCE: Duration = Duration::from_secs(35 * 60);

/// The actor of what a push begins.
pub(super) const PUSH: &str = "push";
/// While nothing happens, where the audit ends is told so often.
const AUDIT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The actor of what the schedule begins.
pub(super) const SCHEDULE: &str = "schedule";

/// A process that coordinates a fleet.
pub struct Server {
    session: Session,
    control: Control,
    orders: mpsc::Receiver<Order>,
    notes: mpsc::UnboundedSender<Note>,
    clockwork: Clockwork,
    supervisor: Supervisor,
    messenger: Messenger,
    /// Closed where `[api]` is not written, or cannot be had.
    door: Option<Door>,
    measuring: Measuring,
    tracer: Tracer,
    /// What rehearsals found comes back by this.
    rehearsals: mpsc::UnboundedSender<Rehearsed>,
    rehearsed: mpsc::UnboundedReceiver<Rehearsed>,
    pushes: Pushes,
    /// What people are to hear of promotions that were scheduled.
    told: mpsc::UnboundedReceiver<Note>,
    has_to_stop: bool,
    has_to_reload: bool,
    /// When those who keep it were last told where the audit ends.
    audit_told: Option<Mono>,
}

/// A run, and everything that stands in its way.
type Rehearsed = (Run, Vec<Problem>);

/// What is to be done next.
enum Next {
    Due(Due),
    Asked(Asked),
    Rehearsal(Run),
    Pushed(Box<Request>),
    /// What comes of an act that moves tags.
    Release(release::Note),
    /// The sites that take what was moved are to be rotated.
    Released(Box<release::Following>),
    Failed(JournalError),
    Nothing,
}

/// What is driven.
enum Work {
    Begin(Box<Plan>, Asking),
    Resume { supersede: bool },
}

impl Server {
    /// # Errors
    /// Where the store cannot be read.
    pub fn new(
        mut session: Session,
        mut control: Control,
        orders: mpsc::Receiver<Order>,
        notes: mpsc::UnboundedSender<Note>,
        supervised: &Supervised,
    ) -> Result<Server, RunError> {
        let now = session.clock().now().wall;
        let table = Timetable::of(&session.config.playbooks, &session.config.fleet.freezes);
        let clockwork = Clockwork::new(table, &mut session.store, now);
        session.is_serving = true;
        let clockwork = clockwork.map_err(JournalError::Store)?;
        let measuring = Measuring::start(&session, &mut control)?;
        measuring.plan(&clockwork);
        let (rehearsals, rehearsed) = mpsc::unbounded_channel();
        let (told, heard) = mpsc::unbounded_channel();
        control.releases.serve(told);
        let pushes = Pushes::new(control.hear_pushes(), control.releases.notes());
        Ok(Server {
            clockwork,
            supervisor: Supervisor::of(supervised),
            messenger: Messenger::start(
                &session.config.fleet,
                session.clock(),
                measuring.metrics(),
                || control.lines(),
            ),
            measuring,
            tracer: Tracer::start(&session.config.fleet),
            session,
            control,
            door: None,
            pushes,
            orders,
            notes,
            rehearsals,
            rehearsed,
            told: heard,
            has_to_stop: false,
            has_to_reload: false,
            audit_told: None,
        })
    }

    /// Serves until it is told to end.
    ///
    /// # Errors
    /// [`RunError::Journal`]: nothing more is done where nothing can be written down.
    pub async fn run(mut self) -> Result<(), RunError> {
        self.open_door();
        self.supervisor.is_ready();
        let result = self.serve().await;
        if let Err(error) = &result {
            self.warn_of_end(error);
        }
        self.supervisor.is_stopping();
        self.messenger.end().await;
        self.session.last_words().await;
        self.tracer.end().await;
        result
    }

    async fn serve(&mut self) -> Result<(), RunError> {
        self.take_up().await?;
        while !self.has_to_stop {
            self.tell_tokens()?;
            if std::mem::take(&mut self.has_to_reload) {
                self.reload().await?;
            }
            match self.next().await {
                Next::Due(due) => self.settle(due).await?,
                Next::Asked(asked) => self.answer(asked).await?,
                Next::Rehearsal(run) => self.rehearse(run)?,
                Next::Pushed(request) => self.rebuild_pushed(*request).await?,
                Next::Release(note) => self.take_release(note)?,
                Next::Released(following) => self.rotate_released(*following).await?,
                Next::Failed(error) => return Err(error.into()),
                Next::Nothing => {}
            }
        }
        self.tell_tokens()
    }

    fn tell_tokens(&mut self) -> Result<(), RunError> {
        let now = self.session.clock().now();
        let told = self.control.tell_tokens(&mut self.session.store, now);
        Ok(told.map_err(JournalError::Store)?)
    }

    /// Opens the API as `[api]` says. A coordinator without it runs its nights all the same: who
    /// could not reach it is told by the log, the messages, and the control socket.
    fn open_door(&mut self) {
        // The address is free before it is taken again.
        self.door = None;
        let Some(listen) = &self.session.config.fleet.api else {
            return;
        };
        let opened = Net::bind(listen).and_then(|net| net.open(self.control.front()));
        match opened {
            Ok(door) => {
                self.note(format!("the API answers on {}", door.address()));
                self.door = Some(door);
            }
            Err(error) => {
                let why = std::error::Error::source(&error);
                let why = why.map_or(String::new(), |why| format!(": {why}"));
                let cure = "see who has the address (`ss -ltnp`), then reload (SIGHUP)";
                self.warn(format!("no API: {error}{why}"), cure.to_owned());
            }
        }
    }

    /// Nobody would hear of the nights that do not begin any more.
    fn warn_of_end(&self, error: &RunError) {
        let mut what = format!("the coordinator ends: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            what = format!("{what}: {cause}");
            source = cause.source();
        }
        self.warn(what, "see its log, mend it and start it again".to_owned());
    }

    /// What an earlier process left goes on, or is brought to safety: before anything else.
    async fn take_up(&mut self) -> Result<(), RunError> {
        let Some(interrupted) = self.session.interrupted() else {
            return Ok(());
        };
        let goes_on = self
            .session
            .continues(&interrupted.playbook, &interrupted.mode);
        let fate = if goes_on {
            "it goes on"
        } else {
            "what it left is brought to safety"
        };
        self.note(format!("{} was interrupted: {fate}", interrupted.rotation));
        let work = Work::Resume {
            supersede: !goes_on,
        };
        self.drive(work).await.map(drop)
    }

    /// Waits for the clock, a question or an order.
    async fn next(&mut self) -> Next {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => {
                    self.hear(order.as_ref());
                    return Next::Nothing;
                }
                heard = self.control.next() => match heard {
                    Heard::Asked(asked) => return Next::Asked(asked),
                    Heard::Release(note) => return Next::Release(note),
                },
                news = self.pushes.next() => self.hear_push(news),
                Some(note) = self.told.recv() => self.say(note),
                Some((run, problems)) = self.rehearsed.recv() => self.tell_rehearsal(&run, &problems),
                _ = ticks.tick() => {
                    self.tell_audit_daily();
                    self.tell_kept();
                    if let Err(error) = self.tell_tokens() {
                        tracing::warn!(%error, "the audit is not told of tokens");
                    }
                    if let Err(error) = self.tend_release() {
                        return Next::Failed(error);
                    }
                    let now = self.session.clock().now().wall;
                    self.supervisor.lives(|| self.clockwork.told(now));
                    if let Some(following) = self.control.releases.take_rotation() {
                        return Next::Released(Box::new(following));
                    }
                    if let Some(due) = self.clockwork.due(now) {
                        return Next::Due(due);
                    }
                    if let Some(run) = self.clockwork.rehearsal(now) {
                        return Next::Rehearsal(run);
                    }
                    let config = &self.session.config;
                    let has = |name: &PlaybookName| config.playbooks.contains_key(name);
                    if let Some(request) = self.pushes.due(&config.fleet, has, now) {
                        return Next::Pushed(Box::new(request));
                    }
                }
            }
        }
    }

    /// Nobody gives orders any more only when the process is ending.
    fn hear(&mut self, order: Option<&Order>) {
        match order {
            Some(Order::Reload) => self.has_to_reload = true,
            Some(Order::Stop) | None => self.has_to_stop = true,
        }
    }

    /// A run whose time has come begins, or is told and left behind.
    async fn settle(&mut self, due: Due) -> Result<(), RunError> {
        let now = self.session.clock().now().wall;
        let is_again = self.clockwork.is_again();
        self.measuring.settles(&due, is_again, now);
        let Due {
            run,
            overtaken,
            verdict,
        } = due;
        if overtaken > 0 && !is_again {
            let runs = if overtaken == 1 { "run" } else { "runs" };
            self.note(format!(
                "{overtaken} earlier {runs} of {} did not begin",
                run.playbook
            ));
        }
        match verdict {
            Verdict::Begins => self.begin_run(&run).await,
            Verdict::Frozen { reason } => {
                self.note(format!("{}: frozen: {reason}", run.rotation()));
                let run_frozen = What::RunFrozen {
                    run: run.rotation(),
                    reason,
                };
                self.session.audit(audit::schedule(), &run_frozen)?;
                self.leave_behind(&run)
            }
            Verdict::Missed { late } => {
                let missed = What::RunMissed {
                    run: run.rotation(),
                    late_seconds: late.as_secs(),
                };
                self.session.audit(audit::schedule(), &missed)?;
                let late = span(Duration::try_from(late).unwrap_or_default());
                let cure = format!("cleanslate rotate {}", run.playbook);
                self.warn(
                    format!("{} did not begin in time: {late} late", run.rotation()),
                    cure,
                );
                self.leave_behind(&run)
            }
        }
    }

    async fn begin_run(&mut self, run: &Run) -> Result<(), RunError> {
        let id = run.rotation();
        let rotations = self.session.store.rotations();
        let rotations = rotations.map_err(JournalError::Store)?;
        if rotations.iter().any(|span| span.rotation == id) {
            return self.leave_behind(run);
        }
        let mut request = Request::rotate(&run.playbook, None);
        request.options.wait_s = PATIENCE.as_secs();
        request.options.deadline = self.deadline(run)?;
        request.options.carried = past::carried_over(&self.session.last_of(&run.playbook)?);
        let asking = Asking::of_schedule(&run.playbook, PATIENCE.as_secs());
        let planned = Box::pin(self.session.plan(request, id.clone(), SCHEDULE.to_owned()));
        match planned.await {
            Ok(plan) => {
                self.drive(Work::Begin(Box::new(plan), asking)).await?;
                self.leave_behind(run)
            }
            Err(error) => {
                let problem = problem_of(error)?;
                let now = self.session.clock().now().wall;
                if self.clockwork.postpone(&problem.what, now) {
                    let why = std::slice::from_ref(&problem);
                    self.session.refused(&asking, why)?;
                    let what = format!("{id} cannot begin yet: {}", problem.what);
                    self.warn(what, problem.cure);
                }
                Ok(())
            }
        }
    }

    /// What a registry says of a pushed image is told.
    fn hear_push(&mut self, news: News) {
        let now = self.session.clock().now().wall;
        let note = self.pushes.take(news, &self.session.adapters, now);
        note.into_iter().for_each(|note| self.say(note));
    }

    fn tend_release(&mut self) -> Result<(), JournalError> {
        self.control.tend_release(&mut self.session.release_place())
    }

    /// What was good is kept, beside the loop.
    fn look_after(&mut self) -> Result<(), JournalError> {
        let session = &self.session;
        let now = session.clock().now();
        let place = (&session.store, &session.config.fleet, session.state());
        self.control.look_after(place, &session.adapters, now)
    }

    fn tell_kept(&mut self) {
        for problem in self.control.releases.take_to_tell() {
            self.say(Note {
                severity: Severity::Warning,
                what: format!("keep-tags: {}", problem.what),
                cure: Some(problem.cure),
                channels: None,
            });
        }
    }

    fn take_release(&mut self, note: release::Note) -> Result<(), JournalError> {
        let session = &mut self.session;
        let now = session.clock().now();
        let place = (&mut session.store, &session.adapters);
        self.control.take_release(note, place, now)
    }

    /// The sites that take what was moved are rotated, as somebody asked when it was.
    async fn rotate_released(&mut self, following: release::Following) -> Result<(), RunError> {
        let release::Following {
            mut request,
            asking: asked,
            waits,
        } = following;
        request.options.wait_s = PATIENCE.as_secs();
        let now = self.session.clock().now().wall;
        let id = rotation_id(request.name(), now);
        let why = request.reason.clone().unwrap_or_default();
        let asking = Asking {
            by: asked.by,
            ..Asking::of_push(&request)
        };
        let who = asking.by.who.clone();
        let planned = Box::pin(self.session.plan_asked(request, id, who)).await;
        match planned {
            Ok(plan) => {
                if let Some((answer, released)) = waits {
                    let told = serde_json::to_value(released).unwrap_or_default();
                    self.control.promise(answer, told);
                }
                let work = Work::Begin(Box::new(plan), asking);
                self.drive(work).await.map(drop)
            }
            Err(error) => {
                self.session.refused(&asking, &error.problems())?;
                let problem = problem_of(error)?;
                let what = format!(
                    "{why}: the tags were moved, its sites cannot be rotated now: {}",
                    problem.what
                );
                if let Some((answer, _)) = waits {
                    let no = control::refused("rotation", &what, &problem.cure, 3);
                    drop(answer.send(Answer::Reply(no)));
                }
                self.warn(what, problem.cure);
                Ok(())
            }
        }
    }

    /// The sites of a channel take what was pushed.
    async fn rebuild_pushed(&mut self, mut request: Request) -> Result<(), RunError> {
        let now = self.session.clock().now().wall;
        let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let freezes = &self.session.config.fleet.freezes;
        let why = request.reason.clone().unwrap_or_default();
        if let Some(freeze) = freezes.iter().find(|freeze| freeze.holds(day)) {
            self.note(format!("{why}; frozen: {}", freeze.reason));
            return Ok(());
        }
        request.options.wait_s = PATIENCE.as_secs();
        let id = rotation_id(request.name(), now);
        let asking = Asking::of_push(&request);
        let planned = Box::pin(self.session.plan(request, id, PUSH.to_owned()));
        match planned.await {
            Ok(plan) => {
                let work = Work::Begin(Box::new(plan), asking);
                self.drive(work).await.map(drop)
            }
            Err(error) => {
                self.session.refused(&asking, &error.problems())?;
                let problem = problem_of(error)?;
                self.warn(
                    format!("{why}, and cannot be taken: {}", problem.what),
                    problem.cure,
                );
                Ok(())
            }
        }
    }

    /// Everything is asked beside the loop that can be asked without changing anything.
    fn rehearse(&self, run: Run) -> Result<(), RunError> {
        let rehearsing = Rehearsing::of(&self.session, &run)?;
        let rehearsals = self.rehearsals.clone();
        tokio::spawn(async move {
            let problems = Box::pin(rehearsing.problems()).await;
            // Nobody waits for it only when the process is ending.
            drop(rehearsals.send((run, problems)));
        });
        Ok(())
    }

    fn tell_rehearsal(&self, run: &Run, problems: &[Problem]) {
        let id = run.rotation();
        if problems.is_empty() {
            self.note(format!("rehearsed {id}: nothing stands in its way"));
            return;
        }
        let told: Vec<String> = problems
            .iter()
            .map(|problem| format!("- {}\n  cure: {}", problem.what, problem.cure))
            .collect();
        let things = if problems.len() == 1 {
            "thing stands"
        } else {
            "things stand"
        };
        self.say(Note {
            severity: Severity::Warning,
            what: format!(
                "rehearsed {id}: {} {things} in its way\n{}",
                problems.len(),
                told.join("\n")
            ),
            cure: Some(format!("cleanslate rotate {} --dry-run", run.playbook)),
            channels: None,
        });
    }

    /// By when the run must have ended, where its schedule says so.
    fn deadline(&self, run: &Run) -> Result<Option<Deadline>, RunError> {
        let session = &self.session;
        let schedule = session.playbook(&run.playbook)?.schedule;
        let by = schedule.and_then(|schedule| schedule.finish_by(run.planned));
        let Some(by) = by else { return Ok(None) };
        let store = &session.store;
        let mut takes = BTreeMap::new();
        for site in session.config.fleet.sites.keys() {
            let longest = store.nearly_longest(site, "visit");
            if let Some(millis) = longest.map_err(JournalError::Store)? {
                takes.insert(site.clone(), millis);
            }
        }
        Ok(Some(Deadline { by, takes }))
    }

    fn leave_behind(&mut self, run: &Run) -> Result<(), RunError> {
        let store = &mut self.session.store;
        let settled = self.clockwork.settle(store, run);
        settled.map_err(JournalError::Store)?;
        self.measuring.plan(&self.clockwork);
        Ok(())
    }

    /// Somebody asks for something while no rotation runs.
    async fn answer(&mut self, asked: Asked) -> Result<(), RunError> {
        let Asked {
            command,
            actor,
            answer,
        } = asked;
        let asking = Asking {
            by: (&actor).into(),
            command: command.clone(),
        };
        match asked::meant(&self.session, &command).await {
            asked::Meant::Status => self.answer_status(answer),
            asked::Meant::Watch(after) => {
                self.control.watch(after, answer);
                Ok(())
            }
            asked::Meant::History(last) => {
                self.control.archive().history(last, answer);
                Ok(())
            }
            asked::Meant::Pushed(images) => {
                let fleet = &self.session.config.fleet;
                drop(answer.send(self.control.pushed(fleet, &images)));
                Ok(())
            }
            asked::Meant::Report(rotation) => {
                self.control.archive().report(rotation, answer);
                Ok(())
            }
            asked::Meant::Clear { digest, reason } => {
                let command = Command::Clear {
                    digest,
                    actor: actor.user,
                    reason,
                };
                let reply = control::reply(self.session.tell(command, &asking)?);
                let now = self.session.clock().now();
                let refusals = &mut self.control.refusals;
                refusals.note(&mut self.session.store, (&asking, &reply), now)?;
                drop(answer.send(reply));
                Ok(())
            }
            asked::Meant::Release => {
                let place = &mut self.session.release_place();
                Ok(self.control.release((asking, answer), place)?)
            }
            asked::Meant::ReleaseWord => {
                let session = &mut self.session;
                let now = session.clock().now();
                Ok(self
                    .control
                    .take_word((asking, answer), &mut session.store, now)?)
            }
            asked::Meant::ReleaseHistory(image, last) => {
                self.control.archive().moves(image, last, answer);
                Ok(())
            }
            asked::Meant::ReleaseStatus => {
                let session = &self.session;
                let fleet = &session.config.fleet;
                let place = (fleet, &session.adapters);
                let now = session.clock().now().wall;
                Ok(release::answer_standing(
                    &session.store,
                    place,
                    now,
                    answer,
                )?)
            }
            asked::Meant::Nothing(reply) => {
                let now = self.session.clock().now();
                let refusals = &mut self.control.refusals;
                refusals.note(&mut self.session.store, (&asking, &reply), now)?;
                drop(answer.send(reply));
                Ok(())
            }
            asked::Meant::Begin(request) => {
                let now = self.session.clock().now().wall;
                let id = rotation_id(request.name(), now);
                match Box::pin(self.session.plan_asked(*request, id, actor.user)).await {
                    Ok(plan) => {
                        self.control.promise(answer, serde_json::json!({}));
                        let work = Work::Begin(Box::new(plan), asking);
                        self.drive(work).await.map(drop)
                    }
                    Err(RunError::Rule(refusal)) => {
                        drop(answer.send(control::ruled_out(&refusal)));
                        Ok(())
                    }
                    Err(error) => {
                        self.session.refused(&asking, &error.problems())?;
                        let problem = problem_of(error)?;
                        drop(answer.send(control::reply(Err(problem))));
                        Ok(())
                    }
                }
            }
        }
    }

    fn answer_status(&self, answer: oneshot::Sender<Answer>) -> Result<(), RunError> {
        let store = &self.session.store;
        let known = status::Known {
            state: Some(self.session.state().clone()),
            holder: Some(store.holder().map_err(JournalError::Store)?),
            ends: past::last_ends(store)?,
            is_live: true,
            next_run: self.session.next_run(),
            release: release::release_status_if_sound(store)?,
        };
        let (adapters, clock) = (self.session.adapters.clone(), self.session.clock());
        control::answer_status(adapters, known, clock, answer);
        Ok(())
    }

    /// Drives a rotation to its end, or to where the process may stop. What keeps it from beginning
    /// is told to whoever asked, and in the log.
    async fn drive(&mut self, work: Work) -> Result<Option<Finish>, RunError> {
        let (notices, mut heard) = mpsc::unbounded_channel::<Notice>();
        let (asks, mut asked) = mpsc::channel(8);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ears = Ears {
            control: &mut self.control,
            notices,
            asks: &mut asked,
        };
        let (pushed_at, clock) = (self.session.adapters.clone(), self.session.clock());
        let subject = match &work {
            Work::Begin(plan, _) => format!("{} did not begin", plan.id),
            Work::Resume { .. } => "what was interrupted could not be taken up".to_owned(),
        };
        let playbook = match &work {
            Work::Begin(plan, _) => Some(plan.playbook.clone()),
            Work::Resume { .. } => self.session.interrupted().map(|it| it.playbook),
        };
        let paths = self.session.paths().clone();
        let session = &mut self.session;
        let mut run = Box::pin(async move {
            match work {
                Work::Begin(plan, asking) => session.begin(*plan, asking, ears).await.map(Some),
                Work::Resume { supersede } => session.resume(supersede, None, ears).await,
            }
        });
        let result = loop {
            tokio::select! {
                biased;
                result = &mut run => break result,
                Some(notice) = heard.recv() => {
                    self.supervisor.sees(&notice);
                    self.measuring.sees(&notice);
                    if let Some(note) = tightened(&notice) {
                        self.messenger.note(&note);
                        drop(self.notes.send(note));
                    }
                }
                news = self.pushes.next() => {
                    let now = clock.now().wall;
                    let note = self.pushes.take(news, &pushed_at, now);
                    if let Some(note) = note {
                        self.messenger.note(&note);
                        drop(self.notes.send(note));
                    }
                }
                order = self.orders.recv() => match order {
                    Some(Order::Reload) => {
                        // It is read when this rotation has ended: whoever asked need not wait.
                        self.has_to_reload = true;
                        if let Some(ask) = playbook.as_ref().and_then(|it| reread(&paths, it)) {
                            // A full channel: what is more careful counts for the next rotation.
                            drop(asks.try_send(ask));
                        }
                        self.supervisor.is_reloading();
                        self.supervisor.is_ready();
                    }
                    Some(Order::Stop) | None if self.has_to_stop => {}
                    Some(Order::Stop) | None => {
                        self.has_to_stop = true;
                        self.supervisor.is_stopping();
                        // A full channel: it is told already.
                        drop(asks.try_send(stop()));
                    }
                },
                Some(note) = self.told.recv() => {
                    self.messenger.note(&note);
                    drop(self.notes.send(note));
                }
                _ = ticks.tick() => self.supervisor.lives_on(),
            }
        };
        drop(run);
        self.supervisor.rests();
        self.measuring.rests();
        self.tell_audit();
        match result {
            Ok(finish) => {
                if finish.is_some() {
                    self.tracer.tell(self.control.story());
                    self.look_after()?;
                }
                Ok(finish)
            }
            Err(RunError::Stopped) => {
                self.note("stopped between two steps: the next start goes on".to_owned());
                Ok(None)
            }
            Err(error) => {
                let problem = problem_of(error)?;
                self.warn(format!("{subject}: {}", problem.what), problem.cure.clone());
                self.control.keep_promise(Err(problem));
                Ok(None)
            }
        }
    }

    async fn reload(&mut self) -> Result<(), RunError> {
        self.supervisor.is_reloading();
        match self.session.reload() {
            Ok(()) => {
                let config = &self.session.config;
                let table = Timetable::of(&config.playbooks, &config.fleet.freezes);
                let now = self.session.clock().now().wall;
                let clockwork = Clockwork::new(table, &mut self.session.store, now);
                self.clockwork = clockwork.map_err(JournalError::Store)?;
                self.control.keep_archive(self.session.archive());
                self.open_door();
                self.measuring.reload(&self.session);
                self.tracer.reload(&self.session.config.fleet);
                self.measuring.plan(&self.clockwork);
                let config = &self.session.config;
                let clock = self.session.clock();
                let metrics = self.measuring.metrics();
                let lines = || self.control.lines();
                let messenger = Messenger::start(&config.fleet, clock, metrics, lines);
                std::mem::replace(&mut self.messenger, messenger)
                    .end()
                    .await;
                self.note("the configuration was read anew".to_owned());
            }
            Err(error) => {
                let what = match &error {
                    OpenError::Config(report) => report.to_string(),
                    OpenError::Store(_) | OpenError::Journal(_) | OpenError::Adapters(_) => {
                        error.to_string()
                    }
                };
                let why = what.clone();
                self.session
                    .audit(By::itself(), &What::ReloadRefused { why })?;
                let cure = "mend it and reload: the configuration that was read before stays";
                self.warn(
                    format!("the configuration is wrong: {what}"),
                    cure.to_owned(),
                );
            }
        }
        self.supervisor.is_ready();
        Ok(())
    }

    fn tell_audit_daily(&mut self) {
        let now = self.session.clock().now().mono;
        if self
            .audit_told
            .is_none_or(|told| now.since(told) >= AUDIT_EVERY)
        {
            self.tell_audit();
        }
    }

    /// Those who keep it are told where the audit ends.
    fn tell_audit(&mut self) {
        self.audit_told = Some(self.session.clock().now().mono);
        if !self.messenger.has_keepers() {
            return;
        }
        match self.session.store.audit_end() {
            Ok((records, head)) => self.messenger.audit_ends(&AuditHead { records, head }),
            Err(error) => tracing::warn!(%error, "nobody is told where the audit ends"),
        }
    }

    fn note(&self, what: String) {
        self.say(Note {
            severity: Severity::Info,
            what,
            cure: None,
            channels: None,
        });
    }

    /// A person is needed.
    fn warn(&self, what: String, cure: String) {
        self.say(Note {
            severity: Severity::Critical,
            what,
            cure: Some(cure),
            channels: None,
        });
    }

    fn say(&self, note: Note) {
        self.messenger.note(&note);
        // Nobody listens any more only when the process is ending.
        drop(self.notes.send(note));
    }
}

/// What a person can do something about; a journal that cannot be written ends the process.
fn problem_of(error: RunError) -> Result<Problem, RunError> {
    match error {
        RunError::Refused(problem) | RunError::Unknown(problem) => Ok(problem),
        RunError::Rule(refusal) => Ok(refusal.problem()),
        RunError::Blocked(blocked) => Ok(blocked.problem()),
        error @ (RunError::Journal(_) | RunError::Stopped) => Err(error),
    }
}
