//! Which run is due, of those that are not settled.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::super::schedule::{Due, Run, Timetable};
use crate::api::metrics::Runs;
use crate::model::id::PlaybookName;
use crate::model::playbook::Schedule;
use crate::model::time::span;
use crate::store::{Store, StoreError};

/// A run that cannot begin is tried again so often, for as long as it may be made up for.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The timetable, and up to when its runs are behind us.
pub(super) struct Clockwork {
    table: Timetable,
    settled: BTreeMap<PlaybookName, Timestamp>,
    /// Nothing is due before: the next run, or the next try of one that could not begin.
    looks_at: Timestamp,
    /// Why a run could not begin.
    postponed: Option<String>,
    /// Of each playbook the run that was rehearsed last.
    rehearsed: BTreeMap<PlaybookName, Timestamp>,
    /// No rehearsal is due before.
    rehearses_at: Timestamp,
}

impl Clockwork {
    /// A playbook whose schedule is new, or another than it was, has no runs before `now`.
    pub(super) fn new(
        table: Timetable,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<Clockwork, StoreError> {
        let known = store.settled()?;
        let mut settled = BTreeMap::new();
        for (playbook, schedule) in table.schedules() {
            let words = words(schedule);
            let until = match known.get(playbook) {
                Some((same, until)) if *same == words => *until,
                Some(_) | None => {
                    store.settle_runs(playbook, &words, now)?;
                    now
                }
            };
            settled.insert(playbook.clone(), until);
        }
        Ok(Clockwork {
            table,
            settled,
            looks_at: Timestamp::MIN,
            postponed: None,
            rehearsed: BTreeMap::new(),
            rehearses_at: Timestamp::MIN,
        })
    }

    /// The first run that is due.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Due> {
        if now < self.looks_at {
            return None;
        }
        let due = self.table.due(&self.settled, now).into_iter().next();
        if due.is_none() {
            let next = self.table.next(now, 1).into_iter().next();
            self.looks_at = next.map_or(Timestamp::MAX, |run| run.planned);
        }
        due
    }

    /// The first run whose rehearsal is due; it is then behind us.
    pub(super) fn rehearsal(&mut self, now: Timestamp) -> Option<Run> {
        if now < self.rehearses_at {
            return None;
        }
        let rehearsals = self.table.rehearsals(now).into_iter();
        let is_new =
            |(_, run): &(Timestamp, Run)| self.rehearsed.get(&run.playbook) != Some(&run.planned);
        let (open, over): (Vec<_>, Vec<_>) = rehearsals.partition(is_new);
        if let Some((_, run)) = open.iter().find(|(from, _)| *from <= now) {
            self.rehearsed.insert(run.playbook.clone(), run.planned);
            return Some(run.clone());
        }
        // One that is over is looked for again when its run has come.
        let later = open.into_iter().map(|(from, _)| from);
        let again = over.into_iter().map(|(_, run)| run.planned);
        self.rehearses_at = later.chain(again).min().unwrap_or(Timestamp::MAX);
        None
    }

    /// The run is behind us.
    pub(super) fn settle(&mut self, store: &mut Store, run: &Run) -> Result<(), StoreError> {
        if let Some(schedule) = self.table.schedules().get(&run.playbook) {
            store.settle_runs(&run.playbook, &words(schedule), run.planned)?;
        }
        self.settled.insert(run.playbook.clone(), run.planned);
        self.looks_at = Timestamp::MIN;
        self.postponed = None;
        Ok(())
    }

    /// The run cannot begin: it is tried again. `true`: for a reason that was not told yet.
    pub(super) fn postpone(&mut self, why: &str, now: Timestamp) -> bool {
        self.looks_at = now.checked_add(AGAIN_AFTER).unwrap_or(Timestamp::MAX);
        let is_new = self.postponed.as_deref() != Some(why);
        self.postponed = Some(why.to_owned());
        is_new
    }

    /// The runs of each playbook around now.
    pub(super) fn around(&self) -> BTreeMap<PlaybookName, Runs> {
        self.table.around(&self.settled)
    }

    /// Whether the run that is due was due before, and could not begin.
    pub(super) fn is_again(&self) -> bool {
        self.postponed.is_some()
    }

    /// For the line that whoever supervises the process shows.
    pub(super) fn told(&self, now: Timestamp) -> String {
        if let Some(why) = &self.postponed {
            return format!("a run cannot begin: {why}");
        }
        let next = self.table.next(now, 1).into_iter().next();
        next.map_or_else(
            || "idle: nothing runs by itself".to_owned(),
            |run| {
                let left = run.planned.duration_since(now);
                let left = Duration::try_from(left).unwrap_or_default();
                format!("idle; {} in {}", run.playbook, span(left))
            },
        )
    }
}

/// By which times runs are planned: the same words, the same runs.
fn words(schedule: &Schedule) -> String {
    let zone = schedule.cron.zone().iana_name().unwrap_or("UTC");
    format!("{} {zone}", schedule.cron)
}
