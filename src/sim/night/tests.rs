//! Nights by the thousand, and what each guard is for.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::coordinator::guards::{Guard, Missed};
use crate::sim::faults::Fault;
use crate::sim::invariants::Violation;
use crate::sim::trace::What;

/// How many nights: some in every test run, `make sim` says more.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told how long it may take"
)]
fn nights(default: u64) -> u64 {
    let told = std::env::var("CLEANSLATE_NIGHTS");
    told.map_or(default, |nights| nights.parse().unwrap())
}

/// So many seeds are played before the nights are counted again: how many are played follows from
/// what was asked for, not from the machine.
const BATCH: u64 = 100;

/// What many seeds came to. A night is a rotation that was begun.
#[derive(Default)]
struct Campaign {
    seeds: u64,
    nights: u64,
    steps: u64,
    violations: usize,
    /// The first report that breaks each invariant.
    broken: BTreeMap<&'static str, Report>,
    /// Over all cores.
    busy: Duration,
}

impl Campaign {
    /// Plays seeds from 1 on every core until so many nights were begun.
    fn of(nights: u64) -> Campaign {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut all = Campaign::default();
        while all.nights < nights {
            let (next, last) = (AtomicU64::new(all.seeds + 1), all.seeds + BATCH);
            std::thread::scope(|scope| {
                let play = || Campaign::played(&next, last);
                let playing: Vec<_> = (0..cores).map(|_| scope.spawn(play)).collect();
                for played in playing {
                    all.add(played.join().unwrap());
                }
            });
        }
        all
    }

    /// One core's share: whichever seed is next.
    #[expect(
        clippy::disallowed_methods,
        reason = "how fast it went is told, and decides nothing"
    )]
    fn played(next: &AtomicU64, last: u64) -> Campaign {
        let (mut share, began) = (Campaign::default(), Instant::now());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                break;
            }
            share.count(night(&drawn(seed, Fault::all()), seed));
        }
        share.busy = began.elapsed();
        share
    }

    fn count(&mut self, report: Report) {
        self.seeds += 1;
        self.nights += report.rotations;
        self.steps += report.steps;
        self.violations += report.violations.len();
        self.breaks(report);
    }

    fn add(&mut self, share: Campaign) {
        self.seeds += share.seeds;
        self.nights += share.nights;
        self.steps += share.steps;
        self.violations += share.violations;
        self.busy += share.busy;
        for report in share.broken.into_values() {
            self.breaks(report);
        }
    }

    fn breaks(&mut self, report: Report) {
        let Some(first) = report.violations.first() else {
            return;
        };
        let known = self.broken.get(first.invariant);
        if known.is_none_or(|known| report.seed < known.seed) {
            self.broken.insert(first.invariant, report);
        }
    }
}

impl std::fmt::Display for Campaign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} nights of {} seeds: {} steps, {:.0} nights a second a core, {} violations",
            self.nights,
            self.seeds,
            self.steps,
            self.nights as f64 / self.busy.as_secs_f64(),
            self.violations
        )
    }
}

#[test]
fn whatever_happens_in_a_night_no_rule_is_broken_and_all_ends_well_when_it_stops() {
    let campaign = Campaign::of(nights(2_000));
    println!("{campaign}");
    for (invariant, report) in &campaign.broken {
        println!("{invariant}: seed {} {:?}", report.seed, report.faults);
        let told = transcript(report.seed);
        println!("{}", told[told.len().saturating_sub(40)..].join("\n"));
    }
    assert!(campaign.broken.is_empty());
    let (nights, seeds) = (campaign.nights, campaign.seeds);
    assert!(nights > 3 * seeds, "{nights} nights of {seeds} seeds");
}

/// What breaks in the night of a seed while the guard is off, and does not while it stands.
fn missed_in(guard: Guard, seed: u64) -> Option<Violation> {
    let play = || night(&drawn(seed, Fault::all()), seed).violations;
    let violation = guard.off(play).into_iter().next()?;
    play().is_empty().then_some(violation)
}

/// The night that is known to miss a guard is tried first. Where the world has changed since, it
/// is looked for again: `make sim` finds and prints them all.
#[test]
fn every_guard_is_missed_when_it_is_off() {
    let most = if nights(0) > 0 { 20_000 } else { 200 };
    let (mut missed, mut needless) = (0, Vec::new());
    for (guard, what, known) in Guard::ALL {
        let Missed::Night(known) = known else {
            println!("{guard:?} ({what}): {known:?}");
            continue;
        };
        missed += 1;
        let mut seeds = std::iter::once(*known).chain(1..=most);
        let found = seeds.find_map(|seed| Some((seed, missed_in(*guard, seed)?)));
        match found {
            Some((seed, violation)) => {
                let told: String = violation.to_string().chars().take(160).collect();
                println!("{guard:?} ({what}): night {seed}, {told}");
            }
            None => needless.push(guard),
        }
    }
    println!("{missed} guards, {} needless", needless.len());
    assert!(needless.is_empty(), "nobody misses {needless:?}");
}

#[test]
fn the_same_seed_is_the_same_night() {
    let play = |seed| night(&drawn(seed, Fault::all()), seed);
    assert_eq!(play(7), play(7));
    assert_ne!(play(7).steps, play(8).steps);
}

/// The night as it went: what a failing seed is read by.
fn transcript(seed: u64) -> Vec<String> {
    let (_, entries) = timeline(&drawn(seed, Fault::all()), seed);
    let lines = entries.into_iter().map(|entry| {
        let what = match entry.what {
            What::Fault { fault, words } => format!("{fault}: {words}"),
            What::Told(words) => words,
            What::Decided(decided) => format!("{:?}", decided.event).chars().take(230).collect(),
            What::Broken(violation) => format!("BROKEN {violation}"),
        };
        format!("{:>9} {} {what}", entry.at.mono.0, entry.who)
    });
    lines.collect()
}

#[test]
fn a_night_is_told_as_it_goes_and_the_same_each_time() {
    let told = transcript(3);
    assert!(told.iter().any(|line| line.contains("every fault stops")));
    assert!(told.iter().any(|line| line.contains("VisitStarted")));
    assert_eq!(told, transcript(3));
}
