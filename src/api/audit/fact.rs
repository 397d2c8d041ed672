//! Which facts the audit tells, and how.
use super::change::{purpose, sent};
use super::containers::{leaving, made, named};
use super::what::What;
use crate::api::narrate::site_of;
use crate::coordinator::event::{DrainReason, Event, RotationEnd, VisitEnd};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Lane, Stage, State, Visit};
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::rrset::UpdateOutcome;

/// A fact for the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub site: Option<SiteName>,
    pub what: What,
}

/// What the audit tells of an event. What was sent to the outside, what came of it, and what that
/// was decided on; looks and waits are the journal's.
pub fn fact(fleet: &Fleet, event: &Event, before: &State, after: &State) -> Option<Fact> {
    let what = what(fleet, event, before, after)?;
    let site = site_of(event);
    Some(Fact { site, what })
}

/// Every event is listed.
fn what(fleet: &Fleet, event: &Event, before: &State, after: &State) -> Option<What> {
    Some(match event {
        Event::Started => before.running().map(|_| What::RotationTakenUp {})?,
        Event::Planned { plan } => What::RotationPlanned(Box::new(plan.into())),
        Event::RebuildQueued { plan } => What::RebuildQueued(Box::new(plan.into())),
        Event::AbortRequested { reason, .. } => What::RotationAborting {
            reason: reason.clone(),
        },
        Event::Paused { reason, .. } => What::RotationPaused {
            reason: reason.clone(),
        },
        Event::Resumed { reason, .. } => What::RotationResumed {
            reason: reason.clone(),
        },
        Event::TrialAccepted { reason, .. } => What::TrialAccepted {
            reason: reason.clone(),
        },
        Event::TrialWaived { .. } => What::TrialWaived {},
        Event::TrialRefused { reason, .. } => What::TrialRefused {
            reason: reason.clone(),
        },
        Event::ChangeDecided { intent, change, .. } => sent(purpose(intent), change),
        Event::FenceDecided { change } => sent("fence".to_owned(), change),
        Event::ChangeAnswered { outcome } => answered(outcome)?,
        Event::ChangeProven { intent, marker, .. } => What::UpdateApplied {
            purpose: purpose(intent),
            epoch: marker.epoch.0,
            seq: marker.seq,
            nonce: marker.nonce.to_string(),
        },
        Event::ChangeDelayed { why, .. } if is_sent(before) => {
            What::UpdateNotApplied { why: why.clone() }
        }
        Event::ChangeRefused { intent, refusal } => What::ChangeRefused {
            purpose: purpose(intent),
            rule: refusal.rule.clone(),
            why: refusal.why.clone(),
            cure: refusal.cure.clone(),
            was_sent: is_sent(before),
        },
        Event::TakeOverAllowed { from } => What::TakeOverAllowed {
            holder: from.holder.clone(),
            epoch: from.epoch.0,
        },
        Event::Deposed { refusal } => What::Deposed {
            rule: refusal.rule.clone(),
            why: refusal.why.clone(),
        },
        Event::Tightened { caution } => What::Tightened {
            changes: caution.words(),
        },
        Event::VisitStarted { .. } => What::VisitStarted {},
        Event::Prefetched {
            host,
            problem: None,
            ..
        }
        | Event::HostPulled { host, .. } => What::ImagesPulled { host: host.clone() },
        Event::HostPrepared {
            site,
            host,
            made: containers,
            is_proof,
        } => What::ContainersCreated {
            host: host.clone(),
            containers: made(fleet, after.rotation.as_deref()?, (site, host), containers),
            is_proof: *is_proof,
        },
        Event::Drained {
            reason, seconds, ..
        } => What::Drained {
            seconds: *seconds,
            because: drained(*reason).to_owned(),
        },
        Event::HookAsked { hook, .. } => What::HookCalled { hook: hook.clone() },
        Event::HookDeferred { hook, why, .. } => What::HookDeferred {
            hook: hook.clone(),
            why: why.clone(),
        },
        Event::HookEnded { hook, problem, .. } => What::HookEnded {
            hook: hook.clone(),
            problem: problem.as_ref().map(|problem| problem.what.clone()),
        },
        Event::BeforeBegun { .. } => What::BeforeSent {},
        Event::BeforeEnded { problem, .. } => What::BeforeEnded {
            problem: problem.as_ref().map(|problem| problem.what.clone()),
        },
        Event::PutBackByHand { .. } => What::PutInByHand {},
        Event::ClearBegun {
            site, containers, ..
        } => What::RemovalSent {
            hosts: leaving(visit(before, site), containers),
        },
        Event::HostCleared { host, removed, .. } => What::ContainersRemoved {
            host: host.clone(),
            removed: *removed,
        },
        Event::HostUncleared { host, problem, .. } => What::RemovalUnknown {
            host: host.clone(),
            why: problem.what.clone(),
        },
        Event::StartBegun { site, .. } => started(fleet, after, site)?,
        Event::HostStarted { host, .. } => What::ContainersStarted { host: host.clone() },
        Event::HostNotStarted { host, problem, .. } => What::NotStarted {
            host: host.clone(),
            why: problem.what.clone(),
        },
        Event::Verified { .. } => What::Verified {},
        Event::AttemptFailed {
            problem, attempt, ..
        } => What::AttemptFailed {
            attempt: *attempt,
            why: problem.what.clone(),
        },
        Event::RollbackBegun {
            problem,
            pins,
            barred,
            ..
        } => What::RollbackBegun {
            why: problem.what.clone(),
            digests: pins.clone(),
            barred: barred.clone(),
        },
        Event::Cleared { digest, reason, .. } => What::DigestCleared {
            digest: digest.clone(),
            reason: reason.clone(),
        },
        Event::Soaked { .. } => What::Soaked {},
        Event::SoakBroken { problem, .. } => What::SoakBroken {
            why: problem.what.clone(),
        },
        Event::HostPruned {
            host,
            images,
            bytes,
            ..
        } => What::ImagesPruned {
            host: host.clone(),
            images: *images,
            bytes: *bytes,
        },
        Event::PutBackBegun { problem, .. } => What::PuttingBack {
            why: problem.what.clone(),
        },
        Event::DiscardBegun { site, .. } => discarded(after, site)?,
        Event::HostDiscarded { host, problem, .. } => What::Discarded {
            host: host.clone(),
            problem: problem.as_ref().map(|problem| problem.what.clone()),
        },
        Event::VisitEnded { end, problem, .. } => visit_ended(*end, problem.as_ref()),
        Event::OtherSiteFailed { problems, .. } => What::StoppedAnswering {
            why: problems.first()?.what.clone(),
        },
        Event::TagMoved { moved } => What::TagMoved {
            moved: moved.clone(),
        },
        Event::Halted { cause, .. } => What::RotationHalted {
            why: cause.what.clone(),
            cure: cause.cure.clone(),
        },
        Event::Ended { end } => rotation_ended(end),
        // Looks, waits, and steps that send nothing: what they lead to is told.
        Event::WriteRequested { .. }
        | Event::ChangeBegun { .. }
        | Event::ChangeNotNeeded { .. }
        | Event::ChangeDelayed { .. }
        | Event::LookDue
        | Event::RefreshDue
        | Event::MarkerHeld { .. }
        | Event::HostLooked { .. }
        | Event::HostUnready { .. }
        | Event::Prefetched { .. }
        | Event::Ready { .. }
        | Event::Probed { .. }
        | Event::WithdrawBegun { .. }
        | Event::LookExpired { .. }
        | Event::ReadyFirst { .. }
        | Event::Followed { .. }
        | Event::Behind { .. }
        | Event::DrainedAtLeast { .. }
        | Event::DrainedAtMost { .. }
        | Event::DrainUnknown { .. }
        | Event::QuietSeen { .. }
        | Event::EvidenceTaken { .. }
        | Event::LastLookBegun { .. }
        | Event::ServersLooked { .. }
        | Event::LookedBehind { .. }
        | Event::LastInventory { .. }
        | Event::LastLookPassed { .. }
        | Event::RemakeBegun { .. }
        | Event::Recreated { .. }
        | Event::VerifyBegun { .. }
        | Event::TrialBegun { .. }
        | Event::WindowAwaited { .. }
        | Event::WindowDue
        | Event::HostVerified { .. }
        | Event::AttemptBegun { .. }
        | Event::WriteAgain { .. }
        | Event::SoakBegun { .. }
        | Event::TrafficSeen { .. }
        | Event::SoakTimeOver { .. }
        | Event::WaveEnded { .. } => return None,
    })
}

