//! When something happens again and again: a cron expression of five fields, in a time zone.
use std::fmt;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Minute, hour, day of month, month, day of week, as crontab(5) reads them, in local time.
///
/// On the days on which clocks are changed it keeps to RFC 5545, section 3.3.5: a time that occurs
/// twice is the first one, and one that does not occur is told with the offset before the gap
/// (02:30 becomes 03:30). So an expression for every day fires once on each local day. Where the
/// hour is `*`, it fires in both of the hours that occur twice.
#[derive(Clone)]
pub struct Cron {
    text: String,
    fields: croner::Cron,
    zone: TimeZone,
}

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("it does not have five fields")]
    Fields,
    #[error("{why}")]
    Field { why: String },
    #[error("it never fires")]
    Never,
}

/// No zone has ever moved its clocks by more: Samoa left out a day.
const WIDEST_SHIFT: SignedDuration = SignedDuration::from_hours(25);

/// Where the search for a first time begins. Whether an expression fires at all does not depend on
/// the day it is asked; a fixed one makes the same file good every day.
const SEARCH_FROM: DateTime = jiff::civil::datetime(2024, 1, 1, 0, 0, 0, 0);

impl Cron {
    /// # Errors
    /// [`CronError`]; an expression for a day that never comes is one.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Cron, CronError> {
        if text.split_whitespace().count() != 5 {
            return Err(CronError::Fields);
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let fields = parser.parse(text).map_err(|error| CronError::Field {
            why: error.to_string(),
        })?;
        let text = text.to_owned();
        let cron = Cron { text, fields, zone };
        cron.written_after(SEARCH_FROM).ok_or(CronError::Never)?;
        Ok(cron)
    }

