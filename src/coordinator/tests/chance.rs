//! Thousands of short nights full of faults, each from a seed. What must never happen is looked
//! for at every change; once the faults have stopped, everything ends, and nothing is owed but
//! what is said.
use std::collections::BTreeSet;

use super::world::{Desk, Faults, World, fleet_of, playbook};
use super::{ask, end_of, everything_is_new, is_idle_without_debts};
use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::{HostName, SiteName};
use crate::model::playbook::{Preflight, StillBusy};

const NIGHTS: u64 = 300;

#[test]
fn whatever_happens_in_a_night_no_rule_is_broken_and_all_ends_well_when_it_stops() {
    for seed in 1..=NIGHTS {
        let mut night = Night::of(seed);
        night.pass();
        night.heal();
    }
}

/// xorshift64* (Vigna, 2016).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap();
        choices[at].clone()
    }
}

struct Night {
    seed: u64,
    chance: Chance,
    world: World,
    machine: Coordinator,
    /// Another coordinator, who may take over, and what it has in hand.
    other: Option<(Coordinator, Desk)>,
    has_hands: bool,
}

impl Night {
    fn of(seed: u64) -> Night {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let hosts = if chance.one_in(4) { 2 } else { 1 };
        let names: &[&str] = if chance.one_in(3) {
            &["ams", "fra", "nyc", "sin"]
        } else {
            &["fra", "nyc", "sin"]
        };
        let mut fleet = fleet_of(names, hosts);
        let mut playbook = playbook();
        if names.len() == 4 {
            playbook.max_unavailable = 2;
            for record in fleet.dns.records.values_mut() {
                record.min_in_service = Some(2);
            }
        }
        if chance.one_in(4) {
            playbook.drain.then = StillBusy::Proceed;
        }
        if chance.one_in(4) {
            playbook.failure.preflight = Preflight::Halt;
        }
        let mut world = World::of(fleet, playbook);
        world.delays = (0..7).map(|_| chance.below(3).pow(7) * 20).collect();
        let mut machine = world.coordinator();
        ask(
            &mut world,
            &mut machine,
            Mode::Rotate,
            None,
            Options::default(),
        );
        let has_hands = chance.one_in(3);
        Night {
            seed,
            chance,
            world,
            machine,
            other: None,
            has_hands,
        }
    }

    fn pass(&mut self) {
        let steps = 40 + self.chance.below(260);
        for _ in 0..steps {
            if self.chance.one_in(12) {
                self.something_happens();
            }
            if !self.world.step(&mut self.machine) && self.machine.state().running().is_none() {
                if self.chance.one_in(2) {
                    return;
                }
                self.asks();
            }
            self.look();
        }
    }

    fn something_happens(&mut self) {
        let names: Vec<_> = self.world.fleet.sites.keys().cloned().collect();
        let site = self.chance.of(&names);
        let hosts: Vec<HostName> = self.world.engines.keys().cloned().collect();
        let (host, later) = (self.chance.of(&hosts), self.chance.below(90_000));
        let now = self.world.now;
        let faults = &mut self.world.faults;
        match self.chance.below(24) {
            0 => faults.lose_requests += 1,
            1 => faults.lose_answers = !faults.lose_answers,
            2 => faults.late_updates.push_back(later),
            3 => faults.primary_silent_until = now + later,
            4 => faults.secondary_stands_until = now + later,
            5 => toggle(&mut faults.failing_probes, site),
            6 => toggle(&mut faults.unhealthy, site),
            7 => toggle(&mut faults.crashing, site),
            8 => toggle(&mut faults.unready, site),
            9 => toggle(&mut faults.down, host),
            10 | 11 => faults.late_clears.push_back(later),
            12 => faults.slow_clears.push_back(later * 20),
            13 => faults.proofs += 1,
            14 => faults.busy = !faults.busy,
            15 => faults.traffic_unknown = !faults.traffic_unknown,
            16 => faults.no_traffic = !faults.no_traffic,
            17 => faults.evidence_hangs = !faults.evidence_hangs,
            18 => self.crashes(later),
            19 => self.aborts(),
            20 => self.freezes(),
            21 => self.world.pass(now + later),
            22 if self.has_hands => {
                let is_in = self.chance.one_in(2);
                self.takes_in_hand(&site, is_in);
            }
            _ => self.queues(),
        }
    }

    /// A person who edits the zone takes out no more than the floor lets.
    fn takes_in_hand(&mut self, site: &SiteName, is_in: bool) {
        if is_in || self.world.in_dns() > 2 {
            self.world.by_hand(site, is_in);
        }
    }

    fn crashes(&mut self, later: u64) {
        if self.other.is_some() {
            return;
        }
        if self.chance.one_in(2) {
            self.world.carry_out_late(later);
        }
        self.machine = self.world.crash();
        if self.chance.one_in(4) {
            self.tells(Command::Supersede);
        }
    }

    fn aborts(&mut self) {
        if self.chance.one_in(3) {
            self.tells(Command::Abort {
                actor: "ana".to_owned(),
                reason: None,
            });
        }
    }

