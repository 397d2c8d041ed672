//! Where in a rotation something happened: which site, in which step of its visit.
use crate::api::public::Public;
use crate::coordinator::event::Event;
use crate::coordinator::state::{Ending, Rotation, State, Visit};
use crate::coordinator::view::Step;
use crate::model::id::SiteName;

pub(in crate::api) fn site_of(event: &Event) -> Option<SiteName> {
    match event {
        Event::ChangeDecided { intent, .. }
        | Event::ChangeProven { intent, .. }
        | Event::ChangeRefused { intent, .. } => intent.site().cloned(),
        Event::VisitStarted { site, .. }
        | Event::HostLooked { site, .. }
        | Event::HostPulled { site, .. }
        | Event::HostPrepared { site, .. }
        | Event::HostUnready { site, .. }
        | Event::Prefetched { site, .. }
        | Event::Ready { site, .. }
        | Event::Probed { site, .. }
        | Event::WithdrawBegun { site, .. }
        | Event::LookExpired { site, .. }
        | Event::ReadyFirst { site, .. }
        | Event::Followed { site, .. }
        | Event::Behind { site, .. }
        | Event::DrainedAtLeast { site, .. }
        | Event::DrainedAtMost { site, .. }
        | Event::DrainUnknown { site, .. }
        | Event::QuietSeen { site, .. }
        | Event::Drained { site, .. }
        | Event::EvidenceTaken { site, .. }
        | Event::HookAsked { site, .. }
        | Event::HookDeferred { site, .. }
        | Event::HookEnded { site, .. }
        | Event::BeforeBegun { site, .. }
        | Event::BeforeEnded { site, .. }
        | Event::LastLookBegun { site, .. }
        | Event::ServersLooked { site, .. }
        | Event::LookedBehind { site, .. }
        | Event::PutBackByHand { site, .. }
        | Event::LastInventory { site, .. }
        | Event::LastLookPassed { site, .. }
        | Event::RemakeBegun { site, .. }
        | Event::ClearBegun { site, .. }
        | Event::HostCleared { site, .. }
        | Event::HostUncleared { site, .. }
        | Event::StartBegun { site, .. }
        | Event::HostStarted { site, .. }
        | Event::HostNotStarted { site, .. }
        | Event::Recreated { site, .. }
        | Event::VerifyBegun { site, .. }
        | Event::HostVerified { site, .. }
        | Event::TrialBegun { site, .. }
        | Event::TrialAccepted { site, .. }
        | Event::TrialWaived { site, .. }
        | Event::TrialRefused { site, .. }
        | Event::Verified { site, .. }
        | Event::AttemptFailed { site, .. }
        | Event::AttemptBegun { site, .. }
        | Event::RollbackBegun { site, .. }
        | Event::WriteAgain { site, .. }
        | Event::SoakBegun { site, .. }
        | Event::TrafficSeen { site, .. }
        | Event::SoakTimeOver { site, .. }
        | Event::SoakBroken { site, .. }
        | Event::Soaked { site, .. }
        | Event::HostPruned { site, .. }
        | Event::PutBackBegun { site, .. }
        | Event::DiscardBegun { site, .. }
        | Event::HostDiscarded { site, .. }
        | Event::VisitEnded { site, .. }
        | Event::OtherSiteFailed { site, .. } => Some(site.clone()),
        Event::Started
        | Event::Planned { .. }
        | Event::AbortRequested { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::RebuildQueued { .. }
        | Event::Tightened { .. }
        | Event::WriteRequested { .. }
        | Event::ChangeBegun { .. }
        | Event::ChangeNotNeeded { .. }
        | Event::ChangeAnswered { .. }
        | Event::FenceDecided { .. }
        | Event::ChangeDelayed { .. }
        | Event::LookDue
        | Event::RefreshDue
        | Event::MarkerHeld { .. }
        | Event::TakeOverAllowed { .. }
        | Event::Deposed { .. }
        | Event::TagMoved { .. }
        | Event::Halted { .. }
        | Event::WaveEnded { .. }
        | Event::WindowAwaited { .. }
        | Event::WindowDue
        | Event::Ended { .. }
        | Event::Cleared { .. } => None,
    }
}

pub(super) fn halted_site(public: &Public, rotation: &Rotation) -> Option<SiteName> {
    match (public, &rotation.ending) {
        (Public::RotationHalted { .. }, Some(Ending::Halted { site, .. })) => site.clone(),
        _ => None,
    }
}

/// The step that the site was in when it happened.
pub(super) fn step(site: &SiteName, before: &State, after: &State) -> Option<Step> {
    let visit = visit(before, site).or_else(|| visit(after, site))?;
    Some(visit.stage.step())
}

pub(super) fn visit<'s>(state: &'s State, site: &SiteName) -> Option<&'s Visit> {
    let rotation = state.rotation.as_deref()?;
    rotation.visits.get(site).map(AsRef::as_ref)
}

pub(super) fn running(state: &State) -> Option<&Rotation> {
    let rotation = state.rotation.as_deref()?;
    rotation.end.is_none().then_some(rotation)
}
