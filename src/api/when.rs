//! Times as people read them: local with zone, and how long ago.
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

pub(crate) use crate::model::time::span;

/// How times are shown.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(crate) zone: TimeZone,
}

impl When {
    /// The zone of this machine.
    pub(crate) fn local() -> When {
        When {
            zone: TimeZone::system(),
        }
    }

    /// For those who read it elsewhere.
    pub(crate) fn utc() -> When {
        When {
            zone: TimeZone::UTC,
        }
    }

    /// `03:12:45 CET`, with the date where it is another day's.
    pub(crate) fn at(&self, at: Timestamp, now: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        let is_today = at.date() == now.to_zoned(self.zone.clone()).date();
        let format = if is_today {
            "%H:%M:%S %Z"
        } else {
            "%Y-%m-%d %H:%M:%S %Z"
        };
        at.strftime(format).to_string()
    }

    /// The first instant after `now` at which clocks here show `time`.
    pub(crate) fn next(&self, time: Time, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        let days = [Some(today), today.tomorrow().ok()].into_iter().flatten();
        let at = |day: Date| day.to_datetime(time).to_zoned(self.zone.clone()).ok();
        days.filter_map(at)
            .map(|at| at.timestamp())
            .find(|at| *at > now)
    }

    /// `03:12:45 CET (4m 10s ago)`.
    pub(crate) fn ago(&self, at: Timestamp, now: Timestamp) -> String {
        format!("{} ({} ago)", self.at(at, now), span(between(at, now)))
    }

    /// `03:12:45 CET (in 4m 10s)`.
    pub(crate) fn ahead(&self, at: Timestamp, now: Timestamp) -> String {
        format!("{} (in {})", self.at(at, now), span(between(now, at)))
    }
}

/// From the earlier to the later; zero if they are the other way round.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        let texts = [0, 45, 60, 250, 3600, 10_920, 86_400, 187_200]
            .map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(
            texts,
            ["0s", "45s", "1m", "4m 10s", "1h", "3h 2m", "1d", "2d 4h"]
        );
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let berlin = When {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        let now: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let next = |time: &str| berlin.next(time.parse().unwrap(), now).unwrap().to_string();
        assert_eq!(next("04:30"), "2026-11-22T03:30:00Z");
        assert_eq!(next("03:00"), "2026-11-23T02:00:00Z");
    }

    #[test]
    fn times_are_local_with_zone_and_another_day_shows_its_date() {
        let berlin = When {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        let now: Timestamp = "2026-07-02T01:00:00Z".parse().unwrap();
        let early: Timestamp = "2026-07-02T00:55:50Z".parse().unwrap();
        assert_eq!(berlin.ago(early, now), "02:55:50 CEST (4m 10s ago)");
        let yesterday: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        assert_eq!(berlin.at(yesterday, now), "2026-07-01 14:00:00 CEST");
        assert_eq!(berlin.ahead(now, early), "03:00:00 CEST (in 4m 10s)");
    }
}
