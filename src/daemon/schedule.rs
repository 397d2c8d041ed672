//! What the clock asks for: which run of each playbook is due, what became of those that were
//! missed, what comes next. Nothing here reads a clock.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::metrics::Runs;
use crate::api::status::NextRun;
use crate::config::Loaded;
use crate::model::fleet::Freeze;
use crate::model::id::{PlaybookName, RotationId};
use crate::model::playbook::{Playbook, Schedule};

/// One run of a playbook, named by the instant it was planned for: it exists once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    pub planned: Timestamp,
    pub playbook: PlaybookName,
}

impl Run {
    /// `nightly-20261121T020000-cron`: the same in every life of a process.
    pub fn rotation(&self) -> RotationId {
        let planned = self.planned.strftime("%Y%m%dT%H%M%S");
        let text = format!("{}-{planned}-cron", self.playbook);
        text.parse()
            .expect("a playbook's name, digits and letters make a rotation id")
    }

    /// Whether a rotation is a run of this playbook's schedule.
    pub fn is_of(rotation: &RotationId, playbook: &PlaybookName) -> bool {
        let name = rotation.as_str().strip_suffix("-cron");
        let name = name.and_then(|name| name.rsplit_once('-'));
        name.is_some_and(|(name, _)| name == playbook.as_str())
    }
}

/// The last run of a playbook that is not in the future, and not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub run: Run,
    /// How many earlier ones it takes the place of.
    pub overtaken: u32,
    pub verdict: Verdict,
}

/// What becomes of a run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Begins,
    /// It could not begin when it should have, and it is too late to make up for it.
    Missed {
        late: SignedDuration,
    },
    Frozen {
        reason: String,
    },
}

/// A run that starts so late is on time: a process wakes up when it may.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);

/// Runs that were missed longer ago are not counted.
const COUNTED: SignedDuration = SignedDuration::from_hours(24 * 31);

