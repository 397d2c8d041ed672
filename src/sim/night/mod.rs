//! One night from a seed: a rotation begins, a random handful of faults happens at random moments,
//! then they stop and everything must end well. The coordinators are the ones that ship.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::chance::Chance;
use super::faults::Fault;
use super::invariants::Violation;
use super::world::{Desk, Faults, Torn, World, digest};
use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, Options, Wish, plan};
use crate::coordinator::state::Stage as VisitStage;
use crate::model::fleet::Fleet;
use crate::model::id::{HostName, SiteName};
use crate::model::playbook::{Playbook, Preflight, StillBusy};
use crate::model::rrset::ZoneView;
use crate::model::time::Ttl;

use super::world::{fleet_of, playbook};

/// More coordinators than this are no other than two and one more.
const MOST_SEATS: usize = 3;
/// More steps than any rotation takes.
const MOST_STEPS: usize = 6_000;
/// Longer than any rotation of a simulated fleet lasts once the faults have stopped: every visit
/// drains and soaks, some more than once. In milliseconds.
const LONGEST: u64 = 6 * 3_600_000;

/// Somebody who runs a coordinator: what it knows, and what it has in hand.
struct Seat {
    holder: String,
    machine: Coordinator,
    desk: Desk,
    is_awake: bool,
}

/// How a night went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    /// The faults it drew.
    pub faults: Vec<Fault>,
    /// Rotations that were begun: the first one, what people and coordinators began after it, and
    /// those that brought everything back.
    pub rotations: u64,
    pub steps: u64,
    /// How the first rotation ended, if it did before the faults stopped.
    pub first_end: Option<RotationEnd>,
    pub violations: Vec<Violation>,
}

/// A fleet, its playbook, and what may go wrong.
#[derive(Clone, Debug)]
pub struct Stage {
    pub fleet: Fleet,
    pub playbook: Playbook,
    pub faults: Vec<Fault>,
}

/// Plays the night of a seed on the fleet that is given.
pub fn night(stage: &Stage, seed: u64) -> Report {
    Night::of(stage, seed).played()
}

