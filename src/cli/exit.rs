//! Exit codes: documented, stable, and decided in one place.
use std::process::ExitCode;

use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::coordinator::plan::Mode;
use crate::daemon::Finish;

/// How a command ended. Where several apply, [`Exit::worse`] picks the first of 2, 1, 6, 3, 4, 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all that was planned is done; nothing was found.
    Done,
    /// 1: a fault of cleanslate or of its store.
    Fault,
    /// 2: usage or configuration.
    Usage,
    /// 3: something was changed and stands in a stated safe state, a person is needed; also a
    /// night that skipped a site.
    Attention,
    /// 4: a rule said no and nothing was changed; a check found something.
    Refused,
    /// 5: nothing was changed, and later may do: marker held, unreachable, in use.
    Later,
    /// 6: as 3, and the failed site serves its last good images.
    RolledBack,
    /// 130: a second Ctrl-C.
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Fault => 1,
            Exit::Usage => 2,
            Exit::Attention => 3,
            Exit::Refused => 4,
            Exit::Later => 5,
            Exit::RolledBack => 6,
            Exit::Interrupted => 130,
        }
    }

    /// The code that a running coordinator answered with.
    pub(crate) fn from_code(code: u8) -> Exit {
        match code {
            0 => Exit::Done,
            2 => Exit::Usage,
            3 => Exit::Attention,
            4 => Exit::Refused,
            5 => Exit::Later,
            6 => Exit::RolledBack,
            130 => Exit::Interrupted,
            _ => Exit::Fault,
        }
    }

    /// The first that applies.
    pub(crate) fn worse(self, other: Exit) -> Exit {
        if self.rank() <= other.rank() {
            self
        } else {
            other
        }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Interrupted => 0,
            Exit::Usage => 1,
            Exit::Fault => 2,
            Exit::RolledBack => 3,
            Exit::Attention => 4,
            Exit::Refused => 5,
            Exit::Later => 6,
            Exit::Done => 7,
        }
    }

    /// Nothing was changed: a rule said no, or later may do.
    pub(crate) fn unchanged(is_transient: bool) -> Exit {
        if is_transient {
            Exit::Later
        } else {
            Exit::Refused
        }
    }

    /// How a rotation ended, as a code.
    pub(crate) fn of(finish: &Finish, mode: &Mode) -> Exit {
        let of_visits = finish
            .visits
            .values()
            .map(|(end, problem)| {
                let is_transient = problem.as_ref().is_some_and(|p| p.is_transient);
                of_visit(*end, problem.is_some(), is_transient, mode)
            })
            .fold(Exit::Done, Exit::worse);
        let has_changed = finish.visits.values().any(|(end, problem)| {
            let is_done = *end == VisitEnd::Completed || *end == VisitEnd::PutBack;
            is_done || (*end == VisitEnd::LeftOut && problem.is_none())
        });
        let stopped = |is_transient| match (has_changed, of_visits) {
            (_, Exit::RolledBack) => Exit::RolledBack,
            (true, _) | (_, Exit::Attention) => Exit::Attention,
            (false, Exit::Done) => Exit::unchanged(is_transient),
            (false, other) => other,
        };
        let refusal = finish.refusal.as_ref();
        match &finish.end {
            RotationEnd::Completed => of_visits,
            RotationEnd::Halted => stopped(false),
            RotationEnd::Aborted { .. } => stopped(true),
            RotationEnd::NotAcquired { .. } => {
                of_visits.worse(Exit::unchanged(refusal.is_none_or(|r| r.is_transient)))
            }
            RotationEnd::Deposed { .. } => Exit::Attention.worse(of_visits),
        }
    }
}

