//! The act in hand, and how the store hears of each step of it.
use jiff::Timestamp;

use super::ahead::Rotates;
use super::said::Waiting;
use crate::api::audit::What;
use crate::api::release::Preview;
use crate::daemon::audit;
use crate::daemon::journal::JournalError;
use crate::model::image::Digest;
use crate::model::release::{Act, Cause, End, Moved, Phase, Verb};
use crate::store::{By, Store, StoredAct};

/// An act that has not ended.
pub(super) struct Open {
    pub(super) stored: StoredAct,
    pub(super) act: Act,
    pub(super) by: By,
    /// Nobody waits for what an earlier process began.
    pub(super) waits: Option<Waits>,
}

/// Who waits for an act, what they were shown, and which sites are rotated then.
pub(super) struct Waits {
    pub(super) waiting: Waiting,
    pub(super) preview: Preview,
    pub(super) rotates: Option<Rotates>,
}

impl Open {
    /// What an earlier process left.
    pub(super) fn take_up(store: &Store) -> Result<Option<Open>, JournalError> {
        let Some(stored) = store.open_act()? else {
            return Ok(None);
        };
        let act = read_act(&stored)?;
        let by = By {
            who: stored.who.clone(),
            way: stored.way,
            pid: None,
        };
        Ok(Some(Open {
            act,
            by,
            stored,
            waits: None,
        }))
    }

    /// Writes a new act down, before anything of it is done.
    pub(super) fn begin(
        act: Act,
        waits: Waits,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<Open, JournalError> {
        let asking = &waits.waiting.asking;
        let by = asking.by.clone();
        let body = text(&act);
        let id = store.begin_act(now, &by, &body, |id| {
            let begun = What::ReleaseBegun {
                act: id,
                what: act.name(),
                moves: act.moves.clone(),
                reason: act.reason.clone(),
            };
            let begun = audit::entry(by.clone(), now, &begun);
            vec![asking.taken(now), begun]
        })?;
        let stored = StoredAct {
            id,
            began: now,
            who: by.who.clone(),
            way: by.way,
            body,
        };
        Ok(Open {
            stored,
            act,
            by,
            waits: Some(waits),
        })
    }

    /// Writes down how far it has come.
    pub(super) fn keep(
        &mut self,
        act: Act,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        keep_act(store, &mut self.stored, &act, (&self.by, now))?;
        self.act = act;
        Ok(())
    }

    /// Adds what a tag names now to the ledger, and tells the audit.
    pub(super) fn keep_move(
        &self,
        (at, digest): (usize, &Digest),
        store: &mut Store,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let Some(it) = self.act.moves.get(at) else {
            return Ok(());
        };
        let (old, cause) = match (&self.act.phase, &self.act.verb) {
            (Phase::Back { .. } | Phase::Ended(_), _) => (Some(it.new.clone()), Cause::Undo),
            (Phase::Forward, Verb::Promote { .. }) => (it.old.clone(), Cause::Promote),
            (Phase::Forward, Verb::Rollback) => (it.old.clone(), Cause::Rollback),
        };
        let moved = Moved {
            at: now,
            image: it.image.clone(),
            old: old.clone(),
            new: digest.clone(),
            cause,
            who: self.by.who.clone(),
            way: self.by.way,
            act: Some(self.stored.id),
            reason: self.act.reason.clone(),
        };
        let put = What::TagPut {
            act: self.stored.id,
            image: it.image.clone(),
            old,
            new: digest.clone(),
        };
        let entry = audit::entry(self.by.clone(), now, &put);
        Ok(store.keep_move(&moved, &[entry])?)
    }
}

/// Writes down how far an act has come, and tells the audit.
pub(super) fn keep_act(
    store: &mut Store,
    stored: &mut StoredAct,
    act: &Act,
    (by, at): (&By, Timestamp),
) -> Result<(), JournalError> {
    let id = stored.id;
    let what = match &act.phase {
        Phase::Forward => None,
        Phase::Back { why, .. } => Some(What::ReleaseTurnedBack {
            act: id,
            why: why.clone(),
        }),
        Phase::Ended(End::Done) => Some(What::ReleaseEnded {
            act: id,
            end: "done".to_owned(),
            why: None,
            left: Vec::new(),
        }),
        Phase::Ended(End::Undone { why, left }) => Some(What::ReleaseEnded {
            act: id,
            end: "undone".to_owned(),
            why: Some(why.clone()),
            left: left.clone(),
        }),
    };
    let entry = what.map(|what| audit::entry(by.clone(), at, &what));
    let entries: Vec<_> = entry.into_iter().collect();
    stored.body = text(act);
    Ok(store.keep_act(stored, act.end().is_none(), &entries)?)
}

/// What an act of this store says.
pub(super) fn read_act(stored: &StoredAct) -> Result<Act, JournalError> {
    serde_json::from_str(&stored.body).map_err(|error| JournalError::Act {
        id: stored.id,
        why: error.to_string(),
    })
}

fn text(act: &Act) -> String {
    serde_json::to_string(act).expect("texts, numbers and string keys always serialize")
}
