//! Which runs come next. Nothing here reads a clock.
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::fleet::Freeze;
use crate::model::id::PlaybookName;
use crate::model::playbook::{Playbook, Schedule};

/// One run of a playbook, and the instant it is planned for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub planned: Timestamp,
    pub playbook: PlaybookName,
}

/// Every playbook with a schedule, and the days on which none runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timetable {
    schedules: BTreeMap<PlaybookName, Schedule>,
    freezes: Vec<Freeze>,
}

impl Timetable {
    pub fn of(playbooks: &BTreeMap<PlaybookName, Playbook>, freezes: &[Freeze]) -> Timetable {
        let scheduled = playbooks.iter().filter_map(|(name, playbook)| {
            let schedule = playbook.schedule.clone()?;
            Some((name.clone(), schedule))
        });
        Timetable {
            schedules: scheduled.collect(),
            freezes: freezes.to_vec(),
        }
    }

    /// The freeze that holds on the day, in the schedule's own time, of a run.
    pub fn freeze(&self, schedule: &Schedule, planned: Timestamp) -> Option<&Freeze> {
        let day = schedule.cron.zone().to_datetime(planned).date();
        self.freezes.iter().find(|freeze| freeze.holds(day))
    }

    /// The next `count` runs after `after`, in order, frozen ones too.
    pub fn next(&self, after: Timestamp, count: usize) -> Vec<Run> {
        let mut runs = Vec::new();
        for (playbook, schedule) in &self.schedules {
            let next = std::iter::successors(schedule.cron.next(after), |planned| {
                schedule.cron.next(*planned)
            });
            runs.extend(next.take(count).map(|planned| Run {
                planned,
                playbook: playbook.clone(),
            }));
        }
        runs.sort();
        runs.truncate(count);
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cron::Cron;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            cron: Cron::parse(cron, TimeZone::get(zone).unwrap()).unwrap(),
            finish_by: None,
        }
    }

    #[test]
    fn the_next_runs_of_all_playbooks_are_told_in_order() {
        let nightly = schedule("0 3 * * *", "Europe/Berlin");
        let weekly = schedule("30 2 * * SUN", "UTC");
        let table = Timetable {
            schedules: [
                ("nightly".parse().unwrap(), nightly),
                ("drill".parse().unwrap(), weekly),
            ]
            .into(),
            freezes: Vec::new(),
        };
        let runs = table.next(at("2026-10-23T12:00:00Z"), 4);
        let told = runs
            .iter()
            .map(|run| format!("{} {}", run.planned, run.playbook));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "2026-10-24T01:00:00Z nightly",
                "2026-10-25T02:00:00Z nightly",
                "2026-10-25T02:30:00Z drill",
                "2026-10-26T02:00:00Z nightly"
            ]
        );
    }

    #[test]
    fn a_freeze_holds_on_its_days_in_the_time_of_the_schedule() {
        let table = Timetable {
            freezes: vec![Freeze {
                from: date(2026, 12, 24),
                until: date(2026, 12, 26),
                reason: "holidays".to_owned(),
            }],
            ..Timetable::default()
        };
        let nightly = schedule("30 0 * * *", "Europe/Berlin");
        let is_frozen = |planned: &str| table.freeze(&nightly, at(planned)).is_some();
        assert!(!is_frozen("2026-12-22T23:30:00Z"));
        assert!(
            is_frozen("2026-12-23T23:30:00Z"),
            "it is the 24th in Berlin"
        );
        assert!(is_frozen("2026-12-25T23:30:00Z"));
        assert!(!is_frozen("2026-12-26T23:30:00Z"));
    }
}
