//! `withdraw`, `restore`, `cordon`, `uncordon`: by hand, under the same guards.
use clap::Args;

use super::super::args::{Because, Yes};
use super::super::desk::{Desk, known_site};
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act::{self, Request};
use crate::api::wire::Command;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::SiteName;

/// Takes a site out of DNS and holds it out; its containers are left alone
#[derive(Args, Debug)]
#[command(after_help = "\
Asks no engine and no registry. The site comes back with `cleanslate restore SITE`.

Example:
  cleanslate withdraw nyc --reason \"fibre cut\"")]
pub(crate) struct Withdraw {
    /// Which site
    site: SiteName,
    #[command(flatten)]
    because: Because,
    /// Goes on although fewer sites than the floor remain; never empties a record
    #[arg(long)]
    below_floor: bool,
}

/// Puts a site back into DNS, once it is verified as it stands
#[derive(Args, Debug)]
#[command(after_help = "\
A site of which containers may have been stopped is rebuilt first.

Example:
  cleanslate restore nyc")]
pub(crate) struct Restore {
    /// Which site
    site: SiteName,
    /// Puts it in without asking its probes
    #[arg(long, requires = "reason")]
    unverified: bool,
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Lets rotations skip a site; its DNS is not touched
#[derive(Args, Debug)]
pub(crate) struct Cordon {
    /// Which site
    site: SiteName,
    #[command(flatten)]
    because: Because,
}

/// Lets rotations visit a site again
#[derive(Args, Debug)]
pub(crate) struct Uncordon {
    /// Which site
    site: SiteName,
    #[command(flatten)]
    because: Because,
}

pub(crate) async fn withdraw(desk: &Desk, args: &Withdraw) -> Outcome {
    let reason = args.because.reason.clone();
    let request = Request {
        options: Options {
            below_floor: args.below_floor,
            ..Options::default()
        },
        ..Request::of(&args.site, Mode::Withdraw, Some(reason.clone()))
    };
    let command = Command::Withdraw {
        site: args.site.clone(),
        reason,
        below_floor: args.below_floor,
    };
    let question = format!("Take {} out of DNS?", args.site);
    one(desk, request, command, args.because.yes, &question).await
}

pub(crate) async fn restore(desk: &Desk, args: &Restore) -> Outcome {
    let mode = Mode::Restore {
        unverified: args.unverified,
    };
    let request = Request::of(&args.site, mode, args.reason.clone());
    let command = Command::Restore {
        site: args.site.clone(),
        reason: args.reason.clone().unwrap_or_default(),
        unverified: args.unverified,
    };
    let question = format!("Put {} back into DNS?", args.site);
    one(desk, request, command, args.yes, &question).await
}

pub(crate) async fn cordon(desk: &Desk, args: &Cordon) -> Outcome {
    let (site, reason) = (args.site.clone(), args.because.reason.clone());
    let mode = Mode::Cordon { cordoned: true };
    let request = Request::of(&site, mode, Some(reason.clone()));
    let question = format!("Let rotations skip {site}?");
    let command = Command::Cordon { site, reason };
    one(desk, request, command, args.because.yes, &question).await
}

pub(crate) async fn uncordon(desk: &Desk, args: &Uncordon) -> Outcome {
    let (site, reason) = (args.site.clone(), args.because.reason.clone());
    let mode = Mode::Cordon { cordoned: false };
    let request = Request::of(&site, mode, Some(reason.clone()));
    let question = format!("Let rotations visit {site} again?");
    let command = Command::Uncordon { site, reason };
    one(desk, request, command, args.because.yes, &question).await
}

async fn one(desk: &Desk, request: Request, command: Command, yes: Yes, question: &str) -> Outcome {
    let site = request.sites.iter().flatten().next().cloned();
    let site = site.expect("these requests name their site");
    known_site(&desk.load()?.fleet, &site)?;
    let visited = Until::Visited(site.clone());
    let listed = |cordoned| Until::Cordoned {
        site: site.clone(),
        cordoned,
    };
    let (what, until) = match request.mode {
        Mode::Withdraw => ("withdraw", visited),
        Mode::Restore { .. } => ("restore", visited),
        Mode::Cordon { cordoned: true } => ("cordon", listed(true)),
        Mode::Cordon { cordoned: false } => ("uncordon", listed(false)),
        Mode::Rotate | Mode::Rebuild | Mode::Recover | Mode::TakeOver => ("visit", visited),
    };
    if let Some(exit) = act::pass_on(desk, format!("{what} {site}"), &command, until).await? {
        return Ok(exit);
    }
    act::act(desk, request, yes, question).await
}
