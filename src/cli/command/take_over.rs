//! `take-over`: the marker of a coordinator that is gone.
use clap::Args;

use super::super::args::Because;
use super::super::desk::Desk;
use super::super::failure::Outcome;
use super::act::{self, Request, named};
use crate::coordinator::plan::{Mode, Options};
use crate::daemon::survey::ImageSource;

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
    let request = Request {
        mode: Mode::TakeOver,
        playbook: named("rebuild"),
        sites: Some(Vec::new()),
        options: Options {
            take_over: true,
            ..Options::default()
        },
        reason: Some(args.because.reason.clone()),
        source: ImageSource::LastGood,
    };
    let question = "Take the marker over, whoever holds it?";
    act::act(desk, request, args.because.yes, question).await
}
