//! Stories in text: what goes wrong, one act a line, and what must be so in the end. Played by the
//! coordinators that ship, in the simulator's world.
mod acts;
mod coordinators;
mod expectations;
mod outside;
mod play;
mod script;

pub(crate) use play::{Played, play};
pub(crate) use script::Script;
