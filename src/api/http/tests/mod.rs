//! The API as its users meet it: over a socket, over TCP, in the wrong words, and by force.
mod described;
mod flood;
mod net;
mod socket;
pub(in crate::api) mod stage;
