//! Quiet hours: the hours of little traffic of a site, in which its visits begin.
use std::fmt;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// Hours of the day in a site's own time, `02:00-05:00`; `22:00-02:00` ends on the next day.
///
/// There is one [`Window`] of them a local day. On the days on which clocks are changed it keeps to
/// what [`Cron`](super::cron::Cron) keeps to: a time that occurs twice is the first one, and one
/// that does not occur is told with the offset before the gap. Hours of which the gap leaves
/// nothing last as long as they are written, from where they would have begun.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    from: Time,
    until: Time,
    /// `None`: that of the playbook's schedule, else UTC.
    zone: Option<TimeZone>,
}

/// Why a text says no hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    #[error("is not of the form HH:MM-HH:MM")]
    Form,
    #[error("begins and ends at the same time")]
    Empty,
}

/// The quiet hours of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub opens: Timestamp,
    /// From here on no visit begins.
    pub closes: Timestamp,
    /// As they are written: `02:00-05:00`.
    pub hours: String,
    /// In whose time, by its IANA name.
    pub zone: String,
}

impl QuietHours {
    /// Reads `02:00-05:00`; the end of the day may be written `24:00`.
    ///
    /// # Errors
    /// [`HoursError`]: a fragment after the text.
    pub fn parse(text: &str, zone: Option<TimeZone>) -> Result<QuietHours, HoursError> {
        let (from, until) = text.split_once('-').ok_or(HoursError::Form)?;
        let until = match until.trim() {
            "24:00" => "00:00",
            until => until,
        };
        let (from, until) = (time_of_day(from.trim())?, time_of_day(until)?);
        if from == until {
            return Err(HoursError::Empty);
        }
        Ok(QuietHours { from, until, zone })
    }

    /// In whose time they are, where they say so themselves.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// How long they last on a day on which no clock is changed.
    pub fn length(&self) -> SignedDuration {
        let length = self.from.duration_until(self.until);
        if length.is_positive() {
            length
        } else {
            length + SignedDuration::from_hours(24)
        }
    }

    /// The window that is open at `now`, or else the one that opens next. `None`: the calendar ends
    /// before.
    pub fn window(&self, default: &TimeZone, now: Timestamp) -> Option<Window> {
        let zone = self.zone.as_ref().unwrap_or(default);
        let today = zone.to_datetime(now).date();
        // One that passes midnight began yesterday; and there are zones that left a day out.
        let first = today.checked_sub(2.days()).ok()?;
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take(6);
        let mut windows = days.filter_map(|day| self.on(day, zone));
        windows.find(|window| window.closes > now)
    }

    /// Those of one local day; none on a day that the zone leaves out.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<Window> {
        let at =
            |day: Date, time: Time| Some(zone.to_zoned(day.to_datetime(time)).ok()?.timestamp());
        let exists = zone.to_datetime(at(day, Time::midnight())?).date() == day;
        let last = if self.until > self.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let opens = at(day, self.from).filter(|_| exists)?;
        let closes = at(last, self.until)?;
        let as_long = opens.checked_add(self.length()).ok()?;
        Some(Window {
            opens,
            closes: if closes > opens { closes } else { as_long },
            hours: self.to_string(),
            zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        })
    }
}

impl Window {
    /// Whether a visit may begin at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens <= now && now < self.closes
    }
}

/// `02:00-05:00`.
impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |time: Time| time.strftime("%H:%M").to_string();
        write!(f, "{}-{}", of(self.from), of(self.until))
    }
}

/// `02:00-05:00 Asia/Singapore`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hours, self.zone)
    }
}

