//! `release cancel`: what was to be promoted later is not.
use clap::Args;

use super::super::super::args;
use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::Outcome;
use super::super::super::follow::Until;
use super::super::act;
use crate::api::client::ClientError;
use crate::api::wire::{Command, Reply};
use crate::daemon::release::InPlace;
use crate::model::id::Channel;

/// Takes back a promotion that waits for its time
#[derive(Args, Debug)]
#[command(after_help = "\
What waits stands in `cleanslate release status`.

Example:
  cleanslate release cancel master --reason \"tomorrow\"")]
pub(crate) struct Cancel {
    /// The channel that was to take it
    tag: Channel,
    /// Why; it is kept in the audit
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
}

/// By the coordinator that runs, else here.
pub(super) async fn run(desk: &Desk, args: &Cancel) -> Outcome {
    let asked = Command::ReleaseCancel {
        tag: args.tag.clone(),
        reason: args.reason.clone(),
    };
    let what = format!("release cancel {}", args.tag);
    if act::pass_on(desk, what, &asked, Until::Noted)
        .await?
        .is_none()
    {
        let mut session = desk.session()?;
        let asking = desk.asking(&asked);
        let mut releases = InPlace::of(&mut session);
        if let Reply::Refused(refusal) = releases.cancel(&args.tag, &asking)? {
            return Err(ClientError::Refused(refusal).into());
        }
    }
    let done = format!("no promotion to {} waits any more", args.tag);
    desk.output.progress(&done);
    Ok(Exit::Done)
}
