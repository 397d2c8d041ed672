//! Moving house: a store copied into one file while it is in use, and put in place elsewhere.
//!
//! A backup is the store's own file, copied by SQLite, with another application id (so that it is
//! never opened as a store by mistake), a name of its own, the files that go with it, and a sum over
//! all that it holds. What is made from one has a holder of its own: it is another coordinator.
mod about;
mod contents;
mod moved;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use about::About;
pub use moved::Moved;
pub use place::Arriving;
pub use read::{Backup, Holds};
