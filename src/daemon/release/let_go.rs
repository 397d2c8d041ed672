//! An act that was open when a store was copied: whoever began it has ended it since, or will.
use jiff::Timestamp;

use super::super::journal::JournalError;
use super::open::{keep_act, read_act};
use crate::model::release::{End, Left, Phase};
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
    let mut act = read_act(&stored)?;
    let left = act.moves.iter().map(|it| Left {
        image: it.image.clone(),
        why: "see `cleanslate release status` for what it names now".to_owned(),
    });
    let (why, left) = (why.to_owned(), left.collect());
    act.phase = Phase::Ended(End::Undone { why, left });
    keep_act(store, &mut stored, &act, (by, now))
}
