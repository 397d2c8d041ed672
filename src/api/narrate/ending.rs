//! How visits and rotations end, and what a person types next.
use jiff::Timestamp;

use super::narrator::seconds;
use super::place::{running, visit};
use crate::api::public::Public;
use crate::coordinator::event::{RotationEnd, VisitEnd, VisitKind};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Ending, Rotation, State};
use crate::model::id::SiteName;
use crate::model::marker::Marker;

pub(super) fn visit_ended(
    end: VisitEnd,
    problem: Option<&Problem>,
    site: &SiteName,
    before: &State,
    after: &State,
) -> Option<Public> {
    let why = problem.map_or_else(String::new, |problem| problem.what.clone());
    let cure = problem.map_or_else(String::new, |problem| problem.cure.clone());
    let kind = visit(before, site).map(|visit| visit.kind);
    let has_lost = running(after).is_some_and(Rotation::has_lost);
    match (end, problem) {
        (VisitEnd::Completed, _) => Some(Public::VisitCompleted {
            in_service: !matches!(kind, Some(VisitKind::WithdrawOnly)),
            next_site: next_site(after),
        }),
        (VisitEnd::LeftOut, None) => Some(Public::VisitCompleted {
            in_service: false,
            next_site: next_site(after),
        }),
        (VisitEnd::PutBack, _) => Some(Public::PutBack { why, cure }),
        (VisitEnd::RolledBack, _) => Some(Public::RolledBack { why, cure }),
        (VisitEnd::Skipped | VisitEnd::LeftOut, _) => Some(Public::SiteSkipped { why, cure }),
        // Whoever took over answers for it: where it stands by now is not known here.
        (VisitEnd::Quarantined, _) if has_lost => None,
        (VisitEnd::Quarantined, _) => Some(Public::SiteQuarantined { why, cure }),
        // It serves, `restored` was told, and why the rotation ends follows.
        (VisitEnd::LeftInService, _) => None,
    }
}

/// The site whose visit follows; none once the rotation is ending.
fn next_site(state: &State) -> Option<SiteName> {
    running(state)?.next_site().cloned()
}

pub(super) fn ended(end: &RotationEnd, before: &State, at: Timestamp) -> Option<Public> {
    let rotation = before.rotation.as_ref()?;
    let halted = |cause: &str, cure: &str| Public::RotationHalted {
        cause: cause.to_owned(),
        cure: cure.to_owned(),
        next: next_command(before, rotation),
    };
    Some(match end {
        RotationEnd::Completed => {
            let (visited, skipped): (Vec<_>, Vec<_>) =
                rotation.ended.iter().partition(|(_, (end, problem))| {
                    let is_good = matches!(end, VisitEnd::Completed | VisitEnd::LeftOut);
                    is_good && problem.is_none()
                });
            let names = |ended: Vec<(&SiteName, _)>| {
                ended.into_iter().map(|(site, _)| site.clone()).collect()
            };
            Public::RotationCompleted {
                seconds: seconds(at, rotation.began),
                visited: names(visited),
                skipped: names(skipped),
            }
        }
        RotationEnd::Halted => match &rotation.ending {
            Some(Ending::Halted { cause, .. }) => halted(&cause.what, &cause.cure),
            Some(Ending::Deposed { why } | Ending::NotAcquired { why }) => halted(why, SEE_STATUS),
            Some(Ending::Aborted { reason }) => halted(reason, SEE_STATUS),
            None => halted("", SEE_STATUS),
        },
        RotationEnd::NotAcquired { why } => {
            let cure = rotation.refusal.as_ref().map(|refusal| &refusal.cure);
            halted(why, cure.map_or(SEE_STATUS, String::as_str))
        }
        // Whoever took over answers for what was out: how it stands is not known here.
        RotationEnd::Deposed { why } => Public::RotationHalted {
            cause: why.clone(),
            cure: SEE_STATUS.to_owned(),
            next: "cleanslate status".to_owned(),
        },
        RotationEnd::Aborted { reason } => Public::RotationAborted {
            reason: reason.clone(),
        },
    })
}

const SEE_STATUS: &str = "see `cleanslate status`";

/// The command that brings back what stayed out. One that a person took out comes by name only.
pub(crate) fn brings_back(marker: Option<&Marker>, site: &SiteName) -> String {
    match marker.is_some_and(|marker| marker.held.contains(site)) {
        true => format!("cleanslate restore {site}"),
        false => format!("cleanslate rebuild {site} --reason TEXT"),
    }
}

/// What a person types next: the command that brings back what stayed out, else a look around.
fn next_command(before: &State, rotation: &Rotation) -> String {
    let is_out =
        |(_, (end, _)): &(&SiteName, &(VisitEnd, Option<Problem>))| *end == VisitEnd::Quarantined;
    match rotation.ended.iter().find(is_out) {
        Some((site, _)) => brings_back(before.marker.as_ref(), site),
        None => "cleanslate status".to_owned(),
    }
}
