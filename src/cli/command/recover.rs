//! `recover`: brings back what the marker calls out, whoever left it so.
use clap::Args;

use super::super::args::{self, Yes};
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::follow::Until;
use super::act;
use crate::api::wire::Command;
use crate::daemon::Request;
use crate::daemon::survey::owed;
use crate::model::id::SiteName;

/// Takes over and brings back every site that the marker calls out
///
/// For a lost store or a lost coordinator: the marker in DNS alone says which sites are out. A
/// site of which nothing was stopped goes back as it is; any other is rebuilt and verified.
#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// Why; it is kept in the journal
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

pub(crate) async fn run(desk: &Desk, args: &Recover) -> Outcome {
    let reason = args.reason.clone();
    let command = Command::Recover {
        reason: reason.clone(),
    };
    let what = "recover".to_owned();
    let asked = (
        what,
        "Take the marker over and bring back what it calls out?",
        args.yes,
    );
    if let Some(exit) = act::ask_and_pass_on(desk, asked, &command, Until::Rotated).await? {
        return Ok(exit);
    }
    let loaded = desk.load()?;
    let adapters = desk.adapters(&loaded.fleet)?;
    let owed = owed(&adapters.dns, &loaded.fleet).await;
    let owed = owed.map_err(Failure::unchanged)?;
    if owed.is_empty() {
        desk.output
            .progress("the marker calls no site out: nothing to recover");
        return Ok(Exit::Done);
    }
    let names: Vec<&str> = owed.iter().map(SiteName::as_str).collect();
    let question = format!("Take the marker over and bring back {}?", names.join(", "));
    let request = Request::recover(owed, reason);
    act::act(desk, (&command, request), args.yes, &question).await
}