fn of_visit(end: VisitEnd, has_problem: bool, is_transient: bool, mode: &Mode) -> Exit {
    match end {
        VisitEnd::Completed => Exit::Done,
        VisitEnd::LeftOut if !has_problem => Exit::Done,
        VisitEnd::RolledBack => Exit::RolledBack,
        // A night that skipped a site needs a person; one site that was asked for by name, and
        // of which nothing was changed, can be asked for again.
        VisitEnd::Skipped | VisitEnd::LeftOut if *mode != Mode::Rotate => {
            Exit::unchanged(is_transient)
        }
        VisitEnd::Skipped
        | VisitEnd::LeftOut
        | VisitEnd::PutBack
        | VisitEnd::Quarantined
        | VisitEnd::LeftInService => Exit::Attention,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::coordinator::outcome::Problem;

    #[test]
    fn the_first_of_2_1_6_3_4_5_applies() {
        let order = [
            Exit::Usage,
            Exit::Fault,
            Exit::RolledBack,
            Exit::Attention,
            Exit::Refused,
            Exit::Later,
            Exit::Done,
        ];
        for (at, first) in order.iter().enumerate() {
            for second in &order[at..] {
                assert_eq!(first.worse(*second), *first);
                assert_eq!(second.worse(*first), *first);
            }
        }
    }

    #[test]
    fn a_night_that_skipped_a_site_needs_a_person_and_a_refused_rebuild_changed_nothing() {
        let skipped = |is_transient| {
            finish(
                RotationEnd::Completed,
                &[(VisitEnd::Skipped, Some(is_transient))],
            )
        };
        assert_eq!(Exit::of(&skipped(true), &Mode::Rotate), Exit::Attention);
        assert_eq!(Exit::of(&skipped(true), &Mode::Rebuild), Exit::Later);
        assert_eq!(Exit::of(&skipped(false), &Mode::Withdraw), Exit::Refused);
    }

    #[test]
    fn what_stays_out_needs_a_person_and_all_visited_is_done() {
        let good = finish(RotationEnd::Completed, &[(VisitEnd::Completed, None)]);
        assert_eq!(Exit::of(&good, &Mode::Rotate), Exit::Done);
        let ends = [
            (VisitEnd::Completed, None),
            (VisitEnd::Quarantined, Some(false)),
        ];
        let bad = finish(RotationEnd::Halted, &ends);
        assert_eq!(Exit::of(&bad, &Mode::Rotate), Exit::Attention);
        let untouched = finish(RotationEnd::Halted, &[]);
        assert_eq!(Exit::of(&untouched, &Mode::Rotate), Exit::Refused);
    }

    #[test]
    fn what_was_rolled_back_is_told_before_what_stays_out() {
        let ends = [
            (VisitEnd::Completed, None),
            (VisitEnd::RolledBack, Some(false)),
            (VisitEnd::PutBack, Some(false)),
        ];
        let night = finish(RotationEnd::Halted, &ends);
        assert_eq!(Exit::of(&night, &Mode::Rotate).code(), 6);
        assert_eq!(Exit::from_code(6), Exit::RolledBack);
    }

    #[test]
    fn a_marker_that_is_held_may_be_free_later() {
        let why = "holder-b holds the marker".to_owned();
        let mut held = finish(RotationEnd::NotAcquired { why }, &[]);
        held.refusal = Some(problem(true));
        assert_eq!(Exit::of(&held, &Mode::Rotate), Exit::Later);
        held.refusal = Some(problem(false));
        assert_eq!(Exit::of(&held, &Mode::Rotate), Exit::Refused);
    }

    #[test]
    fn an_abort_before_anything_was_changed_may_be_tried_again() {
        let reason = "asked".to_owned();
        let end = RotationEnd::Aborted { reason };
        let early = finish(end.clone(), &[]);
        assert_eq!(Exit::of(&early, &Mode::Rotate), Exit::Later);
        let late = finish(end, &[(VisitEnd::PutBack, Some(false))]);
        assert_eq!(Exit::of(&late, &Mode::Rotate), Exit::Attention);
    }

    fn finish(end: RotationEnd, visits: &[(VisitEnd, Option<bool>)]) -> Finish {
        let visits: BTreeMap<_, _> = visits
            .iter()
            .enumerate()
            .map(|(n, (end, is_transient))| {
                let name = format!("site{n}").parse().unwrap();
                (name, (*end, is_transient.map(problem)))
            })
            .collect();
        Finish {
            rotation: "nightly-1".parse().unwrap(),
            end,
            visits,
            refusal: None,
            not_visited: Vec::new(),
            marker: None,
        }
    }

    fn problem(is_transient: bool) -> Problem {
        Problem {
            what: "no".to_owned(),
            cure: "yes".to_owned(),
            is_transient,
        }
    }
}
