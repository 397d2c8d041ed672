//! Releases: which tags are moved to which manifests, and how several moves become one act that ends
//! with all of them done or none.
mod act;
mod followed;
mod ledger;
mod mover;
#[cfg(test)]
mod tests;

pub use act::{Act, End, Left, Move, Phase, Verb};
pub use followed::{Followed, followed};
pub use ledger::{Cause, Moved, Passed, Running, back_to, running};
pub use mover::{Mover, Want};
