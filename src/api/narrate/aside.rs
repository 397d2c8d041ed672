//! Facts that are no event line, in words: what a coordinator meant, tried and met on the way.
//! Told where somebody reads a night step by step.
use super::place::{running, site_of};
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::safety::Refusal;
use crate::coordinator::state::State;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{UpdateOutcome, ZoneChange};

/// What is told of a fact beside its event line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub site: Option<SiteName>,
    pub text: String,
}

/// The words of a fact that [`Narrator::tell`](super::Narrator::tell) makes no line of; `None`
/// where nobody misses them.
pub fn aside(event: &Event, before: &State) -> Option<Aside> {
    let site = site_of(event).or_else(|| intent_of(event)?.site().cloned());
    let text = of_marker(event, before).or_else(|| of_visit(event))?;
    Some(Aside { site, text })
}

fn intent_of(event: &Event) -> Option<&Intent> {
    if let Event::ChangeDecided { intent, .. } | Event::ChangeNotNeeded { intent, .. } = event {
        return Some(intent);
    }
    None
}

/// The marker, UPDATEs, and what people asked.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other facts are `of_visit`'s, which lists them all"
)]
fn of_marker(event: &Event, before: &State) -> Option<String> {
    Some(match event {
        Event::Started => "starts; no rotation is in hand".to_owned(),
        Event::AbortRequested { actor, reason, .. } => {
            let why = reason
                .as_ref()
                .map_or(String::new(), |why| format!(": {why}"));
            format!("{actor} asks to end the rotation{why}")
        }
        Event::Cleared {
            digest,
            actor,
            reason,
        } => format!("{actor} clears {}: {reason}", digest.short()),
        Event::RebuildQueued { plan } => {
            let sites: Vec<&str> = plan.sites().map(SiteName::as_str).collect();
            format!(
                "a rebuild of {} follows the visits in hand",
                sites.join(", ")
            )
        }
        Event::WriteRequested { intent } => format!("is asked to {}", meant(intent)),
        Event::ChangeDecided { intent, change, .. } => {
            sent(&format!("to {}", meant_unless_refresh(intent)?), change)
        }
        Event::ChangeNotNeeded { intent, .. } => {
            format!("no UPDATE is needed to {}", meant_unless_refresh(intent)?)
        }
        Event::ChangeAnswered { outcome } => answered(outcome)?,
        Event::FenceDecided { change } => sent(
            "of the marker alone: once it is applied, the one before can no longer be",
            change,
        ),
        Event::ChangeProven { intent, marker, .. } => proven(intent, marker)?,
        Event::ChangeDelayed { why, .. } => {
            format!("looks at the primary again in a moment: {why}")
        }
        Event::ChangeRefused { intent, refusal } => {
            format!(
                "cannot {}: {}: {}",
                meant(intent),
                refusal.rule,
                refusal.why
            )
        }
        Event::MarkerHeld { marker, .. } => {
            let holder = marker
                .holder
                .as_ref()
                .map_or("nobody", |holder| holder.as_str());
            let Marker { epoch, seq, .. } = marker;
            format!("waits: {holder} holds the marker (epoch {epoch}, seq {seq})")
        }
        Event::TakeOverAllowed { from } => {
            let holder = from
                .holder
                .as_ref()
                .map_or("nobody", |holder| holder.as_str());
            format!("may take the marker over from {holder}")
        }
        Event::Deposed { refusal } => {
            let Refusal {
                rule, why, cure, ..
            } = refusal;
            format!("sends nothing more: {rule}: {why}; {cure}")
        }
        Event::WindowAwaited { .. } => {
            format!("waits for {}", running(before)?.quiet_hours_of_next())
        }
        Event::Halted { cause, .. } if running(before).is_some() => {
            format!("begins no further visit: {}; {}", cause.what, cause.cure)
        }
        _ => return None,
    })
}

fn meant_unless_refresh(intent: &Intent) -> Option<String> {
    (*intent != Intent::Refresh).then(|| meant(intent))
}

/// What an UPDATE is for, after "to".
fn meant(intent: &Intent) -> String {
    match intent {
        Intent::Acquire => "take the marker".to_owned(),
        Intent::Refresh => "refresh the marker".to_owned(),
        Intent::Withdraw { site } => format!("withdraw {site}"),
        Intent::Dirty { site } => format!("call {site} dirty"),
        Intent::Restore { site } => format!("restore {site}"),
        Intent::Clean { site } => format!("call {site} dirty no more"),
        Intent::PutBack { site } => format!("put {site} back as it was"),
        Intent::WithdrawAgain { site } => format!("withdraw {site} again"),
        Intent::Expel { site } => format!("take {site} out again"),
        Intent::Hold { site } => format!("withdraw {site} and hold it out"),
        Intent::Cordon { site } => format!("cordon {site}"),
        Intent::Uncordon { site } => format!("uncordon {site}"),
        Intent::Release => "give the marker back".to_owned(),
    }
}