    /// In whose time.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first time after `after`. `None`: the calendar ends before.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let local = |at: Timestamp| self.zone.to_datetime(at);
        let mut written = local(after).checked_sub(WIDEST_SHIFT).ok()?;
        let mut first: Option<Timestamp> = None;
        while let Some(next) = self.written_after(written) {
            written = next;
            let seen = |first| {
                written
                    .checked_sub(WIDEST_SHIFT)
                    .is_ok_and(|at| at > local(first))
            };
            if first.is_some_and(seen) {
                break;
            }
            let times = self.times_of(written).into_iter().flatten();
            let earliest = times.filter(|time| *time > after).min();
            first = first.into_iter().chain(earliest).min();
        }
        first
    }

    /// The next time as it is written, clocks not asked.
    fn written_after(&self, written: DateTime) -> Option<DateTime> {
        let written = written.to_zoned(TimeZone::UTC).ok()?;
        let next = self.fields.find_next_occurrence(&written, false).ok()?;
        Some(next.datetime())
    }

    /// When it is what is written. Nothing on a day that a zone leaves out.
    fn times_of(&self, written: DateTime) -> [Option<Timestamp>; 2] {
        let by = |rule: Disambiguation| {
            let at = self
                .zone
                .to_ambiguous_zoned(written)
                .disambiguate(rule)
                .ok()?;
            Some(at).filter(|at| at.date() == written.date())
        };
        let offset = self.zone.to_ambiguous_timestamp(written).offset();
        let (first, second) = if matches!(offset, AmbiguousOffset::Gap { .. }) {
            let last_before = || by(Disambiguation::Earlier);
            (by(Disambiguation::Later).or_else(last_before), None)
        } else {
            let again = self
                .is_hourly()
                .then(|| by(Disambiguation::Later))
                .flatten();
            (by(Disambiguation::Earlier), again)
        };
        [first, second].map(|at| at.map(|at| at.timestamp()))
    }

    fn is_hourly(&self) -> bool {
        let hour = self.text.split_whitespace().nth(1);
        hour.is_some_and(|hour| hour.starts_with('*'))
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Cron) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "Cron({:?} {zone})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;
    use jiff::civil::{Date, date};
    use std::collections::{BTreeMap, BTreeSet};

    fn cron(text: &str, zone: &str) -> Cron {
        Cron::parse(text, TimeZone::get(zone).unwrap()).unwrap()
    }

    /// Every time from the first moment of `from` to the last of `to`, as it is read off a clock.
    fn times(cron: &Cron, from: Date, to: Date) -> Vec<String> {
        let mut after = from.to_zoned(cron.zone.clone()).unwrap().timestamp() - 1.second();
        let mut times = Vec::new();
        while let Some(next) = cron.next(after) {
            assert!(next > after);
            let local = next.to_zoned(cron.zone.clone());
            if local.date() > to {
                break;
            }
            times.push(local.strftime("%m-%d %H:%M %:z").to_string());
            after = next;
        }
        times
    }

    #[test]
    fn clocks_that_change_neither_lose_a_night_nor_run_it_twice() {
        let nightly = cron("30 2 * * *", "Europe/Berlin");
        let spring = times(&nightly, date(2026, 3, 28), date(2026, 3, 30));
        assert_eq!(
            spring,
            [
                "03-28 02:30 +01:00",
                "03-29 03:30 +02:00",
                "03-30 02:30 +02:00"
            ]
        );
        let autumn = times(&nightly, date(2026, 10, 24), date(2026, 10, 26));
        assert_eq!(
            autumn,
            [
                "10-24 02:30 +02:00",
                "10-25 02:30 +02:00",
                "10-26 02:30 +01:00"
            ]
        );
        // The last hour of the day is left out.
        let late = cron("59 23 * * *", "America/Nuuk");
        let spring = times(&late, date(2026, 3, 27), date(2026, 3, 29));
        assert_eq!(
            spring,
            [
                "03-27 23:59 -02:00",
                "03-28 22:59 -02:00",
                "03-29 23:59 -01:00"
            ]
        );
        // A day that never was.
        let apia = cron("0 3 * * *", "Pacific/Apia");
        let gone = times(&apia, date(2011, 12, 29), date(2011, 12, 31));
        assert_eq!(gone, ["12-29 03:00 -10:00", "12-31 03:00 +14:00"]);
    }

    #[test]
    fn every_hour_is_every_hour_that_passes() {
        let hourly = cron("0 * * * *", "Europe/Berlin");
        assert_eq!(
            times(&hourly, date(2026, 3, 29), date(2026, 3, 29)).len(),
            23
        );
        assert_eq!(
            times(&hourly, date(2026, 10, 25), date(2026, 10, 25)).len(),
            25
        );
        let quarters = cron("*/15 * * * *", "Australia/Lord_Howe");
        let long = times(&quarters, date(2026, 4, 5), date(2026, 4, 5));
        assert_eq!(
            long.len(),
            98,
            "its clocks go back by half an hour: {long:?}"
        );
    }

    #[test]
    fn an_expression_for_every_day_fires_once_on_each_day_of_every_zone_for_thirty_years() {
        let expressions = ["0 0 * * *", "30 2 * * *", "0 3 * * *", "59 23 * * *"];
        let mut days = 0;
        let mut seen = BTreeSet::new();
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            // Many names are of one zone.
            let changes =
                zone.following(date(2010, 1, 1).to_zoned(zone.clone()).unwrap().timestamp());
            let changes = changes
                .take(70)
                .map(|change| (change.timestamp(), change.offset()));
            if !seen.insert(changes.collect::<Vec<_>>()) {
                continue;
            }
            let crons = expressions.map(|text| Cron::parse(text, zone.clone()).unwrap());
            let from = date(2010, 1, 1).to_zoned(zone.clone()).unwrap();
            let to = date(2040, 1, 1).to_zoned(zone.clone()).unwrap().timestamp();
            let changes = zone.following(from.timestamp());
            for change in changes.take_while(|change| change.timestamp() < to) {
                let around = change.timestamp().to_zoned(zone.clone()).date();
                let (from, to) = (around - 1.day(), around + 1.day());
                let exists = |day: &Date| day.to_zoned(zone.clone()).unwrap().date() == *day;
                let expected: Vec<Date> = from
                    .series(1.day())
                    .take_while(|day| *day <= to)
                    .filter(exists)
                    .collect();
                for cron in &crons {
                    let mut fired: BTreeMap<Date, u32> = BTreeMap::new();
                    let mut at = from.to_zoned(zone.clone()).unwrap().timestamp() - 1.second();
                    loop {
                        at = cron.next(at).unwrap();
                        let day = zone.to_datetime(at).date();
                        if day > to {
                            break;
                        }
                        *fired.entry(day).or_default() += 1;
                    }
                    let all = expected.iter().map(|day| (*day, 1)).collect();
                    assert_eq!(fired, all, "{cron} in {}", name.as_str());
                    days += expected.len();
                }
            }
        }
        println!("{days} days beside a change of the clocks");
        assert!(days > 30_000, "{days}");
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let refused = |text| Cron::parse(text, TimeZone::UTC).unwrap_err();
        assert_eq!(refused("0 0 3 * * *"), CronError::Fields);
        assert_eq!(refused("@daily"), CronError::Fields);
        assert_eq!(refused("30 2 31 2 *"), CronError::Never);
        assert!(matches!(refused("61 3 * * *"), CronError::Field { .. }));
    }
}
