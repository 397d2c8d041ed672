//! Which site was in which step from when to when, from the lines of a rotation. Pure.
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::public::{Kind, Line, Public};
use crate::model::id::SiteName;

/// A rotation that has not ended: until when it is known, and in which step each site is.
pub(in crate::api::page) struct Running {
    pub(in crate::api::page) now: Timestamp,
    pub(in crate::api::page) steps: BTreeMap<SiteName, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::page) struct Timeline {
    pub(in crate::api::page) from: Timestamp,
    pub(in crate::api::page) to: Timestamp,
    /// In the order in which they were planned.
    pub(in crate::api::page) rows: Vec<Row>,
    pub(in crate::api::page) pauses: Vec<Stretch>,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::page) struct Row {
    pub(in crate::api::page) site: SiteName,
    pub(in crate::api::page) steps: Vec<Taken>,
    /// When it was out of DNS.
    pub(in crate::api::page) out: Vec<Stretch>,
    /// How its visit ended, or how far it is.
    pub(in crate::api::page) end: String,
    /// Since when it is in a step, or out.
    step_since: Option<Timestamp>,
    out_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::page) struct Taken {
    /// The word of the step, as events have it.
    pub(in crate::api::page) step: String,
    pub(in crate::api::page) stretch: Stretch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::page) struct Stretch {
    pub(in crate::api::page) from: Timestamp,
    pub(in crate::api::page) to: Timestamp,
}

/// The step of a site of which nothing more was heard.
const UNKNOWN: &str = "unknown";

const TO_COME: &str = "to come";

impl Timeline {
    /// `None` where nothing was told. `running` is `None` for one that has ended.
    pub(in crate::api::page) fn of(lines: &[Line], running: Option<&Running>) -> Option<Timeline> {
        let (from, last) = (lines.first()?.at, lines.last()?.at);
        let to = running.map_or(last, |running| running.now.max(last));
        let mut rows: Vec<Row> = Vec::new();
        let (mut pauses, mut paused) = (Vec::new(), None);
        for line in lines {
            if let Public::RotationPlanned { sites, .. } = &line.public {
                rows = sites.iter().map(Row::new).collect();
            } else if let Public::RotationPaused { .. } = line.public {
                paused.get_or_insert(line.at);
            } else if let Public::RotationResumed { .. } = line.public {
                pauses.extend(paused.take().map(|from| Stretch { from, to: line.at }));
            }
            if let Some(site) = &line.site {
                let index = rows.iter().position(|row| row.site == *site);
                let index = index.unwrap_or_else(|| {
                    // One that joined: a rebuild asked for meanwhile.
                    rows.push(Row::new(site));
                    rows.len() - 1
                });
                rows[index].hear(line);
            }
        }
        pauses.extend(paused.map(|from| Stretch { from, to }));
        for row in &mut rows {
            let step = running.and_then(|running| running.steps.get(&row.site));
            row.finish(to, step, running.is_some());
        }
        Some(Timeline {
            from,
            to,
            rows,
            pauses,
        })
    }
}

impl Row {
    fn new(site: &SiteName) -> Row {
        Row {
            site: site.clone(),
            steps: Vec::new(),
            out: Vec::new(),
            end: TO_COME.to_owned(),
            step_since: None,
            out_since: None,
        }
    }

