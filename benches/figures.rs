//! What was measured, and whether the targets are met.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::contender::{Contender, Night};

/// Time beyond drain and soak, as a multiple of the script's.
const MOST_TIMES_BARE: f64 = 1.05;
/// User and system time of one night, in seconds.
const MOST_CPU_S: f64 = 0.4;
/// Peak resident set, in MB.
const MOST_PEAK_MB: f64 = 25.0;

/// The nights so far.
pub(crate) struct Figures {
    waits: Duration,
    nights: BTreeMap<Contender, Vec<Night>>,
}

impl Figures {
    /// Of each night, `waits` is what drains and soaks take.
    pub(crate) fn beyond(waits: Duration) -> Figures {
        Figures {
            waits,
            nights: BTreeMap::new(),
        }
    }

    /// Counts a night and says what it took.
    pub(crate) fn take(&mut self, contender: Contender, night: Night) -> String {
        self.nights.entry(contender).or_default().push(night);
        format!(
            "{:12} {:6.2} s, {:5.2} s beyond drain and soak, {:5.2} s CPU, {:5.1} MB, {} lost",
            contender.name(),
            night.wall.as_secs_f64(),
            self.beyond_s(&night),
            night.cpu_s,
            night.peak_mb,
            night.lost
        )
    }

    /// Medians of the time, as it varies with the machine's other work; the worst of the rest.
    pub(crate) fn are_met(&self) -> bool {
        let ours = Contender::Cleanslate;
        self.times_bare() <= MOST_TIMES_BARE
            && self.worst(ours, |night| night.cpu_s) <= MOST_CPU_S
            && self.worst(ours, |night| night.peak_mb) <= MOST_PEAK_MB
            && self.lost(ours) == 0
    }

    fn beyond_s(&self, night: &Night) -> f64 {
        night.wall.saturating_sub(self.waits).as_secs_f64()
    }

    /// Seconds beyond drain and soak, from the least to the most.
    fn times(&self, of: Contender) -> Vec<f64> {
        let nights = self.nights.get(&of).into_iter().flatten();
        let mut all: Vec<f64> = nights.map(|night| self.beyond_s(night)).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn times_bare(&self) -> f64 {
        median(&self.times(Contender::Cleanslate)) / median(&self.times(Contender::Bare))
    }

    fn worst(&self, of: Contender, what: impl Fn(&Night) -> f64) -> f64 {
        let nights = self.nights.get(&of).into_iter().flatten();
        nights.map(what).fold(f64::NAN, f64::max)
    }

    fn lost(&self, of: Contender) -> usize {
        let nights = self.nights.get(&of).into_iter().flatten();
        nights.map(|night| night.lost).sum()
    }
}

/// Of sorted numbers: the middle one, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = [sorted.len().saturating_sub(1) / 2, sorted.len() / 2];
    let [low, high] = middle.map(|at| sorted.get(at).copied().unwrap_or(f64::NAN));
    f64::midpoint(low, high)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | beyond, least | median | CPU, worst | peak, worst | lost |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for contender in Contender::ALL {
            let times = self.times(contender);
            writeln!(
                f,
                "| {} | {:.2} s | {:.2} s | {:.2} s | {:.1} MB | {} |",
                contender.name(),
                times.first().copied().unwrap_or(f64::NAN),
                median(&times),
                self.worst(contender, |night| night.cpu_s),
                self.worst(contender, |night| night.peak_mb),
                self.lost(contender)
            )?;
        }
        let verdict = |is_met| if is_met { "met" } else { "MISSED" };
        let ours = Contender::Cleanslate;
        let (cpu, peak) = (
            self.worst(ours, |night| night.cpu_s),
            self.worst(ours, |night| night.peak_mb),
        );
        let times = self.times_bare();
        writeln!(
            f,
            "target {MOST_TIMES_BARE} × the script: {times:.3}, {}",
            verdict(times <= MOST_TIMES_BARE)
        )?;
        writeln!(
            f,
            "target {MOST_CPU_S} CPU seconds: {cpu:.2}, {}",
            verdict(cpu <= MOST_CPU_S)
        )?;
        write!(
            f,
            "target {MOST_PEAK_MB} MB at the peak: {peak:.1}, {}",
            verdict(peak <= MOST_PEAK_MB)
        )
    }
}