    /// The coordinator freezes; another one takes over at once, or wakes again.
    fn freezes(&mut self) {
        if let Some((other, mut desk)) = self.other.take() {
            self.world.swap(&mut desk);
            let frozen = std::mem::replace(&mut self.machine, other);
            self.other = Some((frozen, desk));
            return;
        }
        let mut desk = Desk::default();
        self.world.swap(&mut desk);
        let mut machine = self.world.coordinator_called("holder-b");
        std::mem::swap(&mut machine, &mut self.machine);
        self.other = Some((machine, desk));
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        let mode = self.chance.of(&[Mode::Rotate, Mode::Recover]);
        ask(&mut self.world, &mut self.machine, mode, None, options);
    }

    fn queues(&mut self) {
        let names: Vec<_> = self.world.fleet.sites.keys().cloned().collect();
        let site = self.chance.of(&names);
        let plan = self
            .world
            .plan(Mode::Rebuild, Some(vec![site]), Options::default());
        self.tells(Command::QueueRebuild {
            plan: Box::new(plan),
        });
    }

    /// What is rejected is not told.
    fn tells(&mut self, command: Command) {
        let input = Input::Command(command);
        if self.machine.decide(&input, self.world.time()).is_ok() {
            self.world.tell(&mut self.machine, &input);
        }
    }

    fn asks(&mut self) {
        let mode = self.chance.of(&[
            Mode::Rotate,
            Mode::Recover,
            Mode::Rebuild,
            Mode::Restore { unverified: false },
            Mode::Withdraw,
        ]);
        let names: Vec<_> = self.world.fleet.sites.keys().cloned().collect();
        let one = Some(vec![self.chance.of(&names)]);
        let sites = if let Mode::Rotate | Mode::Recover = mode {
            None
        } else {
            one
        };
        let options = Options {
            take_over: self.chance.one_in(2),
            ..Options::default()
        };
        let plan = self.world.plan(mode, sites, options);
        self.world.begin(&mut self.machine, plan);
    }

    fn look(&self) {
        assert!(
            self.world.hurt.is_empty(),
            "seed {}: {:?}",
            self.seed,
            self.world.hurt
        );
        assert!(
            self.world.in_dns() > 0,
            "seed {}: nobody is in DNS",
            self.seed
        );
    }

    /// The faults stop. Everything ends within a bound, and what is still out is owed and said;
    /// one more recovery and one more night bring everything back.
    fn heal(&mut self) {
        let (seed, now) = (self.seed, self.world.now);
        self.world.faults = Faults::default();
        self.world.pass(now + 1);
        self.ends();
        if let Some((other, mut desk)) = self.other.take() {
            // The one that froze wakes, and ends too.
            self.world.swap(&mut desk);
            let late = std::mem::replace(&mut self.machine, other);
            self.ends();
            self.world.swap(&mut desk);
            self.machine = late;
        }
        self.asked(Mode::Recover, None);
        let names: Vec<_> = self.world.fleet.sites.keys().cloned().collect();
        for name in names {
            // Held, or taken out by hand: people put back what people took.
            if !self.world.serves(&name) {
                let restore = Mode::Restore { unverified: false };
                self.asked(restore, Some(vec![name]));
            }
        }
        self.asked(Mode::Recover, None);
        self.asked(Mode::Rotate, None);
        let end = end_of(self.machine.state());
        assert_eq!(
            end,
            RotationEnd::Completed,
            "seed {seed}: {:?}",
            self.ended()
        );
        assert!(
            is_idle_without_debts(&self.world),
            "seed {seed}: {:?}",
            self.world.marker()
        );
        let all = self.world.fleet.sites.len();
        assert_eq!(self.world.in_dns(), all, "seed {seed}: {:?}", self.ended());
        assert!(
            everything_is_new(&self.world),
            "seed {seed}: {:?}",
            self.ended()
        );
        self.look();
    }

    fn asked(&mut self, mode: Mode, sites: Option<Vec<SiteName>>) {
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        let plan = self.world.plan(mode, sites, options);
        self.world.begin(&mut self.machine, plan);
        self.ends();
    }

    fn ends(&mut self) {
        let (seed, from) = (self.seed, self.world.now);
        for _ in 0..4_000 {
            if !self.world.step(&mut self.machine) {
                break;
            }
            self.look();
        }
        let open = self.machine.state().running();
        assert!(
            open.is_none(),
            "seed {seed}: {:?} {:?}",
            self.machine.state().lane,
            open
        );
        // Every visit drains and soaks, some more than once.
        assert!(self.world.now - from < 4 * 3_600_000, "seed {seed}");
        for (name, (end, problem)) in self.ended() {
            let is_said = *end == VisitEnd::Completed || *end == VisitEnd::LeftOut;
            assert!(is_said || problem.is_some(), "seed {seed}: {name} {end:?}");
        }
    }

    fn ended(
        &self,
    ) -> Vec<(
        &SiteName,
        &(VisitEnd, Option<crate::coordinator::outcome::Problem>),
    )> {
        self.machine
            .state()
            .rotation
            .iter()
            .flat_map(|rotation| &rotation.ended)
            .collect()
    }
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T) {
    if !set.remove(&item) {
        set.insert(item);
    }
}

#[test]
fn the_same_seed_is_the_same_night() {
    let journal = |seed| {
        let mut night = Night::of(seed);
        night.pass();
        night.world.journal
    };
    assert_eq!(journal(7), journal(7));
    assert_ne!(journal(7), journal(8));
}
