//! Tokens: who may ask what over the network.
//!
//! They are kept beside the store, in a file of their own: the API looks at it without asking
//! whoever drives a rotation, and `cleanslate token` changes it whether a coordinator runs or not.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "requests come side by side, on a clock of their own; the machine is asked by a channel"
)]

mod file;
mod keys;
mod role;

pub use file::{Entry, TokenError, TokenFile};
pub use keys::{Denied, Keys, last_used};
pub use role::{Right, Role};
