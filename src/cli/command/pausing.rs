//! `pause` and `resume`: a rotation that runs holds before the next thing it would take away.
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use super::super::args::{self, Because};
use super::super::desk::{Desk, known_site};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::Until;
use super::super::moment::{Moment, moment, past};
use super::act;
use crate::api::public;
use crate::api::wire::Command;
use crate::model::id::SiteName;

/// Holds the rotation before the next thing it would take away
///
/// No visit starts, no site leaves DNS, and of a site that has left nothing is stopped. What is
/// being rebuilt already is finished, verified and put back.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate pause --reason \"the cache cluster is warming up\"
  cleanslate pause --for 20m --reason \"a look at fra\"
  cleanslate pause --until 04:30 --then abort --reason \"somebody looks at it at four\"")]
pub(crate) struct Pause {
    #[command(flatten)]
    because: Because,
    /// Goes on by itself after so long
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    lasts: Option<SignedDuration>,
    /// Goes on by itself then: 04:30, or 2026-11-22T04:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// What happens then
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Then::Resume)]
    then: Then,
}

/// Lets a paused rotation go on, or puts a site in that was tried by hand
#[derive(Args, Debug)]
#[command(after_help = "\
Without a site it ends a pause, or else says yes to the one site that waits to be tried ([verify] hold in the
playbook). It says no to one: cleanslate withdraw SITE --reason TEXT.

Examples:
  cleanslate resume
  cleanslate resume fra")]
pub(crate) struct Resume {
    /// The site that was tried by hand, and is good
    site: Option<SiteName>,
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Then {
    /// The rotation goes on
    Resume,
    /// The rotation is ended, what is visited brought to safety
    Abort,
}

pub(crate) async fn pause(desk: &Desk, args: &Pause) -> Outcome {
    let until = args.until(desk)?;
    if until.is_none() && args.then == Then::Abort {
        let what = "--then abort needs a time";
        return Err(Failure::new(Exit::Usage, what, "add --for or --until"));
    }
    let command = Command::Pause {
        reason: args.because.reason.clone(),
        until,
        then: until.map(|_| match args.then {
            Then::Resume => public::Then::Resume,
            Then::Abort => public::Then::Abort,
        }),
    };
    told(desk, "pause", &command).await
}

pub(crate) async fn resume(desk: &Desk, args: &Resume) -> Outcome {
    if let Some(site) = &args.site {
        known_site(&desk.load()?.fleet, site)?;
    }
    let site = args.site.as_ref();
    let what = site.map_or("resume".to_owned(), |site| format!("resume {site}"));
    let command = Command::Resume {
        reason: args.reason.clone(),
        site: args.site.clone(),
    };
    told(desk, &what, &command).await
}

/// Only whoever runs the rotation can hold it.
async fn told(desk: &Desk, what: &str, command: &Command) -> Outcome {
    match act::pass_on(desk, what.to_owned(), command, Until::Taken).await? {
        Some(exit) => Ok(exit),
        None => act::request(command).map(|_| Exit::Done),
    }
}

impl Pause {
    fn until(&self, desk: &Desk) -> Result<Option<Timestamp>, Failure> {
        let now = desk.clock.now().wall;
        if let Some(lasts) = self.lasts {
            let until = now.checked_add(lasts).ok().filter(|until| *until > now);
            return until.map(Some).ok_or_else(past);
        }
        self.until.map(|until| until.ahead(desk)).transpose()
    }
}
