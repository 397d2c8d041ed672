//! The control socket of a process: what others ask of it, and what they hear.
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::adapters::Adapters;
use super::archive::Archive;
use super::audit::{Asking, Refusals};
use super::clock::Clock;
use super::journal::JournalError;
use super::night::Notice;
use super::release::{self, Note, Place, Releases, Said, Waiting};
use super::status::{Known, look};
use super::tokens::Watched;
use crate::api::asked::{Answer, Asked, Heard as Watching};
use crate::api::http::Front;
use crate::api::metrics::{Fact, Metrics};
use crate::api::narrate::Beat;
use crate::api::socket::Socket;
use crate::api::story::{Story, Storyteller};
use crate::api::wire::{Command as Wanted, LineId, Refusal, Reply};
use crate::coordinator::outcome::Problem;
use crate::coordinator::safety;
use crate::coordinator::state::State;
use crate::model::fleet::Fleet;
use crate::model::id::RotationId;
use crate::model::image::ImageRef;
use crate::model::time::{Mono, Now};
use crate::store::{Occupant, Store, StoreError};

/// So many event lines wait for a watcher before it is let go.
const LINES_BEHIND: usize = 1024;

/// The socket of this process, where it could be opened, and the lines that watchers hear.
pub struct Control {
    /// Of those who asked for the rotation that is about to begin, and what else they are told then.
    waits: Option<(oneshot::Sender<Answer>, serde_json::Value)>,
    owner: Occupant,
    asked: mpsc::Receiver<Asked>,
    front: Arc<Front>,
    archive: Archive,
    /// Where pushes go; `None`: this process ends with its rotation, and follows none.
    pushes: Option<mpsc::UnboundedSender<BTreeSet<ImageRef>>>,
    serving: Option<AbortHandle>,
    lines: broadcast::Sender<Arc<str>>,
    teller: Storyteller,
    /// Of a process that serves.
    metrics: Option<Arc<Metrics>>,
    beat: Beat,
    pub(super) refusals: Refusals,
    tokens: Watched,
    pub(super) releases: Releases,
}

/// What a loop hears by its control.
pub(super) enum Heard {
    Asked(Asked),
    /// Of an act that moves tags.
    Release(Note),
}

