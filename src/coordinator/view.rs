//! Where things stand, for people: the step of a visit, and what it waits for.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::event::{PauseEnd, Then, VisitEnd};
use super::intent::Intent;
use super::state::{
    AskedHook, EvidenceWork, HookTurn, HostWork, Lane, Look, Quietness, Rotation, Stage, State,
    TrafficWait, Visit, Wait as Timer,
};
use crate::model::id::{HostName, SiteName};
use crate::model::time::Mono;

/// The steps of a visit, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Ready,
    Withdraw,
    Drain,
    Recreate,
    Verify,
    Restore,
    Soak,
    /// The next visit may begin; images that nobody uses are removed.
    Signal,
    /// The way back of a site of which nothing was stopped.
    PutBack,
    /// Only the marker's lists change.
    Mark,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What follows "waiting for": `its last users to leave`.
    pub why: String,
    pub since: Timestamp,
    /// `None`: nobody knows.
    pub until: Option<Mono>,
}

impl Step {
    /// The word that people and programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Ready => "ready",
            Step::Withdraw => "withdraw",
            Step::Drain => "drain",
            Step::Recreate => "recreate",
            Step::Verify => "verify",
            Step::Restore => "restore",
            Step::Soak => "soak",
            Step::Signal => "signal",
            Step::PutBack => "put_back",
            Step::Mark => "mark",
        }
    }
}

impl Stage {
    /// The step that this stage belongs to.
    pub fn step(&self) -> Step {
        match self {
            Stage::Discarding {
                end: VisitEnd::PutBack,
                ..
            } => Step::PutBack,
            Stage::Readying
            | Stage::Probing {
                look: Look::ToLeave,
                ..
            }
            | Stage::Discarding { .. } => Step::Ready,
            Stage::Probing {
                look: Look::ToLeaveAgain { .. } | Look::ToExpel,
                ..
            }
            | Stage::Withdrawing
            | Stage::Following { .. }
            | Stage::Expelling
            | Stage::WithdrawingAgain { .. }
            | Stage::OutAgain { .. } => Step::Withdraw,
            Stage::Draining { .. } | Stage::Drained => Step::Drain,
            Stage::RunningBefore { .. }
            | Stage::LastLook { .. }
            | Stage::Dirtying { .. }
            | Stage::Clearing { .. }
            | Stage::Starting { .. }
            | Stage::BackingOff { .. } => Step::Recreate,
            Stage::Inspecting { .. } | Stage::Verifying { .. } | Stage::OnTrial { .. } => {
                Step::Verify
            }
            Stage::Restoring | Stage::RestoreFollowing { .. } => Step::Restore,
            Stage::Soaking { .. } => Step::Soak,
            Stage::Pruning { .. } => Step::Signal,
            Stage::PuttingBack { .. } | Stage::PutBackFollowing { .. } => Step::PutBack,
            Stage::Writing { intent }
            | Stage::Refused { intent, .. }
            | Stage::RefusedWrite { intent, .. } => step_of(intent),
        }
    }
}

fn step_of(intent: &Intent) -> Step {
    match intent {
        Intent::Withdraw { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. }
        | Intent::Hold { .. } => Step::Withdraw,
        Intent::Dirty { .. } => Step::Recreate,
        Intent::Restore { .. } | Intent::Clean { .. } => Step::Restore,
        Intent::PutBack { .. } => Step::PutBack,
        Intent::Cordon { .. }
        | Intent::Uncordon { .. }
        | Intent::Acquire
        | Intent::Refresh
        | Intent::Release => Step::Mark,
    }
}

impl State {
    /// What the rotation as a whole waits for, where no visit is under way.
    pub fn rotation_waits(&self) -> Option<Waiting> {
        let rotation = self.running()?;
        if !rotation.visits.is_empty() {
            return None;
        }
        let (why, until) = match &self.lane {
            Lane::Free => rests(rotation)?,
            lane @ (Lane::Looking { .. }
            | Lane::Sent { .. }
            | Lane::ReadingBack { .. }
            | Lane::Settling { .. }
            | Lane::SettlingLater { .. }
            | Lane::Fencing { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. }) => lane_waits(lane),
        };
        let window = rotation.window.as_ref();
        Some(Waiting {
            why,
            since: window.map_or(rotation.alone_since, |window| window.since),
            until,
        })
    }

