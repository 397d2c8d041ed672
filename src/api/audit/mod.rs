//! What the audit holds, in words for programs and for people.
//!
//! It is kept for years: a field is never renamed or removed, and whoever meets a kind that they do
//! not know shows it as it stands.
mod change;
mod containers;
mod fact;
mod plan;
#[cfg(test)]
mod tests;
mod what;
mod words;

pub use change::{Changed, RecordChange};
pub use containers::Container;
pub use fact::{Fact, fact};
pub use plan::Planned;
pub use what::{Reason, What};
pub(crate) use words::words;
