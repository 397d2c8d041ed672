//! What a fact is to others: a line, or nothing.
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::change::proven;
use super::ending::{ended, visit_ended};
use super::place::{running, visit};
use crate::api::public::{self, DrainEnd, Interruption, Kind, Public, Window};
use crate::coordinator::event::{DrainReason, Event, PauseEnd, Then, VisitKind};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::Plan;
use crate::coordinator::retry;
use crate::coordinator::safety::{drifted, rebuild_kept};
use crate::coordinator::state::{HostWork, Pause, Rotation, Stage, State, Visit};
use crate::coordinator::view::accepted_by;
use crate::model::fleet::Fleet;
use crate::model::hours;
use crate::model::id::{HostName, SiteName};
use crate::model::image::ImageRef;
use crate::model::inventory::Inventory;

/// The line's content; every fact is listed.
pub(super) fn public(
    fleet: &Fleet,
    event: &Event,
    before: &State,
    after: &State,
    at: Timestamp,
) -> Option<Public> {
    match event {
        Event::Started => running(before).map(started),
        Event::Paused {
            actor,
            reason,
            ends,
        } => Some(paused(actor, reason, ends)),
        Event::Resumed { .. } => Some(Public::RotationResumed {
            after: Interruption::Pause,
        }),
        Event::Planned { plan } => Some(planned(fleet, plan, before)),
        Event::ChangeProven { intent, marker, .. } => proven(intent, marker, before),
        Event::ChangeRefused { intent, refusal } => match intent {
            Intent::Withdraw { .. } | Intent::WithdrawAgain { .. } | Intent::Hold { .. } => {
                Some(Public::WithdrawRefused {
                    rule: refusal.rule.clone(),
                    why: refusal.why.clone(),
                    cure: refusal.cure.clone(),
                })
            }
            Intent::Acquire
            | Intent::Refresh
            | Intent::Dirty { .. }
            | Intent::Restore { .. }
            | Intent::Clean { .. }
            | Intent::PutBack { .. }
            | Intent::Expel { .. }
            | Intent::Cordon { .. }
            | Intent::Uncordon { .. }
            | Intent::Release => None,
        },
        Event::VisitStarted { kind, .. } => Some(Public::VisitStarted {
            kind: (*kind).into(),
        }),
        Event::HostLooked {
            site,
            host,
            inventory,
        } => kept_drifted(fleet, visit(after, site)?, (host, inventory), after),
        Event::HostPulled { site, .. } => images_pulled(fleet, visit(after, site)?, after),
        Event::HostPrepared { site, .. } => prepared(visit(after, site)?),
        Event::Ready { site } => Some(ready(visit(before, site)?)),
        Event::Followed { site, .. } => draining(visit(after, site)?),
        Event::Drained {
            reason,
            packets,
            seconds,
            ..
        } => Some(Public::Drained {
            seconds: *seconds,
            traffic: *packets,
            reason: drain_end(*reason)?,
        }),
        Event::Recreated {
            site,
            containers,
            scale,
            seconds,
        } => Some(Public::Recreated {
            containers: u64::from(*containers),
            seconds: *seconds,
            scaled_from: visit(before, site)?.scale_from.clone(),
            scaled_to: scale.clone(),
        }),
        Event::TrialBegun { site } => trial_begun(visit(after, site)?),
        Event::TrialAccepted { actor, reason, .. } => Some(Public::TrialAccepted {
            actor: actor.clone(),
            reason: reason.clone(),
        }),
        Event::Verified { site } => Some(Public::Verified {
            recreated: visit(before, site)?.recreates(),
        }),
        Event::AttemptFailed {
            problem, attempt, ..
        } => Some(Public::Retrying {
            attempt: attempt + 1,
            after: retry::backoff(attempt + 1).as_secs(),
            why: problem.what.clone(),
        }),
        Event::RollbackBegun {
            problem,
            pins,
            barred,
            ..
        } => Some(Public::RollingBack {
            why: problem.what.clone(),
            cure: problem.cure.clone(),
            digests: pins.clone(),
            barred: barred.clone(),
        }),
        Event::Soaked { .. } => Some(Public::Soaked),
        Event::VisitEnded { site, end, problem } => {
            visit_ended(*end, problem.as_ref(), site, before, after)
        }
        Event::HookEnded {
            hook,
            problem: Some(problem),
            ..
        } => Some(Public::HookFailed {
            hook: hook.clone(),
            why: problem.what.clone(),
            cure: problem.cure.clone(),
        }),
        Event::TagMoved { moved } => Some(Public::TagMoved {
            moved: moved.clone(),
        }),
        Event::Ended { end } => ended(end, before, at),
        // Steps on the way to one of the above, and what `waiting` and the end tell.
        Event::AbortRequested { .. }
        | Event::RebuildQueued { .. }
        | Event::Tightened { .. }
        | Event::WriteRequested { .. }
        | Event::ChangeBegun { .. }
        | Event::ChangeDecided { .. }
        | Event::ChangeNotNeeded { .. }
        | Event::ChangeAnswered { .. }
        | Event::FenceDecided { .. }
        | Event::ChangeDelayed { .. }
        | Event::LookDue
        | Event::RefreshDue
        | Event::MarkerHeld { .. }
        | Event::TakeOverAllowed { .. }
        | Event::Deposed { .. }
        | Event::HostUnready { .. }
        | Event::Prefetched { .. }
        | Event::Probed { .. }
        | Event::WithdrawBegun { .. }
        | Event::LookExpired { .. }
        | Event::ReadyFirst { .. }
        | Event::Behind { .. }
        | Event::DrainedAtLeast { .. }
        | Event::DrainedAtMost { .. }
        | Event::DrainUnknown { .. }
        | Event::QuietSeen { .. }
        | Event::EvidenceTaken { .. }
        | Event::HookAsked { .. }
        | Event::HookDeferred { .. }
        | Event::HookEnded { problem: None, .. }
        | Event::BeforeBegun { .. }
        | Event::BeforeEnded { .. }
        | Event::LastLookBegun { .. }
        | Event::ServersLooked { .. }
        | Event::LookedBehind { .. }
        | Event::PutBackByHand { .. }
        | Event::LastInventory { .. }
        | Event::LastLookPassed { .. }
        | Event::RemakeBegun { .. }
        | Event::ClearBegun { .. }
        | Event::HostCleared { .. }
        | Event::HostUncleared { .. }
        | Event::StartBegun { .. }
        | Event::HostStarted { .. }
        | Event::HostNotStarted { .. }
        | Event::VerifyBegun { .. }
        | Event::TrialWaived { .. }
        | Event::TrialRefused { .. }
        | Event::HostVerified { .. }
        | Event::AttemptBegun { .. }
        | Event::WriteAgain { .. }
        | Event::SoakBegun { .. }
        | Event::TrafficSeen { .. }
        | Event::SoakTimeOver { .. }
        | Event::SoakBroken { .. }
        | Event::HostPruned { .. }
        | Event::PutBackBegun { .. }
        | Event::DiscardBegun { .. }
        | Event::HostDiscarded { .. }
        | Event::OtherSiteFailed { .. }
        | Event::Halted { .. }
        | Event::WaveEnded { .. }
        | Event::WindowAwaited { .. }
        | Event::WindowDue
        | Event::Cleared { .. } => None,
    }
}

