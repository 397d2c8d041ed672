//! `release rollback`: back to what passed.
use clap::Args;

use super::super::super::desk::Desk;
use super::super::super::failure::Outcome;
use super::act::{Asked, Words, release};
use crate::api::wire::{self, Command};
use crate::model::id::Channel;
use crate::model::image::Digest;

/// Moves the tags of a channel back to the last digests that every site of it passed
///
/// What goes back is whatever did not pass everywhere, with all that was promoted together with it;
/// where all passed, what moved last. Never simply the tag before: what nobody passed is not gone
/// back to.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate release rollback master
  cleanslate release rollback master --reason \"checkout fails\" --now --only-changed
  cleanslate release rollback master --service web --to sha256:4f5a…")]
pub(crate) struct Rollback {
    /// The channel
    tag: Channel,
    /// To this one, of the image that has it
    #[arg(long, value_name = "DIGEST")]
    to: Option<Digest>,
    /// With --now: rotates only the sites that took the bad one
    #[arg(long, requires = "now")]
    only_changed: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn run(desk: &Desk, args: &Rollback) -> Outcome {
    let command = |words: Words| {
        Command::Rollback(wire::Rollback {
            tag: args.tag.clone(),
            digest: args.to.as_ref().map(ToString::to_string),
            services: words.services,
            reason: words.reason,
            now: words.now,
            only_changed: args.only_changed,
            dry_run: words.dry_run,
            seen: words.seen,
        })
    };
    Box::pin(release(desk, &args.asked, command)).await
}
