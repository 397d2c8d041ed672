//! Who waits for a move of tags, and what they are told.
use tokio::sync::oneshot;

use super::prepare::{Prepared, Refused};
use crate::api::asked::Answer;
use crate::api::release::{Preview, Released, left_behind};
use crate::api::wire::{Refusal, Reply};
use crate::coordinator::outcome::Problem;
use crate::daemon::audit::Asking;
use crate::model::id::Channel;
use crate::model::release::{Act, Left};

/// Who asked for an act.
pub(in crate::daemon) struct Waiting {
    pub(in crate::daemon) asking: Asking,
    pub(in crate::daemon) answer: oneshot::Sender<Answer>,
    /// Nobody waits: it was asked for long ago, for now. It is of this channel.
    pub(in crate::daemon) scheduled: Option<Channel>,
}

/// An answer that is due.
pub(in crate::daemon) struct Said {
    pub(in crate::daemon) waiting: Waiting,
    pub(in crate::daemon) answer: Answer,
}

/// What would move, or why nothing does.
pub(super) fn shown(prepared: Result<Prepared, Refused>) -> Answer {
    Answer::Reply(match prepared {
        Ok(prepared) => Reply::Ok(value(&prepared.preview)),
        Err(refused) => Reply::Refused(refusal(&refused)),
    })
}

/// It was not done.
pub(super) fn said(waiting: Waiting, refused: &Refused) -> Said {
    Said {
        waiting,
        answer: Answer::Reply(Reply::Refused(refusal(refused))),
    }
}

/// Why, as the API says it.
pub(super) fn refusal(refused: &Refused) -> Refusal {
    let problem = refused.problem();
    Refusal {
        rule: refused.rule.to_owned(),
        what: problem.what,
        cure: problem.cure,
        exit: refused.exit,
    }
}

/// Every tag was moved, by this act; or none had to be.
pub(super) fn released(preview: Preview, act: Option<u64>) -> Released {
    Released {
        preview,
        act,
        rotation_follows: false,
        rotation: None,
    }
}

/// What was moved.
pub(super) fn moved(released: &Released) -> Answer {
    Answer::Reply(Reply::Ok(value(released)))
}

/// What was moved was taken back.
pub(super) fn undone(act: &Act, why: &str, left: &[Left]) -> Answer {
    let name = act.name();
    let (what, exit) = match left_behind(left) {
        none if none.is_empty() => (format!("{name}: {why}; every tag is as it was before"), 4),
        others => (
            format!("{name}: {why}; every tag is as it was before, but for these: {others}"),
            3,
        ),
    };
    let cure = "see `cleanslate release status`, and ask again".to_owned();
    Answer::Reply(Reply::Refused(Refusal {
        rule: "release".to_owned(),
        what,
        cure,
        exit,
    }))
}

/// It is tried again.
pub(super) fn still_open(act: &Act, problem: &Problem) -> Answer {
    let what = format!("{} is not finished: {}", act.name(), problem.what);
    let cure = format!(
        "{}; the coordinator goes on with it, else the next command that changes something",
        problem.cure
    );
    Answer::Reply(Reply::Refused(Refusal {
        rule: "release".to_owned(),
        what,
        cure,
        exit: 3,
    }))
}

fn value(of: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(of).expect("texts, numbers and string keys always serialize")
}
