//! A whole rotation against servers that obey, on a pretend clock: where everybody waits, it jumps
//! to the next thing that happens.
use std::convert::Infallible;
use std::time::Duration;

use super::obeying::Obeying;
use crate::coordinator::effect::{Effect, Request};
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::coordinator::state::State;
use crate::model::time::{Mono, Now};

/// More answers than any rotation takes: a machine that asks for ever is at fault.
const MOST_ANSWERS: usize = 1_000_000;

/// One fact of the play and the states around it.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub event: &'a Event,
    pub before: &'a State,
    pub after: &'a State,
    pub at: Now,
}

/// Plays `plan` from `from` until the rotation has ended, and tells every fact. Nothing outside is
/// touched, no time passes, nothing is written.
///
/// # Errors
/// Where the machine refuses the plan, and where the play does not come to an end.
pub fn play(
    machine: &mut Coordinator,
    outside: &mut Obeying,
    plan: Plan,
    from: Now,
    tell: &mut dyn FnMut(&Scene<'_>),
) -> Result<(), Problem> {
    let mut stage = Stage {
        now: from,
        queue: Vec::new(),
        tell,
    };
    let plan = Box::new(plan);
    stage.hear(machine, outside, &Input::Command(Command::Begin { plan }))?;
    for _ in 0..MOST_ANSWERS {
        if has_ended(machine.state()) {
            return Ok(());
        }
        if let Some(accepted) = acceptance(machine.state()) {
            stage.hear(machine, outside, &accepted)?;
            continue;
        }
        let Some((effect, at)) = stage.next() else {
            break;
        };
        stage.pass(at);
        if let Some(outcome) = outside.answer(&effect.request) {
            let token = effect.token;
            stage.hear(machine, outside, &Input::Outcome { token, outcome })?;
        }
    }
    Err(Problem {
        what: "the rotation does not come to an end although every server obeys".to_owned(),
        cure: "report this as a fault of cleanslate".to_owned(),
        is_transient: false,
    })
}

struct Stage<'t> {
    now: Now,
    /// What is under way, and when its answer comes.
    queue: Vec<(Mono, Effect)>,
    tell: &'t mut dyn FnMut(&Scene<'_>),
}

impl Stage<'_> {
    /// decide → commit → effects, as the daemon does it; the journal is nobody's.
    fn hear(
        &mut self,
        machine: &mut Coordinator,
        outside: &Obeying,
        input: &Input,
    ) -> Result<(), Problem> {
        let decision = machine
            .decide(input, self.now)
            .map_err(|rejection| rejection.problem)?;
        let mut before = machine.state().clone();
        let events = decision.events.clone();
        let Ok(effects) = machine.commit(decision, self.now, |_| Ok::<(), Infallible>(()));
        for event in &events {
            let mut after = before.clone();
            after.apply(&machine.context(), event, self.now);
            (self.tell)(&Scene {
                event,
                before: &before,
                after: &after,
                at: self.now,
            });
            before = after;
        }
        for effect in effects {
            let takes = outside.takes(&effect.request);
            self.queue
                .extend(takes.map(|takes| (self.due(&effect, takes), effect)));
        }
        let awaited = machine.awaited_tokens();
        self.queue
            .retain(|(_, effect)| awaited.contains(&effect.token));
        Ok(())
    }

    fn due(&self, effect: &Effect, takes: Duration) -> Mono {
        if let Request::Sleep { until } = &effect.request {
            return (*until).max(self.now.mono);
        }
        self.now.mono.plus(takes)
    }

    /// What happens next; of two at once, what was asked for first.
    fn next(&mut self) -> Option<(Effect, Mono)> {
        let next = self.queue.iter().enumerate();
        let (at, _) = next.min_by_key(|(_, (due, effect))| (*due, effect.token))?;
        let (due, effect) = self.queue.remove(at);
        Some((effect, due))
    }

    /// The clock jumps.
    fn pass(&mut self, at: Mono) {
        let passed = self.now.mono.until(at);
        self.now = Now {
            mono: self.now.mono.max(at),
            wall: self.now.wall.checked_add(passed).unwrap_or(self.now.wall),
        };
    }
}

/// The word of a person who has just tried what waits to be tried.
fn acceptance(state: &State) -> Option<Input> {
    let site = state.running()?.on_trial().next()?.clone();
    Some(Input::Command(Command::Resume {
        actor: "whoever tries it".to_owned(),
        reason: None,
        site: Some(site),
    }))
}

