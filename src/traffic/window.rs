//! From packet counters to rates, and from rates to *quiet* and *back*. Pure: every sample carries
//! its time.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::id::ContainerId;
use crate::model::playbook::Quiet;
use crate::model::time::Mono;

/// Packets received and sent by each published container since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    pub containers: BTreeMap<ContainerId, (u64, u64)>,
}

/// Two samples further apart than this are not connected: what lay between them is unknown.
const LARGEST_GAP: Duration = Duration::from_secs(5);

/// Rates are means over this long. A drained container still gets a scrape every few seconds and
/// a balancer's check every two: 4 packets a second on the mean, but 20 in one second and none in
/// the next.
const SMOOTHING: Duration = Duration::from_secs(5);

/// Traffic is back when it was seen for this long.
const BACK_FOR: Duration = Duration::from_secs(2);

/// The time before a withdrawal whose mean is the baseline, and how much of it must be known.
const BASELINE_OVER: Duration = Duration::from_secs(60);
const BASELINE_NEEDS: Duration = Duration::from_secs(30);

/// What is remembered: more than the longest `quiet.for` that a drain can have room for.
const KEPT: Duration = Duration::from_secs(3600);

/// The last hour of a site's traffic.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    last: Option<(Mono, Packets)>,
    /// Without holes: each begins where the one before it ended.
    intervals: VecDeque<Interval>,
    /// Packets a second before the withdrawal.
    baseline: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    from: Mono,
    to: Mono,
    /// `None`: not known.
    packets: Option<u64>,
}

impl Interval {
    fn lasted(&self) -> Duration {
        self.to.since(self.from)
    }
}

impl Window {
    /// Takes in one sample of all hosts. Missing one loses nothing, for counters go on counting;
    /// a sample that does not come later than the one before it is left out.
    pub(super) fn observe(&mut self, now: Mono, packets: Packets) {
        if let Some((before, earlier)) = &self.last {
            if now <= *before {
                return;
            }
            let is_connected = now.since(*before) <= LARGEST_GAP;
            self.intervals.push_back(Interval {
                from: *before,
                to: now,
                packets: is_connected.then(|| moved(earlier, &packets)).flatten(),
            });
        }
        self.last = Some((now, packets));
        while let Some(oldest) = self.intervals.front()
            && now.since(oldest.to) > KEPT
        {
            self.intervals.pop_front();
        }
    }

    /// Sets the baseline: the mean of the minute that ends now. Where less than half of it is
    /// known there is none, and only `quiet.below` counts.
    pub(super) fn mark_withdrawal(&mut self, now: Mono) {
        let is_later = |interval: &&Interval| interval.to > now;
        let in_minute = |interval: &&Interval| now.since(interval.from) <= BASELINE_OVER;
        let newest_first = self.intervals.iter().rev();
        let (mut packets, mut known) = (0, Duration::ZERO);
        for interval in newest_first.skip_while(is_later).take_while(in_minute) {
            if let Some(moved) = interval.packets {
                packets += moved;
                known += interval.lasted();
            }
        }
        self.baseline = (known >= BASELINE_NEEDS).then(|| per_second(packets, known));
    }

    /// Packets a second that [`mark_withdrawal`](Self::mark_withdrawal) found.
    pub(super) fn baseline(&self) -> Option<f64> {
        self.baseline
    }

    /// Packets a second, the mean of the last 5 s; `None`: not known.
    pub(super) fn rate(&self) -> Option<f64> {
        self.mean_before(self.intervals.len(), SMOOTHING)
    }

    /// The bound under which traffic is gone: the larger of `below` and the share of the baseline.
    pub(super) fn bound(&self, quiet: &Quiet) -> f64 {
        let share = self.baseline.map_or(0.0, |baseline| quiet.share * baseline);
        quiet.below.max(share)
    }

    /// The rate, if traffic was below the bound for `for_at_least` up to the newest sample, and
    /// samples were there all along. Below means: every mean over 5 s (over `for_at_least`, where
    /// that is shorter) that ends in or at the end of that time and lies within it.
    pub(super) fn is_quiet(&self, quiet: &Quiet) -> Option<f64> {
        let bound = self.bound(quiet);
        let smoothing = SMOOTHING.min(quiet.for_at_least);
        let (newest, begin) = self.begin_of(quiet.for_at_least)?;
        for end in begin + 1..=newest {
            match self.mean_between(begin, end, smoothing) {
                Mean::Unknown => return None,
                Mean::TooShort => {}
                Mean::Of(rate) if rate < bound => {}
                Mean::Of(_) => return None,
            }
        }
        self.mean_before(newest, smoothing)
    }

