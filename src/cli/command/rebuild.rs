//! `rebuild`: one site now, sick or not.
use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::super::args::Because;
use super::super::desk::{Desk, known_site};
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act;
use crate::api::wire::{self, Command};
use crate::daemon::request;
use crate::model::id::{HostName, SiteName};

/// Destroys and rebuilds one site now; a sick one leaves DNS first
///
/// Other sites need not all be well: the floor alone decides. What is dead can be left out by
/// name; it is not touched, and its addresses do not come back until a visit includes it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate rebuild nyc --reason \"kernel oops on nyc2\"
  cleanslate rebuild nyc --without nyc2 --reason \"nyc2 is dead\"
  cleanslate rebuild nyc --images running --reason \"the registry is down\"
  cleanslate rebuild fra --kept --reason \"the database moves to its new image\"
  cleanslate rebuild ams --restore --reason \"a new site\"")]
pub(crate) struct Rebuild {
    /// Which site
    site: SiteName,
    #[command(flatten)]
    because: Because,
    /// A host that is dead; may be repeated
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    without: Vec<HostName>,
    /// A name server that is dead, by address; may be repeated. The drain lasts its at_most
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = server)]
    without_ns: Vec<SocketAddr>,
    /// Takes the digests from the site's own hosts, and asks no registry
    #[arg(long, value_enum, value_name = "SOURCE")]
    images: Option<Images>,
    /// Puts a site in that was found out of DNS, once it is verified
    #[arg(long)]
    restore: bool,
    /// Goes on although fewer sites than the floor remain; never empties a record
    #[arg(long)]
    below_floor: bool,
    /// Recreates kept services too, this once; their named volumes always stay
    #[arg(long)]
    kept: bool,
    /// How long to wait while another coordinator holds the marker [default: 35m, 0s on a
    /// terminal]
    #[arg(long, value_name = "TIME")]
    wait: Option<jiff::SignedDuration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Images {
    /// What the site's containers run
    Running,
    /// What the site last passed on
    LastGood,
}

pub(crate) async fn run(desk: &Desk, args: &Rebuild) -> Outcome {
    if let Some(here) = desk.here()? {
        known_site(&here.fleet, &args.site)?;
    }
    let (command, until) = (
        Command::Rebuild(wire_of(desk, args)),
        Until::Visited(args.site.clone()),
    );
    let what = format!("rebuild {}", args.site);
    let kept = if args.kept { ", kept services too" } else { "" };
    let question = format!(
        "Destroy and rebuild every container of {}{kept}?",
        args.site
    );
    let asked = (what, question.as_str(), args.because.yes);
    if let Some(exit) = act::ask_and_pass_on(desk, asked, &command, until).await? {
        return Ok(exit);
    }
    let request = act::request(&command)?;
    act::act(desk, (&command, request), args.because.yes, &question).await
}

fn wire_of(desk: &Desk, args: &Rebuild) -> wire::Rebuild {
    wire::Rebuild {
        site: args.site.clone(),
        reason: args.because.reason.clone(),
        without: args.without.clone(),
        without_ns: args.without_ns.iter().map(ToString::to_string).collect(),
        images: args.images.map(|images| match images {
            Images::Running => wire::Images::Running,
            Images::LastGood => wire::Images::LastGood,
        }),
        restore: args.restore,
        below_floor: args.below_floor,
        kept: args.kept,
        wait: act::patience(desk, args.wait),
    }
}

/// For clap: the mistake is told with the flag that holds it.
pub(super) fn server(text: &str) -> Result<SocketAddr, String> {
    request::server(text).map_err(|problem| format!("{}: {}", problem.what, problem.cure))
}
