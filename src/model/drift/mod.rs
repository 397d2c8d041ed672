//! What is not as declared: containers beside their services, and what was written inside them.
mod changes;
mod compare;
mod finding;
#[cfg(test)]
mod tests;

pub use changes::{decides_what_runs, groups, leaves};
pub use compare::{Known, LastVisit, compare, not_looked_into};
pub use finding::{Difference, Finding};