    /// The rate, if some 2 s in a row since `since` had at least `bound` packets a second.
    pub(super) fn is_back(&self, bound: f64, since: Mono) -> Option<f64> {
        let begin = self
            .intervals
            .partition_point(|interval| interval.from < since);
        (begin + 1..=self.intervals.len()).find_map(|end| {
            match self.mean_between(begin, end, BACK_FOR) {
                Mean::Of(rate) if rate >= bound => Some(rate),
                Mean::Of(_) | Mean::TooShort | Mean::Unknown => None,
            }
        })
    }

    /// The intervals that make up the last `lasting`: one past the last, and the first.
    fn begin_of(&self, lasting: Duration) -> Option<(usize, usize)> {
        let newest = self.intervals.len();
        let end = self.intervals.back()?.to;
        let covers = |interval: &Interval| end.since(interval.from) >= lasting;
        let begin = self.intervals.iter().rposition(covers)?;
        Some((newest, begin))
    }

    fn mean_before(&self, end: usize, lasting: Duration) -> Option<f64> {
        match self.mean_between(0, end, lasting) {
            Mean::Of(rate) => Some(rate),
            Mean::TooShort | Mean::Unknown => None,
        }
    }

    /// The mean of the last intervals before `end`, none of them before `begin`, that together
    /// last `lasting` or longer.
    fn mean_between(&self, begin: usize, end: usize, lasting: Duration) -> Mean {
        let (mut packets, mut known) = (0, Duration::ZERO);
        for interval in self.intervals.range(begin..end).rev() {
            let Some(moved) = interval.packets else {
                return Mean::Unknown;
            };
            packets += moved;
            known += interval.lasted();
            if known >= lasting {
                return Mean::Of(per_second(packets, known));
            }
        }
        Mean::TooShort
    }
}

enum Mean {
    Of(f64),
    /// There is less than asked for.
    TooShort,
    /// Part of it was not measured.
    Unknown,
}

/// Packets between two samples: the larger of both directions, so that what only receives and what
/// only sends both count, and ordinary traffic is not counted twice. `None` where a container
/// vanished or its counters began anew: what it moved at last was never read. A container that
/// appeared started in between; all it moved counts.
fn moved(earlier: &Packets, later: &Packets) -> Option<u64> {
    let is_there = |id: &ContainerId| later.containers.contains_key(id);
    if !earlier.containers.keys().all(is_there) {
        return None;
    }
    let (mut received, mut sent) = (0_u64, 0_u64);
    for (id, (rx, tx)) in &later.containers {
        let (rx_before, tx_before) = earlier.containers.get(id).copied().unwrap_or_default();
        received = received.saturating_add(rx.checked_sub(rx_before)?);
        sent = sent.saturating_add(tx.checked_sub(tx_before)?);
    }
    Some(received.max(sent))
}

