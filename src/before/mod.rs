//! The playbook's command that runs before anything of a site is stopped.
mod command;

pub use command::run_before;
