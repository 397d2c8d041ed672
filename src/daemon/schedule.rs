//! What the clock asks for: which runs are due, which were missed, what comes next. Nothing here
//! reads a clock.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::model::fleet::Freeze;
use crate::model::id::{PlaybookName, RotationId};
use crate::model::playbook::{Playbook, Schedule};

/// One run of a playbook: it is named by the instant it was planned for, and exists once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub planned: Timestamp,
    pub playbook: PlaybookName,
}

impl Run {
    /// `nightly-20261121T020000Z`: the same on every machine and in every life of a process.
    pub fn rotation(&self) -> RotationId {
        let text = format!(
            "{}-{}Z",
            self.playbook,
            self.planned.strftime("%Y%m%dT%H%M%S")
        );
        text.parse()
            .expect("a playbook's name, digits and letters make a rotation id")
    }
}

/// What becomes of a run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Begins,
    /// It could not begin when it should have, and it is too late to make up for it.
    Missed {
        late: SignedDuration,
    },
    /// A later run of the same playbook takes its place.
    Overtaken {
        by: Timestamp,
    },
    Frozen {
        reason: String,
    },
}

/// A run that starts so late is on time: a process wakes up when it may.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);

/// Runs that were missed longer ago are not told one by one.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 31);

/// Every playbook that runs by itself, and the days on which none does.
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

    /// The playbooks that run by themselves.
    pub fn schedules(&self) -> &BTreeMap<PlaybookName, Schedule> {
        &self.schedules
    }

    /// Every run that was planned for a time after its playbook's last settled run, or after
    /// `known_since` where there is none, and not after `now`, in order, with what becomes of it.
    pub fn due(
        &self,
        settled: &BTreeMap<PlaybookName, Timestamp>,
        known_since: Timestamp,
        now: Timestamp,
    ) -> Vec<(Run, Verdict)> {
        let mut due = Vec::new();
        for (playbook, schedule) in &self.schedules {
            let settled = settled.get(playbook).copied().unwrap_or(known_since);
            let oldest = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
            let mut planned = schedule.cron.next(settled.max(oldest));
            while let Some(at) = planned.filter(|at| *at <= now) {
                planned = schedule.cron.next(at);
                let later = planned.filter(|later| *later <= now);
                let run = Run {
                    planned: at,
                    playbook: playbook.clone(),
                };
                due.push((run, self.verdict(schedule, at, later, now)));
            }
        }
        due.sort_by(|(one, _), (other, _)| one.cmp(other));
        due
    }

    fn verdict(
        &self,
        schedule: &Schedule,
        planned: Timestamp,
        later: Option<Timestamp>,
        now: Timestamp,
    ) -> Verdict {
        let late = now.duration_since(planned);
        let in_time = SignedDuration::try_from(schedule.catch_up).unwrap_or(SignedDuration::MAX);
        if let Some(freeze) = self.freeze(schedule, planned) {
            let reason = freeze.reason.clone();
            Verdict::Frozen { reason }
        } else if let Some(by) = later {
            Verdict::Overtaken { by }
        } else if late > in_time.max(ON_TIME) {
            Verdict::Missed { late }
        } else {
            Verdict::Begins
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
            let mut at = after;
            for _ in 0..count {
                let Some(planned) = schedule.cron.next(at) else {
                    break;
                };
                let playbook = playbook.clone();
                runs.push(Run { planned, playbook });
                at = planned;
            }
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
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn timetable(catch_up: Duration) -> Timetable {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let schedule = Schedule {
            cron: Cron::parse("0 3 * * *", berlin).unwrap(),
            finish_by: None,
            catch_up,
        };
        let holidays = Freeze {
            from: date(2026, 12, 24),
            until: date(2026, 12, 26),
            reason: "holidays".to_owned(),
        };
        Timetable {
            schedules: [("nightly".parse().unwrap(), schedule)].into(),
            freezes: vec![holidays],
        }
    }

    fn verdicts(table: &Timetable, settled: &str, now: &str) -> Vec<(String, Verdict)> {
        let settled = [("nightly".parse().unwrap(), at(settled))].into();
        let due = table.due(&settled, at(now), at(now));
        let told = |(run, verdict): (Run, Verdict)| (run.rotation().to_string(), verdict);
        due.into_iter().map(told).collect()
    }

    #[test]
    fn a_run_is_due_once_and_named_by_when_it_was_planned() {
        let table = timetable(Duration::ZERO);
        let of = |settled, now| verdicts(&table, settled, now);
        assert_eq!(of("2026-11-20T02:00:00Z", "2026-11-21T01:59:59Z"), []);
        let night = "nightly-20261121T020000Z".to_owned();
        let begins = [(night, Verdict::Begins)];
        assert_eq!(of("2026-11-20T02:00:00Z", "2026-11-21T02:00:00Z"), begins);
        assert_eq!(of("2026-11-20T02:00:00Z", "2026-11-21T02:00:59Z"), begins);
        assert_eq!(of("2026-11-21T02:00:00Z", "2026-11-21T02:00:59Z"), []);
    }

    #[test]
    fn a_missed_run_is_made_up_for_within_its_time_and_only_the_last_one() {
        let table = timetable(Duration::from_secs(7200));
        let of = |now| verdicts(&table, "2026-11-18T02:00:00Z", now);
        let overtaken = |by| Verdict::Overtaken { by: at(by) };
        let told: Vec<Verdict> = of("2026-11-21T03:30:00Z")
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(
            told,
            [
                overtaken("2026-11-20T02:00:00Z"),
                overtaken("2026-11-21T02:00:00Z"),
                Verdict::Begins
            ]
        );
        let late = of("2026-11-21T05:00:00Z").pop().unwrap().1;
        let missed = Verdict::Missed {
            late: SignedDuration::from_hours(3),
        };
        assert_eq!(late, missed);
    }

    #[test]
    fn nothing_begins_on_a_frozen_day_nor_for_what_was_before_it_was_known() {
        let table = timetable(Duration::from_secs(7200));
        let eve = verdicts(&table, "2026-12-23T02:00:00Z", "2026-12-24T02:00:10Z");
        let reason = "holidays".to_owned();
        assert_eq!(eve[0].1, Verdict::Frozen { reason });
        let after = verdicts(&table, "2026-12-26T02:00:00Z", "2026-12-27T02:00:10Z");
        assert_eq!(after[0].1, Verdict::Begins);
        let now = at("2026-11-21T02:30:00Z");
        assert_eq!(table.due(&BTreeMap::new(), now, now), []);
    }

    #[test]
    fn the_next_runs_are_told_in_order() {
        let table = timetable(Duration::ZERO);
        let runs = table.next(at("2026-10-23T12:00:00Z"), 3);
        let times: Vec<String> = runs.iter().map(|run| run.planned.to_string()).collect();
        let expected = [
            "2026-10-24T01:00:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-26T02:00:00Z",
        ];
        assert_eq!(times, expected);
    }
}