/// The fleet and playbook of a seed: two to five sites, one or two hosts each, one at a time or
/// two together.
pub fn drawn(seed: u64, faults: Vec<Fault>) -> Stage {
    let mut chance = Chance::of(seed ^ 0x5EED);
    let hosts = if chance.one_in(4) { 2 } else { 1 };
    let names: &[&str] = match chance.below(6) {
        0 => &["fra", "nyc"],
        1 | 2 => &["ams", "fra", "nyc", "sin"],
        3 if hosts == 1 => &["ams", "fra", "nyc", "sin", "syd"],
        _ => &["fra", "nyc", "sin"],
    };
    let mut fleet = fleet_of(names, hosts);
    let mut playbook = playbook();
    if names.len() > 3 {
        playbook.max_unavailable = if chance.one_in(2) { 2 } else { 1 };
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
    Stage {
        fleet,
        playbook,
        faults,
    }
}

struct Night {
    report: Report,
    chance: Chance,
    world: World,
    seats: Vec<Seat>,
    /// Who sits at the world's desk.
    at: usize,
    /// The zone as it was at some moment, for those who restore it from a copy.
    copy: Arc<ZoneView>,
}

impl Night {
    fn of(stage: &Stage, seed: u64) -> Night {
        let mut chance = Chance::of(seed);
        // A random subset of what may go wrong: faults that hide each other get nights alone.
        let share = 1 + chance.below(4);
        let faults: Vec<Fault> = stage
            .faults
            .iter()
            .copied()
            .filter(|_| chance.below(5) < share)
            .collect();
        let mut world = World::of(stage.fleet.clone(), stage.playbook.clone());
        world.delays = (0..7).map(|_| chance.below(3).pow(7) * 20).collect();
        if faults.contains(&Fault::SecondaryLags) {
            world.faults.transfer_lag = 1 + chance.below(40_000);
        }
        let holder = "holder-a".to_owned();
        let machine = world.coordinator_called(&holder);
        let seats = vec![Seat {
            holder,
            machine,
            desk: Desk::default(),
            is_awake: true,
        }];
        Night {
            report: Report {
                seed,
                faults,
                ..Report::default()
            },
            chance,
            copy: Arc::clone(&world.view),
            world,
            seats,
            at: 0,
        }
    }

    fn played(mut self) -> Report {
        self.begins(Mode::Rotate, None, Options::default());
        self.passes();
        self.heals();
        self.report.violations = std::mem::take(&mut self.world.hurt);
        self.report
    }

    /// The night with its faults.
    fn passes(&mut self) {
        let steps = 40 + self.chance.below(260);
        for _ in 0..steps {
            if self.chance.one_in(12) {
                self.something_happens();
            }
            if !self.world.hurt.is_empty() {
                return;
            }
            if !self.step() {
                if self.report.first_end.is_none() {
                    self.report.first_end = self.end();
                }
                if self.chance.one_in(2) {
                    return;
                }
                self.asks();
            }
        }
    }

    /// The next thing happens to whoever is awake. `false`: nothing is in flight.
    fn step(&mut self) -> bool {
        self.report.steps += 1;
        let due = |seat: usize| {
            if seat == self.at {
                return self.world.next_due();
            }
            let queue = &self.seats[seat].desk.queue;
            queue.iter().map(|(at, _)| *at).min()
        };
        let awake = (0..self.seats.len()).filter(|seat| self.seats[*seat].is_awake);
        let Some((_, next)) = awake.filter_map(|seat| Some((due(seat)?, seat))).min() else {
            return false;
        };
        self.sit(next);
        let seat = &mut self.seats[next];
        self.world.step(&mut seat.machine)
    }

    fn sit(&mut self, seat: usize) {
        if seat == self.at {
            return;
        }
        self.world.swap(&mut self.seats[self.at].desk);
        self.world.swap(&mut self.seats[seat].desk);
        self.at = seat;
    }

    fn end(&self) -> Option<RotationEnd> {
        let state = self.seats[self.at].machine.state();
        state.rotation.as_ref()?.end.clone()
    }

    fn site(&mut self) -> SiteName {
        let names: Vec<SiteName> = self.world.fleet.sites.keys().cloned().collect();
        let one = self.chance.of_these(&names).cloned();
        one.unwrap_or_else(|| names[0].clone())
    }

    fn host(&mut self) -> HostName {
        let names: Vec<HostName> = self.world.engines.keys().cloned().collect();
        let one = self.chance.of_these(&names).cloned();
        one.unwrap_or_else(|| names[0].clone())
    }

    fn something_happens(&mut self) {
        let faults = std::mem::take(&mut self.report.faults);
        let fault = self.chance.of_these(&faults).copied();
        self.report.faults = faults;
        if let Some(fault) = fault {
            self.happens(fault);
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one fault a line or two")]
    fn happens(&mut self, fault: Fault) {
        let (site, host) = (self.site(), self.host());
        let (now, later) = (self.world.now, self.chance.below(90_000));
        self.world.told(
            "HAPPENS",
            &format!("{fault} {site} {host} {later} seat {}", self.at),
        );
        match fault {
            Fault::LostUpdates => self.world.faults.lose_requests += 1,
            Fault::LostAnswers => self.world.faults.lose_answers = !self.world.faults.lose_answers,
            Fault::LateUpdates => self.world.faults.late_updates.push_back(later),
            Fault::DoubledUpdates => self.world.faults.doubled_updates.push_back(later * 3),
            Fault::PrimarySilent => {
                let factor = if self.chance.one_in(8) { 30 } else { 1 };
                self.world.faults.primary_silent_until = now + later * factor;
            }
            Fault::SecondaryStands => {
                let until = &mut self.world.faults.secondary_stands_until;
                *until = (*until).max(now + later);
            }
            Fault::SecondaryLags => self.world.faults.transfer_lag = later * 3 / 2,
            // Between the last look and the removal nobody could see it: that is not promised.
            Fault::SecondaryGoesBack => {
                if !self.is_at_last_look() {
                    // A flap within a drain that nobody asks about is not promised either.
                    let copy = Arc::clone(&self.copy);
                    self.world.secondary_goes_back(&copy, now + 600_000);
                }
            }
            Fault::Overstaying => self.world.faults.overstay = later * 5,
            Fault::ProbesFail => toggle(&mut self.world.faults.failing_probes, site),
            Fault::StartsFail => toggle(&mut self.world.faults.unhealthy, site),
            Fault::Crashing => toggle(&mut self.world.faults.crashing, site),
            Fault::Unready => toggle(&mut self.world.faults.unready, site),
            Fault::EngineDown => toggle(&mut self.world.faults.down, host),
            Fault::LateRemovals => self.world.faults.late_clears.push_back(later),
            Fault::SlowRemovals => self.world.faults.slow_clears.push_back(later * 20),
            Fault::LateRequests => self.world.faults.late_requests.push_back(later),
            Fault::Proofs => self.world.faults.proofs += 1,
            Fault::WrongImages => self.world.faults.wrong_images += 1,
            Fault::Busy => self.world.faults.busy = !self.world.faults.busy,
            Fault::TrafficUnknown => {
                self.world.faults.traffic_unknown = !self.world.faults.traffic_unknown
            }
            Fault::NoTraffic => self.world.faults.no_traffic = !self.world.faults.no_traffic,
            Fault::EvidenceHangs => {
                self.world.faults.evidence_hangs = !self.world.faults.evidence_hangs
            }
            Fault::PruneFails => self.world.faults.prune_fails = !self.world.faults.prune_fails,
            Fault::Kills => self.kills(None, later),
            Fault::TornDecisions => {
                let torn = if self.chance.one_in(2) {
                    Torn::BeforeSync
                } else {
                    Torn::AfterSync
                };
                self.kills(Some(torn), later);
            }
            Fault::Aborts => {
                if self.chance.one_in(3) {
                    self.tells(Command::Abort {
                        actor: "ana".to_owned(),
                        reason: None,
                    });
                }
            }
            Fault::TakeOvers => self.somebody_takes_over(later),
            Fault::Freezes => self.freezes(later),
            Fault::ClockJumps => {
                if self.chance.one_in(2) {
                    self.world.pass(now + later * 10);
                } else {
                    let jump = i64::try_from(later).unwrap_or(0) * 1_000 - 45_000_000;
                    self.world.wall_skew = jump;
                }
            }
            Fault::Nsupdate => self.takes_in_hand(&site),
            Fault::Queued => self.queues(&site),
            Fault::Cordons => {
                let intent = if self.chance.one_in(2) {
                    Intent::Cordon { site }
                } else {
                    Intent::Uncordon { site }
                };
                self.tells(Command::Write { intent });
            }
            Fault::TagsMove => {
                self.world.tag = self.world.tag.wrapping_add(1) % 90 + 2;
                let tag = digest(self.world.tag);
                let images = self.world.fleet.images().into_iter();
                let moved = images.map(|image| (image, tag.clone())).collect();
                self.hears(&Input::TagsMoved { moved });
            }
            Fault::BelowFloor => {}
            Fault::StoreCopied => self.copies_store(),
            Fault::StoreOld => self.comes_back_old(),
            Fault::StoreLost => self.loses_store(),
            Fault::ZoneRestored => {
                if self.chance.one_in(3) {
                    self.copy = Arc::clone(&self.world.view);
                } else if self.chance.one_in(3) {
                    let copy = Arc::clone(&self.copy);
                    self.world.restore_zone(&copy);
                }
            }
            Fault::MarkerDeleted => {
                if self.chance.one_in(4) {
                    self.world.write_marker(None);
                }
            }
            // What no coordinator can see is not promised: no prerequisite states a TTL, so one that
            // changes under an UPDATE that adds is changed back by it; one that comes and goes
            // between two looks was never there.
            Fault::TtlChanged if self.is_adding() => {}
            Fault::TtlChanged => {
                let ttl = self.world.fleet.dns.ttl;
                let is_calm = self
                    .seats
                    .iter()
                    .all(|seat| seat.machine.state().running().is_none());
                if is_calm {
                    self.world.set_ttl(ttl);
                } else {
                    self.world.set_ttl(Ttl(ttl.0 * 4));
                }
            }
        }
    }

    /// Whether an UPDATE is out that adds records.
    fn is_adding(&self) -> bool {
        let adds = |change: &Arc<crate::model::rrset::ZoneChange>| !change.add.is_empty();
        let sent = |seat: &Seat| seat.machine.state().lane.changes().iter().any(adds);
        self.seats.iter().any(sent) || self.world.has_late_update(adds)
    }

    /// Whether anybody has had, or is having, a last look at a site.
    fn is_at_last_look(&self) -> bool {
        let is_dirty = self
            .world
            .marker()
            .is_some_and(|marker| !marker.dirty.is_empty());
        let looks = |seat: &Seat| {
            let rotation = seat.machine.state().running().into_iter();
            let mut visits = rotation.flat_map(|rotation| rotation.visits.values());
            visits.any(|visit| {
                visit.is_touched
                    || matches!(
                        visit.stage,
                        VisitStage::LastLook { .. } | VisitStage::Dirtying { .. }
                    )
            })
        };
        is_dirty || self.seats.iter().any(looks)
    }

    /// Somebody who acts is picked first: all of them may be hit.
    fn picks(&mut self) {
        let seat = usize::try_from(self.chance.below(self.seats.len() as u64)).unwrap_or(0);
        self.sit(seat);
    }

    /// A coordinator dies, over an answer where `torn` says so, and comes back.
    fn kills(&mut self, torn: Option<Torn>, later: u64) {
        self.picks();
        if torn.is_some() {
            let seat = &mut self.seats[self.at];
            self.world.step_torn(&mut seat.machine, torn);
        }
        if self.chance.one_in(2) {
            self.world.carry_out_late(later);
        }
        self.comes_back();
        if self.chance.one_in(4) {
            self.tells(Command::Supersede);
        }
    }

    fn comes_back(&mut self) {
        let seat = &mut self.seats[self.at];
        seat.machine = self.world.dead_called(&seat.holder);
        seat.is_awake = true;
        self.hears(&Input::Started);
    }

    /// Another one sits down beside, and takes the marker over; the first one works on.
    fn somebody_takes_over(&mut self, later: u64) {
        if self.seats.len() < MOST_SEATS {
            let holder = format!("holder-{}", ["a", "b", "c"][self.seats.len()]);
            let machine = self.world.coordinator_called(&holder);
            self.seats.push(Seat {
                holder,
                machine,
                desk: Desk::default(),
                is_awake: true,
            });
            self.sit(self.seats.len() - 1);
        } else {
            self.picks();
        }
        if self.seats[self.at].machine.state().running().is_some() {
            return;
        }
        let options = Options {
            take_over: self.chance.below(4) > 0,
            wait_s: later / 20,
            ..Options::default()
        };
        let modes = [Mode::Rotate, Mode::Recover, Mode::TakeOver];
        let mode = self.chance.of_these(&modes).cloned();
        self.begins(mode.unwrap_or(Mode::Recover), None, options);
    }

    /// One stands still, or goes on.
    fn freezes(&mut self, later: u64) {
        self.picks();
        let seat = &mut self.seats[self.at];
        seat.is_awake = !seat.is_awake;
        let stands = !seat.is_awake;
        if stands && self.chance.one_in(2) {
            // What it had sent is carried out meanwhile, and once more as it wakes.
            let queue = self.world.queue.clone();
            self.world.carry_out_late(later);
            self.world.queue = queue;
        }
    }

    /// A person who edits the zone takes out no more than the floor lets.
    fn takes_in_hand(&mut self, site: &SiteName) {
        let is_in = self.chance.one_in(2);
        if is_in || self.world.in_dns() > 2 {
            self.world.by_hand(site, is_in);
        }
    }

    /// A copy of the store is taken to another machine, and runs there too.
    fn copies_store(&mut self) {
        if self.seats.len() >= MOST_SEATS {
            return;
        }
        self.picks();
        let holder = self.seats[self.at].holder.clone();
        let desk = Desk {
            journal: self.world.journal.clone(),
            ..Desk::default()
        };
        let machine = self.world.coordinator_called(&holder);
        self.seats.push(Seat {
            holder,
            machine,
            desk,
            is_awake: true,
        });
        self.sit(self.seats.len() - 1);
        self.comes_back();
    }

    fn comes_back_old(&mut self) {
        self.picks();
        let keep = self.chance.below(self.world.journal.len() as u64);
        let keep = usize::try_from(keep).unwrap_or(0);
        self.world.journal.truncate(keep);
        self.comes_back();
    }

    fn loses_store(&mut self) {
        self.picks();
        self.world.journal.clear();
        self.comes_back();
    }

    fn queues(&mut self, site: &SiteName) {
        if let Some(plan) =
            self.planned(Mode::Rebuild, Some(vec![site.clone()]), Options::default())
        {
            let plan = Box::new(plan);
            self.tells(Command::QueueRebuild { plan });
        }
    }

    /// What is rejected is not told.
    fn tells(&mut self, command: Command) {
        self.hears(&Input::Command(command));
    }

    fn hears(&mut self, input: &Input) -> bool {
        let seat = &mut self.seats[self.at];
        self.world.tell(&mut seat.machine, input).is_ok()
    }

    fn planned(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Option<crate::coordinator::plan::Plan> {
        self.world.serial += 1;
        let id = format!("nightly-{}", self.world.serial);
        let wish = Wish {
            id: id.parse().expect("a rotation's id"),
            mode,
            sites,
            options,
            actor: "sim".to_owned(),
            reason: None,
        };
        let survey = self.world.survey();
        plan(&self.world.fleet, &self.world.playbook, wish, &survey).ok()
    }

    fn begins(&mut self, mode: Mode, sites: Option<Vec<SiteName>>, options: Options) {
        let Some(plan) = self.planned(mode, sites, options) else {
            return;
        };
        let machine = &mut self.seats[self.at].machine;
        if machine.state().running().is_some() {
            return;
        }
        let (fleet, playbook) = (self.world.fleet.clone(), self.world.playbook.clone());
        machine.configure(fleet, playbook, self.world.ttl_high);
        self.world.allow(machine, &plan);
        let plan = Box::new(plan);
        if self.hears(&Input::Command(Command::Begin { plan })) {
            self.report.rotations += 1;
        }
    }

    /// Nothing runs: a person asks for something.
    fn asks(&mut self) {
        self.picks();
        let modes = [
            Mode::Rotate,
            Mode::Rotate,
            Mode::Recover,
            Mode::Rebuild,
            Mode::Restore { unverified: false },
            Mode::Withdraw,
            Mode::Cordon { cordoned: true },
            Mode::Cordon { cordoned: false },
        ];
        let mode = self.chance.of_these(&modes).cloned();
        let mode = mode.unwrap_or(Mode::Rotate);
        let one = Some(vec![self.site()]);
        let sites = if let Mode::Rotate | Mode::Recover = mode {
            None
        } else {
            one
        };
        let has_below = self.report.faults.contains(&Fault::BelowFloor);
        let options = Options {
            take_over: self.chance.one_in(2),
            below_floor: has_below && mode == Mode::Withdraw && self.chance.one_in(2),
            restore: mode == Mode::Rebuild && self.chance.one_in(2),
            ..Options::default()
        };
        self.begins(mode, sites, options);
    }

    /// The faults stop. Everything ends within a bound, and what is still out is owed and said;
    /// one more recovery and one more night bring everything back.
    fn heals(&mut self) {
        if !self.world.hurt.is_empty() {
            return;
        }
        // A server that went back comes forward when it would have: not in the middle of a drain.
        let secondary_stands_until = self.world.faults.secondary_stands_until;
        self.world.faults = Faults {
            secondary_stands_until,
            ..Faults::default()
        };
        self.world.ghosts.broken.clear();
        self.world.transfers.clear();
        self.world.pass(self.world.now + 1);
        for seat in &mut self.seats {
            seat.is_awake = true;
        }
        self.ends();
        self.world.pass(secondary_stands_until);
        self.world.set_ttl(self.world.fleet.dns.ttl);
        self.sit(0);
        let names: Vec<SiteName> = self.world.fleet.sites.keys().cloned().collect();
        for _ in 0..2 {
            self.asked(Mode::Recover, None);
            for name in &names {
                self.mends(name);
            }
        }
        self.asked(Mode::Recover, None);
        self.asked(Mode::Rotate, None);
        self.looks_at_the_end(&names);
    }

    /// A person brings one site back that cannot come back by itself.
    fn mends(&mut self, name: &SiteName) {
        // Held, or taken out by hand: people put back what people took.
        if !self.world.serves(name) {
            let restore = Mode::Restore { unverified: false };
            self.asked(restore, Some(vec![name.clone()]));
        }
        if !self.world.answers(name, &BTreeSet::new()) {
            // Where others are gone too, nothing else is left to say.
            let options = Options {
                take_over: true,
                below_floor: true,
                ..Options::default()
            };
            self.begins(Mode::Rebuild, Some(vec![name.clone()]), options);
            self.ends();
        }
        let is_cordoned = |marker: crate::model::marker::Marker| marker.cordon.contains(name);
        if self.world.marker().is_some_and(is_cordoned) {
            let uncordon = Mode::Cordon { cordoned: false };
            self.asked(uncordon, Some(vec![name.clone()]));
        }
    }

    fn looks_at_the_end(&mut self, names: &[SiteName]) {
        if !self.world.hurt.is_empty() {
            return;
        }
        let end = self.end();
        if end != Some(RotationEnd::Completed) {
            self.broken(
                "comes back",
                format!("the last night: {end:?} {:?}", self.ended()),
            );
        }
        for name in names {
            if !self.world.ghosts.is_whole(&self.world.view, name) {
                self.broken("comes back", format!("{name} is not in DNS"));
            }
        }
        let tag = digest(self.world.tag);
        let is_new = |container: &&crate::model::inventory::Container| {
            // What was made late and never started goes with the next night.
            container.role == crate::model::inventory::Role::Kept
                || container.state == crate::model::inventory::ContainerState::Created
                || (container.digests.contains(&tag) && container.is_healthy())
        };
        let old = self.world.engines.values().flatten().find(|c| !is_new(c));
        if let Some(old) = old {
            let what = format!("{} is not of tonight", old.id.as_str());
            self.broken("comes back", what);
        }
        if let Some(marker) = self.world.marker() {
            let is_idle = marker.holder.is_none() && marker.rotation.is_none();
            if !is_idle || !marker.out.is_empty() || !marker.dirty.is_empty() {
                self.broken("owes nothing", format!("{marker:?}"));
            }
        }
    }

    fn broken(&mut self, invariant: &'static str, what: String) {
        self.world.note(Violation { invariant, what });
    }

    fn asked(&mut self, mode: Mode, sites: Option<Vec<SiteName>>) {
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        self.begins(mode, sites, options);
        self.ends();
    }

    /// Everybody's rotation ends.
    fn ends(&mut self) {
        let from = self.world.now;
        for _ in 0..MOST_STEPS {
            if !self.world.hurt.is_empty() || !self.step() {
                break;
            }
        }
        if !self.world.hurt.is_empty() {
            return;
        }
        let seat = self.at;
        for open in 0..self.seats.len() {
            self.sit(open);
            let state = self.seats[open].machine.state();
            if let Some(rotation) = state.running() {
                let what = format!("{:?} {:?}", rotation.ending, state.lane);
                self.broken("ends", what);
            }
            let unsaid = self.ended().into_iter().find(|(_, (end, problem))| {
                let is_said = *end == VisitEnd::Completed || *end == VisitEnd::LeftOut;
                !is_said && problem.is_none()
            });
            if let Some((site, (end, _))) = unsaid {
                self.broken("says why", format!("{site} {end:?}"));
            }
        }
        self.sit(seat);
        let took = self.world.now - from;
        if took > LONGEST {
            self.broken("ends", format!("after {took} ms"));
        }
    }

    fn ended(&self) -> Vec<(SiteName, (VisitEnd, Option<Problem>))> {
        let state = self.seats[self.at].machine.state();
        let ended = state.rotation.iter().flat_map(|rotation| &rotation.ended);
        ended
            .map(|(site, end)| (site.clone(), end.clone()))
            .collect()
    }
}

fn toggle<T: Ord>(set: &mut BTreeSet<T>, item: T) {
    if !set.remove(&item) {
        set.insert(item);
    }
}

#[cfg(test)]
mod tests;
