//! `abort`: ends the rotation that runs, or the one that was interrupted.
use clap::Args;

use super::super::args::{self, Yes};
use super::super::confirm::confirm;
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::Until;
use super::act;
use crate::api::wire::Command;

/// Ends the rotation; what is visited is brought to safety first
///
/// A site of which nothing was stopped goes back as it was; any other is rebuilt and verified.
#[derive(Args, Debug)]
pub(crate) struct Abort {
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

pub(crate) async fn run(desk: &Desk, args: &Abort) -> Outcome {
    let reason = args
        .reason
        .clone()
        .unwrap_or_else(|| format!("asked by {}", desk.user()));
    let command = Command::Abort { reason };
    let taken = act::pass_on(desk, "abort".to_owned(), &command, Until::Ended).await?;
    if let Some(exit) = taken {
        return Ok(exit);
    }
    let mut session = desk.session()?;
    let Some(interrupted) = session.interrupted() else {
        return Err(Failure::new(
            Exit::Later,
            "no rotation is running, and none was interrupted",
            "see `cleanslate status`",
        ));
    };
    let question = format!("Drop {}, which was interrupted?", interrupted.rotation);
    confirm(&desk.output, args.yes, &question)?;
    let asking = desk.asking(&command);
    act::settle(desk, &mut session, Some(asking)).await
}
