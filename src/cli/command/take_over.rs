//! `take-over`: the marker of a coordinator that is gone.
use clap::Args;

use super::super::args::Because;
use super::super::desk::Desk;
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act;
use crate::api::wire::Command;

/// Takes the marker of another coordinator over at once
///
/// That coordinator can change DNS no more, whatever it still tries. Sites that it left out are
/// brought back with `cleanslate recover`.
#[derive(Args, Debug)]
pub(crate) struct TakeOver {
    #[command(flatten)]
    because: Because,
}

pub(crate) async fn run(desk: &Desk, args: &TakeOver) -> Outcome {
    let reason = args.because.reason.clone();
    let command = Command::TakeOver { reason };
    let what = "take-over".to_owned();
    let asked = (
        what,
        "Take the marker over, whoever holds it?",
        args.because.yes,
    );
    if let Some(exit) = act::ask_and_pass_on(desk, asked, &command, Until::Rotated).await? {
        return Ok(exit);
    }
    let question = "Take the marker over, whoever holds it?";
    let request = act::request(&command)?;
    act::act(desk, (&command, request), args.because.yes, question).await
}
