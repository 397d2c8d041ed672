//! `release approve`: a tester's word.
use clap::Args;

use super::super::super::args::Because;
use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::Outcome;
use super::super::super::follow::Until;
use super::super::act;
use crate::api::wire::Command;
use crate::daemon::release::approve;
use crate::model::image::Digest;

/// Says of a digest that you tried it and found it good
///
/// With `[release] approvals` in site.toml, `promote` asks for the word of so many people. Each counts
/// once, by the name they are known by here.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  cleanslate release approve sha256:9f3c… --reason \"checkout and login by hand\"")]
pub(crate) struct Approve {
    /// The whole digest, sha256:…, as `release status` has it with --json
    digest: Digest,
    #[command(flatten)]
    because: Because,
}

/// By the coordinator that runs, else here.
pub(super) async fn run(desk: &Desk, args: &Approve) -> Outcome {
    let (digest, reason) = (&args.digest, &args.because.reason);
    let asked = Command::ReleaseApprove {
        digest: digest.clone(),
        reason: reason.clone(),
    };
    let what = format!("release approve {}", digest.short());
    let question = format!("Approve of {}?", digest.short());
    let of_person = (what, question.as_str(), args.because.yes);
    if act::ask_and_pass_on(desk, of_person, &asked, Until::Noted)
        .await?
        .is_none()
    {
        let mut session = desk.session()?;
        let now = session.clock().now();
        let asking = desk.asking(&asked);
        approve(&mut session.store, &asking, (digest, reason), now)?;
    }
    let done = format!("{} is approved", digest.short());
    desk.output.progress(&done);
    Ok(Exit::Done)
}
