//! The rotation as a whole: what starts next, and how it ends.
use std::collections::BTreeMap;

use super::context::Context;
use super::event::{Event, PauseEnd, RotationEnd, Then, VisitEnd, VisitKind};
use super::guards::Guard;
use super::outcome::{EngineOutcome, Outcome, ProbeOutcome};
use super::plan::{Mode, Plan, Timing};
use super::safety::{self, Presence};
use super::state::{Ending, Hold, Lane, Pause, Rotation, State};
use super::view::Step;
use super::visit::Story;
use super::{lane, visit};
use crate::model::id::{SiteName, Token};
use crate::model::time::Now;

/// The next facts that follow by themselves; none when everything waits for something.
pub(crate) fn advance(state: &State, ctx: &Context<'_>, now: Now) -> Vec<Event> {
    let Some(rotation) = state.running() else {
        return Vec::new();
    };
    if state.held().is_some() || rotation.has_lost() {
        for visit in rotation.visits.values() {
            let events = visit::advance(&Story {
                state,
                ctx,
                rotation,
                visit,
                now,
            });
            if !events.is_empty() {
                return events;
            }
        }
    }
    let next = next_visit(state, ctx, rotation, now).or_else(|| ended(state, rotation));
    next.or_else(|| lane::begin(state)).into_iter().collect()
}

/// What an answer means to the rotation itself, apart from its visits and the lane.
pub(crate) fn react(rotation: &Rotation, token: Token, outcome: &Outcome) -> Vec<Event> {
    if let Some(pause) = &rotation.pause
        && pause.wait.is_some_and(|wait| wait.token == token)
    {
        return vec![pause_over(pause)];
    }
    let window = rotation.window.as_ref();
    if window.is_some_and(|window| window.wait.token == token) {
        return vec![Event::WindowDue];
    }
    if let Some(((site, host), _)) = rotation.prefetch.iter().find(|(_, t)| **t == token) {
        let (site, host) = (site.clone(), host.clone());
        let problem = outcome.engine().and_then(EngineOutcome::problem).cloned();
        return vec![Event::Prefetched {
            site,
            host,
            problem,
        }];
    }
    let other = rotation
        .others
        .iter()
        .find(|(_, awaited)| **awaited == token);
    match (other, outcome) {
        (Some((site, _)), Outcome::Probe(ProbeOutcome::Failing { problems })) => {
            let (site, problems) = (site.clone(), problems.clone());
            vec![Event::OtherSiteFailed { site, problems }]
        }
        (_, _) => Vec::new(),
    }
}

/// The time of a pause has come.
fn pause_over(pause: &Pause) -> Event {
    let then = match pause.ends {
        PauseEnd::Time { then, .. } => then,
        PauseEnd::Word | PauseEnd::Start => Then::Resume,
    };
    let actor = pause.actor.clone();
    match then {
        Then::Resume => Event::Resumed {
            actor,
            reason: Some("the time of the pause is over".to_owned()),
        },
        Then::Abort => {
            let reason = format!("the time of the pause is over ({})", pause.reason);
            Event::AbortRequested {
                actor,
                reason: Some(reason),
                is_superseded: false,
            }
        }
    }
}

/// A wave's sites begin together, and the next wave when all of them have ended.
fn next_visit(state: &State, ctx: &Context<'_>, rotation: &Rotation, now: Now) -> Option<Event> {
    if !rotation.has_acquired || state.held().is_none() || rotation.is_ending() {
        return None;
    }
    let wave = rotation.plan.waves.get(rotation.wave)?;
    let is_over = |site: &SiteName| rotation.ended.contains_key(site);
    let is_begun = |site: &SiteName| is_over(site) || rotation.visits.contains_key(site);
    let is_ended = wave.iter().all(is_over);
    if is_ended || (wave.iter().all(is_begun) && !Guard::WaveEnds.stands()) {
        return Some(Event::WaveEnded {
            wave: rotation.wave,
        });
    }
    let site = next_site(rotation)?;
    let plan = rotation.plan_of(site);
    let skipped = |problem| Event::VisitEnded {
        site: site.clone(),
        end: VisitEnd::Skipped,
        problem: Some(problem),
    };
    if let Err(refusal) = safety::cordon(state.marker.as_ref(), &plan.mode, site) {
        return Some(skipped(refusal.problem()));
    }
    // What is out serves nobody: it is brought back whatever the time.
    let timing = if state.is_owed(site) || !Guard::WindowHolds.stands() {
        Timing::Now
    } else {
        plan.timing(site, now.wall)
    };
    match timing {
        Timing::Over(problem) => Some(skipped(problem)),
        Timing::At(_) if rotation.window.is_some() => None,
        Timing::At(opens) => Some(Event::WindowAwaited { opens }),
        Timing::Now => Some(Event::VisitStarted {
            site: site.clone(),
            kind: kind_of(state, ctx, plan, site),
            scale: BTreeMap::new(),
        }),
    }
}

