//! An act that was open when a store was copied: whoever began it has ended it since, or will.
use jiff::Timestamp;

use super::super::audit;
use super::super::journal::JournalError;
use crate::api::audit::What;
use crate::model::release::{Act, End, Left, Phase};
use crate::store::{By, Store};

/// Ends the act that is open, and moves nothing: another store goes on with it, and tags may have
/// moved again since.
///
/// # Errors
/// Where it cannot be read or written.
pub(in crate::daemon) fn let_go(
    store: &mut Store,
    by: &By,
    now: Timestamp,
    why: &str,
) -> Result<(), JournalError> {
    let Some(mut stored) = store.open_act()? else {
        return Ok(());
    };
    let unreadable = |error: serde_json::Error| JournalError::Unreadable {
        seq: stored.id,
        why: error.to_string(),
    };
    let mut act: Act = serde_json::from_str(&stored.body).map_err(unreadable)?;
    let left = act.moves.iter().map(|it| Left {
        image: it.image.clone(),
        why: "see `cleanslate release status` for what it names now".to_owned(),
    });
    let left: Vec<Left> = left.collect();
    let ended = What::ReleaseEnded {
        act: stored.id,
        end: "undone".to_owned(),
        why: Some(why.to_owned()),
        left: left.clone(),
    };
    let why = why.to_owned();
    act.phase = Phase::Ended(End::Undone { why, left });
    stored.body = serde_json::to_string(&act).map_err(unreadable)?;
    let entry = audit::entry(by.clone(), now, &ended);
    Ok(store.keep_act(&stored, false, &[entry])?)
}
