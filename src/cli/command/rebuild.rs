//! `rebuild`: one site now, sick or not.
use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};

use super::super::args::Because;
use super::super::desk::{Desk, known_site};
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act::{self, Request};
use crate::api::wire::{self, Command};
use crate::coordinator::plan::{Kept, Mode, Options};
use crate::daemon::survey::ImageSource;
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
    known_site(&desk.load()?.fleet, &args.site)?;
    let (command, until) = (
        Command::Rebuild(wire_of(args)),
        Until::Visited(args.site.clone()),
    );
    let what = format!("rebuild {}", args.site);
    if let Some(exit) = act::pass_on(desk, what, &command, until).await? {
        return Ok(exit);
    }
    let kept = if args.kept { ", kept services too" } else { "" };
    let question = format!(
        "Destroy and rebuild every container of {}{kept}?",
        args.site
    );
    let request = Request {
        options: Options {
            without: args.without.iter().cloned().collect(),
            without_ns: args.without_ns.iter().copied().collect(),
            below_floor: args.below_floor,
            restore: args.restore,
            kept: match args.kept {
                true => Kept::Recreated,
                false => Kept::Stay,
            },
            take_over: false,
            wait_s: act::patience(desk, args.wait),
        },
        source: match args.images {
            None => ImageSource::Registry,
            Some(Images::Running) => ImageSource::Running,
            Some(Images::LastGood) => ImageSource::LastGood,
        },
        ..Request::of(&args.site, Mode::Rebuild, Some(args.because.reason.clone()))
    };
    act::act(desk, request, args.because.yes, &question).await
}

fn wire_of(args: &Rebuild) -> wire::Rebuild {
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
    }
}

/// An address, with port 53 where none is given.
pub(super) fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>();
    let without = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    with_port
        .or_else(|_| without())
        .map_err(|_| format!("{text:?} is no address: use 10.0.2.53 or 10.0.2.53:53"))
}
