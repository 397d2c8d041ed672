//! `site.toml`, playbooks and Compose files → model types.
pub mod compose;
pub mod diagnostic;
pub mod example;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod load;
mod playbook;
mod reading;
pub mod report;
mod resolve;
mod site;
pub mod sources;
mod table;

pub use load::{Loaded, Options, load, load_from};

#[cfg(test)]
mod right;
#[cfg(test)]
pub(crate) mod test_folder;
#[cfg(test)]
mod wrong;
#[cfg(test)]
mod wrong_playbooks;
