//! The audit: who asked for what, what was done, and what became of it. A chain of its own beside
//! the journal's, written in the same transactions, and never cut.
mod entry;
mod reading;
mod writing;

pub use entry::{By, Entry};
pub use reading::{Audited, Broken, Chain};

pub(super) use writing::{add, damaged};
