//! `release`: the release manager's day.
mod act;
mod approve;
mod cancel;
mod clear;
mod history;
mod promote;
mod rollback;
mod status;

use clap::Subcommand;

use super::super::desk::Desk;
use super::super::failure::Outcome;

/// Moves tags to tested images and back, all or none; tells how they stand and who moved them
#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    Status(status::Show),
    Promote(promote::Promote),
    Rollback(rollback::Rollback),
    Approve(approve::Approve),
    Cancel(cancel::Cancel),
    History(history::History),
    Clear(clear::Clear),
}

pub(crate) async fn run(desk: &Desk, args: &Release) -> Outcome {
    match args {
        Release::Status(args) => Box::pin(status::run(desk, args)).await,
        Release::Promote(args) => Box::pin(promote::run(desk, args)).await,
        Release::Approve(args) => approve::run(desk, args).await,
        Release::Cancel(args) => cancel::run(desk, args).await,
        Release::Rollback(args) => Box::pin(rollback::run(desk, args)).await,
        Release::History(args) => Box::pin(history::run(desk, args)).await,
        Release::Clear(args) => clear::run(desk, args).await,
    }
}