/// A process that was asked to end did so between two steps.
fn started(rotation: &Rotation) -> Public {
    let has_stopped = |pause: &Pause| pause.ends == PauseEnd::Start;
    let after = if rotation.pause.as_ref().is_some_and(has_stopped) {
        Interruption::Pause
    } else {
        Interruption::Crash
    };
    Public::RotationResumed { after }
}

fn paused(actor: &str, reason: &str, ends: &PauseEnd) -> Public {
    let (until, then) = match ends {
        PauseEnd::Word | PauseEnd::Start => (None, None),
        PauseEnd::Time { at, then } => {
            let then = match then {
                Then::Resume => public::Then::Resume,
                Then::Abort => public::Then::Abort,
            };
            (Some(*at), Some(then))
        }
    };
    Public::RotationPaused {
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        until,
        then,
    }
}

fn planned(fleet: &Fleet, plan: &Plan, before: &State) -> Public {
    let last = |site: &SiteName, image: &ImageRef| {
        let passed = before.last_good.get(site)?;
        passed.get(image)
    };
    let mut changed = BTreeSet::new();
    for site in plan.sites().filter_map(|name| fleet.sites.get(name)) {
        for image in site.hosts.iter().flat_map(|host| host.images()) {
            let pinned = plan.pins_for(&site.name).get(&image);
            if pinned.is_some() && last(&site.name, &image) != pinned {
                changed.insert(image);
            }
        }
    }
    Public::RotationPlanned {
        playbook: plan.playbook.clone(),
        sites: plan.sites().cloned().collect(),
        waves: plan.waves.clone(),
        windows: plan.windows.iter().map(window).collect(),
        digests: plan.digests_by_channel(fleet),
        pinned: plan.pinned(),
        changed,
        actor: plan.actor.clone(),
        reason: plan.reason.clone(),
        in_freeze: plan.options.in_freeze.clone(),
    }
}