impl Control {
    /// Listens at `path`. A rotation runs without its socket rather than not at all: a problem is
    /// logged.
    pub(super) async fn listen(path: PathBuf, owner: Occupant, archive: Archive) -> Control {
        let (sender, asked) = mpsc::channel(16);
        let folder = path.parent().unwrap_or(&path);
        let front = Front::new(sender, folder);
        let tokens = Watched::in_folder(folder);
        let serving = match Socket::bind(&path).await {
            Ok(socket) => Some(tokio::spawn(socket.serve(Arc::clone(&front))).abort_handle()),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no control socket");
                None
            }
        };
        let (lines, _) = broadcast::channel(LINES_BEHIND);
        Control {
            asked,
            front,
            archive,
            pushes: None,
            serving,
            lines,
            teller: Storyteller::default(),
            metrics: None,
            beat: Beat::default(),
            refusals: Refusals::default(),
            tokens,
            releases: Releases::default(),
            waits: None,
            owner,
        }
    }

    /// Whether anybody can ask something.
    pub fn is_open(&self) -> bool {
        self.serving.is_some()
    }

    /// What a door to this process needs.
    pub fn front(&self) -> Arc<Front> {
        Arc::clone(&self.front)
    }

    /// Every event line from now on.
    pub fn lines(&self) -> broadcast::Receiver<Arc<str>> {
        self.lines.subscribe()
    }

    /// Every fact is measured from now on, and what was measured can be read.
    pub(super) fn measure(&mut self, metrics: Arc<Metrics>) {
        self.front.show(Arc::clone(&metrics));
        self.metrics = Some(metrics);
    }

    /// A rotation goes on being told, or a new one begins to be.
    pub(super) fn goes_on(&mut self, teller: Storyteller) {
        self.teller = teller;
    }

    /// Whoever asked for the next rotation is answered when it has begun.
    pub(super) fn promise(&mut self, answer: oneshot::Sender<Answer>, told: serde_json::Value) {
        self.waits = Some((answer, told));
    }

    /// It has begun, or could not.
    pub(super) fn keep_promise(&mut self, result: Result<RotationId, Problem>) {
        if let Some((answer, mut told)) = self.waits.take() {
            drop(answer.send(match result {
                Ok(rotation) => {
                    told["rotation"] = serde_json::json!(rotation);
                    Answer::Reply(Reply::Ok(told))
                }
                Err(problem) => reply(Err(problem)),
            }));
        }
    }

    /// The next question, which never comes where there is no socket; or what comes of an act.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            Some(asked) = self.asked.recv() => Heard::Asked(asked),
            note = self.releases.next() => Heard::Release(note),
        }
    }

    /// A move of tags is asked for.
    ///
    /// # Errors
    /// Where the ledger cannot be read, or a refusal cannot be written down.
    pub(super) fn release(
        &mut self,
        (asking, answer): (Asking, oneshot::Sender<Answer>),
        place: &mut Place<'_>,
    ) -> Result<(), JournalError> {
        let waiting = Waiting {
            asking,
            answer,
            scheduled: None,
        };
        let said = match release::Wanted::of_words(&waiting.asking.command) {
            Some(Ok(wanted)) => self.releases.ask(wanted, waiting, place)?,
            Some(Err(problem)) => Some(Said {
                waiting,
                answer: Answer::Reply(refused("request", &problem.what, &problem.cure, 2)),
            }),
            // Nothing else comes here.
            None => None,
        };
        self.say(said, place.store, place.now)
    }

    /// Somebody tried a digest; or does not want what is scheduled any more.
    ///
    /// # Errors
    /// Failures to read and write.
    pub(super) fn take_word(
        &mut self,
        (asking, answer): (Asking, oneshot::Sender<Answer>),
        store: &mut Store,
        now: Now,
    ) -> Result<(), JournalError> {
        let reply = if let Wanted::ReleaseApprove { digest, reason } = &asking.command {
            release::approve(store, &asking, (digest, reason), now)?;
            Reply::Ok(serde_json::json!({}))
        } else if let Wanted::ReleaseCancel { tag, .. } = &asking.command {
            self.releases.cancel(store, (tag, &asking), now)?
        } else {
            // Nothing else comes here.
            return Ok(());
        };
        let said = Answer::Reply(reply);
        self.refusals.note(store, (&asking, &said), now)?;
        drop(answer.send(said));
        Ok(())
    }

    /// Takes in what comes of an act.
    ///
    /// # Errors
    /// Failures to write.
    pub(super) fn take_release(
        &mut self,
        note: Note,
        (store, adapters): (&mut Store, &Arc<Adapters>),
        now: Now,
    ) -> Result<(), JournalError> {
        let said = self.releases.take(note, (&mut *store, adapters), now);
        let said = release::unless_damaged(said)?;
        self.say(said, store, now)
    }

    /// Goes on with an act that was left open, and begins what is due; asked about once a second.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn tend_release(&mut self, place: &mut Place<'_>) -> Result<(), JournalError> {
        let said = release::unless_damaged(self.releases.tend(place))?;
        self.say(said, place.store, place.now)
    }

    /// A rotation has ended: keep-tags are looked after. A damaged ledger ends nothing.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn look_after(
        &mut self,
        place: (&Store, &Fleet, &State),
        adapters: &Arc<Adapters>,
        now: Now,
    ) -> Result<(), JournalError> {
        release::unless_damaged(self.releases.look_after(place, adapters, now))
    }

    fn say(&mut self, said: Option<Said>, store: &mut Store, now: Now) -> Result<(), JournalError> {
        let Some(Said { waiting, answer }) = said else {
            return Ok(());
        };
        self.refusals.note(store, (&waiting.asking, &answer), now)?;
        // Whoever asked may have gone.
        drop(waiting.answer.send(answer));
        Ok(())
    }

    /// Tells watchers what happened, and measures it.
    pub(super) fn tell(&mut self, fleet: &Fleet, notice: &Notice, now: Mono) {
        let Notice {
            event,
            before,
            after,
            at,
            ..
        } = notice;
        let line = self.teller.tell(fleet, event, before, after, *at);
        if let Some(line) = line {
            self.beat.said(line, now);
            // Nobody watches: nothing is lost.
            drop(self.lines.send(Arc::from(line.json())));
        }
        if let Some(metrics) = &self.metrics {
            let fact = Fact {
                event,
                before,
                after,
                at: *at,
                line,
            };
            metrics.see(fleet, &fact);
        }
    }

    /// Tells watchers what is waited for, once a minute; asked about once a second.
    pub(super) fn tell_waits(&mut self, state: &State, now: Now) {
        if self.lines.receiver_count() == 0 {
            return;
        }
        let waits = self.teller.narrator().waits(state, now);
        for line in self.beat.due(waits, now.mono) {
            drop(self.lines.send(Arc::from(line.json())));
        }
    }

    /// Tells the audit of tokens that were made or revoked meanwhile; asked about once a second.
    pub(super) fn tell_tokens(&mut self, store: &mut Store, now: Now) -> Result<(), StoreError> {
        self.tokens.tell(store, now.wall)
    }

    /// What the rotation in hand was told as.
    pub(super) fn story(&self) -> &Story {
        self.teller.story()
    }

    /// The answer to what cannot be done while a rotation runs.
    /// `which`: the rotation, who asked for it, and until when it is likely to run.
    pub(super) fn not_while_running(&self, command: &Wanted, which: &str) -> Answer {
        let what = match command {
            Wanted::Retry { .. } => "a rotation is running: there is nothing to retry yet",
            Wanted::Restore { .. } => "a rotation is running: a site is not put back beside it",
            Wanted::Rebuild(rebuild) if rebuild.kept => {
                "a rotation is running: kept services are not recreated beside it"
            }
            Wanted::Rotate { .. } => "a rotation is running",
            Wanted::TakeOver { .. } | Wanted::Recover { .. } => {
                "a rotation is running and holds the marker, or waits for it"
            }
            Wanted::Status {}
            | Wanted::Watch { .. }
            | Wanted::History { .. }
            | Wanted::Report { .. }
            | Wanted::Pushed { .. }
            | Wanted::ReleaseApprove { .. }
            | Wanted::ReleaseCancel { .. }
            | Wanted::ReleaseClear { .. }
            | Wanted::Promote(_)
            | Wanted::Rollback(_)
            | Wanted::ReleaseHistory { .. }
            | Wanted::ReleaseStatus {}
            | Wanted::Abort { .. }
            | Wanted::Pause { .. }
            | Wanted::Resume { .. }
            | Wanted::Cordon { .. }
            | Wanted::Uncordon { .. }
            | Wanted::Withdraw { .. }
            | Wanted::Rebuild(_) => "that cannot be done while a rotation runs",
        };
        Answer::Reply(refused(
            "one rotation",
            &format!("{what}: {which}, in {}", self.owner),
            "wait for it to end (`cleanslate status`), or `cleanslate abort --reason TEXT`",
            5,
        ))
    }

    /// Answers with every event from now on, those after the one named before them.
    pub(super) fn watch(&self, after: Option<LineId>, answer: oneshot::Sender<Answer>) {
        let heard = Watching {
            missed: Vec::new(),
            lines: self.lines.subscribe(),
        };
        match after {
            Some(after) => self.archive().missed(after, heard, answer),
            None => drop(answer.send(Answer::Events(heard))),
        }
    }

    /// Hears of pushes from now on.
    pub(super) fn hear_pushes(&mut self) -> mpsc::UnboundedReceiver<BTreeSet<ImageRef>> {
        let (pushes, heard) = mpsc::unbounded_channel();
        self.pushes = Some(pushes);
        heard
    }

    /// Takes word of pushed images; says which of them this fleet runs.
    pub(super) fn pushed(&self, fleet: &Fleet, images: &[ImageRef]) -> Answer {
        let Some(pushes) = &self.pushes else {
            let what = "this process ends with its rotation, and follows no pushes";
            let cure = "tell a coordinator: `cleanslate serve`";
            return Answer::Reply(refused("serve", what, cure, 5));
        };
        let known = super::serve::known(fleet, images);
        let taken = serde_json::json!({ "known": known });
        // The other end lives as long as this.
        drop(pushes.send(known));
        Answer::Reply(Reply::Ok(taken))
    }

    /// Where the past is read.
    pub(super) fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// The configuration was read anew.
    pub(super) fn keep_archive(&mut self, archive: Archive) {
        self.archive = archive;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Answers `status` beside the loop: the primary and the engines are asked for it.
pub(super) fn answer_status(
    adapters: Arc<Adapters>,
    known: Known,
    clock: Clock,
    answer: oneshot::Sender<Answer>,
) {
    tokio::spawn(async move {
        let status = Box::pin(look(&adapters, &known, clock)).await;
        let reply = match serde_json::to_value(status) {
            Ok(value) => Reply::Ok(value),
            Err(error) => refused("internal", &error.to_string(), "report this", 1),
        };
        drop(answer.send(Answer::Reply(reply)));
    });
}

/// The answer to a command that the machine took, or not.
pub(super) fn reply(result: Result<(), Problem>) -> Answer {
    Answer::Reply(match result {
        Ok(()) => Reply::Ok(serde_json::json!({})),
        Err(problem) => {
            let exit = if problem.is_transient { 5 } else { 4 };
            refused("refused", &problem.what, &problem.cure, exit)
        }
    })
}

/// The answer to what a rule forbids.
pub(super) fn ruled_out(refusal: &safety::Refusal) -> Answer {
    let exit = if refusal.is_transient { 5 } else { 4 };
    Answer::Reply(refused(
        &refusal.rule,
        &refusal.problem().what,
        &refusal.cure,
        exit,
    ))
}

/// The answer to what is about a rotation that runs, where none does.
pub(super) fn none_runs() -> Answer {
    Answer::Reply(refused(
        "one rotation",
        "no rotation is running",
        "see `cleanslate status`",
        5,
    ))
}

pub(super) fn refused(rule: &str, what: &str, cure: &str, exit: u8) -> Reply {
    Reply::Refused(Refusal {
        rule: rule.to_owned(),
        what: what.to_owned(),
        cure: cure.to_owned(),
        exit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_folder::Folder;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::World;

    #[tokio::test]
    async fn whoever_watches_hears_once_a_minute_what_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Occupant {
            pid: 1,
            user: "test".to_owned(),
            command: "serve".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let files = Folder::new();
        let archive = Archive {
            state: folder.path().to_owned(),
            loaded: Arc::new(files.loaded()),
            options: files.options(),
        };
        let path = folder.path().join("control.sock");
        let mut control = Control::listen(path, owner, archive).await;
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        let waits = |machine: &crate::coordinator::machine::Coordinator| {
            let site = crate::coordinator::tests::world::site("fra");
            let waiting = machine.state().site_waits(&site);
            waiting.is_some_and(|waiting| waiting.until.is_some())
        };
        while !waits(&machine) {
            assert!(world.step(&mut machine));
        }
        let at = |seconds: u64| Now {
            mono: Mono(world.time().mono.0 + seconds * 1000),
            ..world.time()
        };
        control.tell_waits(machine.state(), at(0));
        let mut lines = control.lines();
        for second in 0..=121 {
            control.tell_waits(machine.state(), at(second));
        }
        let mut heard = Vec::new();
        while let Ok(line) = lines.try_recv() {
            heard.push(serde_json::from_str::<serde_json::Value>(&line).unwrap());
        }
        let told: Vec<_> = heard
            .iter()
            .map(|line| (&line["event"], &line["site"]))
            .collect();
        let waiting = (&serde_json::json!("waiting"), &serde_json::json!("fra"));
        assert_eq!(told, [waiting; 2]);
    }
}
