//! The one place that reads clocks; everything else takes [`Now`] as an argument.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the others' time comes from"
)]
use std::time::{Duration, Instant};

use crate::model::time::{Mono, Now, millis};

/// The process's clocks. Made once, at the start: monotonic time counts from there.
///
/// On Linux the monotonic clock stands still while the machine sleeps. Waits then last longer
/// than asked, never shorter.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// What time it is on both clocks.
    pub fn now(&self) -> Now {
        Now {
            mono: Mono(millis(self.start.elapsed())),
            wall: jiff::Timestamp::now(),
        }
    }

    /// The same point for a timer of the runtime; `None` if it lies beyond what the clock can tell.
    pub fn instant(&self, at: Mono) -> Option<Instant> {
        self.start.checked_add(Duration::from_millis(at.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_counts_milliseconds_from_the_start() {
        let before = Instant::now();
        let clock = Clock::start();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let Mono(elapsed) = clock.now().mono;
        let at_most = millis(before.elapsed());
        assert!((20..=at_most).contains(&elapsed), "{elapsed} ms");
    }

    #[test]
    fn a_timer_set_to_now_is_due_and_a_later_one_is_as_much_later() {
        let clock = Clock::start();
        let now = clock.now().mono;
        let due = clock.instant(now).unwrap();
        assert!(due <= Instant::now());
        let later = clock.instant(now.plus(Duration::from_secs(60))).unwrap();
        assert_eq!(later - due, Duration::from_secs(60));
    }

    #[test]
    fn a_time_beyond_the_clock_is_no_timer() {
        let clock = Clock::start();
        // Some platforms can tell such a time; none may panic.
        if let Some(instant) = clock.instant(Mono(u64::MAX)) {
            assert!(instant > Instant::now());
        }
    }
}
