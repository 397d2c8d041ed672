//! `pause` and `resume`: a rotation that runs holds before the next thing it would take away.
use clap::{Args, ValueEnum};
use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp};

use super::super::args::Because;
use super::super::desk::{Desk, known_site};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::Until;
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
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Then {
    /// The rotation goes on
    Resume,
    /// The rotation is ended, what is visited brought to safety
    Abort,
}

/// A time of day here, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Local(Time),
    At(Timestamp),
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
        let until = match (self.lasts, self.until) {
            (Some(lasts), _) => now.checked_add(lasts).ok(),
            (None, Some(Moment::At(at))) => Some(at),
            (None, Some(Moment::Local(time))) => desk.when.next(time, now),
            (None, None) => return Ok(None),
        };
        match until.filter(|until| *until > now) {
            Some(until) => Ok(Some(until)),
            None => Err(Failure::new(
                Exit::Usage,
                "that time is not in the future",
                "use a time of day (04:30), an instant (2026-11-22T04:30:00Z), or --for 20m",
            )),
        }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let local = text.parse::<Time>().map(Moment::Local);
    let at = || text.parse::<Timestamp>().map(Moment::At);
    local
        .or_else(|_| at())
        .map_err(|_| "use 04:30, or 2026-11-22T04:30:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_and_an_instant_are_told_apart() {
        let local = Moment::Local(jiff::civil::time(4, 30, 0, 0));
        assert_eq!(moment("04:30"), Ok(local));
        let at = "2026-11-22T04:30:00Z";
        assert_eq!(moment(at), Ok(Moment::At(at.parse().unwrap())));
        assert!(moment("soon").is_err());
    }
}