    /// Whether the process may end without leaving anything half done: nothing further begins, no
    /// UPDATE is under way, and each site that left is back, or waits where it is for a person.
    pub fn may_stop(&self) -> bool {
        let Some(rotation) = self.running() else {
            return true;
        };
        let is_still = |visit: &Arc<Visit>| {
            let is_held = matches!(visit.stage, Stage::Drained) && !visit.is_touched;
            let is_held = is_held && rotation.holds_what_left(&visit.site);
            visit.stage.step() == Step::Ready || is_held || visit.is_on_trial()
        };
        let is_quiet = self.lane == Lane::Free || self.lane.is_unsent();
        rotation.is_paused() && is_quiet && rotation.visits.values().all(is_still)
    }

    /// What the visit of `site` waits for; `None` where it is not visited, nor next.
    pub fn site_waits(&self, site: &SiteName) -> Option<Waiting> {
        let rotation = self.running()?;
        let Some(visit) = rotation.visits.get(site) else {
            return window_of(rotation, site);
        };
        let (why, until) = self.visit_waits(visit);
        let since = if let Stage::OnTrial { since, .. } = visit.stage {
            since
        } else {
            visit.step_since
        };
        Some(Waiting { why, since, until })
    }

    fn visit_waits(&self, visit: &Visit) -> (String, Option<Mono>) {
        let text = |why: &str| (why.to_owned(), None);
        if let Some(asked) = visit.asked_at_gate() {
            return hook_waits(asked);
        }
        match &visit.stage {
            Stage::Probing { asked, .. } if asked.is_empty() => self.pause_or_next(&visit.site),
            Stage::Drained if !visit.is_busy() => self.pause_or_next(&visit.site),
            Stage::Readying => (hosts_wait(visit), None),
            Stage::Probing { asked, .. } => {
                let sites = listed(asked.keys());
                (format!("the probes of {sites}"), None)
            }
            Stage::Withdrawing
            | Stage::Dirtying { .. }
            | Stage::Restoring
            | Stage::Expelling
            | Stage::PuttingBack { .. }
            | Stage::WithdrawingAgain { .. }
            | Stage::Writing { .. } => self.write_waits(visit),
            Stage::Following { .. } => text("every name server to answer without it"),
            Stage::Draining {
                least, most, quiet, ..
            } => drain_waits(least, most, quiet),
            Stage::Drained => (hosts_wait(visit), None),
            Stage::RunningBefore { .. } => text("the playbook's command `before`"),
            Stage::LastLook { .. } => text("a last look at name servers and engines"),
            Stage::Clearing { hosts, .. } => (
                format!("the old containers of {} to stop", listed(hosts.keys())),
                None,
            ),
            Stage::Starting { hosts, .. } => (
                format!("the new containers of {} to start", listed(hosts.keys())),
                None,
            ),
            Stage::Inspecting { hosts, .. } => (
                format!("a comparison of {} with the plan", listed(hosts.keys())),
                None,
            ),
            Stage::Verifying { .. } => text("its probes at its own addresses"),
            Stage::OnTrial { addresses, .. } => (trial_waits(&visit.site, addresses), None),
            Stage::RestoreFollowing { .. } | Stage::PutBackFollowing { .. } => {
                text("every name server to answer with it again")
            }
            Stage::Soaking { time, traffic, .. } => soak_waits(time, traffic),
            Stage::OutAgain { problem } => (format!("a person, after: {}", problem.what), None),
            Stage::Pruning { hosts } => (
                format!("unused images of {} to be removed", listed(hosts.keys())),
                None,
            ),
            Stage::BackingOff { wait, problem } => (
                format!("attempt {}, after: {}", visit.attempt, problem.what),
                Some(wait.until),
            ),
            Stage::Discarding { hosts, .. } => (
                format!(
                    "what was only prepared on {} to be removed",
                    listed(hosts.keys())
                ),
                None,
            ),
            Stage::Refused { problem, .. } => (format!("a way out of: {}", problem.what), None),
            Stage::RefusedWrite { problem, wait, .. } => (
                format!("another try, after: {}", problem.what),
                Some(wait.until),
            ),
        }
    }

