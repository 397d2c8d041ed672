//! What every command that changes something does: settle what was interrupted, plan, ask, run,
//! and say how it ended.
use super::super::args::Yes;
use super::super::confirm::confirm;
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome, Said};
use super::super::follow::{Elsewhere, Night, Show, Until, Work, drive};
use super::super::memory::typical;
use crate::api::narrate::brings_back;
use crate::api::wire::Command;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::plan::{Mode, Plan};
use crate::daemon::release::{InPlace, open_act};
use crate::daemon::{Asking, Finish, Request, Session, rotation_id};
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::Playbook;

/// What was asked for, in the words of the control socket.
pub(super) fn request(command: &Command) -> Result<Request, Failure> {
    match Request::of_words(command) {
        Some(request) => request.map_err(|problem| Failure {
            exit: Exit::Usage,
            said: Said::Problems(vec![problem]),
        }),
        None => Err(Failure::new(
            Exit::Later,
            "no rotation is running here",
            "see `cleanslate status`",
        )),
    }
}

/// Passes a wish on to the coordinator that runs, and tells what happens until it is done. `None`:
/// none runs, this process is to do it.
pub(super) async fn pass_on(
    desk: &Desk,
    what: String,
    command: &Command,
    until: Until,
) -> Result<Option<Exit>, Failure> {
    let here = desk.here()?;
    Box::pin(Elsewhere::new(desk, here.as_ref(), what, until).pass_on(command)).await
}

/// The same for what a person is asked about first.
pub(super) async fn ask_and_pass_on(
    desk: &Desk,
    (what, question, yes): (String, &str, Yes),
    command: &Command,
    until: Until,
) -> Result<Option<Exit>, Failure> {
    if desk.coordinator(desk.here()?.as_ref()).await?.is_none() {
        return Ok(None);
    }
    confirm(&desk.output, yes, question)?;
    pass_on(desk, what, command, until).await
}

/// Does it in this process.
pub(super) async fn act(
    desk: &Desk,
    (command, request): (&Command, Request),
    yes: Yes,
    question: &str,
) -> Outcome {
    let mut session = desk.session()?;
    let before = settle(desk, &mut session, None).await?;
    let plan = planned(desk, &mut session, command, request).await?;
    confirm(&desk.output, yes, question)?;
    let after = begin(desk, &mut session, command, plan).await?;
    Ok(before.worse(after))
}

/// Brings to safety what an earlier process left, and drops the rest of it.
pub(super) async fn settle(desk: &Desk, session: &mut Session, asking: Option<Asking>) -> Outcome {
    settle_release(desk, session).await?;
    let Some(interrupted) = session.interrupted() else {
        return Ok(Exit::Done);
    };
    desk.output.progress(&format!(
        "{} was interrupted: what it left is brought to safety first",
        interrupted.rotation
    ));
    let show = Show::new(desk, night(session, &interrupted.playbook)?);
    let work = Work::Resume {
        supersede: true,
        asking,
    };
    let finish = drive(desk, session, work, show).await?;
    // That it was aborted is what was asked for; that a site stayed out is not.
    let is_out = |finish: Finish| {
        let mut ends = finish.visits.into_values();
        ends.any(|(end, _)| end == VisitEnd::Quarantined)
    };
    Ok(match finish.is_some_and(is_out) {
        true => Exit::Attention,
        false => Exit::Done,
    })
}

/// Finishes or takes back what an earlier process left of a move of tags. Where the registry does not
/// let it, it stays open, and whatever asks the registry for a plan is refused.
async fn settle_release(desk: &Desk, session: &mut Session) -> Result<(), Failure> {
    let Some(open) = open_act(&session.store)? else {
        return Ok(());
    };
    desk.output.progress(&format!(
        "{open} was interrupted: it is finished or taken back first"
    ));
    Ok(Box::pin(InPlace::of(session).settle()).await?)
}

/// The plan of a request, on what is seen now.
pub(super) async fn planned(
    desk: &Desk,
    session: &mut Session,
    command: &Command,
    request: Request,
) -> Result<Plan, Failure> {
    let id = rotation_id(request.name(), desk.clock.now().wall);
    let planned = Box::pin(session.plan_asked(request, id, desk.user())).await;
    if let Err(error) = &planned {
        session.refused(&desk.asking(command), &error.problems())?;
    }
    Ok(planned?)
}

/// Says which sites wait for their quiet hours, before somebody wonders why nothing happens.
pub(super) fn tell_of_waits(desk: &Desk, plan: &Plan) {
    let now = desk.clock.now().wall;
    for (site, window) in plan.windows.iter().filter(|(_, window)| window.opens > now) {
        let opens = desk.when.ahead(window.opens, now);
        desk.output.progress(&format!(
            "{site} waits for its quiet hours ({window}) until {opens}; with --now it does not"
        ));
    }
}

/// Runs a plan and says how it ended.
pub(super) async fn begin(
    desk: &Desk,
    session: &mut Session,
    command: &Command,
    plan: Plan,
) -> Outcome {
    let mode = plan.mode.clone();
    let show = Show::new(desk, night(session, &plan.playbook)?);
    let work = Work::Begin(Box::new(plan), desk.asking(command));
    let finish = drive(desk, session, work, show).await?;
    Ok(finish.map_or(Exit::Done, |finish| ended(desk, &finish, &mode)))
}

/// Says what a person is needed for.
pub(super) fn ended(desk: &Desk, finish: &Finish, mode: &Mode) -> Exit {
    let exit = Exit::of(finish, mode);
    if exit == Exit::Done || desk.output.is_json {
        return exit;
    }
    for (site, (end, problem)) in &finish.visits {
        let Some(problem) = problem else { continue };
        desk.output.say(&format!("{site}: {}", problem.what));
        desk.output.say(&format!("  cure: {}", problem.cure));
        if *end == VisitEnd::Quarantined {
            let next = brings_back(finish.marker.as_ref(), site);
            desk.output.say(&format!("  next: {next}"));
        }
    }
    if let Some(refusal) = &finish.refusal {
        desk.output.say(&refusal.what);
        desk.output.say(&format!("  cure: {}", refusal.cure));
    }
    if !finish.not_visited.is_empty() {
        let sites: Vec<&str> = finish.not_visited.iter().map(SiteName::as_str).collect();
        desk.output
            .say(&format!("not visited: {}", sites.join(", ")));
        desk.output.say("  next: cleanslate retry --reason TEXT");
    }
    exit
}

pub(super) fn night(session: &Session, playbook: &PlaybookName) -> Result<Night, Failure> {
    let playbook: Playbook = session.playbook(playbook)?;
    let typical = |site: &SiteName, step: &str| typical(&session.store, site, step);
    Ok(Night::new(&session.config.fleet, &playbook, typical))
}

/// How long to wait for a marker that another coordinator holds, in seconds: a timer waits until
/// it could be taken over, a person is told at once.
pub(super) fn patience(desk: &Desk, asked: Option<jiff::SignedDuration>) -> u64 {
    let default = if desk.output.is_terminal { 0 } else { 35 * 60 };
    asked.map_or(default, |asked| u64::try_from(asked.as_secs()).unwrap_or(0))
}
