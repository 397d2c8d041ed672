//! Tags that are moved: asked for, looked at, carried out beside the loop, and written down by it. And tags
//! that keep what was good.
mod ahead;
mod approve;
mod desk;
mod drive;
mod found;
mod history;
mod in_place;
mod in_service;
mod keeper;
mod keeping;
mod ledger;
mod let_go;
mod open;
mod prepare;
mod said;
mod scheduled;
mod standing;
mod target;
mod terms;
#[cfg(test)]
mod tests;
mod wanted;

pub use ahead::Rotates;
pub use approve::approve;
pub(super) use desk::{Following, Note, Place, Releases};
pub(super) use found::{keep_found, keep_passed, unless_damaged};
pub use history::history;
pub use in_place::InPlace;
pub(super) use keeping::kept_on_hosts;
pub use ledger::Ledger;
pub(super) use let_go::let_go;
pub use prepare::{Prepared, Refused};
pub(super) use said::{Said, Waiting};
pub use standing::{Remembered, open_act, release_status, standing};
pub(super) use standing::{answer_standing, heed_act, release_status_if_sound};
pub use wanted::{Aim, Wanted};