fn is_sent(before: &State) -> bool {
    matches!(before.lane, Lane::Sent { .. })
}

/// NOERROR is no proof: what was applied is told when the primary was read back.
fn answered(outcome: &UpdateOutcome) -> Option<What> {
    match outcome {
        UpdateOutcome::Applied => None,
        UpdateOutcome::Unknown { why } => Some(What::UpdateUnknown { why: why.clone() }),
        UpdateOutcome::NotApplied { why }
        | UpdateOutcome::Refused { why, .. }
        | UpdateOutcome::NotSent { why } => Some(What::UpdateNotApplied { why: why.clone() }),
    }
}

fn started(fleet: &Fleet, after: &State, site: &SiteName) -> Option<What> {
    let rotation = after.rotation.as_deref()?;
    let Stage::Starting { hosts, .. } = &visit(after, site)?.stage else {
        return None;
    };
    let of_host = |host, containers: &[_]| made(fleet, rotation, (site, host), containers);
    let hosts = hosts.iter();
    let hosts = hosts.map(|(host, (_, containers))| (host.clone(), of_host(host, containers)));
    Some(What::StartSent {
        hosts: hosts.collect(),
    })
}

fn discarded(after: &State, site: &SiteName) -> Option<What> {
    let Stage::Discarding { hosts, .. } = &visit(after, site)?.stage else {
        return None;
    };
    let hosts = hosts.iter().filter(|(_, (_, ids))| !ids.is_empty());
    let hosts = hosts.map(|(host, (_, ids))| (host.clone(), named(ids)));
    Some(What::DiscardSent {
        hosts: hosts.collect(),
    })
}

fn visit<'s>(state: &'s State, site: &SiteName) -> Option<&'s Visit> {
    let rotation = state.rotation.as_deref()?;
    rotation.visits.get(site).map(AsRef::as_ref)
}

fn drained(reason: DrainReason) -> &'static str {
    match reason {
        DrainReason::Quiet => "quiet",
        DrainReason::AtMost => "at_most",
        DrainReason::Unknown => "unknown",
        DrainReason::NotNeeded => "not_needed",
    }
}

fn visit_ended(end: VisitEnd, problem: Option<&Problem>) -> What {
    What::VisitEnded {
        end: end.as_str().to_owned(),
        why: problem.map(|problem| problem.what.clone()),
        cure: problem.map(|problem| problem.cure.clone()),
    }
}

fn rotation_ended(end: &RotationEnd) -> What {
    let why = match end {
        RotationEnd::Completed | RotationEnd::Halted => None,
        RotationEnd::Aborted { reason: why }
        | RotationEnd::NotAcquired { why }
        | RotationEnd::Deposed { why } => Some(why.clone()),
    };
    let end = end.as_str().to_owned();
    What::RotationEnded { end, why }
}