    fn hear(&mut self, line: &Line) {
        let at = line.at;
        let step = line.step.as_deref().unwrap_or(UNKNOWN);
        match &line.public {
            Public::VisitStarted { kind } => {
                self.step_since = Some(at);
                if is_out_at_first(*kind) {
                    self.out_since.get_or_insert(at);
                }
            }
            // The line has the step that begins with it.
            Public::Draining { .. } => self.took("withdraw", at),
            Public::Ready { .. }
            | Public::Drained { .. }
            | Public::Recreated { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Soaked
            | Public::RollingBack { .. }
            | Public::Retrying { .. } => self.took(step, at),
            Public::Withdrawn { .. } => {
                self.took(step, at);
                self.out_since.get_or_insert(at);
            }
            Public::Restored { .. } => {
                self.took(step, at);
                self.came_back(at);
            }
            Public::VisitCompleted { in_service, .. } => {
                let word = if *in_service {
                    "completed"
                } else {
                    "completed, out"
                };
                self.ended(step, at, word);
            }
            Public::PutBack { .. } => {
                self.came_back(at);
                self.ended(step, at, "put back");
            }
            Public::RolledBack { .. } => self.ended(step, at, "rolled back"),
            Public::SiteSkipped { .. } => self.ended(step, at, "skipped"),
            Public::SiteQuarantined { .. } => self.ended(step, at, "quarantined"),
            Public::RotationPlanned { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::WithdrawRefused { .. }
            | Public::HookFailed { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationHalted { .. }
            | Public::RotationAborted { .. }
            | Public::RotationCompleted { .. } => {}
        }
    }

    /// It was in this step up to now, and goes on.
    fn took(&mut self, step: &str, at: Timestamp) {
        let Some(from) = self.step_since.replace(at) else {
            return;
        };
        match self.steps.last_mut() {
            _ if from == at => {}
            Some(last) if last.step == step && last.stretch.to == from => last.stretch.to = at,
            Some(_) | None => self.steps.push(Taken {
                step: step.to_owned(),
                stretch: Stretch { from, to: at },
            }),
        }
    }

    fn came_back(&mut self, at: Timestamp) {
        let out = self.out_since.take();
        self.out.extend(out.map(|from| Stretch { from, to: at }));
    }

    fn ended(&mut self, step: &str, at: Timestamp, word: &str) {
        self.took(step, at);
        self.step_since = None;
        word.clone_into(&mut self.end);
    }

    fn finish(&mut self, to: Timestamp, step: Option<&String>, is_running: bool) {
        if self.step_since.is_some() {
            let step = step.map_or(UNKNOWN, String::as_str);
            self.took(step, to);
            self.end = step.replace('_', " ");
        } else if self.end == TO_COME && !is_running {
            "not visited".clone_into(&mut self.end);
        }
        self.came_back(to);
    }
}

fn is_out_at_first(kind: Kind) -> bool {
    match kind {
        Kind::Quarantined | Kind::FoundOut | Kind::AsItStands => true,
        Kind::InService | Kind::Rebuild | Kind::WithdrawOnly | Kind::MarkerOnly => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::page::tests::story::{night, quarantined};

    #[test]
    fn a_visit_is_its_steps_one_after_the_other_and_the_time_that_it_was_out() {
        let lines = night();
        let timeline = Timeline::of(&lines, None).unwrap();
        let names: Vec<_> = timeline.rows.iter().map(|row| row.site.as_str()).collect();
        assert_eq!(names, ["fra", "nyc", "sin"]);
        for row in &timeline.rows {
            let words: Vec<_> = row.steps.iter().map(|it| it.step.as_str()).collect();
            let visit = [
                "ready", "withdraw", "drain", "recreate", "verify", "restore", "soak", "signal",
            ];
            let expected: Vec<_> = visit
                .into_iter()
                .filter(|step| words.contains(step))
                .collect();
            assert_eq!(words, expected, "in order, each once");
            assert!(
                words.contains(&"drain") && words.contains(&"soak"),
                "{words:?}"
            );
            for pair in row.steps.windows(2) {
                assert_eq!(pair[0].stretch.to, pair[1].stretch.from, "no gap");
            }
            assert_eq!((row.end.as_str(), row.out.len()), ("completed", 1));
            let drain = row.steps.iter().find(|it| it.step == "drain").unwrap();
            assert!(row.out[0].from <= drain.stretch.from && drain.stretch.to <= row.out[0].to);
        }
    }

    #[test]
    fn a_night_that_runs_grows_and_a_site_that_waits_its_turn_is_to_come() {
        let lines = night();
        let half = lines
            .iter()
            .position(|line| matches!(line.public, Public::Drained { .. }));
        let half = &lines[..=half.unwrap()];
        let now = half.last().unwrap().at + jiff::SignedDuration::from_secs(9);
        let fra = half.last().unwrap().site.clone().unwrap();
        let steps = BTreeMap::from([(fra, "recreate".to_owned())]);
        let running = Running { now, steps };
        let timeline = Timeline::of(half, Some(&running)).unwrap();
        assert_eq!(timeline.to, now);
        let row = &timeline.rows[0];
        let last = row.steps.last().unwrap();
        assert_eq!((last.step.as_str(), last.stretch.to), ("recreate", now));
        assert_eq!((row.end.as_str(), row.out[0].to), ("recreate", now));
        assert_eq!(timeline.rows[2].end, "to come");
        // Of a process that died nobody knows what it did last.
        let timeline = Timeline::of(half, None).unwrap();
        assert_eq!(timeline.rows[0].end, "unknown");
        assert_eq!(timeline.rows[2].end, "not visited");
        assert!(Timeline::of(&[], None).is_none());
    }

    #[test]
    fn a_site_that_stays_out_is_out_to_the_end() {
        let lines = quarantined();
        let timeline = Timeline::of(&lines, None).unwrap();
        let row = &timeline.rows[0];
        assert_eq!(row.end, "quarantined");
        assert_eq!(row.out.last().unwrap().to, timeline.to);
    }
}
