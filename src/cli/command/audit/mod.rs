//! `audit`: who asked for what, what was done, and what became of it.
mod show;
mod since;
mod verify;

pub(in crate::cli) use show::{Show, run};
