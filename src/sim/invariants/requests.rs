//! What a coordinator may ask of servers and engines, as it has decided.
use super::decisions::Decided;
use crate::coordinator::effect::{Effect, EngineRequest, Request};
use crate::coordinator::retry;
use crate::coordinator::state::State;
use crate::model::time::millis;
use crate::sim::world::World;

pub(super) fn unknown_waits(_: &World, decided: &Decided<'_>) -> Option<String> {
    let lane = &decided.machine.state().lane;
    if !lane.is_unknown() {
        return None;
    }
    let first = lane.changes().first()?;
    let other = decided.effects.iter().any(|effect| {
        let Request::Update(change) = &effect.request else {
            return false;
        };
        change.expect_marker != first.expect_marker
    });
    if other {
        return Some("another UPDATE is sent".to_owned());
    }
    let asked = hurting(decided.effects).next();
    asked.map(|request| format!("{request:?} is sent"))
}

pub(super) fn lost_is_silent(_: &World, decided: &Decided<'_>) -> Option<String> {
    let rotation = decided.machine.state().running()?;
    if !rotation.has_lost() {
        return None;
    }
    let sends = |effect: &Effect| matches!(effect.request, Request::Update(_));
    let is_loud = decided.effects.iter().any(sends) || hurting(decided.effects).next().is_some();
    is_loud.then(|| format!("{:?}", decided.effects))
}

pub(super) fn stale_is_silent(world: &World, decided: &Decided<'_>) -> Option<String> {
    let request = hurting(decided.effects).next()?;
    let holder = decided.machine.context().holder;
    let at = world.ghosts.refreshed.get(holder)?;
    let stood = world.now - at;
    (stood > millis(retry::STALE_AFTER) + 60_000)
        .then(|| format!("{request:?} after {stood} ms without a refresh"))
}

pub(super) fn last_good_is_kept(_: &World, decided: &Decided<'_>) -> Option<String> {
    let state: &State = decided.machine.state();
    decided.effects.iter().find_map(|effect| {
        let Request::Engine {
            site,
            request: EngineRequest::Prune { keep },
            ..
        } = &effect.request
        else {
            return None;
        };
        let good = state.last_good.get(site)?;
        let lost = good.values().find(|digest| !keep.contains(*digest))?;
        Some(format!("{site} loses {}", lost.short()))
    })
}

/// Whether this request to an engine could hurt.
fn hurts(request: &EngineRequest) -> bool {
    match request {
        EngineRequest::Prepare(_)
        | EngineRequest::Discard { .. }
        | EngineRequest::Clear { .. }
        | EngineRequest::Start { .. }
        | EngineRequest::Prune { .. } => true,
        EngineRequest::TakeInventory
        | EngineRequest::Pull { .. }
        | EngineRequest::TakeEvidence { .. }
        | EngineRequest::Watch { .. } => false,
    }
}

fn hurting(effects: &[Effect]) -> impl Iterator<Item = &EngineRequest> {
    effects.iter().filter_map(|effect| {
        let Request::Engine { request, .. } = &effect.request else {
            return None;
        };
        hurts(request).then_some(request)
    })
}
