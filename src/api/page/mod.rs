//! The page at `/`: where everything stands, and what can be done about it, for people. It shows
//! what the coordinator says and nothing of its own.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sessions end by the clock, and connections share them; nothing is decided here"
)]
mod account;
mod answer;
mod asking;
mod board;
mod entry;
mod files;
mod moment;
mod night;
mod past;
mod report;
mod routes;
mod sheet;
mod show;
mod site;

pub(super) use board::Board;
pub(in crate::api) use entry::{Sessions, Ticket};
pub(super) use routes::{Page, routes};
pub(crate) use sheet::sheet;

#[cfg(test)]
mod tests;
