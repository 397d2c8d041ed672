//! A pretend outside for the machine: what a primary and engines do with what they are asked, and
//! a whole world of them that goes wrong by seed. Pure, as the machine is; it uses `model` and
//! `coordinator` only.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod chance;
pub(crate) mod crew;
pub(crate) mod engine;
#[cfg(test)]
mod every;
pub mod faults;
pub mod invariants;
pub mod night;
pub mod obeying;
pub mod play;
#[cfg(test)]
pub(crate) mod scenario;
pub mod trace;
pub(crate) mod world;
pub(crate) mod zone;
