//! A wish that the coordinator which runs has taken: what happens until it is done.
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::api::client::{ClientError, Watch};
use crate::api::public::{Line, Public};
use crate::api::status::{RotationState, SiteStatus, Status};
use crate::api::wire::{Command, Reply};
use crate::api::words;
use crate::cli::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::memory::Memory;
use crate::config::Loaded;
use crate::coordinator::event::RotationEnd;
use crate::model::id::{RotationId, SiteName};

/// No silence is longer.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How often the marker's lists are looked at: no event line tells of them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a wish is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The site's next visit has ended.
    Visited(SiteName),
    /// The site is out of DNS, and held.
    Withdrawn(SiteName),
    /// The marker's list of cordoned sites has the site, or has it no more.
    Cordoned { site: SiteName, cordoned: bool },
    /// The rotation has ended: however it did.
    Ended,
    /// The rotation that was asked for has ended.
    Rotated,
    /// At once: it was taken.
    Taken,
    /// At once: it was written down, and no rotation is held or let go by it.
    Noted,
}

/// Whoever took a wish, and what is heard of it.
pub(crate) struct Elsewhere<'a> {
    desk: &'a Desk,
    /// `None`: the coordinator is on another machine.
    here: Option<&'a Loaded>,
    /// As typed: `rebuild nyc`.
    what: String,
    until: Until,
    asked: Timestamp,
    heard: u64,
    has_begun: bool,
    /// The rotation was begun for this wish, which is done when that has ended: whoever asks next is
    /// not told that it still runs.
    is_its_own: bool,
    /// How the visit that was asked for ended.
    visited: Option<Exit>,
    /// What the visits so far make of the exit code.
    so_far: Exit,
    has_changed: bool,
}

