//! Every effect that the state awaits: a function of the state alone, so that a replayed journal
//! takes its work up again without code of its own.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::effect::{Effect, EngineRequest, ProbeManner, Request};
use super::guards::Guard;
use super::retry;
use super::state::{Hold, Lane, Rotation, State, Wait};
use super::visit::Asks;
use crate::model::fleet::Host;
use crate::model::id::Token;
use crate::model::time::Now;

/// What is awaited, and of that what was not handed out yet. Most of it was, most of the time: its
/// requests, full of names and pins, are not made anew at every decision.
pub(super) struct Awaited<'a> {
    released: &'a BTreeSet<Token>,
    pub(super) tokens: BTreeSet<Token>,
    /// Whether it may start yet or not.
    pub(super) effects: Vec<Effect>,
}

impl<'a> Awaited<'a> {
    /// Everything that the state awaits; requests are made for what is not among `released`.
    pub(super) fn new(state: &State, ctx: &Context<'_>, released: &'a BTreeSet<Token>) -> Self {
        let mut awaited = Awaited {
            released,
            tokens: BTreeSet::new(),
            effects: Vec::new(),
        };
        if let Some(rotation) = state.running() {
            awaited.add_rotation(state, ctx, rotation);
        }
        awaited
    }

    /// The answer that carries `token` is awaited.
    pub(super) fn add(&mut self, token: Token, request: impl FnOnce() -> Request) {
        self.tokens.insert(token);
        if !self.released.contains(&token) {
            let request = request();
            self.effects.push(Effect { token, request });
        }
    }

    /// The end of a wait is awaited.
    pub(super) fn add_wait(&mut self, wait: &Wait) {
        let until = wait.until;
        self.add(wait.token, || Request::Sleep { until });
    }

    fn add_rotation(&mut self, state: &State, ctx: &Context<'_>, rotation: &Rotation) {
        self.add_lane(&state.lane);
        if let Hold::Held { refresh, .. } = &state.hold {
            if !refresh.is_over {
                self.add_wait(refresh);
            }
            for visit in rotation.visits.values() {
                let asks = Asks {
                    state,
                    ctx,
                    rotation,
                    visit,
                };
                asks.add_to(self);
            }
        }
        if let Some(wait) = rotation
            .pause
            .as_ref()
            .and_then(|pause| pause.wait.as_ref())
        {
            self.add_wait(wait);
        }
        if let Some(window) = &rotation.window {
            self.add_wait(&window.wait);
        }
        self.add_prefetches(ctx, rotation);
        self.add_watches(state, rotation);
    }

    fn add_lane(&mut self, lane: &Lane) {
        match lane {
            Lane::Free => {}
            Lane::Looking { token, .. }
            | Lane::ReadingBack { token, .. }
            | Lane::Settling { token, .. } => self.add(*token, || Request::ReadPrimary),
            Lane::Sent { flight, token } | Lane::Fencing { flight, token } => {
                if let Some(change) = flight.changes.last() {
                    self.add(*token, || Request::Update(Arc::clone(change)));
                }
            }
            Lane::SettlingLater { wait, .. }
            | Lane::Delayed { wait, .. }
            | Lane::Contended { wait, .. } => self.add_wait(wait),
        }
    }

    /// Images are pulled from the start of the rotation, every site's side by side.
    fn add_prefetches(&mut self, ctx: &Context<'_>, rotation: &Rotation) {
        for ((site, host), token) in &rotation.prefetch {
            self.add(*token, || {
                let declared = ctx.fleet.sites.get(site).and_then(|site| site.host(host));
                let images = declared.map(Host::images).unwrap_or_default();
                let pinned = images.into_iter().filter_map(|image| {
                    let digest = rotation.plan.pins_for(site).get(&image)?.clone();
                    Some((image, digest))
                });
                Request::Engine {
                    site: site.clone(),
                    host: host.clone(),
                    request: EngineRequest::Pull {
                        pins: pinned.collect(),
                    },
                }
            });
        }
    }

    /// The sites that stay are watched while the visited one could still go back.
    fn add_watches(&mut self, state: &State, rotation: &Rotation) {
        for (site, token) in &rotation.others {
            self.add(*token, || Request::Probe {
                site: site.clone(),
                manner: ProbeManner::Watch,
                without: state.absent_addresses(site),
            });
        }
    }
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
