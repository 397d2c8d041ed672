//! How a call to an engine fails, and what that says about what was asked.
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;

use crate::coordinator::outcome::Problem;
use crate::model::id::HostName;
use crate::model::time::millis;

/// Why a call brought no answer, or not the wanted one. Only `Refused` and `Unreachable` prove
/// that nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The engine answered, with an error.
    Refused { status: u16, message: String },
    /// No connection: the call was never sent.
    Unreachable { why: String },
    /// No answer in time: it may still be carried out.
    Silent { after: Duration },
    /// The connection broke, or the answer could not be read: it may have been carried out.
    Cut { why: String },
}

/// Waits for a call at most `limit`. The client's own timeout ends with the response headers, so
/// a body that stalls would hang for ever; this one covers the whole call.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Fault::from(error)),
        Err(_) => Err(Fault::Silent { after: limit }),
    }
}

impl Fault {
    /// The thing asked for is not there.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Fault::Refused { status: 404, .. })
    }

    /// The engine said that something stands in the way: a name taken, a container running, a
    /// removal under way.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Fault::Refused { status: 409, .. })
    }

    /// The problem that people read: `HOST: cannot DOING: WHY`.
    pub(super) fn problem(&self, host: &HostName, doing: &str) -> Problem {
        Problem {
            what: format!("{host}: cannot {doing}: {self}"),
            cure: self.cure(host),
            is_transient: self.is_transient(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Fault::Refused { status, .. } => *status >= 500,
            Fault::Unreachable { .. } | Fault::Silent { .. } | Fault::Cut { .. } => true,
        }
    }

    fn cure(&self, host: &HostName) -> String {
        match self {
            Fault::Refused { message, .. } if message.contains("no space left") => {
                format!("free disk space on {host}: docker system df shows what takes it")
            }
            Fault::Refused { .. } => {
                format!("see the engine's own log on {host}: journalctl -u docker")
            }
            Fault::Unreachable { .. } => {
                format!("start the engine on {host}, or correct its address in site.toml")
            }
            Fault::Silent { .. } | Fault::Cut { .. } => {
                format!(
                    "see whether the line to {host} loses packets, or its engine is stuck or \
                     overloaded: docker info"
                )
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused { status, message } => {
                write!(f, "the engine answered {status}: {}", message.trim())
            }
            Fault::Unreachable { why } => write!(f, "no connection to the engine: {why}"),
            Fault::Silent { after } if *after < Duration::from_secs(1) => {
                write!(f, "the engine did not answer within {} ms", millis(*after))
            }
            Fault::Silent { after } => {
                write!(f, "the engine did not answer within {} s", after.as_secs())
            }
            Fault::Cut { why } => write!(f, "the connection to the engine broke: {why}"),
        }
    }
}

impl From<Error> for Fault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what the library may add proves as little as what it has"
    )]
    fn from(error: Error) -> Fault {
        match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => Fault::Refused {
                status: status_code,
                message,
            },
            // Errors inside a stream that began well have no status of their own.
            Error::DockerStreamError { error } => Fault::Refused {
                status: 500,
                message: error,
            },
            Error::SocketNotFoundError(path) => Fault::Unreachable {
                why: format!("there is no socket {path}"),
            },
            Error::HyperLegacyError { err } if err.is_connect() => {
                Fault::Unreachable { why: chain(&err) }
            }
            other => Fault::Cut { why: chain(&other) },
        }
    }
}

/// An error and its causes, each once: some of the client's errors print their source themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_without_an_answer_is_silent_not_refused() {
        let never = std::future::pending::<Result<(), Error>>();
        let fault = within(Duration::from_millis(20), never).await.unwrap_err();
        assert_eq!(
            fault,
            Fault::Silent {
                after: Duration::from_millis(20)
            }
        );
        let problem = fault.problem(&"nyc1".parse().unwrap(), "stop web");
        assert_eq!(
            problem.what,
            "nyc1: cannot stop web: the engine did not answer within 20 ms"
        );
        assert_eq!(
            problem.cure,
            "see whether the line to nyc1 loses packets, or its engine is stuck or overloaded: \
             docker info"
        );
        assert!(problem.is_transient);
    }

    #[test]
    fn an_answer_with_an_error_is_final_unless_the_engine_failed() {
        let refused = |status| {
            Fault::from(Error::DockerResponseServerError {
                status_code: status,
                message: "no space left on device".to_owned(),
            })
        };
        assert!(refused(404).is_gone() && refused(409).is_conflict());
        let problem = refused(500).problem(&"nyc1".parse().unwrap(), "create web");
        assert!(problem.is_transient && problem.cure.starts_with("free disk space on nyc1"));
        assert!(
            !refused(400)
                .problem(&"nyc1".parse().unwrap(), "x")
                .is_transient
        );
    }
}
