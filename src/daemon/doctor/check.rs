//! One question, what came back, and how bad that is.
use serde::Serialize;

use crate::coordinator::outcome::Problem;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub v: u8,
    pub asked: String,
    pub found: Found,
    /// What came back.
    pub answer: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// From what needs nobody to what a rotation would fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Well,
    /// Worth knowing; no rotation fails at it.
    Noted,
    /// It gave no answer.
    Unasked,
    Wrong,
}

impl Check {
    pub(crate) fn well(asked: impl Into<String>, answer: impl Into<String>) -> Check {
        Check {
            v: 1,
            asked: asked.into(),
            found: Found::Well,
            answer: answer.into(),
            cure: None,
        }
    }

    pub(crate) fn noted(asked: impl Into<String>, answer: impl Into<String>) -> Check {
        Check {
            found: Found::Noted,
            ..Check::well(asked, answer)
        }
    }

    pub(crate) fn wrong(
        asked: impl Into<String>,
        answer: impl Into<String>,
        cure: impl Into<String>,
    ) -> Check {
        Check {
            found: Found::Wrong,
            ..Check::well(asked, answer).cured_by(cure)
        }
    }

    pub(crate) fn unasked(
        asked: impl Into<String>,
        answer: impl Into<String>,
        cure: impl Into<String>,
    ) -> Check {
        Check {
            found: Found::Unasked,
            ..Check::well(asked, answer).cured_by(cure)
        }
    }

    /// Wrong, unless asking again may help: then there was no answer.
    pub(crate) fn problem(asked: impl Into<String>, problem: &Problem) -> Check {
        let (answer, cure) = (problem.what.as_str(), problem.cure.as_str());
        match problem.is_transient {
            true => Check::unasked(asked, answer, cure),
            false => Check::wrong(asked, answer, cure),
        }
    }

    #[must_use]
    pub(crate) fn cured_by(self, cure: impl Into<String>) -> Check {
        Check {
            cure: Some(cure.into()),
            ..self
        }
    }
}

/// What stands in the way of a rotation.
pub fn problem(check: Check) -> Option<Problem> {
    let is_transient = match check.found {
        Found::Well | Found::Noted => return None,
        Found::Wrong => false,
        Found::Unasked => true,
    };
    Some(Problem {
        what: format!("{}: {}", check.asked, check.answer),
        cure: check.cure.unwrap_or_default(),
        is_transient,
    })
}