fn time_of_day(text: &str) -> Result<Time, HoursError> {
    let is_form = text.len() == 5 && text.as_bytes()[2] == b':';
    let time = text.parse().ok().filter(|_| is_form);
    time.ok_or(HoursError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use std::collections::BTreeSet;

    fn hours(text: &str, zone: &str) -> QuietHours {
        QuietHours::parse(text, Some(TimeZone::get(zone).unwrap())).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// When the window of a moment opens and closes, as it is read off a clock there.
    fn seen(text: &str, zone: &str, now: &str) -> [String; 2] {
        let window = hours(text, zone).window(&TimeZone::UTC, at(now)).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        [window.opens, window.closes].map(|at| {
            let local = at.to_zoned(zone.clone());
            local.strftime("%m-%d %H:%M %:z").to_string()
        })
    }

    #[test]
    fn the_window_is_the_open_one_or_the_next() {
        let of = |now: &str| seen("02:00-05:00", "Asia/Singapore", now);
        let tomorrow = ["11-22 02:00 +08:00", "11-22 05:00 +08:00"];
        assert_eq!(of("2026-11-21T12:00:00Z"), tomorrow);
        assert_eq!(of("2026-11-21T18:00:00Z"), tomorrow, "it opens");
        assert_eq!(of("2026-11-21T20:59:59Z"), tomorrow, "its last second");
        assert_eq!(of("2026-11-21T21:00:00Z")[0], "11-23 02:00 +08:00");
        let open = hours("02:00-05:00", "UTC").window(&TimeZone::UTC, at("2026-11-21T02:00:00Z"));
        let open = open.unwrap();
        assert!(open.is_open(at("2026-11-21T02:00:00Z")));
        assert!(!open.is_open(at("2026-11-21T05:00:00Z")));
        assert_eq!(open.to_string(), "02:00-05:00 UTC");
    }

    #[test]
    fn hours_may_pass_midnight() {
        let of = |now: &str| seen("22:00-02:00", "America/New_York", now);
        let night = ["11-20 22:00 -05:00", "11-21 02:00 -05:00"];
        assert_eq!(of("2026-11-21T06:59:00Z"), night);
        assert_eq!(of("2026-11-20T12:00:00Z"), night);
        assert_eq!(of("2026-11-21T07:00:00Z")[0], "11-21 22:00 -05:00");
        let whole = seen("20:00-24:00", "UTC", "2026-11-21T23:00:00Z");
        assert_eq!(whole, ["11-21 20:00 +00:00", "11-22 00:00 +00:00"]);
    }

    #[test]
    fn without_a_zone_of_its_own_it_has_the_schedules() {
        let hours = QuietHours::parse("02:00-05:00", None).unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let window = hours.window(&berlin, at("2026-11-21T12:00:00Z")).unwrap();
        assert_eq!(window.opens, at("2026-11-22T01:00:00Z"));
        assert_eq!(window.zone, "Europe/Berlin");
    }

    #[test]
    fn clocks_that_change_leave_one_window_a_day() {
        // Forward, from two to three.
        let spring = |text| seen(text, "Europe/Berlin", "2026-03-28T12:00:00Z");
        let of = |opens: &str, closes: &str| [opens.to_owned(), closes.to_owned()];
        let from_three = of("03-29 03:00 +02:00", "03-29 05:00 +02:00");
        assert_eq!(spring("02:00-05:00"), from_three);
        let whole = of("03-29 03:00 +02:00", "03-29 04:00 +02:00");
        assert_eq!(spring("02:00-03:00"), whole, "the hour that is left out");
        let late = of("03-29 03:30 +02:00", "03-29 04:15 +02:00");
        assert_eq!(spring("02:30-03:15"), late);
        // Back, from three to two.
        let autumn = |text| seen(text, "Europe/Berlin", "2026-10-24T12:00:00Z");
        let longer = of("10-25 01:00 +02:00", "10-25 05:00 +01:00");
        assert_eq!(autumn("01:00-05:00"), longer);
        let first = of("10-25 02:00 +02:00", "10-25 02:30 +02:00");
        assert_eq!(autumn("02:00-02:30"), first, "the first of two");
        let next = hours("02:00-02:30", "Europe/Berlin");
        let next = next.window(&TimeZone::UTC, at("2026-10-25T00:30:00Z"));
        assert_eq!(next.unwrap().opens, at("2026-10-26T01:00:00Z"));
        // A day that never was.
        let apia = seen("02:00-05:00", "Pacific/Apia", "2011-12-29T20:00:00Z");
        assert_eq!(apia, of("12-31 02:00 +14:00", "12-31 05:00 +14:00"));
    }

    #[test]
    fn every_zone_has_one_window_on_each_day_beside_a_change_of_its_clocks() {
        let all = ["00:00-00:30", "01:30-02:30", "02:00-03:00", "22:00-02:00"];
        let (mut seen, mut days) = (BTreeSet::new(), 0);
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).unwrap();
            let from = date(2010, 1, 1).to_zoned(zone.clone()).unwrap().timestamp();
            let changes: Vec<Timestamp> = zone
                .following(from)
                .take(70)
                .map(|change| change.timestamp())
                .collect();
            // Many names are of one zone.
            if !seen.insert(changes.clone()) {
                continue;
            }
            for change in changes {
                let around = change.to_zoned(zone.clone()).date();
                let (first, last) = (around - 2.days(), around + 2.days());
                let exists = |day: &Date| day.to_zoned(zone.clone()).unwrap().date() == *day;
                let on = first.series(1.day()).take_while(|day| *day <= last);
                let on: Vec<Date> = on.filter(exists).collect();
                for text in all {
                    let hours = QuietHours::parse(text, Some(zone.clone())).unwrap();
                    let windows: Vec<Window> =
                        on.iter().filter_map(|day| hours.on(*day, &zone)).collect();
                    assert_eq!(windows.len(), on.len(), "{text} in {}", name.as_str());
                    assert!(windows.iter().all(|window| window.opens < window.closes));
                    let apart = windows.is_sorted_by(|one, next| one.closes <= next.opens);
                    assert!(apart, "{text} in {}: {windows:?}", name.as_str());
                    days += windows.len();
                }
            }
        }
        assert!(days > 30_000, "{days}");
    }

    #[test]
    fn what_says_no_hours_is_refused() {
        let refused = |text| QuietHours::parse(text, None).unwrap_err();
        for text in [
            "02:00",
            "2-5",
            "02:00-25:00",
            "02:00–05:00",
            "02:00:00-05",
            "",
        ] {
            assert_eq!(refused(text), HoursError::Form, "{text}");
        }
        assert_eq!(refused("02:00-02:00"), HoursError::Empty);
        assert_eq!(refused("00:00-24:00"), HoursError::Empty);
        let length = |text| QuietHours::parse(text, None).unwrap().length();
        assert_eq!(length("22:00-02:00"), SignedDuration::from_hours(4));
        assert_eq!(length("02:00-05:00"), SignedDuration::from_hours(3));
    }
}