fn sent(what: &str, change: &ZoneChange) -> String {
    let Marker { epoch, seq, .. } = &change.marker;
    format!("sends an UPDATE {what} (epoch {epoch}, seq {seq})")
}

fn answered(outcome: &UpdateOutcome) -> Option<String> {
    Some(match outcome {
        UpdateOutcome::Applied => return None,
        UpdateOutcome::NotApplied { why } => {
            format!("the UPDATE was not applied ({why}): somebody changed something; looks again")
        }
        UpdateOutcome::Refused { why, hint } => format!("the primary refuses: {why}; {hint}"),
        UpdateOutcome::Unknown { why } => format!(
            "the UPDATE may have been applied, or may be later ({why}): nothing else is sent \
             until that is settled"
        ),
        UpdateOutcome::NotSent { why } => format!("the UPDATE was not sent: {why}"),
    })
}

fn proven(intent: &Intent, marker: &Marker) -> Option<String> {
    Some(match intent {
        Intent::Acquire => format!("holds the marker: epoch {}", marker.epoch),
        Intent::Dirty { .. } => "is dirty: what its last look saw may go".to_owned(),
        Intent::Clean { .. } => "is dirty no more".to_owned(),
        Intent::PutBack { .. } => "its addresses are back".to_owned(),
        Intent::Cordon { .. } => "is cordoned".to_owned(),
        Intent::Uncordon { .. } => "is cordoned no more".to_owned(),
        Intent::Hold { .. } => "is held: no rotation puts it in".to_owned(),
        Intent::Release => format!("gave the marker back{}", debts(marker)),
        Intent::Refresh
        | Intent::Withdraw { .. }
        | Intent::Restore { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. } => return None,
    })
}

/// What the idle marker still says.
fn debts(marker: &Marker) -> String {
    let lists = [
        ("out", &marker.out),
        ("dirty", &marker.dirty),
        ("held", &marker.held),
        ("cordoned", &marker.cordon),
    ];
    let told = lists.into_iter().filter(|(_, sites)| !sites.is_empty());
    let told: Vec<String> = told
        .map(|(list, sites)| {
            let sites: Vec<&str> = sites.iter().map(SiteName::as_str).collect();
            format!("{list}: {}", sites.join(", "))
        })
        .collect();
    match told.is_empty() {
        true => String::new(),
        false => format!("; {}", told.join("; ")),
    }
}

