//! `release`: images, and what became of them.
mod clear;

use clap::Subcommand;

use super::super::desk::Desk;
use super::super::failure::Outcome;

/// Images: what failed, and may be used again
#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    Clear(clear::Clear),
}

pub(crate) async fn run(desk: &Desk, release: &Release) -> Outcome {
    match release {
        Release::Clear(args) => clear::run(desk, args).await,
    }
}