fn has_ended(state: &State) -> bool {
    let rotation = state.rotation.as_ref();
    rotation.is_none_or(|rotation| rotation.end.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::coordinator::event::{RotationEnd, VisitEnd};
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, digest, problem, site};
    use crate::sim::obeying::Found;

    #[test]
    fn a_whole_rotation_is_played_in_order_and_the_clock_jumps() {
        let mut world = World::new();
        let (machine, told) = played(&mut world, |_| {});
        let rotation = machine.state().rotation.as_ref().unwrap();
        assert_eq!(rotation.end, Some(RotationEnd::Completed));
        let ends: Vec<_> = rotation.ended.values().map(|(end, _)| *end).collect();
        assert_eq!(ends, [VisitEnd::Completed; 3]);
        let (first, last) = (told.first().unwrap().1, told.last().unwrap().1);
        // A TTL, the time of quiet and a soak, three times.
        let least = 3 * (30 + 10 + 60);
        assert!(last.mono.since(first.mono).as_secs() >= least);
        assert_eq!(
            last.wall.duration_since(first.wall).as_secs(),
            i64::try_from(last.mono.since(first.mono).as_secs()).unwrap()
        );
    }

    #[test]
    fn what_waits_to_be_tried_by_hand_is_liked() {
        let mut world = World::new();
        let mut playbook = (*world.playbook).clone();
        playbook.verify.hold = true;
        world.playbook = playbook.into();
        let (machine, told) = played(&mut world, |_| {});
        let rotation = machine.state().rotation.as_ref().unwrap();
        assert_eq!(rotation.end, Some(RotationEnd::Completed));
        let tried = |(event, _): &&(Event, Now)| matches!(event, Event::TrialAccepted { .. });
        assert_eq!(told.iter().filter(tried).count(), 3);
    }

    #[test]
    fn a_play_is_what_the_same_machine_does_in_the_world() {
        let mut world = World::new();
        let (machine, _) = played(&mut world, |_| {});
        let marker = machine.state().marker.clone().unwrap();
        assert_eq!((marker.holder, marker.rotation), (None, None));
        assert_eq!(marker.out.len() + marker.dirty.len(), 0);
        let last_good: BTreeSet<_> = machine.state().last_good.values().flatten().collect();
        assert!(!last_good.is_empty());
        assert!(last_good.iter().all(|(_, pinned)| **pinned == digest(2)));
    }

    #[test]
    fn every_host_is_asked_to_prepare_and_what_was_found_is_what_leaves() {
        let mut world = World::new();
        let mut outside = Obeying::new(world.fleet.clone(), found(&world));
        let plan = world.plan(Mode::Rotate, None, Options::default());
        let mut machine = world.coordinator();
        play(&mut machine, &mut outside, plan, world.time(), &mut |_| {}).unwrap();
        assert_eq!(outside.prepared().len(), 3);
        for ((_, host), preparation) in outside.prepared() {
            let old = world.engines[host].iter().map(|c| c.id.clone());
            assert_eq!(preparation.leaving, old.collect());
        }
    }

    #[test]
    fn what_was_found_unready_is_skipped_and_the_rest_goes_on() {
        let mut world = World::new();
        let place = (site("nyc"), "nyc1".parse().unwrap());
        let (machine, _) = played(&mut world, |found| {
            let held = vec![problem("nyc1: port 80 is held")];
            found.unready.insert(place, held);
        });
        let rotation = machine.state().rotation.as_ref().unwrap();
        let (end, why) = &rotation.ended[&site("nyc")];
        assert_eq!(*end, VisitEnd::Skipped);
        assert_eq!(why.as_ref().unwrap().what, "nyc1: port 80 is held");
        assert_eq!(rotation.ended[&site("sin")].0, VisitEnd::Completed);
    }

    #[test]
    fn a_site_that_does_not_answer_holds_the_others_where_they_are() {
        let mut world = World::new();
        let (machine, _) = played(&mut world, |found| {
            let failing = vec![problem("sin: front: HTTP 500")];
            found.failing.insert(site("sin"), failing);
        });
        let rotation = machine.state().rotation.as_ref().unwrap();
        for (site, (end, _)) in &rotation.ended {
            assert_eq!(*end, VisitEnd::Skipped, "{site}");
        }
    }

    #[test]
    fn an_engine_that_was_silent_stays_silent() {
        let mut world = World::new();
        let (machine, _) = played(&mut world, |found| {
            let place = (site("fra"), "fra1".parse().unwrap());
            let silent = Err(problem("fra1: no route to the engine"));
            found.inventories.insert(place, silent);
        });
        let rotation = machine.state().rotation.as_ref().unwrap();
        assert_eq!(rotation.ended[&site("fra")].0, VisitEnd::Skipped);
        assert_eq!(rotation.ended[&site("nyc")].0, VisitEnd::Completed);
    }

    fn played(
        world: &mut World,
        change: impl FnOnce(&mut Found),
    ) -> (Coordinator, Vec<(Event, Now)>) {
        let mut found = found(world);
        change(&mut found);
        let mut outside = Obeying::new(world.fleet.clone(), found);
        let plan = world.plan(Mode::Rotate, None, Options::default());
        let mut machine = world.coordinator();
        let mut told = Vec::new();
        let mut tell = |scene: &Scene<'_>| told.push((scene.event.clone(), scene.at));
        play(&mut machine, &mut outside, plan, world.time(), &mut tell).unwrap();
        (machine, told)
    }

    fn found(world: &World) -> Found {
        let hosts = world
            .fleet
            .sites
            .values()
            .flat_map(|site| site.hosts.iter().map(|host| (&site.name, &host.name)));
        let seen = hosts.map(|(site, host)| {
            let inventory = crate::sim::engine::inventory(&world.engines[host]);
            ((site.clone(), host.clone()), Ok(inventory))
        });
        Found {
            zone: world.view.clone(),
            inventories: seen.collect(),
            unready: BTreeMap::new(),
            failing: BTreeMap::new(),
            starts: BTreeMap::new(),
        }
    }
}
