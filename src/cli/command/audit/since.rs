//! From when on: a time, or how long ago.
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    At(Timestamp),
    /// On the clocks here.
    Local(DateTime),
    Ago(Span),
}

impl Since {
    /// Where clocks cannot tell, the earlier.
    pub(super) fn before(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let at = match self {
            Since::At(at) => Some(at),
            Since::Local(local) => {
                let ambiguous = zone.to_ambiguous_timestamp(local);
                ambiguous.earlier().ok()
            }
            Since::Ago(span) => {
                let then = now.to_zoned(zone.clone()).checked_sub(span).ok();
                then.map(|then| then.timestamp())
            }
        };
        // So long ago that there is no such time.
        at.unwrap_or(Timestamp::MIN)
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        if let Ok(at) = text.parse() {
            return Ok(Since::At(at));
        }
        let day = text.parse::<Date>().map(|day| day.at(0, 0, 0, 0));
        // A time of day alone would parse as a span, and a date alone as a time.
        if let Ok(local) = text.parse::<DateTime>().or(day) {
            return Ok(Since::Local(local));
        }
        match text.parse::<Span>() {
            Ok(span) if span.is_positive() => Ok(Since::Ago(span)),
            Ok(_) | Err(_) => Err("use 36h, 2d, 2026-11-01, or 2026-11-01T03:00".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_of_this_machine_unless_it_says_otherwise_or_how_long_ago() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-11-22T02:00:00Z".parse().unwrap();
        let before = |text: &str| {
            text.parse::<Since>()
                .unwrap()
                .before(now, &berlin)
                .to_string()
        };
        assert_eq!(before("2026-11-01T03:00:00Z"), "2026-11-01T03:00:00Z");
        assert_eq!(before("2026-11-01T03:00"), "2026-11-01T02:00:00Z");
        assert_eq!(before("2026-07-01"), "2026-06-30T22:00:00Z");
        assert_eq!(before("36h"), "2026-11-20T14:00:00Z");
        // Over the change of clocks: a day is a day.
        assert_eq!(before("30d"), "2026-10-23T01:00:00Z");
        // Clocks show it twice.
        assert_eq!(before("2026-10-25T02:30"), "2026-10-25T00:30:00Z");
        assert_eq!(before("15000 years"), Timestamp::MIN.to_string());
        for wrong in ["", "soon", "-2d", "0h", "03:00", "2026-13-01"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