fn window((site, window): (&SiteName, &hours::Window)) -> (SiteName, Window) {
    let window = Window {
        opens: window.opens,
        closes: window.closes,
        hours: window.hours.clone(),
        timezone: window.zone.clone(),
    };
    (site.clone(), window)
}

/// Told when a host was first looked at; not when containers are made anew.
fn kept_drifted(
    fleet: &Fleet,
    visit: &Visit,
    (host, inventory): (&HostName, &Inventory),
    after: &State,
) -> Option<Public> {
    if is_made_anew(visit) {
        return None;
    }
    let declared = fleet.sites.get(&visit.site)?.host(host)?;
    let pins = running(after)?.pins_for(&visit.site);
    let drifted = drifted(declared, inventory, pins);
    (!drifted.is_empty()).then(|| Public::KeptDrifted {
        host: host.clone(),
        drifted,
        next: rebuild_kept(&visit.site),
    })
}

/// Told once a visit, when the last host has its images; not when containers are made anew.
fn images_pulled(fleet: &Fleet, visit: &Visit, after: &State) -> Option<Public> {
    let has_pulled =
        |work: &HostWork| matches!(work, HostWork::Preparing { .. } | HostWork::Prepared { .. });
    if is_made_anew(visit) || !visit.hosts.values().all(has_pulled) {
        return None;
    }
    let site = fleet.sites.get(&visit.site)?;
    let images: BTreeSet<ImageRef> = site
        .hosts
        .iter()
        .filter(|host| visit.hosts.contains_key(&host.name))
        .flat_map(|host| host.images())
        .filter(|image| running(after).is_some_and(|r| r.pins_for(&visit.site).contains_key(image)))
        .collect();
    Some(Public::ImagesPulled {
        images: images.len() as u64,
    })
}

/// A visit that does not stand in *ready* is ready when its last host is: it was sick and left
/// first, or was out already.
fn prepared(visit: &Visit) -> Option<Public> {
    let is_last = visit.hosts.values().all(HostWork::is_settled);
    let is_aside = !matches!(visit.stage, Stage::Readying);
    (is_last && is_aside && !is_made_anew(visit)).then(|| ready(visit))
}

fn ready(visit: &Visit) -> Public {
    let made = visit.hosts.values().map(|work| work.made().len() as u64);
    Public::Ready {
        containers: made.sum(),
    }
}

fn is_made_anew(visit: &Visit) -> bool {
    visit.recreate_since.is_some() || visit.attempt > 1
}

fn trial_begun(visit: &Visit) -> Option<Public> {
    let Stage::OnTrial { addresses, .. } = &visit.stage else {
        return None;
    };
    Some(Public::TrialBegun {
        addresses: addresses.clone(),
        next: accepted_by(&visit.site),
    })
}

fn draining(visit: &Visit) -> Option<Public> {
    let Stage::Draining {
        since, least, most, ..
    } = &visit.stage
    else {
        return None;
    };
    Some(Public::Draining {
        at_least: since.until(least.until).as_secs(),
        at_most: since.until(most.until).as_secs(),
        ttl: visit.ttl.0,
    })
}

fn drain_end(reason: DrainReason) -> Option<DrainEnd> {
    match reason {
        DrainReason::Quiet => Some(DrainEnd::Quiet),
        DrainReason::AtMost => Some(DrainEnd::AtMost),
        DrainReason::Unknown => Some(DrainEnd::Unknown),
        DrainReason::NotNeeded => None,
    }
}

impl From<VisitKind> for Kind {
    fn from(kind: VisitKind) -> Kind {
        match kind {
            VisitKind::InService => Kind::InService,
            VisitKind::Rebuild => Kind::Rebuild,
            VisitKind::Quarantined => Kind::Quarantined,
            VisitKind::FoundOut => Kind::FoundOut,
            VisitKind::AsItStands => Kind::AsItStands,
            VisitKind::WithdrawOnly => Kind::WithdrawOnly,
            VisitKind::MarkerOnly => Kind::MarkerOnly,
        }
    }
}
