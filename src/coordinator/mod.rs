//! The machine that decides. It speaks only [`input::Input`], [`event::Event`] and
//! [`effect::Effect`]; it knows no adapter, reads no clock and draws no random number.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod apply;
mod awaited;
pub mod caution;
mod command;
pub mod context;
pub mod effect;
pub mod event;
pub mod follow;
pub(crate) mod guards;
pub mod input;
pub mod intent;
mod lane;
pub mod machine;
pub mod outcome;
pub mod plan;
pub mod retry;
mod rotation;
pub mod safety;
pub mod state;
pub mod view;
mod visit;
mod word;

#[cfg(test)]
pub(crate) mod tests;
