//! `release clear`: what failed at a site may be planned again.
use clap::Args;

use super::super::super::args::Because;
use super::super::super::confirm::confirm;
use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::{Failure, Outcome, Said};
use super::super::super::follow::Until;
use super::super::act;
use crate::api::wire;
use crate::coordinator::input::Command;
use crate::model::image::Digest;

/// Lets a digest be planned again that failed at a site, and was barred for it
#[derive(Args, Debug)]
#[command(after_help = "\
Where an image itself is bad, it stays barred: move the tag to one that works. Which are barred, where and
why they failed stands in `cleanslate status`.

Example:
  cleanslate release clear sha256:9f3c… --reason \"it was the database, and is mended\"")]
pub(crate) struct Clear {
    /// The whole digest, sha256:…
    digest: Digest,
    #[command(flatten)]
    because: Because,
}

/// By the coordinator that runs, else here.
pub(super) async fn run(desk: &Desk, args: &Clear) -> Outcome {
    let (digest, reason) = (&args.digest, &args.because.reason);
    let asked = wire::Command::ReleaseClear {
        digest: digest.clone(),
        reason: reason.clone(),
    };
    let what = format!("release clear {}", digest.short());
    let question = format!("Let rotations use {} again?", digest.short());
    let of_person = (what, question.as_str(), args.because.yes);
    let done = format!("{} is barred no more", digest.short());
    if let Some(exit) = act::ask_and_pass_on(desk, of_person, &asked, Until::Noted).await? {
        desk.output.progress(&done);
        return Ok(exit);
    }
    confirm(&desk.output, args.because.yes, &question)?;
    let mut session = desk.session()?;
    let asking = desk.asking(&asked);
    let command = Command::Clear {
        digest: digest.clone(),
        actor: desk.user(),
        reason: reason.clone(),
    };
    if let Err(problem) = session.tell(command, &asking)? {
        session.refused(&asking, std::slice::from_ref(&problem))?;
        return Err(Failure {
            exit: Exit::Refused,
            said: Said::Problems(vec![problem]),
        });
    }
    desk.output.progress(&done);
    Ok(Exit::Done)
}
