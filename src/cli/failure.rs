//! Why a command did not do what it was asked, for people and for exit codes.
use super::exit::Exit;
use crate::api::client::ClientError;
use crate::config::report::Report;
use crate::coordinator::outcome::Problem;
use crate::daemon::{JournalError, OpenError, RunError};
use crate::store::StoreError;

/// What is said on stderr, and the code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) said: Said,
}

#[derive(Debug)]
pub(crate) enum Said {
    /// Every reason, each with its cure.
    Problems(Vec<Problem>),
    /// Findings in configuration files, with their lines.
    Report(Report),
    /// It was said already.
    Nothing,
}

/// The result of a command: how it ended, or why it did not begin.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, cure: impl Into<String>) -> Failure {
        let problem = Problem {
            what: what.into(),
            cure: cure.into(),
            is_transient: exit == Exit::Later,
        };
        Failure {
            exit,
            said: Said::Problems(vec![problem]),
        }
    }

    /// Nothing was changed.
    pub(crate) fn unchanged(problem: Problem) -> Failure {
        Failure {
            exit: Exit::unchanged(problem.is_transient),
            said: Said::Problems(vec![problem]),
        }
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Failure {
        Failure {
            exit: Exit::Usage,
            said: Said::Report(report),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let exit = if error.is_transient() {
            Exit::Later
        } else if error.is_of_a_name() {
            Exit::Usage
        } else {
            Exit::Fault
        };
        Failure::new(exit, chain(&error), error.cure())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        match error {
            JournalError::Store(error) => error.into(),
            error @ (JournalError::Unreadable { .. } | JournalError::Act { .. }) => {
                Failure::new(Exit::Fault, error.to_string(), error.cure())
            }
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        match error {
            OpenError::Config(report) => report.into(),
            OpenError::Store(error) => error.into(),
            OpenError::Journal(error) => error.into(),
            OpenError::Adapters(problem) => Failure {
                exit: Exit::Usage,
                said: Said::Problems(vec![problem]),
            },
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Journal(error) => error.into(),
            RunError::Refused(problem) => Failure::unchanged(problem),
            RunError::Rule(refusal) => Failure::unchanged(refusal.problem()),
            RunError::Stopped => Failure::new(
                Exit::Attention,
                "stopped between two steps, as it was told: no site is half done",
                "start it again: the rotation goes on from here",
            ),
            RunError::Unknown(problem) => Failure {
                exit: Exit::Usage,
                said: Said::Problems(vec![problem]),
            },
            RunError::Blocked(blocked) => Failure {
                exit: Exit::unchanged(blocked.is_transient),
                said: Said::Problems(blocked.reasons),
            },
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Refused(refusal) => {
                let exit = Exit::from_code(refusal.exit);
                Failure::new(exit, refusal.what, refusal.cure)
            }
            ClientError::Gone => Failure::new(
                Exit::Later,
                chain(&error),
                "it may have taken the request: see `cleanslate status`",
            ),
            ClientError::Connect(_) | ClientError::Speak(_) | ClientError::Unreadable { .. } => {
                Failure::new(
                    Exit::Later,
                    chain(&error),
                    "see that this user may open control.sock in the state folder, and that both \
                 programs are of one version",
                )
            }
        }
    }
}

/// The error and its sources, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