/// So many runs are looked through for one that is not frozen.
const LOOKED_AHEAD: usize = 1000;

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

    /// What is due of each playbook, in the order in which it was planned. `settled` says up to
    /// when its runs are behind us; a playbook that is not in there has none yet.
    pub fn due(&self, settled: &BTreeMap<PlaybookName, Timestamp>, now: Timestamp) -> Vec<Due> {
        let of_one = |(playbook, schedule): (&PlaybookName, &Schedule)| {
            let oldest = now.checked_sub(COUNTED).unwrap_or(Timestamp::MIN);
            let settled = (*settled.get(playbook)?).max(oldest);
            let runs = std::iter::successors(schedule.cron.next(settled), |planned| {
                schedule.cron.next(*planned)
            });
            let mut runs = runs.take_while(|planned| *planned <= now);
            let (overtaken, planned) = runs
                .by_ref()
                .fold((0, None), |(count, _), planned| (count + 1, Some(planned)));
            let run = Run {
                planned: planned?,
                playbook: playbook.clone(),
            };
            Some(Due {
                verdict: self.verdict(schedule, run.planned, now),
                overtaken: overtaken - 1,
                run,
            })
        };
        let mut due: Vec<Due> = self.schedules.iter().filter_map(of_one).collect();
        due.sort_by(|one, other| one.run.cmp(&other.run));
        due
    }

    fn verdict(&self, schedule: &Schedule, planned: Timestamp, now: Timestamp) -> Verdict {
        let late = now.duration_since(planned);
        let in_time = SignedDuration::try_from(schedule.catch_up).unwrap_or(SignedDuration::MAX);
        if let Some(freeze) = self.freeze(schedule, planned) {
            let reason = freeze.reason.clone();
            Verdict::Frozen { reason }
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

    /// The next run of each playbook that is to be rehearsed, and from when on; frozen ones are not.
    pub fn rehearsals(&self, now: Timestamp) -> Vec<(Timestamp, Run)> {
        let of_one = |(playbook, schedule): (&PlaybookName, &Schedule)| {
            let planned = schedule.cron.next(now)?;
            let from = planned.checked_sub(schedule.rehearse?).ok()?;
            let playbook = playbook.clone();
            self.freeze(schedule, planned)
                .is_none()
                .then_some((from, Run { planned, playbook }))
        };
        self.schedules.iter().filter_map(of_one).collect()
    }

    /// Of each playbook the last run that is settled, and the first that is not.
    pub fn around(
        &self,
        settled: &BTreeMap<PlaybookName, Timestamp>,
    ) -> BTreeMap<PlaybookName, Runs> {
        let of_one = |(playbook, schedule): (&PlaybookName, &Schedule)| {
            let settled = *settled.get(playbook)?;
            let later = std::iter::successors(schedule.cron.next(settled), |planned| {
                schedule.cron.next(*planned)
            });
            let is_frozen = |planned: &Timestamp| self.freeze(schedule, *planned).is_some();
            // A schedule is also settled up to when it was first read, which is no run of it.
            let moment_before = settled.checked_sub(SignedDuration::from_secs(1)).ok()?;
            let last = schedule.cron.next(moment_before);
            let runs = Runs {
                last: last.filter(|last| *last == settled && !is_frozen(last)),
                next: later.take(LOOKED_AHEAD).find(|planned| !is_frozen(planned)),
            };
            Some((playbook.clone(), runs))
        };
        self.schedules.iter().filter_map(of_one).collect()
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

/// The next run of a configuration's schedules, for people. `served`: a coordinator runs.
pub fn next_run(config: &Loaded, now: Timestamp, served: bool) -> Option<NextRun> {
    let table = Timetable::of(&config.playbooks, &config.fleet.freezes);
    let run = table.next(now, 1).into_iter().next()?;
    let schedule = table.schedules().get(&run.playbook)?;
    let left = run.planned.duration_since(now).as_secs();
    let frozen = table.freeze(schedule, run.planned);
    Some(NextRun {
        timezone: zone_name(schedule),
        local: local(schedule, run.planned),
        in_seconds: u64::try_from(left).unwrap_or(0),
        frozen: frozen.map(|freeze| freeze.reason.clone()),
        planned: run.planned,
        playbook: run.playbook,
        served,
    })
}

/// `Europe/Berlin`.
pub fn zone_name(schedule: &Schedule) -> String {
    let zone = schedule.cron.zone();
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// In the time of the schedule: `2026-11-22 03:00:00 CET`.
pub fn local(schedule: &Schedule, at: Timestamp) -> String {
    let local = at.to_zoned(schedule.cron.zone().clone());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_folder::Folder;
    use crate::model::cron::Cron;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn due(schedule: Schedule, settled: &str, now: &str) -> Option<Due> {
        let nightly: PlaybookName = "nightly".parse().unwrap();
        let table = Timetable {
            schedules: [(nightly.clone(), schedule)].into(),
            freezes: vec![Freeze {
                from: date(2026, 12, 24),
                until: date(2026, 12, 26),
                reason: "holidays".to_owned(),
            }],
        };
        let mut due = table.due(&[(nightly, at(settled))].into(), at(now));
        assert_eq!(table.due(&BTreeMap::new(), at(now)), []);
        due.pop()
    }

    #[test]
    fn a_run_is_due_once_and_named_by_when_it_was_planned() {
        let of = |settled, now| due(schedule("0 3 * * *", "Europe/Berlin"), settled, now);
        assert_eq!(of("2026-11-20T02:00:00Z", "2026-11-21T01:59:59Z"), None);
        for now in ["2026-11-21T02:00:00Z", "2026-11-21T02:00:59Z"] {
            let due = of("2026-11-20T02:00:00Z", now).unwrap();
            assert_eq!(due.verdict, Verdict::Begins);
            assert_eq!(due.overtaken, 0);
            let id = due.run.rotation().to_string();
            assert_eq!(id, "nightly-20261121T020000-cron");
            assert!(Run::is_of(&due.run.rotation(), &due.run.playbook));
        }
        assert_eq!(of("2026-11-21T02:00:00Z", "2026-11-21T02:00:59Z"), None);
    }

    #[test]
    fn a_missed_run_is_made_up_for_within_its_time_and_only_the_last_one() {
        let of = |now| {
            let schedule = Schedule {
                catch_up: Duration::from_secs(7200),
                ..schedule("0 3 * * *", "Europe/Berlin")
            };
            due(schedule, "2026-11-18T02:00:00Z", now).unwrap()
        };
        let due = of("2026-11-21T03:30:00Z");
        assert_eq!(due.run.planned, at("2026-11-21T02:00:00Z"));
        assert_eq!((due.overtaken, due.verdict), (2, Verdict::Begins));
        let late = SignedDuration::from_hours(3);
        assert_eq!(of("2026-11-21T05:00:00Z").verdict, Verdict::Missed { late });
    }

    #[test]
    fn the_next_run_is_rehearsed_so_long_before() {
        let mut nightly = schedule("0 3 * * *", "Europe/Berlin");
        nightly.rehearse = Some(Duration::from_secs(4 * 3600));
        let drill = schedule("0 9 * * *", "UTC");
        let table = Timetable {
            schedules: [
                ("nightly".parse().unwrap(), nightly),
                ("drill".parse().unwrap(), drill),
            ]
            .into(),
            freezes: Vec::new(),
        };
        let rehearsals = table.rehearsals(at("2026-11-21T12:00:00Z"));
        let (from, run) = &rehearsals[0];
        assert_eq!(rehearsals.len(), 1, "the other one is not");
        assert_eq!(*from, at("2026-11-21T22:00:00Z"));
        assert_eq!(run.planned, at("2026-11-22T02:00:00Z"));
    }

    #[test]
    fn nothing_begins_on_a_frozen_day() {
        let of = |settled, now| due(schedule("0 3 * * *", "Europe/Berlin"), settled, now);
        let eve = of("2026-12-23T02:00:00Z", "2026-12-24T02:00:10Z").unwrap();
        let reason = "holidays".to_owned();
        assert_eq!(eve.verdict, Verdict::Frozen { reason });
        let after = of("2026-12-26T02:00:00Z", "2026-12-27T02:00:10Z").unwrap();
        assert_eq!(after.verdict, Verdict::Begins);
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            cron: Cron::parse(cron, TimeZone::get(zone).unwrap()).unwrap(),
            finish_by: None,
            catch_up: Duration::ZERO,
            rehearse: None,
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
    fn the_runs_around_now_are_neither_frozen_nor_of_before_the_schedule_was_read() {
        let nightly: PlaybookName = "nightly".parse().unwrap();
        let table = Timetable {
            schedules: [(nightly.clone(), schedule("0 3 * * *", "Europe/Berlin"))].into(),
            freezes: vec![Freeze {
                from: date(2026, 12, 24),
                until: date(2026, 12, 26),
                reason: "holidays".to_owned(),
            }],
        };
        let around = |settled: &str| {
            let settled = [(nightly.clone(), at(settled))].into();
            let runs = table.around(&settled)[&nightly];
            [runs.last, runs.next].map(|at| at.map_or("-".to_owned(), |at| at.to_string()))
        };
        let (of_23, of_27) = ("2026-12-23T02:00:00Z", "2026-12-27T02:00:00Z");
        assert_eq!(around("2026-12-22T11:12:13Z"), ["-", of_23]);
        assert_eq!(around(of_23), [of_23, of_27]);
        assert_eq!(around("2026-12-25T02:00:00Z"), ["-", of_27]);
        assert_eq!(around(of_27), [of_27, "2026-12-28T02:00:00Z"]);
        assert_eq!(table.around(&BTreeMap::new()), BTreeMap::new());
    }

    #[test]
    fn the_next_run_is_told_with_its_zone_how_long_it_is_and_whether_it_is_frozen() {
        let folder = Folder::new();
        folder.change(&[(
            "[[probe]]",
            "[[freeze]]\nfrom = \"2026-11-22\"\nuntil = \"2026-11-22\"\nreason = \"a move\"\n\
             [[probe]]",
        )]);
        assert_eq!(
            next_run(&folder.loaded(), at("2026-11-21T22:00:00Z"), true),
            None
        );
        let schedule = "[schedule]\ncron = \"0 3 * * *\"\ntimezone = \"Europe/Berlin\"\n";
        folder.write("playbooks/nightly.toml", schedule);
        let of = |now: &str| next_run(&folder.loaded(), at(now), true).unwrap();
        let expected = NextRun {
            playbook: "nightly".parse().unwrap(),
            planned: at("2026-11-22T02:00:00Z"),
            timezone: "Europe/Berlin".to_owned(),
            local: "2026-11-22 03:00:00 CET".to_owned(),
            in_seconds: 4 * 3600,
            frozen: Some("a move".to_owned()),
            served: true,
        };
        assert_eq!(of("2026-11-21T22:00:00Z"), expected);
        assert_eq!(of("2026-11-22T02:00:00Z").frozen, None);
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
