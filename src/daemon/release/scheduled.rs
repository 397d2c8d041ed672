//! Promotions that wait for their time.
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{mpsc, oneshot};

use super::found::or_problem;
use super::prepare::{Prepared, Refused};
use super::said::refusal;
use crate::api::asked::Answer;
use crate::api::release::Waits;
use crate::api::wire::{Command, Promote, Refusal, Reply, UNKNOWN};
use crate::daemon::audit::Asking;
use crate::daemon::journal::JournalError;
use crate::daemon::serve;
use crate::model::id::Channel;
use crate::model::notice::Severity;
use crate::model::time::{Mono, Now, span};
use crate::store::{By, Reader, Scheduled, Store};

/// One that is later than this is not begun any more: nobody expects it then.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// A registry that does not answer is asked again so often, until it is too late.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What waits, and what is in hand of it.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// `None`: it is to be read.
    waits: Option<Vec<Scheduled>>,
    is_in_hand: bool,
    again_at: Option<Mono>,
}

/// A promotion whose time has come.
pub(super) enum Due {
    Begins(Scheduled),
    Late(Scheduled),
}

impl Calendar {
    /// What is due; each once, until [`Calendar::settle`] or [`Calendar::postpone`] is told.
    pub(super) fn due(&mut self, store: &Reader, now: Now) -> Result<Option<Due>, JournalError> {
        if self.waits.is_none() {
            // What cannot be read is told once, not each second.
            self.waits = Some(Vec::new());
            self.waits = Some(store.scheduled()?);
        }
        if self.is_in_hand || self.again_at.is_some_and(|at| now.mono < at) {
            return Ok(None);
        }
        let next = self.waits.iter().flatten().next();
        let Some(next) = next.filter(|next| next.due <= now.wall) else {
            return Ok(None);
        };
        self.is_in_hand = true;
        self.again_at = None;
        let is_late = now.wall.duration_since(next.due) > LATE;
        let next = next.clone();
        Ok(Some(match is_late {
            true => Due::Late(next),
            false => Due::Begins(next),
        }))
    }

    /// It is tried again in a while.
    pub(super) fn postpone(&mut self, now: Now) {
        self.is_in_hand = false;
        self.again_at = Some(now.mono.plus(AGAIN_AFTER));
    }

    /// It has begun, or never will.
    pub(super) fn settle(&mut self, store: &mut Store, tag: &Channel) -> Result<(), JournalError> {
        self.is_in_hand = false;
        self.waits = None;
        Ok(store.drop_scheduled(tag, &[])?)
    }

    /// Keeps what was prepared for its time.
    pub(super) fn keep(
        &mut self,
        store: &mut Store,
        (prepared, asking): (&Prepared, &Asking),
        now: Now,
    ) -> Result<Result<(), Refusal>, JournalError> {
        let preview = &prepared.preview;
        let (Some(due), Command::Promote(asked)) = (preview.at, &asking.command) else {
            return Ok(Ok(()));
        };
        let known = match or_problem(store.scheduled().map_err(JournalError::Store))? {
            Ok(known) => known,
            Err(problem) => return Ok(Err(refusal(&Refused::of_ledger(problem)))),
        };
        let mut known = known.into_iter();
        if let Some(other) = known.find(|other| other.tag == preview.tag) {
            let waits = waits(&other);
            return Ok(Err(Refusal {
                rule: "one act".to_owned(),
                what: format!("{} of {} waits for {:.0}", waits.what, waits.who, waits.at),
                cure: format!("cleanslate release cancel {}", preview.tag),
                exit: 4,
            }));
        }
        let then = Command::Promote(Promote {
            at: None,
            seen: Some(preview.seen.clone()),
            ..asked.clone()
        });
        let body = serde_json::to_string(&then);
        let scheduled = Scheduled {
            tag: preview.tag.clone(),
            at: now.wall,
            due,
            who: asking.by.who.clone(),
            way: asking.by.way,
            body: body.expect("texts, numbers and string keys always serialize"),
        };
        self.waits = None;
        store.keep_scheduled(&scheduled, &[asking.taken(now.wall)])?;
        Ok(Ok(()))
    }

