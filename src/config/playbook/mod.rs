//! `playbooks/NAME.toml`, and those that are built in.
mod builtin;
mod fit;
mod read;
mod schedule;

pub(crate) use builtin::{BUILT_IN, for_fleet, is_needed};
pub(crate) use fit::check_fit;
pub(crate) use read::{PlaybookFile, read};
