//! Nights by the thousand, and what each guard is for.
use std::collections::BTreeMap;

use super::*;
use crate::coordinator::guards::Guard;
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

/// Plays seeds on every core; what went wrong, by the invariant that was broken.
fn campaign(seeds: std::ops::RangeInclusive<u64>) -> (u64, u64, BTreeMap<&'static str, Report>) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let play = |core: u64| {
        let (mut rotations, mut steps, mut bad) = (0, 0, BTreeMap::new());
        for seed in seeds.clone().filter(|seed| seed % cores == core) {
            let report = night(&drawn(seed, Fault::all()), seed);
            rotations += report.rotations;
            steps += report.steps;
            if let Some(first) = report.violations.first() {
                bad.entry(first.invariant).or_insert(report);
            }
        }
        (rotations, steps, bad)
    };
    std::thread::scope(|scope| {
        let play = &play;
        let playing: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || play(core)))
            .collect();
        let mut sum = (0, 0, BTreeMap::new());
        for played in playing {
            let (rotations, steps, bad) = played.join().unwrap();
            sum.0 += rotations;
            sum.1 += steps;
            sum.2.extend(bad);
        }
        sum
    })
}

#[test]
fn whatever_happens_in_a_night_no_rule_is_broken_and_all_ends_well_when_it_stops() {
    let nights = nights(400);
    let (rotations, steps, bad) = campaign(1..=nights);
    println!(
        "{nights} seeds: {rotations} rotations, {steps} steps, {} broken",
        bad.len()
    );
    for (invariant, report) in &bad {
        println!("{invariant}: seed {} {:?}", report.seed, report.faults);
        let told = transcript(report.seed);
        println!("{}", told[told.len().saturating_sub(40)..].join("\n"));
    }
    assert!(bad.is_empty());
    assert!(rotations > 3 * nights, "{rotations} rotations");
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
    let mut needless = Vec::new();
    for (guard, what, known) in Guard::ALL {
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
    println!("{} guards, {} needless", Guard::ALL.len(), needless.len());
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
