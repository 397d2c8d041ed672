//! The process that tries: one input after another, each watched for how long it takes and how
//! much memory.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::mutate::{Mutator, words};
use super::run::{Settings, files_of};
use crate::fuzzing::Target;

/// Stands in what is said of work that found nothing.
pub(super) const DONE: &str = "inputs found nothing";

/// The most resident memory that one input may add at its peak, and with each of its octets. What
/// is read is kept as a tree with places, rendered in colour and without, and none of that is
/// many times as large.
const MEMORY_KIB: u64 = 64 * 1024;
const MEMORY_KIB_AN_OCTET: u64 = 1;

/// What may be reserved at all: the allocator itself takes a gigabyte at once.
const ADDRESS_SPACE: u64 = 16 << 30;

/// Tries the corpus, then what becomes of it.
///
/// # Panics
/// At a finding; or the process ends with it.
pub(super) fn work(target: &Target, settings: &Settings) -> String {
    let limit = Rlimit {
        current: Some(ADDRESS_SPACE),
        maximum: Some(ADDRESS_SPACE),
    };
    setrlimit(Resource::As, limit).unwrap();
    let mut guard = Guard {
        target: *target,
        settings: settings.clone(),
        tried: watch(settings.hang_s),
        peak_kib: 0,
        slowest: Duration::ZERO,
    };
    if let Some(only) = &settings.only {
        guard.try_one(&std::fs::read(only).unwrap());
        return guard.to_string();
    }
    let corpus = files_of(&settings.corpus);
    for input in &corpus {
        guard.try_one(input);
    }
    let began = now();
    let mut mutator = Mutator::new(settings.seed, corpus, words(&settings.words));
    let mut left = settings.inputs;
    while left > 0 && began.elapsed() < Duration::from_secs(settings.seconds) {
        guard.try_one(&mutator.next());
        left -= 1;
    }
    guard.to_string()
}

struct Guard {
    target: Target,
    settings: Settings,
    tried: Arc<AtomicU64>,
    peak_kib: u64,
    slowest: Duration,
}

impl Guard {
    fn try_one(&mut self, input: &[u8]) {
        std::fs::write(self.settings.current(), input).unwrap();
        // Since Linux 4.0: the peak is what is resident now.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before_kib = resident_peak_kib();
        let began = now();
        (self.target.read)(input);
        self.note(began.elapsed(), input);
        let grown_kib = resident_peak_kib().saturating_sub(before_kib);
        self.peak_kib = self.peak_kib.max(grown_kib);
        let allowed_kib = MEMORY_KIB + MEMORY_KIB_AN_OCTET * input.len() as u64;
        assert!(
            grown_kib <= allowed_kib,
            "{} octets took {} MiB of memory",
            input.len(),
            grown_kib / 1024
        );
        self.tried.fetch_add(1, Ordering::Relaxed);
    }
}

impl Guard {
    /// Keeps the slowest input where it took long, for whoever wonders why.
    fn note(&mut self, took: Duration, input: &[u8]) {
        if took > self.slowest {
            self.slowest = took;
            if took > Duration::from_millis(500) {
                let path = self.settings.artifacts.join("slowest");
                std::fs::write(path, input).unwrap();
            }
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {DONE}; at most {} KiB and {} ms for one",
            self.target.name,
            self.tried.load(Ordering::Relaxed),
            self.peak_kib,
            self.slowest.as_millis()
        )
    }
}

/// Counts what was tried, and ends the process where that does not go on. What is counted is this
/// thread's own turns, so a machine that stood still is no hang.
fn watch(hang_s: u32) -> Arc<AtomicU64> {
    const TURNS_A_SECOND: u32 = 10;
    let tried = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&tried);
    std::thread::spawn(move || {
        let (mut last, mut turns) = (0, 0);
        while turns < hang_s * TURNS_A_SECOND {
            pause(Duration::from_secs(1) / TURNS_A_SECOND);
            let tried = seen.load(Ordering::Relaxed);
            turns = if tried == last { turns + 1 } else { 0 };
            last = tried;
        }
        eprintln!("no end within {hang_s} s");
        std::process::exit(1);
    });
    tried
}

/// The most memory that was resident since that was last reset.
fn resident_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    number.unwrap().trim().parse().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long an input takes is measured"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "another thread is at work meanwhile"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
