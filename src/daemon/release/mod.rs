//! Tags that are moved: asked for, looked at, carried out beside the loop, and written down by it.
mod desk;
mod drive;
mod found;
mod history;
mod in_place;
mod let_go;
mod prepare;
mod standing;
mod target;
mod wanted;

pub(super) use desk::{Note, Place, Releases, Said, Waiting};
pub(super) use found::{keep_found, keep_passed, unless_damaged};
pub use history::history;
pub use in_place::InPlace;
pub(super) use let_go::let_go;
pub use prepare::{Prepared, Refused};
pub(super) use standing::{answer_standing, heed_act};
pub use standing::{open_act, standing};
pub use wanted::{Aim, Wanted};
