//! The fleet that the lab is for: its files, its first containers, and `cleanslate` run on it.

pub mod demo;
pub mod events;
pub mod files;
pub mod first;
pub mod options;
pub mod runner;
pub mod summary;
