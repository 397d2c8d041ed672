//! What came of many nights: counts, in any order the same.
use std::collections::BTreeMap;

use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::sim::faults::Fault;
use crate::sim::night::{First, Report};

/// Sums over nights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) nights: u64,
    pub(super) rotations: u64,
    pub(super) steps: u64,
    /// How the first rotation of each night ended.
    pub(super) ends: BTreeMap<FirstEnd, u64>,
    /// How its visits ended.
    pub(super) visits: BTreeMap<VisitEnd, u64>,
    /// How long each of them took that is known to have ended, in milliseconds.
    took_ms: Vec<u64>,
    /// `None`: no night was played.
    pub(super) fewest: Option<usize>,
    pub(super) happened: BTreeMap<Fault, u64>,
    /// In how many nights a rule was broken.
    pub(super) rules: BTreeMap<&'static str, u64>,
    pub(super) nights_broken: u64,
    /// The night with the lowest seed that broke one.
    pub(super) broken: Option<Report>,
}

/// How the first rotation of a night ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FirstEnd {
    /// Every site was visited as planned.
    Completed,
    /// It came to its end, and some site was not visited as planned.
    CompletedInPart,
    Halted,
    Aborted,
    NotAcquired,
    Deposed,
    /// Whoever ran it lost its store, or a rule was broken before.
    Unknown,
}

impl FirstEnd {
    pub(super) const ALL: [FirstEnd; 7] = [
        FirstEnd::Completed,
        FirstEnd::CompletedInPart,
        FirstEnd::Halted,
        FirstEnd::Aborted,
        FirstEnd::NotAcquired,
        FirstEnd::Deposed,
        FirstEnd::Unknown,
    ];

    /// The word for programs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            FirstEnd::Completed => "completed",
            FirstEnd::CompletedInPart => "completed_in_part",
            FirstEnd::Halted => "halted",
            FirstEnd::Aborted => "aborted",
            FirstEnd::NotAcquired => "not_acquired",
            FirstEnd::Deposed => "deposed",
            FirstEnd::Unknown => "unknown",
        }
    }

    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            FirstEnd::Completed => "completed, every site as planned",
            FirstEnd::CompletedInPart => "completed, some site skipped or put back",
            FirstEnd::Halted => "halted by a rule or a failure",
            FirstEnd::Aborted => "aborted by a person",
            FirstEnd::NotAcquired => "did not get the marker",
            FirstEnd::Deposed => "deposed by another coordinator",
            FirstEnd::Unknown => "not known: its store was lost, or a rule broke",
        }
    }

    fn of(first: Option<&First>) -> FirstEnd {
        let Some(first) = first else {
            return FirstEnd::Unknown;
        };
        match &first.end {
            RotationEnd::Completed => {
                let is_whole = |end: &VisitEnd| matches!(end, VisitEnd::Completed);
                match first.visits.values().all(is_whole) {
                    true => FirstEnd::Completed,
                    false => FirstEnd::CompletedInPart,
                }
            }
            RotationEnd::Halted => FirstEnd::Halted,
            RotationEnd::Aborted { .. } => FirstEnd::Aborted,
            RotationEnd::NotAcquired { .. } => FirstEnd::NotAcquired,
            RotationEnd::Deposed { .. } => FirstEnd::Deposed,
        }
    }
}

impl Tally {
    pub(super) fn count(&mut self, report: Report) {
        self.nights += 1;
        self.rotations += report.rotations;
        self.steps += report.steps;
        *self
            .ends
            .entry(FirstEnd::of(report.first.as_ref()))
            .or_insert(0) += 1;
        if let Some(first) = &report.first {
            self.took_ms.push(first.took_ms);
            for end in first.visits.values() {
                *self.visits.entry(*end).or_insert(0) += 1;
            }
        }
        self.fewest = least(self.fewest, Some(report.fewest));
        sum(&mut self.happened, &report.happened);
        if !report.violations.is_empty() {
            self.nights_broken += 1;
            let broken = report
                .violations
                .iter()
                .map(|violation| violation.invariant);
            for rule in broken.collect::<std::collections::BTreeSet<_>>() {
                *self.rules.entry(rule).or_insert(0) += 1;
            }
            self.keep_first(report);
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        self.nights += other.nights;
        self.rotations += other.rotations;
        self.steps += other.steps;
        sum(&mut self.ends, &other.ends);
        sum(&mut self.visits, &other.visits);
        self.took_ms.extend(other.took_ms);
        self.fewest = least(self.fewest, other.fewest);
        sum(&mut self.happened, &other.happened);
        sum(&mut self.rules, &other.rules);
        self.nights_broken += other.nights_broken;
        if let Some(report) = other.broken {
            self.keep_first(report);
        }
    }

    /// Median and longest of the first rotations, in milliseconds.
    pub(super) fn took(&self) -> Option<(u64, u64)> {
        let mut took = self.took_ms.clone();
        took.sort_unstable();
        Some((*took.get(took.len() / 2)?, *took.last()?))
    }

    fn keep_first(&mut self, report: Report) {
        if self
            .broken
            .as_ref()
            .is_none_or(|kept| report.seed < kept.seed)
        {
            self.broken = Some(report);
        }
    }
}

fn sum<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(*key).or_insert(0) += count;
    }
}

fn least(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    one.into_iter().chain(other).min()
}
