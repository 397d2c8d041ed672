//! Nights on every core: who plays which, and what came of all.
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::Notify;

use super::tally::Tally;
use crate::sim::night::{Stage, night};

/// Nights that are being played.
pub(super) struct Campaign {
    common: Arc<Common>,
    players: Vec<JoinHandle<Tally>>,
}

const NONE: u64 = u64::MAX;

/// What the players share.
struct Common {
    stage: Stage,
    next: AtomicU64,
    first: u64,
    nights: u64,
    played: AtomicU64,
    is_stopped: AtomicBool,
    /// The lowest seed of a night in which the simulator itself failed; [`NONE`] where none did.
    failed: AtomicU64,
    is_done: Notify,
}

impl Campaign {
    pub(super) fn start(stage: &Stage, seeds: RangeInclusive<u64>) -> Campaign {
        let common = Arc::new(Common {
            stage: stage.clone(),
            next: AtomicU64::new(0),
            first: *seeds.start(),
            nights: seeds.end() - seeds.start() + 1,
            played: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            failed: AtomicU64::new(NONE),
            is_done: Notify::new(),
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let player = |_| {
            let common = Arc::clone(&common);
            std::thread::spawn(move || common.plays())
        };
        let players = (0..cores).map(player).collect();
        Campaign { common, players }
    }

    /// How many nights are over.
    pub(super) fn count(&self) -> u64 {
        self.common.played.load(Ordering::Relaxed)
    }

    /// Ends when no night is left to be played.
    pub(super) async fn all_played(&mut self) {
        self.common.is_done.notified().await;
    }

    /// No further night begins.
    pub(super) fn stop(&self) {
        self.common.is_stopped.store(true, Ordering::Relaxed);
    }

    /// What came of all nights, whoever played them.
    ///
    /// # Errors
    /// The seed of a night in which the simulator itself failed.
    pub(super) fn joined(self) -> Result<Tally, u64> {
        let mut tally = Tally::default();
        for player in self.players {
            // A player does not panic: it catches what its nights do.
            tally.add(player.join().unwrap_or_default());
        }
        match self.common.failed.load(Ordering::Relaxed) {
            NONE => Ok(tally),
            seed => Err(seed),
        }
    }
}

impl Common {
    fn plays(&self) -> Tally {
        let mut tally = Tally::default();
        while let Some(seed) = self.next_seed() {
            let played = catch_unwind(AssertUnwindSafe(|| night(&self.stage, seed)));
            match played {
                Ok(report) => tally.count(report),
                Err(_) => self.failed_at(seed),
            }
            if self.played.fetch_add(1, Ordering::Relaxed) + 1 == self.nights {
                self.is_done.notify_one();
            }
        }
        tally
    }

    fn next_seed(&self) -> Option<u64> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return None;
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        (at < self.nights).then(|| self.first.saturating_add(at))
    }

    /// The rest tells nothing more; whoever waits is told at once.
    fn failed_at(&self, seed: u64) {
        self.failed.fetch_min(seed, Ordering::Relaxed);
        self.is_stopped.store(true, Ordering::Relaxed);
        self.is_done.notify_one();
    }
}