impl<'a> Elsewhere<'a> {
    pub(crate) fn new(
        desk: &'a Desk,
        here: Option<&'a Loaded>,
        what: String,
        until: Until,
    ) -> Elsewhere<'a> {
        Elsewhere {
            desk,
            here,
            what,
            until,
            asked: desk.clock.now().wall,
            heard: 0,
            has_begun: false,
            is_its_own: false,
            visited: None,
            so_far: Exit::Done,
            has_changed: false,
        }
    }

    /// Passes the command on and tells what happens until it is done. `None`: no coordinator runs.
    ///
    /// # Errors
    /// Why it was refused, or where it was lost sight of.
    pub(crate) async fn pass_on(mut self, command: &Command) -> Result<Option<Exit>, Failure> {
        let Some(mut client) = self.desk.coordinator(self.here).await? else {
            return Ok(None);
        };
        // Listened to before it is asked, so that nothing is missed.
        let watch = match self.desk.coordinator(self.here).await? {
            Some(listener) => Some(listener.watch().await?),
            None => None,
        };
        if let Reply::Refused(refusal) = client.request(command).await? {
            let exit = Exit::from_code(refusal.exit);
            return Err(Failure::new(exit, refusal.what, refusal.cure));
        }
        let status = self.status().await?;
        if let Some(status) = status.as_ref().filter(|_| self.until != Until::Noted) {
            self.desk
                .output
                .progress(&taken(&self.what, &self.until, status));
        }
        let rotation = status.and_then(|status| Some(status.rotation?.id));
        let word = self.what.split(' ').next().unwrap_or_default();
        let is_named_so = |id: &RotationId| id.as_str().starts_with(&format!("{word}-"));
        self.is_its_own = rotation.as_ref().is_some_and(is_named_so);
        let exit = match (&self.until, watch) {
            (Until::Cordoned { site, cordoned }, _) => {
                let (site, cordoned) = (site.clone(), *cordoned);
                let own = rotation.filter(|_| self.is_its_own);
                self.cordoned(&site, cordoned, own.as_ref()).await
            }
            (Until::Taken | Until::Noted, _) => Ok(Exit::Done),
            (
                Until::Visited(_) | Until::Withdrawn(_) | Until::Ended | Until::Rotated,
                Some(watch),
            ) => self.follow(watch, rotation).await,
            (Until::Visited(_) | Until::Withdrawn(_) | Until::Ended | Until::Rotated, None) => {
                self.remembered(rotation)
            }
        }?;
        Ok(Some(exit))
    }

    /// Asks for what a rotation of its own may follow, lets `told` say what came of it, and follows
    /// the rotation that it names.
    ///
    /// # Errors
    /// Why it was refused, or where it was lost sight of.
    pub(crate) async fn ask(
        mut self,
        command: &Command,
        told: impl FnOnce(serde_json::Value) -> Result<Option<RotationId>, Failure>,
    ) -> Outcome {
        let gone = || Failure::from(ClientError::Gone);
        let mut client = self.desk.coordinator(self.here).await?.ok_or_else(gone)?;
        // Listened to before it is asked, so that nothing is missed.
        let listener = self.desk.coordinator(self.here).await?.ok_or_else(gone)?;
        let watch = listener.watch().await?;
        let value = match client.request(command).await? {
            Reply::Ok(value) => value,
            Reply::Refused(refusal) => return Err(ClientError::Refused(refusal).into()),
        };
        match told(value)? {
            None => Ok(Exit::Done),
            rotation @ Some(_) => {
                self.is_its_own = true;
                self.follow(watch, rotation).await
            }
        }
    }

    async fn follow(&mut self, mut watch: Watch, rotation: Option<RotationId>) -> Outcome {
        loop {
            let text = match timeout(HEARTBEAT, watch.next()).await {
                Ok(text) => text?,
                Err(_) => {
                    self.beat().await?;
                    continue;
                }
            };
            let Some(text) = text else {
                return self.remembered(rotation);
            };
            let Ok(line) = serde_json::from_str::<Line>(&text) else {
                // Of a newer coordinator, which says more than this program knows.
                continue;
            };
            match self.hear(&line) {
                Some(Ok(Exit::Refused)) if self.until == Until::Rotated => {
                    return Ok(self.refused(&line.rotation).await);
                }
                Some(outcome) => return outcome,
                None => {}
            }
        }
    }

    /// Nothing was changed: a rule said no, or another holds the marker, and later it may do. The
    /// line says why in words only.
    async fn refused(&self, rotation: &RotationId) -> Exit {
        let Ok(Some(mut client)) = self.desk.coordinator(self.here).await else {
            return Exit::Refused;
        };
        let Ok(Reply::Ok(told)) = client.request(&Command::History { last: 1 }).await else {
            return Exit::Refused;
        };
        let last = &told["rotations"][0];
        let is_it = last["rotation"].as_str() == Some(rotation.as_str());
        match is_it && last["end"] == RotationEnd::NOT_ACQUIRED {
            true => Exit::Later,
            false => Exit::Refused,
        }
    }

    /// The coordinator has ended, and its last words may have been lost: they are in its store.
    fn remembered(&mut self, rotation: Option<RotationId>) -> Outcome {
        let lost = || {
            let what = format!(
                "{}: the coordinator went away before it was done",
                self.what
            );
            Failure::new(Exit::Later, what, "see `cleanslate status`")
        };
        let here = self.here.ok_or_else(lost)?;
        let memory = Memory::open(self.desk, here)?.ok_or_else(lost)?;
        let last = || -> Result<_, Failure> { Ok(memory.rotations()?.pop().map(|r| r.rotation)) };
        let rotation = rotation.map_or_else(last, |rotation| Ok(Some(rotation)))?;
        let lost = lost();
        let story = match rotation {
            Some(rotation) => memory.story(&rotation, here)?,
            None => return Err(lost),
        };
        let (asked, heard) = (self.asked, self.heard);
        let missed = story.lines.iter();
        for line in missed.filter(|line| line.n > heard && line.at >= asked) {
            if let Some(outcome) = self.hear(line) {
                return outcome;
            }
        }
        Err(lost)
    }

    /// Shows a line; how the wish ended, once it has.
    fn hear(&mut self, line: &Line) -> Option<Outcome> {
        self.heard = line.n;
        let desk = self.desk;
        if desk.output.is_json {
            desk.output.result(&line.json());
        } else {
            let now = desk.clock.now().wall;
            desk.output.progress(&words::line(line, &desk.when, now));
        }
        match &self.until {
            Until::Ended => line.public.is_end().then_some(Ok(Exit::Done)),
            Until::Cordoned { .. } | Until::Taken | Until::Noted => None,
            Until::Rotated => self.rotated(&line.public).map(Ok),
            Until::Visited(site) | Until::Withdrawn(site) if line.public.is_end() => {
                if let Some(exit) = self.visited {
                    return Some(Ok(exit));
                }
                Some(match self.has_begun {
                    true => Ok(Exit::Attention),
                    false => Err(Failure::new(
                        Exit::Later,
                        format!("the rotation ended before it was {site}'s turn"),
                        format!("ask again: cleanslate {}", self.what),
                    )),
                })
            }
            Until::Visited(site) if line.site.as_ref() == Some(site) => {
                self.has_begun = true;
                self.visited_so(ended(&line.public))
            }
            // It was tried by hand, and stays where it is: that is what was asked for.
            Until::Withdrawn(site) if line.site.as_ref() == Some(site) => {
                self.has_begun = true;
                let is_out = matches!(line.public, Public::SiteQuarantined { .. });
                let done = is_out.then_some(Exit::Done);
                self.visited_so(done.or_else(|| ended(&line.public)))
            }
            Until::Visited(_) | Until::Withdrawn(_) => None,
        }
    }

    /// How the visit ended, if it has: at once where the rotation has more to do.
    fn visited_so(&mut self, exit: Option<Exit>) -> Option<Outcome> {
        self.visited = self.visited.or(exit);
        exit.filter(|_| !self.is_its_own).map(Ok)
    }

    /// How the rotation that was asked for ended, once it has.
    fn rotated(&mut self, public: &Public) -> Option<Exit> {
        self.has_changed |= changes(public);
        if let Public::SiteSkipped { .. } = public {
            // A night that skipped a site needs a person.
            self.so_far = self.so_far.worse(Exit::Attention);
        } else if let Some(exit) = ended(public) {
            self.so_far = self.so_far.worse(exit);
        }
        if let Public::RotationHalted { .. } = public {
            return Some(self.stopped(Exit::Refused));
        }
        if let Public::RotationAborted { .. } = public {
            return Some(self.stopped(Exit::Later));
        }
        public.is_end().then_some(self.so_far)
    }

    /// The rotation stopped before its end.
    fn stopped(&self, unchanged: Exit) -> Exit {
        if self.so_far == Exit::RolledBack {
            Exit::RolledBack
        } else if self.has_changed || self.so_far == Exit::Attention {
            Exit::Attention
        } else {
            unchanged
        }
    }

    /// What the sites in hand wait for.
    async fn beat(&self) -> Result<(), Failure> {
        if let Some(status) = self.status().await? {
            let waits = status.sites.iter().filter(|site| site.step.is_some());
            for site in waits {
                self.desk.output.progress(&self.doing(site));
            }
        }
        Ok(())
    }

    fn doing(&self, site: &SiteStatus) -> String {
        let now = self.desk.clock.now().wall;
        let until = site.until;
        let until = until.map_or(String::new(), |until| {
            format!(", until {}", self.desk.when.ahead(until, now))
        });
        format!("{}{until}", in_hand(site))
    }

    /// `own`: the rotation that was begun for it, which ends a moment after the marker is written.
    async fn cordoned(&self, site: &SiteName, cordoned: bool, own: Option<&RotationId>) -> Outcome {
        let is_done = |status: &Status| {
            let mut sites = status.sites.iter();
            let runs = status.rotation.as_ref().map(|rotation| &rotation.id);
            let has_ended = own.is_none() || runs != own;
            has_ended && sites.any(|it| it.name == *site && it.cordoned == cordoned)
        };
        while let Some(status) = self.status().await? {
            if is_done(&status) {
                let done = format!("{}: done, it is in the marker", self.what);
                self.desk.output.progress(&done);
                return Ok(Exit::Done);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // A rotation writes what it was asked for before it ends.
        Ok(Exit::Done)
    }

    /// `None`: the coordinator has ended.
    async fn status(&self) -> Result<Option<Status>, Failure> {
        let Some(mut client) = self.desk.coordinator(self.here).await? else {
            return Ok(None);
        };
        Ok(match client.request(&Command::Status {}).await {
            Ok(Reply::Ok(value)) => serde_json::from_value(value).ok(),
            // It ends: that is told by whoever listens to it.
            Ok(Reply::Refused(_)) | Err(_) => None,
        })
    }
}

/// `rebuild nyc: taken by nightly-…, behind fra (draining, waiting for …)`, and how to go on.
fn taken(what: &str, until: &Until, status: &Status) -> String {
    let rotation = status.rotation.as_ref();
    let by = rotation.map_or("the coordinator that runs", |rotation| rotation.id.as_str());
    let is_paused = rotation.is_some_and(|rotation| rotation.state == RotationState::Paused);
    let held = match until {
        _ if !is_paused => "",
        // What is asked for in a pause is not held by it.
        Until::Visited(site) | Until::Withdrawn(site) if is_in_hand(site, status) => "",
        Until::Visited(_) | Until::Withdrawn(_) => {
            "\nIt is paused, and a site is out of DNS: this begins when that one is back, or after \
             `cleanslate resume`"
        }
        Until::Cordoned { .. } | Until::Ended | Until::Rotated | Until::Taken | Until::Noted => {
            "\nIt is paused: nothing begins before `cleanslate resume`"
        }
    };
    let visited: Vec<String> = status
        .sites
        .iter()
        .filter(|site| site.step.is_some())
        .map(in_hand)
        .collect();
    let why = rotation.and_then(|rotation| rotation.why.as_ref());
    let behind = match visited.as_slice() {
        [] if !is_paused => why.map_or(String::new(), |why| format!("; it waits for {why}")),
        [] => String::new(),
        visited => format!("; in hand: {}", visited.join("; ")),
    };
    if *until == Until::Taken {
        let state = if is_paused { "is paused" } else { "goes on" };
        return format!("{what}: {by} {state}{behind}");
    }
    format!(
        "{what}: taken by {by}{behind}{held}\nCtrl-C leaves it to that rotation; follow it with \
         `cleanslate status --watch`"
    )
}

fn is_in_hand(site: &SiteName, status: &Status) -> bool {
    let mut sites = status.sites.iter();
    sites.any(|it| it.name == *site && it.step.is_some())
}

/// `fra: draining, waiting for its last users to leave`.
fn in_hand(site: &SiteStatus) -> String {
    let state = site.state.map_or("unknown", |state| state.words());
    let why = site.why.as_ref();
    let why = why.map_or(String::new(), |why| format!(", {why}"));
    format!("{}: {state}{why}", site.name)
}

/// Whether something is otherwise than before.
fn changes(public: &Public) -> bool {
    matches!(
        public,
        Public::Withdrawn { .. } | Public::Recreated { .. } | Public::Restored { .. }
    )
}

/// How a visit ended, where this line says so.
fn ended(public: &Public) -> Option<Exit> {
    match public {
        Public::VisitCompleted { .. } => Some(Exit::Done),
        // Nothing of it was changed.
        Public::SiteSkipped { .. } => Some(Exit::Refused),
        Public::RolledBack { .. } => Some(Exit::RolledBack),
        Public::PutBack { .. } | Public::SiteQuarantined { .. } => Some(Exit::Attention),
        Public::RotationPlanned { .. }
        | Public::VisitStarted { .. }
        | Public::ImagesPulled { .. }
        | Public::KeptDrifted { .. }
        | Public::Ready { .. }
        | Public::WithdrawRefused { .. }
        | Public::Withdrawn { .. }
        | Public::Draining { .. }
        | Public::Drained { .. }
        | Public::Recreated { .. }
        | Public::TrialBegun { .. }
        | Public::TrialAccepted { .. }
        | Public::Verified { .. }
        | Public::Restored { .. }
        | Public::Soaked
        | Public::RollingBack { .. }
        | Public::Retrying { .. }
        | Public::HookFailed { .. }
        | Public::Waiting { .. }
        | Public::TagMoved { .. }
        | Public::TakenOver { .. }
        | Public::RotationPaused { .. }
        | Public::RotationResumed { .. }
        | Public::RotationHalted { .. }
        | Public::RotationAborted { .. }
        | Public::RotationCompleted { .. } => None,
    }
}
