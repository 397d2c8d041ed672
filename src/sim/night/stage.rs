//! What a night is played with: the fleet, its playbook, what may go wrong, and how long it may take.
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::date;

use crate::model::fleet::Fleet;
use crate::model::hook::{Call, Gate, Hook, HookFailure, On, Terms};
use crate::model::hours::QuietHours;
use crate::model::id::HostName;
use crate::model::pin::SitePin;
use crate::model::playbook::{FailureThen, Playbook, Preflight, StillBusy};
use crate::model::time::millis;
use crate::sim::chance::Chance;
use crate::sim::faults::Fault;
use crate::sim::world::{digest, fleet_of, playbook};

/// A fleet, its playbook, and what may go wrong.
#[derive(Clone, Debug)]
pub struct Stage {
    pub fleet: Fleet,
    pub playbook: Playbook,
    pub faults: Vec<Fault>,
}

/// How long things take on a stage: a night of twenty sites has more steps than one of three, and
/// its faults are to be spread over all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// So many times the steps of a small fleet.
    pub(super) scale: u64,
    /// More steps than any rotation takes.
    pub(super) most_steps: u64,
    /// Longer than any rotation lasts once the faults have stopped: every visit drains and soaks,
    /// some more than once. In milliseconds.
    pub(super) longest: u64,
    /// So long does a server that went back stay there: longer than any drain. One that goes back
    /// and comes forward within a drain, when nobody asks it, is not promised to be noticed.
    pub(super) goes_back_for: u64,
}

/// In milliseconds.
const DAY: u64 = 24 * 3_600_000;

/// The furthest that a night's wall clock is set back, in milliseconds.
pub(super) const CLOCK_SET_BACK: u64 = 45_000_000;

/// A fleet of five sites with one host each takes about so many steps in a night without faults.
const SMALL: u64 = 260;

impl Stage {
    /// For a fleet of anybody's: hosts are unique in their site only, and the simulator has one
    /// engine a host's name.
    pub fn of(mut fleet: Fleet, playbook: Playbook, faults: Vec<Fault>) -> Stage {
        let mut seen = BTreeSet::new();
        let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
        let twice: BTreeSet<HostName> = hosts
            .filter(|host| !seen.insert(host.name.clone()))
            .map(|host| host.name.clone())
            .collect();
        for site in fleet.sites.values_mut() {
            for host in site
                .hosts
                .iter_mut()
                .filter(|host| twice.contains(&host.name))
            {
                if let Ok(name) = format!("{}-{}", site.name, host.name).parse() {
                    host.name = name;
                }
            }
        }
        // Hours of waiting for quiet hours would only thin what can go wrong in a night.
        for site in fleet.sites.values_mut() {
            site.quiet = None;
        }
        Stage {
            fleet,
            playbook,
            faults,
        }
    }

    /// The faults that can happen to this fleet: where nobody measures traffic, nothing can be
    /// wrong with it.
    pub fn applicable(&self) -> Vec<Fault> {
        let faults = self.faults.iter().copied();
        faults.filter(|fault| self.can_happen(*fault)).collect()
    }

    fn can_happen(&self, fault: Fault) -> bool {
        let is_measured = self.fleet.measures_traffic || !fault.is_about_traffic();
        let is_tried = self.playbook.verify.hold || fault != Fault::Trials;
        let is_asked = !self.fleet.hooks.is_empty() || fault != Fault::Hooks;
        let has_way_back = self.rolls_back() || fault != Fault::BadImages;
        is_measured && is_tried && is_asked && has_way_back
    }

    /// Whether a site goes back to its last good images by itself. Where none does, a release that
    /// is bad everywhere is no other than one that is bad at a site.
    pub(super) fn rolls_back(&self) -> bool {
        self.playbook.failure.then == FailureThen::LastGood
    }

