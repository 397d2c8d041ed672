//! How a rotation goes, as data: order, waits, policies.
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::cron::Cron;
use super::id::{PlaybookName, SiteName};

/// A playbook, every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    pub name: PlaybookName,
    pub description: String,
    /// `None`: every site, by channel in the fleet's order, then by name.
    pub sites: Option<Vec<SiteName>>,
    /// The most sites out of service at once.
    pub max_unavailable: u32,
    /// What the visit does to containers; a drill withdraws and restores only.
    pub recreate: Recreate,
    pub schedule: Option<Schedule>,
    pub drain: Drain,
    pub verify: Verify,
    pub soak: Soak,
    pub failure: Failure,
}

impl Playbook {
    /// In whose time its days and hours are: that of its schedule, else UTC.
    pub fn zone(&self) -> TimeZone {
        let schedule = self.schedule.as_ref();
        schedule.map_or(TimeZone::UTC, |schedule| schedule.cron.zone().clone())
    }
}

/// When a playbook runs by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub cron: Cron,
    /// No visit starts that cannot end by then (local time of day).
    pub finish_by: Option<jiff::civil::Time>,
    /// A run that was missed is made up for within this time.
    pub catch_up: Duration,
    /// So long before a run everything is asked that can be asked.
    pub rehearse: Option<Duration>,
}

impl Schedule {
    /// When the run that is planned for then must have ended: the next such time of day.
    pub fn finish_by(&self, planned: Timestamp) -> Option<Timestamp> {
        let time = self.finish_by?;
        let zone = self.cron.zone();
        let today = zone.to_datetime(planned).date();
        let on = |day: Date| {
            let at = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
            Some(at.timestamp()).filter(|at| *at > planned)
        };
        on(today).or_else(|| on(today.tomorrow().ok()?))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Drain {
    pub at_least: Duration,
    pub at_most: Duration,
    pub quiet: Quiet,
    pub then: StillBusy,
}

/// When traffic counts as gone: fewer packets than the larger of both bounds, for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quiet {
    /// Packets a second.
    pub below: f64,
    /// Share (0 to 1) of the minute before the withdrawal.
    pub share: f64,
    /// For how long in a row.
    pub for_at_least: Duration,
}

/// What happens to a site that is still busy at the end of its drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillBusy {
    PutBack,
    Proceed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recreate {
    /// `false`: a drill.
    pub containers: bool,
    pub volumes: Volumes,
    pub anonymous: Anonymous,
    pub strays: Strays,
    pub before: Option<Before>,
    /// How much of each container's log is kept as evidence, in bytes.
    pub logs: u64,
}

/// What happens to named volumes that are not external.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    Keep,
    Wipe,
}

/// What happens to volumes without a name that hold data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    Refuse,
    Discard,
}

/// What happens to containers of our project label, but of no declared service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strays {
    Report,
    Remove,
}

/// A command that runs at the coordinator before anything of a site is stopped; `{site}` is its
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub command: Vec<String>,
    pub within: Duration,
}

/// What a rebuilt site has to show before it goes back in, beside what it always has to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    /// Its probes go on passing for so long before users come, where its images are new there.
    pub for_at_least: Duration,
    /// It waits, out of DNS, for a person who tries it by hand.
    pub hold: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Soak {
    pub for_at_least: Duration,
    /// Traffic must be seen again in this time.
    pub traffic_within: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub preflight: Preflight,
    pub then: FailureThen,
}

/// What a failure in *ready* does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preflight {
    Skip,
    Halt,
}

/// What follows when the new containers of a site failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureThen {
    /// The site stays out.
    Quarantine,
    /// It is made again from the digests that passed there last.
    LastGood,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_must_have_ended_at_the_next_such_time_of_day() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let by = |time: &str, planned: &str| {
            let schedule = Schedule {
                cron: Cron::parse("0 3 * * *", berlin.clone()).unwrap(),
                finish_by: Some(time.parse().unwrap()),
                catch_up: Duration::ZERO,
                rehearse: None,
            };
            schedule
                .finish_by(planned.parse().unwrap())
                .unwrap()
                .to_string()
        };
        let late = "2026-11-21T22:30:00Z";
        assert_eq!(by("06:00", "2026-11-21T02:00:00Z"), "2026-11-21T05:00:00Z");
        assert_eq!(by("06:00", late), "2026-11-22T05:00:00Z");
        assert_eq!(by("23:45", late), "2026-11-21T22:45:00Z");
        // Between them the clocks go back.
        assert_eq!(by("06:00", "2026-10-24T22:00:00Z"), "2026-10-25T05:00:00Z");
    }
}
