//! Tokens: who may ask what over the network.
//!
//! They are kept beside the store, in a file of their own: the API looks at it without asking
//! whoever drives a rotation, and `cleanslate token` changes it whether a coordinator runs or not.
mod file;
mod keys;
mod role;

pub use file::{Entry, TokenError, TokenFile};
pub use keys::{Denied, Keys, last_used};
pub use role::{Right, Role};
