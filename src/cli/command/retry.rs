//! `retry`: a new rotation of what the last one did not complete.
use clap::Args;

use super::super::args::Because;
use super::super::confirm::confirm;
use super::super::desk::Desk;
use super::super::failure::Outcome;
use super::super::follow::Until;
use super::act;
use crate::api::wire::Command;
use crate::daemon::Session;
use crate::model::id::SiteName;

/// Begins a new rotation of the sites that the last one did not complete
///
/// It is planned anew: tags are looked at again.
#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// Visits sites outside their quiet hours too
    #[arg(long)]
    now: bool,
    /// Begins although `[[freeze]]` holds today
    #[arg(long)]
    in_freeze: bool,
    #[command(flatten)]
    because: Because,
}

pub(crate) async fn run(desk: &Desk, args: &Retry) -> Outcome {
    let reason = args.because.reason.clone();
    let command = Command::Retry {
        reason: reason.clone(),
        now: args.now,
        in_freeze: args.in_freeze,
    };
    let what = "retry".to_owned();
    let asked = (what, "Visit what the last rotation left?", args.because.yes);
    if let Some(exit) = act::ask_and_pass_on(desk, asked, &command, Until::Rotated).await? {
        return Ok(exit);
    }
    let mut session = desk.session()?;
    let wish = |session: &Session| session.retried(reason.clone(), args.now, args.in_freeze);
    if let Some(mut request) = wish(&session)? {
        session.heed_freeze(&mut request)?;
    }
    let before = act::settle(desk, &mut session, None).await?;
    let Some(mut request) = wish(&session)? else {
        desk.output
            .progress("the last rotation completed every site: nothing to retry");
        return Ok(before);
    };
    request.options.wait_s = act::patience(desk, None);
    let names: Vec<&str> = request
        .sites
        .iter()
        .flatten()
        .map(SiteName::as_str)
        .collect();
    let question = format!("Visit {}, which the last rotation left?", names.join(", "));
    let plan = act::planned(desk, &mut session, &command, request).await?;
    act::tell_of_waits(desk, &plan);
    confirm(&desk.output, args.because.yes, &question)?;
    let after = act::begin(desk, &mut session, &command, plan).await?;
    Ok(before.worse(after))
}
