//! How long it will take: what steps typically took, else what the playbook lets expect.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::when::between;
use crate::coordinator::plan::{Course, Outline};
use crate::coordinator::state::{Rotation, State, Visit};
use crate::coordinator::view::Step;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::playbook::Playbook;

/// The steps of a visit that goes well.
const STEPS: [Step; 7] = [
    Step::Ready,
    Step::Withdraw,
    Step::Drain,
    Step::Recreate,
    Step::Verify,
    Step::Restore,
    Step::Soak,
];

/// Expected durations.
#[derive(Clone, Debug)]
pub(crate) struct Night {
    steps: BTreeMap<(SiteName, Step), Duration>,
}

impl Night {
    /// `typical`: how long a step took at a site, where that was measured.
    pub(crate) fn new(
        fleet: &Fleet,
        playbook: &Playbook,
        typical: impl Fn(&SiteName, &str) -> Option<Duration>,
    ) -> Night {
        let mut steps = BTreeMap::new();
        for site in fleet.sites.keys() {
            for step in STEPS {
                let measured = typical(site, step.as_str());
                let lasts = measured.unwrap_or_else(|| expected(step, fleet, playbook));
                steps.insert((site.clone(), step), lasts);
            }
        }
        Night { steps }
    }

    /// A whole visit of the site.
    pub(crate) fn visit(&self, site: &SiteName) -> Duration {
        STEPS.iter().map(|step| self.step(site, *step)).sum()
    }

    /// From the withdrawal to the restoration.
    pub(crate) fn out_of_dns(&self, site: &SiteName) -> Duration {
        let out = [Step::Drain, Step::Recreate, Step::Verify, Step::Restore];
        out.iter().map(|step| self.step(site, *step)).sum()
    }

    /// All waves from `from` on, one after another, each in the quiet hours of its sites.
    pub(crate) fn course(&self, outline: &Outline, from: Timestamp) -> Course {
        outline.course(from, |site| self.visit(site))
    }

    /// What is left of the rotation in hand.
    pub(crate) fn left(&self, state: &State, now: Timestamp) -> Option<Duration> {
        let rotation = state.rotation.as_ref().filter(|r| r.end.is_none())?;
        let mut outline = rotation.plan.outline();
        let is_begun = |site: &SiteName| {
            rotation.visits.contains_key(site) || rotation.ended.contains_key(site)
        };
        outline.windows.retain(|site, _| !is_begun(site));
        let course = outline.course(now, |site| self.left_of(rotation, site, now));
        Some(between(now, course.ends))
    }

    fn left_of(&self, rotation: &Rotation, site: &SiteName, now: Timestamp) -> Duration {
        match rotation.visits.get(site) {
            Some(visit) => self.left_of_visit(visit, now),
            None if rotation.ended.contains_key(site) || rotation.ending.is_some() => {
                Duration::ZERO
            }
            None => self.visit(site),
        }
    }

    fn left_of_visit(&self, visit: &Visit, now: Timestamp) -> Duration {
        let here = visit.stage.step();
        let spent = between(visit.step_since, now);
        let of_here = self.step(&visit.site, here).saturating_sub(spent);
        let later = STEPS.iter().filter(|step| **step > here);
        of_here
            + later
                .map(|step| self.step(&visit.site, *step))
                .sum::<Duration>()
    }

    fn step(&self, site: &SiteName, step: Step) -> Duration {
        let key = (site.clone(), step);
        self.steps.get(&key).copied().unwrap_or_default()
    }
}

/// What a step lasts where nothing was measured yet.
fn expected(step: Step, fleet: &Fleet, playbook: &Playbook) -> Duration {
    let seconds = Duration::from_secs;
    let drain = &playbook.drain;
    match step {
        Step::Ready => seconds(20),
        Step::Withdraw | Step::Restore => seconds(5),
        Step::Drain if fleet.measures_traffic => {
            let shortest = drain.at_least.max(fleet.dns.ttl.duration());
            (shortest + drain.quiet.for_at_least).min(drain.at_most)
        }
        Step::Drain => drain.at_most,
        Step::Recreate if !playbook.recreate.containers => Duration::ZERO,
        Step::Recreate => seconds(45),
        Step::Verify => seconds(15),
        Step::Soak => playbook.soak.for_at_least,
        Step::Signal | Step::PutBack | Step::Mark => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::plan::{Mode, Options};
    use crate::coordinator::tests::world::{World, fleet, playbook, site};

    #[test]
    fn the_time_left_shrinks_to_nothing_and_never_grows_while_all_goes_well() {
        let night = Night::new(&fleet(), &playbook(), |_, _| None);
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        let from = world.time().wall;
        let whole = between(from, night.course(&plan.outline(), from).ends);
        assert_eq!(whole, 3 * night.visit(&site("fra")));
        world.begin(&mut machine, plan);
        let mut last = whole;
        while let Some(left) = night.left(machine.state(), world.time().wall) {
            assert!(left <= last, "{left:?} after {last:?}");
            last = left;
            if !world.step(&mut machine) {
                break;
            }
        }
        assert_eq!(last, Duration::ZERO);
    }

    #[test]
    fn what_was_measured_beats_what_is_expected() {
        let of = |seconds| {
            let typical = move |site: &SiteName, step: &str| {
                (site.as_str() == "fra" && step == "recreate").then(|| Duration::from_secs(seconds))
            };
            Night::new(&fleet(), &playbook(), typical)
        };
        let longer = of(600).visit(&site("fra")) - of(100).visit(&site("fra"));
        assert_eq!(longer, Duration::from_secs(500));
        assert_eq!(of(600).visit(&site("nyc")), of(100).visit(&site("nyc")));
    }
}