/// A visit; every fact is listed.
fn of_visit(event: &Event) -> Option<String> {
    Some(match event {
        Event::HostUnready { host, problems, .. } => {
            format!("{host} is not ready: {}", listed(problems)?)
        }
        Event::Prefetched {
            host,
            problem: Some(problem),
            ..
        } => format!("an image was not pulled ahead to {host}: {}", problem.what),
        Event::Probed { of, problems, .. } => {
            format!("{of} does not answer: {}", listed(problems)?)
        }
        Event::WithdrawBegun { is_sick: true, .. } => {
            "fails its own probes: it leaves before anything else".to_owned()
        }
        Event::LookExpired { .. } => {
            "the look at the floor is too old: all are probed again".to_owned()
        }
        Event::Behind { servers, .. } => {
            let behind = servers.iter();
            let behind =
                behind.map(|lagging| format!("{}: {}", lagging.answer.server, lagging.why));
            let behind: Vec<String> = behind.collect();
            format!("name servers did not follow in time: {}", behind.join("; "))
        }
        Event::DrainUnknown { why, .. } => {
            format!("traffic cannot be measured ({why}): the drain lasts to its end")
        }
        Event::Tightened { caution } => format!("counts at once: {}", caution.words().join(", ")),
        Event::HookAsked { hook, .. } => format!("asks hook {hook}"),
        Event::HookDeferred { hook, why, .. } => format!("hook {hook} says not yet: {why}"),
        Event::BeforeBegun { .. } => "runs the command that comes before".to_owned(),
        Event::BeforeEnded {
            problem: Some(problem),
            ..
        } => format!("the command that comes before failed: {}", problem.what),
        Event::LookedBehind { why, .. } => format!("server check and drain begin anew: {why}"),
        Event::PutBackByHand { .. } => {
            "somebody put it into DNS by hand, and nothing there may serve: it leaves again"
                .to_owned()
        }
        Event::RemakeBegun { .. } => "its containers are made anew before the start".to_owned(),
        Event::ClearBegun { containers, .. } => {
            let count: usize = containers.values().map(Vec::len).sum();
            format!("asks for {count} of its containers to be stopped and removed")
        }
        Event::HostUncleared { host, problem, .. } => {
            format!(
                "{host}: what was asked to go may still go later: {}",
                problem.what
            )
        }
        Event::HostNotStarted { host, problem, .. } => {
            format!("{host}: not started: {}", problem.what)
        }
        Event::HostVerified { host, problems, .. } => {
            format!("{host} fails verify: {}", listed(problems)?)
        }
        Event::TrafficSeen {
            unknown: Some(why), ..
        } => format!("traffic cannot be measured in service: {why}"),
        Event::SoakBroken { problem, .. } => format!("breaks in its soak: {}", problem.what),
        Event::TrialWaived { .. } => "goes in untried: a person ended the rotation".to_owned(),
        Event::PutBackBegun { problem, .. } => format!("is to go back as it was: {}", problem.what),
        Event::HostDiscarded {
            host,
            problem: Some(problem),
            ..
        } => format!(
            "{host}: what was made and never ran is left: {}",
            problem.what
        ),
        Event::VisitEnded {
            end: VisitEnd::LeftInService,
            problem: Some(problem),
            ..
        } => format!(
            "is in service, and the visit did not end as planned: {}",
            problem.what
        ),
        Event::OtherSiteFailed { problems, .. } => {
            format!(
                "stopped answering while another site is out: {}",
                listed(problems)?
            )
        }
        // Told as event lines or by `of_marker`, or steps that nobody misses.
        Event::Started
        | Event::Planned { .. }
        | Event::AbortRequested { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::RebuildQueued { .. }
        | Event::WriteRequested { .. }
        | Event::ChangeBegun { .. }
        | Event::ChangeDecided { .. }
        | Event::ChangeNotNeeded { .. }
        | Event::ChangeAnswered { .. }
        | Event::FenceDecided { .. }
        | Event::ChangeProven { .. }
        | Event::ChangeDelayed { .. }
        | Event::LookDue
        | Event::RefreshDue
        | Event::ChangeRefused { .. }
        | Event::MarkerHeld { .. }
        | Event::TakeOverAllowed { .. }
        | Event::Deposed { .. }
        | Event::VisitStarted { .. }
        | Event::HostLooked { .. }
        | Event::HostPulled { .. }
        | Event::HostPrepared { .. }
        | Event::Prefetched { .. }
        | Event::Ready { .. }
        | Event::WithdrawBegun { .. }
        | Event::ReadyFirst { .. }
        | Event::Followed { .. }
        | Event::DrainedAtLeast { .. }
        | Event::DrainedAtMost { .. }
        | Event::QuietSeen { .. }
        | Event::Drained { .. }
        | Event::EvidenceTaken { .. }
        | Event::HookEnded { .. }
        | Event::BeforeEnded { .. }
        | Event::LastLookBegun { .. }
        | Event::ServersLooked { .. }
        | Event::LastInventory { .. }
        | Event::LastLookPassed { .. }
        | Event::HostCleared { .. }
        | Event::StartBegun { .. }
        | Event::HostStarted { .. }
        | Event::Recreated { .. }
        | Event::VerifyBegun { .. }
        | Event::TrialBegun { .. }
        | Event::TrialAccepted { .. }
        | Event::TrialRefused { .. }
        | Event::Verified { .. }
        | Event::AttemptFailed { .. }
        | Event::RollbackBegun { .. }
        | Event::Cleared { .. }
        | Event::AttemptBegun { .. }
        | Event::WriteAgain { .. }
        | Event::SoakBegun { .. }
        | Event::TrafficSeen { .. }
        | Event::SoakTimeOver { .. }
        | Event::Soaked { .. }
        | Event::HostPruned { .. }
        | Event::DiscardBegun { .. }
        | Event::HostDiscarded { .. }
        | Event::VisitEnded { .. }
        | Event::TagMoved { .. }
        | Event::Halted { .. }
        | Event::WaveEnded { .. }
        | Event::WindowAwaited { .. }
        | Event::WindowDue
        | Event::Ended { .. } => return None,
    })
}

fn listed(problems: &[Problem]) -> Option<String> {
    let whats: Vec<&str> = problems
        .iter()
        .map(|problem| problem.what.as_str())
        .collect();
    (!whats.is_empty()).then(|| whats.join("; "))
}
