//! The night itself: its steps, until the faults stop.
use super::report::{First, Report};
use super::stage::{Bounds, Stage};
use crate::coordinator::event::VisitEnd;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::{HostName, RotationId, SiteName};
use crate::model::rrset::ZoneView;
use crate::sim::chance::Chance;
use crate::sim::crew::Crew;
use crate::sim::faults::Fault;
use crate::sim::trace::{Entry, Who};
use crate::sim::world::World;
use std::sync::Arc;

/// Plays the night of a seed on the fleet that is given.
pub fn night(stage: &Stage, seed: u64) -> Report {
    let mut night = Night::of(stage, seed);
    night.plays();
    night.reported()
}

/// The same night, and all that happened in it.
pub fn timeline(stage: &Stage, seed: u64) -> (Report, Vec<Entry>) {
    let mut night = Night::of(stage, seed);
    night.crew.world.trace = Some(Vec::new());
    night.plays();
    let entries = night.crew.world.trace.take().unwrap_or_default();
    (night.reported(), entries)
}

/// The rotation alone, where nothing goes wrong and nobody asks for anything else.
pub fn calm(stage: &Stage) -> Report {
    let stage = Stage {
        faults: Vec::new(),
        ..stage.clone()
    };
    let mut night = Night::of(&stage, 0);
    night.crew.world.delays.clear();
    night.begins(Mode::Rotate, None, Options::default());
    for _ in 0..night.bounds.most_steps {
        night.tries_all();
        if !night.step() {
            break;
        }
    }
    night.reported()
}

pub(super) struct Night {
    pub(super) report: Report,
    pub(super) chance: Chance,
    pub(super) crew: Crew,
    pub(super) bounds: Bounds,
    rolls_back: bool,
    /// The rotation that began the night, and when.
    pub(super) first: Option<(RotationId, u64)>,
    /// The zone as it was at some moment, for those who restore it from a copy.
    pub(super) copy: Arc<ZoneView>,
}

impl Night {
    pub(super) fn of(stage: &Stage, seed: u64) -> Night {
        let mut chance = Chance::of(seed);
        // A random subset of what may go wrong: faults that hide each other get nights alone.
        let share = 1 + chance.below(4);
        let faults: Vec<Fault> = stage
            .applicable()
            .into_iter()
            .filter(|_| chance.below(5) < share)
            .collect();
        let mut world = World::of(stage.fleet.clone(), stage.playbook.clone());
        world.delays = (0..7).map(|_| chance.below(3).pow(7) * 20).collect();
        if faults.contains(&Fault::SecondaryLags) {
            world.faults.transfer_lag = 1 + chance.below(40_000);
        }
        Night {
            report: Report {
                seed,
                faults,
                ..Report::default()
            },
            chance,
            copy: world.view.clone(),
            crew: Crew::of(world),
            bounds: stage.bounds(),
            rolls_back: stage.rolls_back(),
            first: None,
        }
    }

    fn plays(&mut self) {
        if self.rolls_back {
            self.passes_well();
        }
        self.begins(Mode::Rotate, None, Options::default());
        self.passes();
        self.heals();
    }

    /// A night before, without faults: from now on there is something to go back to. The next
    /// release may be a bad one.
    fn passes_well(&mut self) {
        self.begins(Mode::Rotate, None, Options::default());
        for _ in 0..self.bounds.most_steps {
            self.tries_all();
            if !self.step() {
                break;
            }
        }
        (self.first, self.report.first) = (None, None);
        let is_bad = self.report.faults.contains(&Fault::BadImages);
        if is_bad && self.chance.one_in(2) {
            self.releases_badly();
        } else {
            self.moves_tags();
        }
    }

    fn reported(mut self) -> Report {
        self.report.fewest = self.crew.world.fewest;
        self.report.violations = std::mem::take(&mut self.crew.world.hurt);
        self.report
    }

    /// The night with its faults.
    fn passes(&mut self) {
        let scale = self.bounds.scale;
        let steps = 40 * scale + self.chance.below(260 * scale);
        for _ in 0..steps {
            if self.chance.one_in(12 * scale) {
                self.something_happens();
            }
            if !self.crew.world.hurt.is_empty() {
                return;
            }
            if !self.step() {
                if self.chance.one_in(2) {
                    return;
                }
                self.asks();
            }
        }
    }

    /// The next thing happens to whoever is awake. `false`: nothing is in flight.
    pub(super) fn step(&mut self) -> bool {
        self.report.steps += 1;
        let has_stepped = self.crew.step();
        self.sees_the_end();
        has_stepped
    }

    /// Notes how the rotation ended that began the night.
    fn sees_the_end(&mut self) {
        if self.report.first.is_some() {
            return;
        }
        let rotation = self.crew.machine().state().rotation.as_ref();
        let (Some(rotation), Some((first, began))) = (rotation, &self.first) else {
            return;
        };
        let Some(end) = rotation.end.as_ref().filter(|_| rotation.plan.id == *first) else {
            return;
        };
        let ended = rotation.ended.iter();
        let visits = ended.map(|(site, (end, _))| (site.clone(), *end));
        self.report.first = Some(First {
            end: end.clone(),
            visits: visits.collect::<std::collections::BTreeMap<SiteName, VisitEnd>>(),
            took_ms: self.crew.world.now - *began,
        });
    }

    pub(super) fn site(&mut self) -> SiteName {
        let names: Vec<SiteName> = self.crew.world.fleet.sites.keys().cloned().collect();
        let one = self.chance.of_these(&names).cloned();
        one.unwrap_or_else(|| names[0].clone())
    }

    pub(super) fn host(&mut self) -> HostName {
        let names: Vec<HostName> = self.crew.world.engines.keys().cloned().collect();
        let one = self.chance.of_these(&names).cloned();
        one.unwrap_or_else(|| names[0].clone())
    }

    pub(super) fn told(&mut self, who: Who, words: &str) {
        self.crew.world.told(who, words.to_owned());
    }
}