    pub(super) fn bounds(&self) -> Bounds {
        let sites = self.fleet.sites.len() as u64;
        let hosts = self
            .fleet
            .sites
            .values()
            .map(|site| site.hosts.len() as u64);
        // A visit asks each of its hosts a dozen things, and every site whether it answers.
        let steps = hosts.sum::<u64>() * 12 + sites * (sites + 35);
        let scale = (steps / SMALL).max(1);
        let drain = &self.playbook.drain;
        let before = self.playbook.recreate.before.as_ref();
        let before = before.map_or(0, |before| millis(before.within));
        let soak = &self.playbook.soak;
        let gates = self.fleet.hooks.iter().map(|hook| match hook.on {
            On::Gate(_, terms) => millis(terms.defer_at_most + hook.within),
            On::Cue(_) => 0,
        });
        let asked = before + gates.sum::<u64>();
        let waits = [drain.at_most, soak.for_at_least, soak.traffic_within];
        let visit = waits.into_iter().map(millis).sum::<u64>() + asked + 300_000;
        // A busy drain looks every ten seconds.
        let looks = sites * 4 * visit / 10_000;
        // A day may pass until quiet hours come, and more where somebody sets the wall clock back;
        // the marker is refreshed all the time.
        let has_windows = self.fleet.sites.values().any(|site| site.quiet.is_some());
        let (waits, refreshes) = if has_windows {
            (DAY + CLOCK_SET_BACK, 2_000)
        } else {
            (0, 0)
        };
        Bounds {
            scale,
            most_steps: (6_000 * scale).max(6_000 + looks) + refreshes,
            longest: (6 * 3_600_000).max(sites * 4 * visit) + waits,
            goes_back_for: 600_000.max(2 * millis(drain.at_most)),
        }
    }
}

/// The fleet and playbook of a seed: two to five sites, one or two hosts each, one at a time or
/// two together, some of them in their quiet hours only, or pinned.
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
    if chance.one_in(8) {
        quieten(&mut fleet, &mut chance);
    }
    playbook.verify.hold = chance.one_in(8);
    if chance.one_in(8) {
        fleet.hooks = hooks(&mut chance);
    }
    if chance.one_in(8) {
        playbook.failure.then = FailureThen::LastGood;
    }
    if chance.one_in(8) {
        pin(&mut fleet, &mut chance);
    }
    Stage {
        fleet,
        playbook,
        faults,
    }
}

/// Some sites run an image that no tag ever names, or did until their pin ended. No wall clock of a
/// night is so wrong that another day would decide.
fn pin(fleet: &mut Fleet, chance: &mut Chance) {
    for site in fleet.sites.values_mut() {
        let until = if chance.one_in(4) {
            date(2026, 12, 31)
        } else {
            date(2027, 12, 31)
        };
        if let (true, Ok(web)) = (chance.one_in(2), "web".parse()) {
            site.pin = Some(SitePin {
                services: [(web, digest(PINNED))].into(),
                until,
            });
        }
    }
}

/// The version of an image that sites are pinned to.
const PINNED: u8 = 200;

/// Somebody to ask at some of the gates, who may halt a rotation or not.
fn hooks(chance: &mut Chance) -> Vec<Hook> {
    let mut hooks = Vec::new();
    for (gate, name) in Gate::ALL.into_iter().zip(["leaving", "emptied", "back"]) {
        let terms = Terms {
            failure: if chance.one_in(2) {
                HookFailure::Halt
            } else {
                HookFailure::GoOn
            },
            defer_at_most: Duration::from_secs(60 * chance.below(20)),
        };
        if let (true, Ok(name)) = (chance.one_in(2), name.parse()) {
            hooks.push(Hook {
                name,
                on: On::Gate(gate, terms),
                call: Call::Command(Vec::new()),
                within: Duration::from_secs(30),
                sites: None,
                peers: false,
            });
        }
    }
    hooks
}

/// Some sites have quiet hours, around the time at which a night begins.
fn quieten(fleet: &mut Fleet, chance: &mut Chance) {
    for site in fleet.sites.values_mut() {
        if chance.one_in(2) {
            let from = BEGINS_AT + chance.below(180) - 30;
            let until = from + 5 + chance.below(120);
            let of = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
            let hours = format!("{}-{}", of(from), of(until));
            site.quiet = QuietHours::parse(&hours, None).ok();
        }
    }
}

/// What the world's clocks show when a night begins, in minutes.
const BEGINS_AT: u64 = 8 * 60;