/// Which site of the wave is next. In a pause, what was asked for since then jumps the queue, as
/// long as every site in hand is still in service: one person's word takes out one site.
fn next_site(rotation: &Rotation) -> Option<&SiteName> {
    let holds = |site: &SiteName| rotation.is_held(site) && Guard::PauseHolds.stands();
    let mut visits = rotation.visits.values();
    if rotation.is_paused() && visits.all(|visit| visit.stage.step() == Step::Ready) {
        let mut urgent = rotation.urgent.iter();
        let is_next = |site: &&SiteName| !rotation.visits.contains_key(*site) && !holds(site);
        if let Some(site) = urgent.find(is_next) {
            return Some(site);
        }
    }
    rotation.next_sites().find(|site| !holds(site))
}

/// Where the visit of a site begins, by what was asked, and by where marker and DNS say it is.
pub(crate) fn kind_of(state: &State, ctx: &Context<'_>, plan: &Plan, site: &SiteName) -> VisitKind {
    let view = state.view.as_ref();
    let presence = view.map(|view| safety::presence(ctx.fleet, view, site));
    let is_in = presence.is_some_and(|presence| presence != Presence::None);
    // What a person took out is left out, whatever else the marker says of it.
    let is_held = state.is_held(site);
    let is_owed = state.is_out(site) && !is_held;
    match &plan.mode {
        Mode::Cordon { .. } | Mode::TakeOver => VisitKind::MarkerOnly,
        Mode::Withdraw => VisitKind::WithdrawOnly,
        Mode::Restore { unverified: true } => VisitKind::AsItStands,
        Mode::Recover if is_held && !is_in => VisitKind::FoundOut,
        // Dirty, it returns by being recreated only; in DNS by somebody's hand, it leaves first.
        Mode::Restore { unverified: false } | Mode::Recover if state.is_dirty(site) => {
            if is_in {
                VisitKind::Rebuild
            } else {
                VisitKind::Quarantined
            }
        }
        Mode::Restore { unverified: false } | Mode::Recover => VisitKind::AsItStands,
        Mode::Rebuild if is_in => VisitKind::Rebuild,
        // Put in by somebody's hand, it may have nothing left that serves: it leaves first.
        Mode::Rotate if is_in && state.is_dirty(site) => VisitKind::Rebuild,
        Mode::Rotate if is_in => VisitKind::InService,
        Mode::Rotate | Mode::Rebuild if is_owed => VisitKind::Quarantined,
        Mode::Rotate | Mode::Rebuild => VisitKind::FoundOut,
    }
}

/// The end, once the marker was given back (or was never to be had).
fn ended(state: &State, rotation: &Rotation) -> Option<Event> {
    if !rotation.visits.is_empty() {
        return None;
    }
    let end = match &rotation.ending {
        Some(Ending::Deposed { why }) => RotationEnd::Deposed { why: why.clone() },
        Some(Ending::NotAcquired { why }) => RotationEnd::NotAcquired { why: why.clone() },
        Some(Ending::Halted { .. }) if has_let_go(state, rotation) => RotationEnd::Halted,
        Some(Ending::Aborted { reason }) if has_let_go(state, rotation) => RotationEnd::Aborted {
            reason: reason.clone(),
        },
        None if rotation.is_released => RotationEnd::Completed,
        Some(Ending::Halted { .. } | Ending::Aborted { .. }) | None => return None,
    };
    Some(Event::Ended { end })
}

fn has_let_go(state: &State, rotation: &Rotation) -> bool {
    let is_idle = state.hold == Hold::None && state.lane == Lane::Free;
    rotation.is_released || (is_idle && !rotation.has_held)
}