fn per_second(packets: u64, lasting: Duration) -> f64 {
    packets as f64 / lasting.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUIET: Quiet = Quiet {
        below: 10.0,
        share: 0.05,
        for_at_least: Duration::from_secs(10),
    };

    #[test]
    fn traffic_is_quiet_once_it_was_low_for_long_enough() {
        let mut site = Site::default();
        site.run(20, 500);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        site.run(9, 4);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        site.run(1, 4);
        assert_eq!(site.window.is_quiet(&QUIET), Some(4.0));
    }

    #[test]
    fn checks_and_scrapes_that_come_in_bursts_are_no_traffic() {
        let mut site = Site::default();
        for _ in 0..4 {
            site.run(1, 20);
            site.run(4, 0);
        }
        assert_eq!(site.window.is_quiet(&QUIET), Some(4.0));
    }

    #[test]
    fn a_burst_that_is_more_than_noise_starts_the_wait_anew() {
        let mut site = Site::default();
        site.run(9, 0);
        site.run(1, 60);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        site.run(9, 0);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        site.run(1, 0);
        assert_eq!(site.window.is_quiet(&QUIET), Some(0.0));
    }

    #[test]
    fn a_share_of_the_minute_before_the_withdrawal_counts_where_it_is_more() {
        let mut site = Site::default();
        site.run(90, 1000);
        site.mark_withdrawal();
        site.run(10, 49);
        assert_eq!(site.window.baseline(), Some(1000.0));
        assert_eq!(site.window.is_quiet(&QUIET), Some(49.0));
        site.run(10, 50);
        assert_eq!(site.window.is_quiet(&QUIET), None);
    }

    #[test]
    fn a_baseline_that_is_mostly_unknown_is_none() {
        let mut site = Site::default();
        site.run(29, 1000);
        site.mark_withdrawal();
        assert_eq!(site.window.baseline(), None);
        site.run(10, 49);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        assert!(site.window.bound(&QUIET) < 10.1);
    }

    #[test]
    fn a_gap_is_unknown_and_unknown_is_never_quiet() {
        let mut site = Site::default();
        site.run(15, 0);
        site.now = site.now.plus(Duration::from_millis(5_001));
        site.run(1, 0);
        assert_eq!(site.window.is_quiet(&QUIET), None);
        assert_eq!(site.window.rate(), None);
        site.run(8, 0);
        assert_eq!(site.window.is_quiet(&QUIET), None);
    }

    #[test]
    fn samples_that_were_missed_are_made_up_for_by_the_next() {
        let mut site = Site::default();
        site.run(10, 0);
        site.received += 300;
        site.now = site.now.plus(Duration::from_secs(3));
        site.run(1, 0);
        assert_eq!(site.window.rate(), Some(60.0));
        assert_eq!(site.window.is_quiet(&QUIET), None);
    }

    #[test]
    fn a_container_that_goes_or_restarts_leaves_unknown_behind() {
        let two = packets(&[("a", 100, 100), ("b", 100, 100)]);
        let gone = packets(&[("a", 100, 100)]);
        let anew = packets(&[("a", 3, 100), ("b", 100, 100)]);
        assert_eq!(moved(&two, &gone), None);
        assert_eq!(moved(&two, &anew), None);
        let came = packets(&[("a", 101, 100), ("b", 100, 100), ("c", 7, 9)]);
        assert_eq!(moved(&two, &came), Some(9));
    }

    #[test]
    fn traffic_in_one_direction_only_is_traffic() {
        let before = packets(&[("a", 0, 0)]);
        assert_eq!(moved(&before, &packets(&[("a", 0, 500)])), Some(500));
        assert_eq!(moved(&before, &packets(&[("a", 500, 0)])), Some(500));
        assert_eq!(moved(&before, &packets(&[("a", 500, 400)])), Some(500));
    }

    #[test]
    fn traffic_is_back_after_two_seconds_of_it() {
        let mut site = Site::default();
        site.run(60, 1000);
        site.mark_withdrawal();
        site.run(20, 0);
        let restored = site.now;
        let bound = site.window.bound(&QUIET);
        assert_eq!(site.window.is_back(bound, restored), None);
        site.run(1, 60);
        assert_eq!(site.window.is_back(bound, restored), None);
        site.run(1, 60);
        assert_eq!(site.window.is_back(bound, restored), Some(60.0));
    }

    #[test]
    fn traffic_of_before_is_not_back() {
        let mut site = Site::default();
        site.run(60, 1000);
        assert_eq!(site.window.is_back(10.0, site.now), None);
    }

    proptest! {
        /// Whatever containers do, a site with traffic all along is never found quiet.
        #[test]
        fn a_busy_site_is_never_quiet(
            seconds in prop::collection::vec((1_u64..7_000, 0_u8..8), 1..60),
        ) {
            let mut window = Window::default();
            let (mut now, mut received, mut id) = (Mono(0), 0_u64, 0_u32);
            for (millis, happens) in seconds {
                now = now.plus(Duration::from_millis(millis));
                received += 2 + millis * 60 / 1000;
                match happens {
                    // Replaced, or restarted: half of what came since went to the old one.
                    0 => (id, received) = (id + 1, received / 2),
                    1 => received /= 2,
                    _ => {}
                }
                window.observe(now, packets(&[(&format!("c{id}"), received, 0)]));
                prop_assert_eq!(window.is_quiet(&QUIET), None);
            }
        }

        /// A site without any traffic is found quiet after `for` and one interval, and no sooner.
        #[test]
        fn an_idle_site_is_quiet_in_time(steps in prop::collection::vec(1_u64..5_000, 1..60)) {
            let mut window = Window::default();
            let (mut now, mut started) = (Mono(0), None);
            for millis in steps {
                now = now.plus(Duration::from_millis(millis));
                let since = *started.get_or_insert(now);
                window.observe(now, packets(&[("a", 7, 7)]));
                let is_due = now.since(since) >= QUIET.for_at_least;
                prop_assert_eq!(window.is_quiet(&QUIET).is_some(), is_due);
            }
        }
    }

    /// One container, sampled every second.
    #[derive(Default)]
    struct Site {
        window: Window,
        now: Mono,
        received: u64,
        has_started: bool,
    }

    impl Site {
        fn run(&mut self, seconds: u32, packets_a_second: u64) {
            if !self.has_started {
                self.has_started = true;
                self.observe();
            }
            for _ in 0..seconds {
                self.now = self.now.plus(Duration::from_secs(1));
                self.received += packets_a_second;
                self.observe();
            }
        }

        fn observe(&mut self) {
            self.window
                .observe(self.now, packets(&[("a", self.received, 0)]));
        }

        fn mark_withdrawal(&mut self) {
            self.window.mark_withdrawal(self.now);
        }
    }

    fn packets(containers: &[(&str, u64, u64)]) -> Packets {
        Packets {
            containers: containers
                .iter()
                .map(|(id, rx, tx)| (id.parse().unwrap(), (*rx, *tx)))
                .collect(),
        }
    }
}
