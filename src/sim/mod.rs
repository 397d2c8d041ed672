//! A pretend outside for the machine: what a primary and engines do with what they are asked.
//! Pure, as the machine is; it uses `model` and `coordinator` only.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod engine;
pub mod obeying;
pub mod play;
pub(crate) mod zone;
