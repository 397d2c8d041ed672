//! What is seen of tags by the way goes into the ledger, where it is news.
use jiff::Timestamp;

use crate::api::audit::What;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::State;
use crate::daemon::audit;
use crate::daemon::journal::JournalError;
use crate::model::image::{Digest, ImageRef, ImageVersion};
use crate::model::release::{Act, Cause, Moved};
use crate::store::{By, Store, StoreError};

/// Adds what registries were seen to have, where the ledger's last word on a tag is another. Tags of
/// an act that has not ended are on their way, and no news.
///
/// # Errors
/// Failures to write. A damaged ledger ends no night.
pub(in crate::daemon) fn keep_found<'a>(
    store: &mut Store,
    seen: impl IntoIterator<Item = (&'a ImageRef, &'a Digest)>,
    (by, why): (&By, &str),
    at: Timestamp,
) -> Result<(), JournalError> {
    unless_damaged(keep(store, seen, (by, why), at).map_err(JournalError::Store))
}

/// On a damaged ledger nothing is decided but where tags go, and whoever moves them reads it itself:
/// that stops there, and neither a night nor its coordinator does.
///
/// # Errors
/// Every other one.
pub(in crate::daemon) fn unless_damaged<T: Default>(
    read: Result<T, JournalError>,
) -> Result<T, JournalError> {
    Ok(or_problem(read)?.unwrap_or_else(|problem| {
        let error = problem.what;
        tracing::error!(error, "the ledger is not gone on with");
        T::default()
    }))
}

/// The same for whoever asks for something of the ledger: the inner error is what they are told.
///
/// # Errors
/// Every other one.
pub(in crate::daemon) fn or_problem<T>(
    read: Result<T, JournalError>,
) -> Result<Result<T, Problem>, JournalError> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(
            error @ (JournalError::Store(StoreError::Corrupt { .. }) | JournalError::Act { .. }),
        ) => Ok(Err(Problem {
            what: error.to_string(),
            cure: error.cure(),
            is_transient: false,
        })),
        Err(error) => Err(error),
    }
}

fn keep<'a>(
    store: &mut Store,
    seen: impl IntoIterator<Item = (&'a ImageRef, &'a Digest)>,
    (by, why): (&By, &str),
    at: Timestamp,
) -> Result<(), StoreError> {
    let open = store.open_act()?;
    let open: Option<Act> = open.and_then(|open| serde_json::from_str(&open.body).ok());
    let is_on_its_way = |image: &ImageRef| {
        let moves = open.iter().flat_map(|act| &act.moves);
        moves.into_iter().any(|it| it.image == *image)
    };
    for (image, digest) in seen {
        let is_tag = matches!(image.version, ImageVersion::Tag(_));
        if !is_tag || is_on_its_way(image) {
            continue;
        }
        let last = store.last_move(image)?;
        if last.as_ref().is_some_and(|last| last.new == *digest) {
            continue;
        }
        let old = last.map(|last| last.new);
        let found = What::TagFound {
            image: image.clone(),
            old: old.clone(),
            new: digest.clone(),
            why: why.to_owned(),
        };
        let moved = Moved {
            at,
            image: image.clone(),
            old,
            new: digest.clone(),
            cause: Cause::Found,
            who: by.who.clone(),
            way: by.way,
            act: None,
            reason: Some(why.to_owned()),
        };
        let entry = audit::entry(by.clone(), at, &found);
        store.keep_move(&moved, &[entry])?;
    }
    Ok(())
}

/// Remembers what each site last passed with, where that is not told yet.
///
/// # Errors
/// Failures to write. A damaged ledger ends no night.
pub(in crate::daemon) fn keep_passed(
    store: &mut Store,
    state: &State,
    at: Timestamp,
) -> Result<(), JournalError> {
    for (site, pins) in state.last_good.iter() {
        let kept = store.keep_passed(site, pins, None, at);
        unless_damaged(kept.map_err(JournalError::Store))?;
    }
    Ok(())
}
