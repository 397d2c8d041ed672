//! What was measured, and whether the targets are met.

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
    bare: Vec<Night>,
    cleanslate: Vec<Night>,
}

impl Figures {
    /// Of each night, `waits` is what drains and soaks take.
    pub(crate) fn beyond(waits: Duration) -> Figures {
        Figures {
            waits,
            bare: Vec::new(),
            cleanslate: Vec::new(),
        }
    }

    /// Counts a night and says what it took.
    pub(crate) fn take(&mut self, contender: Contender, night: Night) -> String {
        match contender {
            Contender::Bare => self.bare.push(night),
            Contender::Cleanslate => self.cleanslate.push(night),
        }
        format!(
            "{:12} {:6.2} s, {:5.2} s beyond drain and soak, {:5.2} s CPU, {:5.1} MB",
            contender.name(),
            night.wall.as_secs_f64(),
            self.beyond_s(&night),
            night.cpu_s,
            night.peak_mb
        )
    }

    /// Medians of the time, as it varies with the machine's other work; the worst of the rest.
    pub(crate) fn are_met(&self) -> bool {
        let [_, (_, times)] = self.times();
        times <= MOST_TIMES_BARE
            && self.worst(|night| night.cpu_s) <= MOST_CPU_S
            && self.worst(|night| night.peak_mb) <= MOST_PEAK_MB
    }

    fn beyond_s(&self, night: &Night) -> f64 {
        night.wall.saturating_sub(self.waits).as_secs_f64()
    }

    /// Seconds of the script and times the script, for the least and the median of both.
    fn times(&self) -> [(f64, f64); 2] {
        let sorted = |nights: &[Night]| {
            let mut all: Vec<f64> = nights.iter().map(|night| self.beyond_s(night)).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (bare, ours) = (sorted(&self.bare), sorted(&self.cleanslate));
        let least = |all: &[f64]| all.first().copied().unwrap_or(f64::NAN);
        [
            (least(&bare), least(&ours) / least(&bare)),
            (median(&bare), median(&ours) / median(&bare)),
        ]
    }

    fn worst(&self, of: impl Fn(&Night) -> f64) -> f64 {
        self.cleanslate.iter().map(of).fold(f64::NAN, f64::max)
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
        let times = self.times();
        for (name, (bare, times)) in ["least", "median"].into_iter().zip(times) {
            writeln!(
                f,
                "beyond drain and soak, {name:6}: {:.2} s, {times:.3} × the script's {bare:.2} s",
                bare * times
            )?;
        }
        let verdict = |is_met| if is_met { "met" } else { "MISSED" };
        let (cpu, peak) = (
            self.worst(|night| night.cpu_s),
            self.worst(|night| night.peak_mb),
        );
        let median = times[1].1;
        writeln!(
            f,
            "target {MOST_TIMES_BARE} × the script: {median:.3}, {}",
            verdict(median <= MOST_TIMES_BARE)
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