    fn pause_or_next(&self, site: &SiteName) -> (String, Option<Mono>) {
        let rotation = self.running().filter(|rotation| rotation.is_held(site));
        match rotation.map(|rotation| (rotation, rotation.gives_way_to(site))) {
            Some((_, Some(other))) => (format!("the visit of {other}, which comes first"), None),
            Some((rotation, None)) => pause_waits(rotation),
            None => ("the next step".to_owned(), None),
        }
    }

    fn write_waits(&self, visit: &Visit) -> (String, Option<Mono>) {
        let site = self.lane.intent().and_then(Intent::site);
        match site {
            Some(site) if *site != visit.site => (
                format!("the DNS change for {site}, which comes first"),
                None,
            ),
            Some(_) | None => lane_waits(&self.lane),
        }
    }
}

impl Rotation {
    /// `the quiet hours of sin (02:00-05:00 Asia/Singapore)`, of each that is next.
    pub fn quiet_hours_of_next(&self) -> String {
        let of = |site: &SiteName| Some(format!("{site} ({})", self.plan.windows.get(site)?));
        let hours: Vec<String> = self.next_sites().filter_map(of).collect();
        format!("the quiet hours of {}", hours.join(", "))
    }
}

/// Why a rotation without a visit in hand does nothing.
fn rests(rotation: &Rotation) -> Option<(String, Option<Mono>)> {
    if rotation.is_paused() {
        return Some(pause_waits(rotation));
    }
    if let Some(window) = &rotation.window {
        return Some((rotation.quiet_hours_of_next(), Some(window.wait.until)));
    }
    (!rotation.prefetch.is_empty()).then(|| (pulls(rotation), None))
}

/// The wait of a site that is next for its quiet hours.
fn window_of(rotation: &Rotation, site: &SiteName) -> Option<Waiting> {
    let wait = rotation.window.as_ref().filter(|_| !rotation.is_paused())?;
    let next = rotation.next_sites().find(|next| *next == site)?;
    let hours = rotation.plan.windows.get(next)?;
    Some(Waiting {
        why: format!("its quiet hours ({hours})"),
        since: wait.since,
        until: Some(wait.wait.until),
    })
}

fn pause_waits(rotation: &Rotation) -> (String, Option<Mono>) {
    let Some(pause) = &rotation.pause else {
        return ("the next step".to_owned(), None);
    };
    let by = format!("paused by {}: {}", pause.actor, pause.reason);
    let whom = match pause.ends {
        PauseEnd::Word => "`cleanslate resume`",
        PauseEnd::Time {
            then: Then::Resume, ..
        } => "the end of a pause",
        PauseEnd::Time {
            then: Then::Abort, ..
        } => "the end of a pause, and is then aborted",
        PauseEnd::Start => "the next start of the coordinator",
    };
    let until = pause.wait.as_ref().map(|wait| wait.until);
    (format!("{whom} ({by})"), until)
}

