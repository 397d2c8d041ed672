//! What other programs meet: event lines, status, and the control socket with the words spoken
//! over it.
pub mod actor;
pub mod client;
pub mod conversation;
mod line;
pub mod narrate;
pub mod public;
pub mod socket;
pub mod status;
pub mod story;
pub(crate) mod when;
pub mod wire;
pub(crate) mod words;
