//! `withdraw`, `restore`, `cordon`, `uncordon`: by hand, under the same guards.
use clap::Args;

use super::super::args::{self, Because, Yes};
use super::super::desk::{Desk, known_site};
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act;
use crate::api::wire::Command;
use crate::model::id::SiteName;

/// Takes a site out of DNS and holds it out; its containers are left alone
#[derive(Args, Debug)]
#[command(after_help = "\
Asks no engine and no registry. The site comes back with `cleanslate restore SITE`. One that waits to be
tried by hand ([verify] hold in the playbook) stays out with it, and the rotation halts.

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
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
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
    let command = Command::Withdraw {
        site: args.site.clone(),
        reason: args.because.reason.clone(),
        below_floor: args.below_floor,
    };
    let question = format!("Take {} out of DNS?", args.site);
    let until = Until::Withdrawn(args.site.clone());
    let asked = Asked {
        what: "withdraw",
        site: &args.site,
        command,
        until,
        yes: args.because.yes,
    };
    asked.act(desk, &question).await
}

pub(crate) async fn restore(desk: &Desk, args: &Restore) -> Outcome {
    let command = Command::Restore {
        site: args.site.clone(),
        reason: args.reason.clone().unwrap_or_default(),
        unverified: args.unverified,
    };
    let question = format!("Put {} back into DNS?", args.site);
    let until = Until::Visited(args.site.clone());
    let asked = Asked {
        what: "restore",
        site: &args.site,
        command,
        until,
        yes: args.yes,
    };
    asked.act(desk, &question).await
}

pub(crate) async fn cordon(desk: &Desk, args: &Cordon) -> Outcome {
    let (site, reason) = (args.site.clone(), args.because.reason.clone());
    let question = format!("Let rotations skip {site}?");
    let asked = Asked {
        what: "cordon",
        site: &args.site,
        until: Until::Cordoned {
            site: site.clone(),
            cordoned: true,
        },
        command: Command::Cordon { site, reason },
        yes: args.because.yes,
    };
    asked.act(desk, &question).await
}

pub(crate) async fn uncordon(desk: &Desk, args: &Uncordon) -> Outcome {
    let (site, reason) = (args.site.clone(), args.because.reason.clone());
    let question = format!("Let rotations visit {site} again?");
    let asked = Asked {
        what: "uncordon",
        site: &args.site,
        until: Until::Cordoned {
            site: site.clone(),
            cordoned: false,
        },
        command: Command::Uncordon { site, reason },
        yes: args.because.yes,
    };
    asked.act(desk, &question).await
}

/// What is asked about one site, and when it is done.
struct Asked<'a> {
    what: &'a str,
    site: &'a SiteName,
    command: Command,
    until: Until,
    yes: Yes,
}

impl Asked<'_> {
    /// By the coordinator that runs, else here.
    async fn act(self, desk: &Desk, question: &str) -> Outcome {
        if let Some(here) = desk.here()? {
            known_site(&here.fleet, self.site)?;
        }
        let what = format!("{} {}", self.what, self.site);
        let asked = (what, question, self.yes);
        if let Some(exit) = act::ask_and_pass_on(desk, asked, &self.command, self.until).await? {
            return Ok(exit);
        }
        let request = act::request(&self.command)?;
        act::act(desk, (&self.command, request), self.yes, question).await
    }
}
