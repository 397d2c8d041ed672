//! The ledger as it is told.
use std::collections::BTreeMap;

use super::ledger::Ledger;
use crate::api::release::{Entry, History};
use crate::model::release::{KeepPhase, KeepTag, Moved, Passed};

/// The last moves, the latest first; of images whose reference holds `image`.
pub fn history(ledger: &Ledger, image: Option<&str>, last: usize) -> History {
    let Ledger {
        moved,
        passed,
        kept,
    } = ledger;
    let is_asked = |moved: &&Moved| image.is_none_or(|it| moved.image.to_string().contains(it));
    let entry = |moved: &Moved| {
        let is_it = |it: &&Passed| it.image == moved.image && it.digest == moved.new;
        let since = |it: &Passed| (it.site.clone(), it.first.max(moved.at));
        let theirs = passed.iter().filter(is_it).filter(|it| it.last >= moved.at);
        let passed: BTreeMap<_, _> = theirs.map(since).collect();
        let name = moved.image.name();
        let is_it = |tag: &&KeepTag| tag.digest == moved.new && tag.image.name() == name;
        let kept = kept.iter().filter(is_it);
        let kept = kept.filter(|tag| tag.phase == KeepPhase::Kept);
        Entry {
            moved: moved.clone(),
            passed,
            kept: kept.map(|tag| tag.name().to_owned()).collect(),
        }
    };
    let moves = moved.iter().rev().filter(is_asked).take(last);
    History {
        v: 1,
        moves: moves.map(entry).collect(),
    }
}
