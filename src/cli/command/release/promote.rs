//! `release promote`: what one channel runs becomes what another takes.
use clap::Args;

use super::super::super::desk::Desk;
use super::super::super::failure::Outcome;
use super::act::{Asked, Words, release};
use crate::api::wire::{self, Command};
use crate::model::id::Channel;

/// Moves the tags of a channel to the manifests that those of another name
///
/// Every image that follows a channel (`${CHANNEL}` in its tag) moves, or none does. A manifest is
/// put as it is, byte for byte. Running containers are not touched: sites take it in their next
/// rotation.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate release promote staging master
  cleanslate release promote staging master --service web --reason \"the hotfix only\"
  cleanslate release promote v2.4.1 master --now")]
pub(crate) struct Promote {
    /// The channel, or any tag, that names what is good
    from: Channel,
    /// The channel that is to take it
    to: Channel,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn run(desk: &Desk, args: &Promote) -> Outcome {
    let command = |words: Words| {
        Command::Promote(wire::Promote {
            from: args.from.clone(),
            to: args.to.clone(),
            services: words.services,
            reason: words.reason,
            now: words.now,
            dry_run: words.dry_run,
            seen: words.seen,
        })
    };
    Box::pin(release(desk, &args.asked, command)).await
}
