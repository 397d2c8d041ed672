//! The command line: what people and scripts type, and what they read.
mod args;
mod command;
mod confirm;
mod desk;
mod exit;
mod failure;
mod file;
mod follow;
mod grid;
mod memory;
mod moment;
mod output;
mod runs;
mod start;

pub use start::main;
