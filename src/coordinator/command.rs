//! What a person or the schedule asks: taken, or rejected with the reason.
use super::event::{Event, PauseEnd};
use super::input::Command;
use super::intent::Intent;
use super::machine::Rejection;
use super::outcome::Problem;
use super::plan::Plan;
use super::safety;
use super::state::{Rotation, State};
use super::word;
use crate::model::image::Digest;

/// The facts that follow from a command.
///
/// # Errors
/// [`Rejection`] where the state does not allow it: nothing is recorded then.
pub(super) fn accept(state: &State, command: &Command) -> Result<Vec<Event>, Rejection> {
    let running = state.running();
    match command {
        Command::Begin { plan } => match running {
            None => {
                unbarred(state, plan)?;
                let plan = (**plan).clone();
                Ok(vec![Event::Planned { plan }])
            }
            Some(rotation) => Err(rejected(
                format!("rotation {} is running", rotation.plan.id),
                "wait for it, or `cleanslate abort`",
            )),
        },
        Command::Abort { actor, reason } => {
            being(running)?;
            Ok(vec![Event::AbortRequested {
                actor: actor.clone(),
                reason: reason.clone(),
                is_superseded: false,
            }])
        }
        Command::Supersede => {
            being(running)?;
            Ok(vec![Event::AbortRequested {
                actor: "cleanslate".to_owned(),
                reason: Some("superseded".to_owned()),
                is_superseded: true,
            }])
        }
        Command::Pause {
            actor,
            reason,
            ends,
        } => paused(being(running)?, actor, reason, ends),
        Command::Resume {
            actor,
            reason,
            site,
        } => word::resumed(being(running)?, (actor, reason.as_ref()), site.as_ref()),
        Command::Refuse {
            site,
            actor,
            reason,
        } => word::refused(being(running)?, site, actor, reason),
        Command::QueueRebuild { plan } => {
            let rotation = being(running)?;
            unbarred(state, plan)?;
            queued(rotation, plan)
        }
        // The machine itself takes it: it is about what decisions are made with.
        Command::Reread { .. } => Ok(Vec::new()),
        Command::Write { intent } => written(being(running)?, intent),
        Command::Clear {
            digest,
            actor,
            reason,
        } => cleared(state, digest, actor, reason),
    }
}

/// A plan may have been made before its digests were barred.
fn unbarred(state: &State, plan: &Plan) -> Result<(), Rejection> {
    match safety::barred((&plan.pins, &plan.site_pins), &state.barred)
        .into_iter()
        .next()
    {
        None => Ok(()),
        Some(problem) => Err(Rejection { problem }),
    }
}

fn cleared(
    state: &State,
    digest: &Digest,
    actor: &str,
    reason: &str,
) -> Result<Vec<Event>, Rejection> {
    if !state.barred.contains_key(digest) {
        let problem = Problem {
            what: format!("{digest} is not barred"),
            cure: "see `cleanslate status` for what is".to_owned(),
            is_transient: false,
        };
        return Err(Rejection { problem });
    }
    Ok(vec![Event::Cleared {
        digest: digest.clone(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    }])
}

/// Whoever pauses anew says anew until when. A process that wants to end leaves a person's pause as
/// it is: nothing begins already.
fn paused(
    rotation: &Rotation,
    actor: &str,
    reason: &str,
    ends: &PauseEnd,
) -> Result<Vec<Event>, Rejection> {
    if rotation.is_ending() || rotation.is_over() {
        return Err(rejected(
            "the rotation is ending: nothing further begins".to_owned(),
            "see `cleanslate status`",
        ));
    }
    if rotation.pause.is_some() && *ends == PauseEnd::Start {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Paused {
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        ends: ends.clone(),
    }])
}

/// A rebuild follows the visits in hand; a site in hand is not asked for twice.
fn queued(rotation: &Rotation, plan: &Plan) -> Result<Vec<Event>, Rejection> {
    if rotation.is_ending() || rotation.is_over() {
        return Err(rejected(
            "the rotation is ending".to_owned(),
            "ask again when it has ended",
        ));
    }
    if let Some(site) = plan
        .sites()
        .find(|site| rotation.visits.contains_key(*site))
    {
        return Err(rejected(
            format!("{site} is being visited"),
            "wait for the visit to end, or `cleanslate abort`",
        ));
    }
    Ok(vec![Event::RebuildQueued { plan: plan.clone() }])
}

/// The marker's lists can change at any time. Whoever wants a site out of DNS wants the floor
/// asked first, and that takes a visit.
fn written(rotation: &Rotation, intent: &Intent) -> Result<Vec<Event>, Rejection> {
    match intent {
        Intent::Cordon { .. } | Intent::Uncordon { .. } if rotation.is_over() => Err(rejected(
            "the rotation is ending".to_owned(),
            "ask again when it has ended",
        )),
        Intent::Cordon { .. } | Intent::Uncordon { .. } => Ok(vec![Event::WriteRequested {
            intent: intent.clone(),
        }]),
        Intent::Acquire
        | Intent::Refresh
        | Intent::Withdraw { .. }
        | Intent::Dirty { .. }
        | Intent::Restore { .. }
        | Intent::Clean { .. }
        | Intent::PutBack { .. }
        | Intent::WithdrawAgain { .. }
        | Intent::Expel { .. }
        | Intent::Hold { .. }
        | Intent::Release => Err(rejected(
            format!("{intent:?} cannot be asked for while a rotation runs"),
            "wait for it, or `cleanslate abort`",
        )),
    }
}

fn being(running: Option<&Rotation>) -> Result<&Rotation, Rejection> {
    let none = || {
        rejected(
            "no rotation is running".to_owned(),
            "see `cleanslate status`",
        )
    };
    running.ok_or_else(none)
}

pub(super) fn rejected(what: String, cure: &str) -> Rejection {
    Rejection {
        problem: Problem {
            what,
            cure: cure.to_owned(),
            is_transient: true,
        },
    }
}
