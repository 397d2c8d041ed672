//! A coordinator dies at every step of a night, in every way, once and twice; each time the next
//! process brings the night to the end it would have had.
use crate::coordinator::event::RotationEnd;
use crate::coordinator::input::Input;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::model::inventory::ContainerState;
use crate::sim::world::{Torn, World, digest, fleet_of, playbook};

/// Where a process is when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// What it asked for next never left.
    BeforeEffect,
    /// What it asked for was carried out, and nobody heard the answer.
    AfterEffect,
    /// It heard the answer; what follows is not on disk.
    BeforeSync,
    /// What follows is on disk; nothing of it was asked for.
    Torn,
}

const DEATHS: [Death; 4] = [
    Death::BeforeEffect,
    Death::AfterEffect,
    Death::BeforeSync,
    Death::Torn,
];

/// Whether everything else that it had asked for is lost with it, or carried out when the next
/// process is at work already.
const IS_LATE: [bool; 2] = [false, true];
/// After so many milliseconds.
const LATE: u64 = 700;

/// More steps than a night of five sites takes with two deaths.
const MOST_STEPS: usize = 2_000;

/// A step, by its number since the process before began, and how the process died at it.
type Fate = Vec<(usize, Death, bool)>;

#[derive(Clone)]
struct Night {
    world: World,
    machine: Coordinator,
}

impl Night {
    fn of(sites: usize) -> Night {
        let names = ["ams", "fra", "nyc", "sin", "syd"];
        let mut world = World::of(fleet_of(&names[..sites], 1), playbook());
        let plan = world.plan(Mode::Rotate, None, Options::default());
        let mut machine = world.coordinator();
        world.begin(&mut machine, plan);
        Night { world, machine }
    }

    /// `false`: nothing is in flight, it is over.
    fn step(&mut self) -> bool {
        self.world.step(&mut self.machine)
    }

    /// The process dies at its next step, and another one reads its journal.
    fn dies(&self, death: Death, is_late: bool) -> Night {
        let mut night = self.clone();
        let Night { world, machine } = &mut night;
        match death {
            Death::BeforeEffect => {}
            Death::AfterEffect => world.step_unheard(machine),
            Death::BeforeSync => {
                world.step_torn(machine, Some(Torn::BeforeSync));
            }
            Death::Torn => {
                world.step_torn(machine, Some(Torn::AfterSync));
            }
        }
        if is_late {
            world.carry_out_late(LATE);
        }
        *machine = world.dead();
        world.tells(machine, &Input::Started);
        night
    }

    fn plays_on(&mut self) {
        for _ in 0..MOST_STEPS {
            if !self.step() {
                break;
            }
        }
    }

    /// What is otherwise than after a night in which nobody died.
    fn flaw(&self) -> Option<String> {
        let World {
            hurt, view, fleet, ..
        } = &self.world;
        if let Some(violation) = hurt.first() {
            return Some(violation.to_string());
        }
        let state = self.machine.state();
        let end = state.rotation.as_ref().and_then(|r| r.end.clone());
        if end != Some(RotationEnd::Completed) {
            return Some(format!("it ended {end:?}, {:?}", state.lane));
        }
        let is_whole = |site: &&_| !self.world.ghosts.is_whole(view, site);
        if let Some(site) = fleet.sites.keys().find(is_whole) {
            return Some(format!("{site} is not in DNS"));
        }
        // What was made late and never started goes with the next night.
        let mut started = self.world.engines.values().flatten();
        let tonight = vec![digest(self.world.tag)];
        let old = started.find(|container| {
            container.state != ContainerState::Created
                && (container.digests != tonight || !container.is_healthy())
        });
        if let Some(old) = old {
            return Some(format!("{} is not of tonight", old.id.as_str()));
        }
        let marker = self.world.marker()?;
        let is_idle = marker.holder.is_none() && marker.out.is_empty() && marker.dirty.is_empty();
        (!is_idle).then(|| format!("{marker:?}"))
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// Places at which a process died.
    deaths: u64,
    /// Nights that were played to their end.
    nights: u64,
    bad: Vec<(Fate, String)>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.deaths += other.deaths;
        self.nights += other.nights;
        self.bad.extend(other.bad);
    }

    /// Lets the night die at each of its steps, and what follows as often again as `times` says.
    fn dies(&mut self, mut night: Night, times: u8, fate: &Fate) {
        for step in 0..MOST_STEPS {
            if times > 0 && night.world.next_due().is_some() {
                for (death, is_late) in ways() {
                    self.deaths += 1;
                    let fate = [fate.as_slice(), &[(step, death, is_late)]].concat();
                    self.dies(night.dies(death, is_late), times - 1, &fate);
                }
            }
            if !night.step() {
                break;
            }
        }
        self.nights += 1;
        if let Some(flaw) = night.flaw() {
            self.bad.push((fate.clone(), flaw));
        }
    }
}

fn ways() -> impl Iterator<Item = (Death, bool)> {
    let of = |death| IS_LATE.map(|is_late| (death, is_late));
    DEATHS.into_iter().flat_map(of)
}

/// The same, with the first death of each thread at other steps.
fn die_everywhere(sites: usize, times: u8) -> Tally {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of_core = |core: usize| {
        let mut tally = Tally::default();
        let mut night = Night::of(sites);
        for step in 0..MOST_STEPS {
            if step % cores == core && night.world.next_due().is_some() {
                for (death, is_late) in ways() {
                    tally.deaths += 1;
                    let fate = vec![(step, death, is_late)];
                    tally.dies(night.dies(death, is_late), times - 1, &fate);
                }
            }
            if !night.step() {
                break;
            }
        }
        tally
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let of_core = &of_core;
        let playing: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || of_core(core)))
            .collect();
        for played in playing {
            tally.add(played.join().unwrap());
        }
    });
    tally
}

fn is_well(sites: usize, times: u8) {
    let mut night = Night::of(sites);
    night.plays_on();
    assert_eq!(night.flaw(), None, "{sites} sites, nobody died");
    let tally = die_everywhere(sites, times);
    println!(
        "{sites} sites, {times} deaths a night: {} deaths, {} nights, {} otherwise",
        tally.deaths,
        tally.nights,
        tally.bad.len()
    );
    for (fate, flaw) in tally.bad.iter().take(5) {
        println!("{fate:?}: {flaw}");
    }
    assert!(tally.bad.is_empty());
    assert!(tally.nights > 100);
}

#[test]
fn killed_anywhere_it_ends_as_if_nothing_had_happened() {
    let nights: &[(usize, u8)] = if super::is_at_length() {
        &[(2, 1), (3, 1), (4, 1), (5, 1), (3, 2)]
    } else {
        &[(2, 1)]
    };
    for (sites, times) in nights {
        is_well(*sites, *times);
    }
}