    /// Whoever asks does not want it any more.
    pub(super) fn cancel(
        &mut self,
        store: &mut Store,
        (tag, asking): (&Channel, &Asking),
        now: Now,
    ) -> Result<Reply, JournalError> {
        let mut known = store.scheduled()?.into_iter();
        if !known.any(|it| it.tag == *tag) {
            return Ok(Reply::Refused(Refusal {
                rule: UNKNOWN.to_owned(),
                what: format!("no promotion to {tag} waits for its time"),
                cure: "see `cleanslate release status`".to_owned(),
                exit: 2,
            }));
        }
        self.waits = None;
        store.drop_scheduled(tag, &[asking.taken(now.wall)])?;
        Ok(Reply::Ok(serde_json::json!({})))
    }
}

/// As it is told.
pub(super) fn waits(scheduled: &Scheduled) -> Waits {
    let command = serde_json::from_str::<Command>(&scheduled.body);
    let what = match command {
        Ok(Command::Promote(asked)) => format!("promote {} {}", asked.from, asked.to),
        // Of a later program.
        Ok(_) | Err(_) => format!("promote {}", scheduled.tag),
    };
    Waits {
        what,
        tag: scheduled.tag.clone(),
        at: scheduled.due,
        who: scheduled.who.clone(),
    }
}

/// Who asked for it then, in which words; `None`: they are of a later program.
pub(super) fn asking(scheduled: &Scheduled) -> Option<Asking> {
    Some(Asking {
        by: By {
            who: scheduled.who.clone(),
            way: scheduled.way,
            pid: None,
        },
        command: serde_json::from_str(&scheduled.body).ok()?,
    })
}

/// Where the answer goes of what nobody waits for: people are told.
pub(super) fn answer(
    scheduled: &Scheduled,
    people: mpsc::UnboundedSender<serve::Note>,
) -> oneshot::Sender<Answer> {
    let (answer, heard) = oneshot::channel();
    let Waits { what, who, .. } = waits(scheduled);
    tokio::spawn(async move {
        let (severity, said, cure) = match heard.await {
            Ok(Answer::Reply(Reply::Ok(value))) => {
                let moved = value["moves"].as_array().map_or(0, Vec::len) as u64;
                let tags = crate::api::words::counted(moved, "tag");
                (Severity::Info, format!("{tags} moved"), None)
            }
            Ok(Answer::Reply(Reply::Refused(refusal))) => {
                (Severity::Critical, refusal.what, Some(refusal.cure))
            }
            // It is tried again.
            Ok(Answer::Events(_)) | Err(_) => return,
        };
        // Nobody hears it only when the process is ending.
        drop(people.send(serve::Note {
            severity,
            what: format!("{what}, asked for by {who}: {said}"),
            cure,
            channels: None,
        }));
    });
    answer
}

/// Its time went by while no coordinator ran.
pub(super) fn missed(scheduled: &Scheduled, now: Now) -> serve::Note {
    let late = now.wall.duration_since(scheduled.due);
    let late = span(Duration::try_from(late).unwrap_or_default());
    not_done(scheduled, &format!("it is {late} late"))
}

/// A later program wrote it.
pub(super) fn unreadable(scheduled: &Scheduled) -> serve::Note {
    not_done(scheduled, "this version does not know its words")
}

fn not_done(scheduled: &Scheduled, why: &str) -> serve::Note {
    let Waits { what, who, .. } = waits(scheduled);
    serve::Note {
        severity: Severity::Critical,
        what: format!("{what}, asked for by {who}, was not done: {why}"),
        cure: Some(format!("ask again: cleanslate release {what}")),
        channels: None,
    }
}
