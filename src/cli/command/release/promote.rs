//! `release promote`: what one channel runs becomes what another takes.
use clap::Args;

use super::super::super::desk::Desk;
use super::super::super::failure::Outcome;
use super::super::super::moment::{Moment, moment};
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
  cleanslate release promote v2.4.1 master --now
  cleanslate release promote staging master --at 16:00
  cleanslate release promote staging master --unsoaked --reason \"CVE-2026-1234\"

How long an image has to be in service before, and how many have to approve of it, stands in site.toml:
  [release]
  soak = \"24h\"
  approvals = 1")]
pub(crate) struct Promote {
    /// The channel, or any tag, that names what is good
    from: Channel,
    /// The channel that is to take it
    to: Channel,
    /// Not now but then, by the coordinator: 16:00, or 2026-11-24T16:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,
    /// However short it has been in service; takes a --reason
    #[arg(long, requires = "reason")]
    unsoaked: bool,
    #[command(flatten)]
    asked: Asked,
}

pub(super) async fn run(desk: &Desk, args: &Promote) -> Outcome {
    let at = args.at.map(|at| at.ahead(desk)).transpose()?;
    let command = |words: Words| {
        Command::Promote(wire::Promote {
            from: args.from.clone(),
            to: args.to.clone(),
            services: words.services,
            reason: words.reason,
            now: words.now,
            at,
            unsoaked: args.unsoaked,
            dry_run: words.dry_run,
            seen: words.seen,
        })
    };
    Box::pin(release(desk, &args.asked, command)).await
}
