//! What a question from the socket means while no rotation runs.
use super::super::control;
use super::super::request::Request;
use super::super::session::Session;
use super::super::survey::owed;
use super::problem_of;
use crate::api::asked::Answer;
use crate::api::wire::{Command as Wanted, LineId, Refusal, Reply};
use crate::coordinator::outcome::Problem;
use crate::model::id::RotationId;
use crate::model::image::{Digest, ImageRef};

pub(super) enum Meant {
    Status,
    Watch(Option<LineId>),
    History(usize),
    Report(RotationId),
    Pushed(Vec<ImageRef>),
    /// What the machine takes at rest, too.
    Clear {
        digest: Digest,
        reason: String,
    },
    /// A move of tags.
    Release,
    /// What is only written down of it.
    ReleaseWord,
    ReleaseHistory(Option<String>, usize),
    ReleaseStatus,
    /// A rotation, once it is planned.
    Begin(Box<Request>),
    /// There is nothing to be done; this says so.
    Nothing(Answer),
}

pub(super) async fn meant(session: &Session, wanted: &Wanted) -> Meant {
    match wanted {
        Wanted::Status {} => Meant::Status,
        Wanted::Watch { after } => Meant::Watch(after.clone()),
        Wanted::History { last } => Meant::History(*last),
        Wanted::Report { rotation } => Meant::Report(rotation.clone()),
        Wanted::Pushed { images } => Meant::Pushed(images.clone()),
        Wanted::ReleaseClear { digest, reason } => Meant::Clear {
            digest: digest.clone(),
            reason: reason.clone(),
        },
        Wanted::Promote(_) | Wanted::Rollback(_) => Meant::Release,
        Wanted::ReleaseApprove { .. } | Wanted::ReleaseCancel { .. } => Meant::ReleaseWord,
        Wanted::ReleaseHistory { image, last } => Meant::ReleaseHistory(image.clone(), *last),
        Wanted::ReleaseStatus {} => Meant::ReleaseStatus,
        Wanted::Abort { .. } | Wanted::Pause { .. } | Wanted::Resume { .. } => {
            Meant::Nothing(control::none_runs())
        }
        Wanted::Retry {
            reason,
            now,
            in_freeze,
        } => match session.retried(reason.clone(), *now, *in_freeze) {
            Ok(Some(request)) => Meant::Begin(Box::new(request)),
            Ok(None) => nothing("the last rotation completed every site"),
            Err(error) => match problem_of(error) {
                Ok(problem) => refused(problem),
                Err(error) => refused(Problem {
                    what: error.to_string(),
                    cure: "see the log of the coordinator".to_owned(),
                    is_transient: true,
                }),
            },
        },
        Wanted::Recover { reason } => {
            match owed(&session.adapters.dns, &session.config.fleet).await {
                Ok(owed) if owed.is_empty() => nothing("the marker calls no site out"),
                Ok(owed) => Meant::Begin(Box::new(Request::recover(owed, reason.clone()))),
                Err(problem) => refused(problem),
            }
        }
        Wanted::Rotate { .. }
        | Wanted::Rebuild(_)
        | Wanted::Withdraw { .. }
        | Wanted::Restore { .. }
        | Wanted::Cordon { .. }
        | Wanted::Uncordon { .. }
        | Wanted::TakeOver { .. } => match Request::of_words(wanted) {
            Some(Ok(request)) => Meant::Begin(Box::new(request)),
            Some(Err(problem)) => refused(problem),
            None => Meant::Nothing(control::none_runs()),
        },
    }
}

/// All is done already: no fault of whoever asks.
fn nothing(why: &str) -> Meant {
    Meant::Nothing(Answer::Reply(Reply::Refused(Refusal {
        rule: "nothing to do".to_owned(),
        what: format!("nothing to do: {why}"),
        cure: "see `cleanslate status`".to_owned(),
        exit: 0,
    })))
}

fn refused(problem: Problem) -> Meant {
    Meant::Nothing(control::reply(Err(problem)))
}
