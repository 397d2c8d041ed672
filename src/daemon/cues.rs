//! Tells hooks what happens, where nothing waits for their answer: each has a task of its own, and
//! hears of one occasion after another.
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::clock::Clock;
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::outcome::HookAnswer;
use crate::coordinator::plan::{Mode, Plan};
use crate::coordinator::state::State;
use crate::hook;
use crate::model::fleet::Fleet;
use crate::model::hook::{Cue, Hook, Occasion, On};
use crate::model::id::SiteName;
use crate::model::image::Pins;

/// Everybody who is told of one rotation.
pub(super) struct Cues {
    hooks: Vec<(Hook, mpsc::UnboundedSender<Occasion>)>,
}

impl Cues {
    /// Tells the fleet's hooks from now on; the tasks end when they have been told all.
    pub(super) fn start(fleet: &Fleet, clock: Clock, tasks: &mut JoinSet<()>) -> Cues {
        let told = fleet
            .hooks
            .iter()
            .filter(|hook| matches!(hook.on, On::Cue(_)));
        let hooks = told.map(|hook| {
            let (occasions, heard) = mpsc::unbounded_channel();
            tasks.spawn(tell(hook.clone(), heard, clock));
            (hook.clone(), occasions)
        });
        Cues {
            hooks: hooks.collect(),
        }
    }

    /// A fact became true.
    pub(super) fn tell(&self, fleet: &Fleet, event: &Event, after: &State) {
        if self.hooks.is_empty() {
            return;
        }
        for (cue, occasion) in occasions(fleet, event, after) {
            let is_theirs =
                |hook: &Hook| hook.on == On::Cue(cue) && hook.is_about(occasion.site.as_ref());
            for (_, told) in self.hooks.iter().filter(|(hook, _)| is_theirs(hook)) {
                // Its task ends when the process does.
                drop(told.send(occasion.clone()));
            }
        }
    }
}

async fn tell(hook: Hook, mut occasions: mpsc::UnboundedReceiver<Occasion>, clock: Clock) {
    while let Some(occasion) = occasions.recv().await {
        let (what, cure) = match hook::call(&hook, &occasion, clock.now().wall).await {
            HookAnswer::Agreed => continue,
            HookAnswer::NotYet { why, .. } => {
                let what = format!("hook {} says not yet ({why})", hook.name);
                (
                    what,
                    "nothing waits for a hook that is only told".to_owned(),
                )
            }
            HookAnswer::Failed(problem) => (problem.what, problem.cure),
        };
        tracing::warn!(what, cure, "a hook was not told");
    }
}

/// What a fact is to those who are told.
fn occasions(fleet: &Fleet, event: &Event, after: &State) -> Vec<(Cue, Occasion)> {
    let Some(rotation) = after.rotation.as_deref() else {
        return Vec::new();
    };
    let plan = &*rotation.plan;
    if !visits(&plan.mode) {
        return Vec::new();
    }
    let next = rotation.next_site();
    let about = |cue: Cue, site: Option<&SiteName>| {
        let plan = site.map_or(plan, |site| rotation.plan_of(site));
        let pins = site.map_or(&plan.pins, |site| rotation.pins_for(site));
        let occasion = occasion(fleet, (plan, pins), cue, site);
        let (next_site, peers) = (next.cloned(), after.peers(fleet, site));
        Occasion {
            next_site,
            peers,
            ..occasion
        }
    };
    let coming = || next.map(|site| (Cue::NextSite, about(Cue::NextSite, Some(site))));
    if let Event::Planned { .. } = event {
        let started = (Cue::RotationStarted, about(Cue::RotationStarted, None));
        return std::iter::once(started).chain(coming()).collect();
    }
    if let Event::VisitEnded { site, end, problem } = event {
        let mut occasion = about(Cue::VisitEnded, Some(site));
        if let (VisitEnd::RolledBack, Some(passed)) = (end, after.last_good.get(site)) {
            occasion.digests = passed.clone();
        }
        let why = problem.as_ref().map(|problem| problem.what.clone());
        let ended = Occasion {
            reason: why.or(occasion.reason),
            end: Some(end.as_str().to_owned()),
            ..occasion
        };
        let ended = (Cue::VisitEnded, ended);
        return std::iter::once(ended).chain(coming()).collect();
    }
    if let Event::Halted { cause, site } = event {
        let halted = Occasion {
            reason: Some(cause.what.clone()),
            ..about(Cue::Halted, site.as_ref())
        };
        return vec![(Cue::Halted, halted)];
    }
    if let Event::Ended { end } = event {
        let ended = Occasion {
            end: Some(end.as_str().to_owned()),
            ..about(Cue::RotationEnded, None)
        };
        return vec![(Cue::RotationEnded, ended)];
    }
    Vec::new()
}

fn occasion(
    fleet: &Fleet,
    (plan, pins): (&Plan, &Pins),
    cue: Cue,
    site: Option<&SiteName>,
) -> Occasion {
    Occasion {
        fleet: fleet.name.clone(),
        rotation: plan.id.clone(),
        site: site.cloned(),
        step: cue.as_str(),
        digests: site.map_or_else(|| pins.clone(), |site| fleet.pins_of(site, pins)),
        actor: plan.actor.clone(),
        reason: plan.reason.clone(),
        next_site: None,
        peers: std::collections::BTreeSet::new(),
        end: None,
    }
}

/// What only changes the marker's lists is nothing to those who watch sites.
fn visits(mode: &Mode) -> bool {
    match mode {
        Mode::Rotate | Mode::Rebuild | Mode::Restore { .. } | Mode::Recover | Mode::Withdraw => {
            true
        }
        Mode::Cordon { .. } | Mode::TakeOver => false,
    }
}
