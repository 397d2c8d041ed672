//! A person's word: it ends a pause, or says of a site that was tried by hand whether it goes in.
use super::command::rejected;
use super::event::{Event, VisitEnd};
use super::machine::Rejection;
use super::outcome::Problem;
use super::state::Rotation;
use crate::model::id::SiteName;

/// `resume`. Without a name it ends the pause, if there is one, and nothing else: nobody who wants
/// that may put in a site that he did not try. Of several that wait he has to say which.
pub(super) fn resumed(
    rotation: &Rotation,
    (actor, reason): (&str, Option<&String>),
    site: Option<&SiteName>,
) -> Result<Vec<Event>, Rejection> {
    if site.is_none() && rotation.pause.is_some() {
        return Ok(vec![Event::Resumed {
            actor: actor.to_owned(),
            reason: reason.cloned(),
        }]);
    }
    Ok(vec![Event::TrialAccepted {
        site: meant(rotation, site)?.clone(),
        actor: actor.to_owned(),
        reason: reason.cloned(),
    }])
}

/// The site on trial that is meant.
fn meant<'a>(
    rotation: &'a Rotation,
    site: Option<&'a SiteName>,
) -> Result<&'a SiteName, Rejection> {
    if let Some(site) = site {
        return tried(rotation, site);
    }
    let waiting: Vec<&SiteName> = rotation.on_trial().collect();
    match waiting.as_slice() {
        [site] => Ok(site),
        [] => Err(rejected(
            format!("rotation {} is not paused", rotation.plan.id),
            "see `cleanslate status`",
        )),
        [first, ..] => {
            let names: Vec<&str> = waiting.iter().map(|site| site.as_str()).collect();
            Err(rejected(
                format!("{} wait to be tried by hand", names.join(" and ")),
                &format!("say which: `cleanslate resume {first}`"),
            ))
        }
    }
}

/// The visit has failed, and the rotation is over. That a person took the site out is written where
/// nobody forgets it: until somebody restores it, no rotation puts it in.
pub(super) fn refused(
    rotation: &Rotation,
    site: &SiteName,
    actor: &str,
    reason: &str,
) -> Result<Vec<Event>, Rejection> {
    let site = tried(rotation, site)?.clone();
    let problem = Problem {
        what: format!("{actor} tried {site}, and it is not good: {reason}"),
        cure: format!("mend what was wrong, then `cleanslate restore {site}` rebuilds it"),
        is_transient: false,
    };
    let halted = Event::Halted {
        cause: problem.clone(),
        site: Some(site.clone()),
    };
    let mut events = vec![
        Event::TrialRefused {
            site: site.clone(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        },
        Event::VisitEnded {
            site,
            end: VisitEnd::Quarantined,
            problem: Some(problem),
        },
    ];
    if !rotation.is_ending() {
        events.push(halted);
    }
    Ok(events)
}

fn tried<'a>(rotation: &Rotation, site: &'a SiteName) -> Result<&'a SiteName, Rejection> {
    if rotation.on_trial().any(|waiting| waiting == site) {
        return Ok(site);
    }
    Err(rejected(
        format!("{site} does not wait to be tried by hand"),
        "see `cleanslate status`",
    ))
}
