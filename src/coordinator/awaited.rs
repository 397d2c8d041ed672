//! Every effect that the state awaits: a function of the state alone, so that a replayed journal
//! takes its work up again without code of its own.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::effect::{Effect, EngineRequest, ProbeManner, Request};
use super::guards::Guard;
use super::retry;
use super::state::{Hold, Lane, Rotation, State};
use super::visit::{self, Asks};
use crate::model::fleet::Host;
use crate::model::id::{HostName, SiteName, Token};
use crate::model::time::Now;

/// Everything that is awaited, whether it may start yet or not.
pub(super) fn awaited(state: &State, ctx: &Context<'_>) -> Vec<Effect> {
    let Some(rotation) = state.running() else {
        return Vec::new();
    };
    let mut effects: Vec<Effect> = of_lane(&state.lane).into_iter().collect();
    if let Hold::Held { refresh, .. } = &state.hold {
        if !refresh.is_over {
            effects.push(of(
                refresh.token,
                Request::Sleep {
                    until: refresh.until,
                },
            ));
        }
        for visit in rotation.visits.values() {
            effects.extend(visit::requests(&Asks {
                state,
                ctx,
                rotation,
                visit,
            }));
        }
    }
    effects.extend(prefetches(ctx, rotation));
    effects.extend(watches(state, rotation));
    effects
}

/// While an UPDATE is unknown, and after 20 minutes without a refresh, no engine request starts
/// that could hurt. What only reads or pulls touches nothing that serves.
pub(super) fn may_start(state: &State, request: &Request, now: Now) -> bool {
    let Request::Engine { request, .. } = request else {
        return true;
    };
    match request {
        EngineRequest::TakeInventory
        | EngineRequest::Pull { .. }
        | EngineRequest::TakeEvidence { .. }
        | EngineRequest::Watch { .. } => true,
        EngineRequest::Prepare(_)
        | EngineRequest::Discard { .. }
        | EngineRequest::Clear { .. }
        | EngineRequest::Start { .. }
        | EngineRequest::Prune { .. } => {
            let is_unknown = state.lane.is_unknown() && Guard::EnginesWaitWhileUnknown.stands();
            is_fresh(state, now) && !is_unknown
        }
    }
}

fn is_fresh(state: &State, now: Now) -> bool {
    match &state.hold {
        Hold::Held { refreshed, .. } => {
            now.mono.since(*refreshed) < retry::STALE_AFTER || !Guard::FreshHold.stands()
        }
        Hold::None => false,
    }
}

fn of_lane(lane: &Lane) -> Option<Effect> {
    match lane {
        Lane::Free => None,
        Lane::Looking { token, .. }
        | Lane::ReadingBack { token, .. }
        | Lane::Settling { token, .. } => Some(of(*token, Request::ReadPrimary)),
        Lane::Sent { flight, token } | Lane::Fencing { flight, token } => {
            let change = Arc::clone(flight.changes.last()?);
            Some(of(*token, Request::Update(change)))
        }
        Lane::SettlingLater { wait, .. }
        | Lane::Delayed { wait, .. }
        | Lane::Contended { wait, .. } => {
            Some(of(wait.token, Request::Sleep { until: wait.until }))
        }
    }
}

/// Images are pulled from the start of the rotation, every site's side by side.
fn prefetches(ctx: &Context<'_>, rotation: &Rotation) -> Vec<Effect> {
    let pull = |((site, host), token): (&(SiteName, HostName), &Token)| {
        let declared = ctx.fleet.sites.get(site).and_then(|site| site.host(host));
        let images = declared.map(Host::images).unwrap_or_default();
        let pinned = images.into_iter().filter_map(|image| {
            let digest = rotation.plan.pins.get(&image)?.clone();
            Some((image, digest))
        });
        let request = EngineRequest::Pull {
            pins: pinned.collect(),
        };
        let (site, host) = (site.clone(), host.clone());
        of(
            *token,
            Request::Engine {
                site,
                host,
                request,
            },
        )
    };
    rotation.prefetch.iter().map(pull).collect()
}

/// The sites that stay are watched while the visited one could still go back.
fn watches(state: &State, rotation: &Rotation) -> Vec<Effect> {
    let watch = |(site, token): (&SiteName, &Token)| {
        let (site, manner) = (site.clone(), ProbeManner::Watch);
        let without: BTreeSet<_> = state.absent_addresses(&site);
        of(
            *token,
            Request::Probe {
                site,
                manner,
                without,
            },
        )
    };
    rotation.others.iter().map(watch).collect()
}

fn of(token: Token, request: Request) -> Effect {
    Effect { token, request }
}