fn lane_waits(lane: &Lane) -> (String, Option<Mono>) {
    match lane {
        Lane::Free => ("its turn to change DNS".to_owned(), None),
        Lane::Looking { .. } => ("the primary's answer".to_owned(), None),
        Lane::Sent { .. } | Lane::Fencing { .. } => {
            ("the primary's answer to an UPDATE".to_owned(), None)
        }
        Lane::ReadingBack { .. } => ("the primary to be read back".to_owned(), None),
        Lane::Settling { .. } => ("proof whether an UPDATE was applied".to_owned(), None),
        Lane::SettlingLater { wait, .. } => (
            "the primary, silent, to prove whether an UPDATE was applied".to_owned(),
            Some(wait.until),
        ),
        Lane::Delayed { wait, why, .. } => {
            (format!("another look at DNS: {why}"), Some(wait.until))
        }
        Lane::Contended { marker, .. } => {
            let holder = marker
                .holder
                .as_ref()
                .map_or("nobody".to_owned(), ToString::to_string);
            let rotation = marker
                .rotation
                .as_ref()
                .map_or(String::new(), |rotation| format!(" for {rotation}"));
            (format!("the marker, which {holder} holds{rotation}"), None)
        }
    }
}

fn hosts_wait(visit: &Visit) -> String {
    let mut doing: BTreeMap<&str, Vec<&HostName>> = BTreeMap::new();
    for (host, work) in &visit.hosts {
        let what = match work {
            HostWork::Looking { .. } => "a list of containers from",
            HostWork::Pulling { .. } => "images at",
            HostWork::Preparing { .. } => "new containers at",
            HostWork::None | HostWork::Prepared { .. } | HostWork::Unready { .. } => continue,
        };
        doing.entry(what).or_default().push(host);
    }
    if doing.is_empty() {
        return match &visit.evidence {
            EvidenceWork::Asked { hosts, .. } => format!("evidence from {}", listed(hosts.keys())),
            EvidenceWork::NotAsked | EvidenceWork::Over => "the next step".to_owned(),
        };
    }
    let parts = doing
        .into_iter()
        .map(|(what, hosts)| format!("{what} {}", listed(hosts)));
    parts.collect::<Vec<_>>().join("; ")
}

fn drain_waits(least: &Timer, most: &Timer, quiet: &Quietness) -> (String, Option<Mono>) {
    match quiet {
        Quietness::NotAsked => (
            "resolvers to forget its addresses".to_owned(),
            Some(least.until),
        ),
        Quietness::AskedLast(_) => ("what is left of its traffic".to_owned(), None),
        Quietness::Asked(_) => ("its last users to leave".to_owned(), Some(most.until)),
        Quietness::Seen { .. } => (
            "the end of the drain: a name server was left out".to_owned(),
            Some(most.until),
        ),
        Quietness::Unknown { why } => (
            format!("the end of the drain: its traffic is unknown ({why})"),
            Some(most.until),
        ),
    }
}

fn soak_waits(time: &Timer, traffic: &TrafficWait) -> (String, Option<Mono>) {
    match traffic {
        TrafficWait::Awaited { deadline, .. } => (
            "its traffic to come back".to_owned(),
            Some(time.until.max(deadline.until)),
        ),
        TrafficWait::Seen { .. } => ("the end of its soak".to_owned(), Some(time.until)),
    }
}

/// What a person types who has tried a site by hand, and likes it.
pub fn accepted_by(site: &SiteName) -> String {
    format!("cleanslate resume {site}")
}

fn hook_waits(asked: &AskedHook) -> (String, Option<Mono>) {
    let hook = &asked.hook;
    match &asked.turn {
        HookTurn::Theirs(_) => (format!("hook {hook}"), None),
        HookTurn::Later { wait, why } => (
            format!("hook {hook}, which says not yet: {why}"),
            Some(wait.until),
        ),
    }
}

fn trial_waits(site: &SiteName, addresses: &BTreeSet<IpAddr>) -> String {
    format!(
        "a person to try it at {}: `{}` puts it in, `cleanslate withdraw {site} --reason TEXT` \
         keeps it out",
        listed(addresses),
        accepted_by(site)
    )
}

fn pulls(rotation: &Rotation) -> String {
    let hosts: Vec<&HostName> = rotation.prefetch.keys().map(|(_, host)| host).collect();
    format!("images at {}", listed(hosts))
}

fn listed<'a, T: ToString + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    names.join(", ")
}
