//! `rotate`: one pass of a playbook over the fleet.
use std::path::PathBuf;

use clap::Args;

use super::super::args::{self, Yes};
use super::super::confirm::confirm;
use super::super::desk::{Desk, known_site};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome, Said};
use super::super::follow::{Show, Until, Work, drive};
use super::act;
use super::{dry_run, plan, preview};
use crate::api::wire::Command;
use crate::coordinator::plan::Mode;
use crate::daemon::Session;
use crate::model::id::{PlaybookName, SiteName};

/// Visits every site of a playbook: out of DNS, emptied, rebuilt from its images, put back
///
/// A rotation of the same playbook that was interrupted less than 12 hours ago is continued; any
/// other one is brought to safety first. One Ctrl-C aborts: what is visited is brought to safety.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate rotate                          the playbook nightly
  cleanslate rotate urgent --site nyc        one site, by another playbook
  cleanslate rotate --dry-run                tonight's rotation, told in advance
  cleanslate rotate --site sin --now         although it is noon in Singapore
  cleanslate rotate urgent --in-freeze --reason \"a hole in openssl\"
  cleanslate plan --out night.json && cleanslate rotate --plan night.json --yes
  cleanslate rotate --json | jq .event       for programs: one object a line")]
pub(crate) struct Rotate {
    /// Which playbook
    #[arg(default_value = "nightly")]
    playbook: PlaybookName,
    /// Only this site; may be repeated
    #[arg(long, value_name = "SITE", value_delimiter = ',')]
    site: Vec<SiteName>,
    /// Refuses to begin unless all is as this plan found it (`plan --out`)
    #[arg(long, value_name = "FILE", conflicts_with = "site")]
    plan: Option<PathBuf>,
    /// Plans and asks all that *ready* asks, then plays the rotation against servers that obey;
    /// changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Visits sites outside their quiet hours too
    #[arg(long)]
    now: bool,
    /// Begins although `[[freeze]]` holds today
    #[arg(long, requires = "reason")]
    in_freeze: bool,
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
    /// How long to wait while another coordinator holds the marker [default: 35m, 0s on a
    /// terminal]
    #[arg(long, value_name = "TIME")]
    wait: Option<jiff::SignedDuration>,
    #[command(flatten)]
    yes: Yes,
}

pub(crate) async fn run(desk: &Desk, args: &Rotate) -> Outcome {
    if args.dry_run {
        desk.may_be_elsewhere(false)?;
        let file = args.plan.as_deref();
        return Box::pin(dry_run::run(desk, &args.playbook, &args.site, file)).await;
    }
    let here = desk.here()?;
    desk.may_be_elsewhere(args.plan.is_none())?;
    if let Some(here) = &here {
        plan::playbook(here, &args.playbook)?;
        for site in &args.site {
            known_site(&here.fleet, site)?;
        }
    }
    let command = Command::Rotate {
        playbook: args.playbook.clone(),
        sites: args.site.clone(),
        reason: args.reason.clone(),
        wait: act::patience(desk, args.wait),
        now: args.now,
        in_freeze: args.in_freeze,
    };
    if args.plan.is_none() {
        let what = format!("rotate {}", args.playbook);
        let fleet = here.map_or(String::new(), |here| format!(" {}", here.fleet.name));
        let question = format!("Rotate fleet{fleet} by the playbook {}?", args.playbook);
        let asked = (what, question.as_str(), args.yes);
        if let Some(exit) = act::ask_and_pass_on(desk, asked, &command, Until::Rotated).await? {
            return Ok(exit);
        }
    }
    let mut session = desk.session()?;
    if session.continues(&args.playbook, &Mode::Rotate) {
        return resume(desk, &mut session, args, &command).await;
    }
    let mut request = act::request(&command)?;
    session.heed_freeze(&mut request)?;
    let before = act::settle(desk, &mut session, None).await?;
    let plan = act::planned(desk, &mut session, &command, request).await?;
    if let Some(file) = &args.plan {
        let is_same = preview::refuse_if_changed(desk, &session, &plan, file).await;
        if let Err(Failure {
            said: Said::Problems(problems),
            ..
        }) = &is_same
        {
            session.refused(&desk.asking(&command), problems)?;
        }
        is_same?;
    }
    let sites: Vec<&str> = plan.sites().map(SiteName::as_str).collect();
    let question = format!(
        "Rotate {} of fleet {} by the playbook {}?",
        sites.join(", "),
        session.config.fleet.name,
        args.playbook
    );
    act::tell_of_waits(desk, &plan);
    confirm(&desk.output, args.yes, &question)?;
    let after = act::begin(desk, &mut session, &command, plan).await?;
    Ok(before.worse(after))
}

async fn resume(desk: &Desk, session: &mut Session, args: &Rotate, command: &Command) -> Outcome {
    let show = Show::new(desk, act::night(session, &args.playbook)?);
    let work = Work::Resume {
        supersede: false,
        asking: Some(desk.asking(command)),
    };
    let finish = drive(desk, session, work, show).await?;
    Ok(finish.map_or(Exit::Done, |finish| {
        act::ended(desk, &finish, &Mode::Rotate)
    }))
}
