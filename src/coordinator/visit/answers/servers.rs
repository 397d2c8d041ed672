//! The authoritative servers' answers: whether all have followed, and whether none is newer than
//! the primary.
use crate::coordinator::event::{Event, VisitEnd, VisitKind};
use crate::coordinator::follow::has_followed;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{EngineOutcome, Lagging, Outcome, Problem};
use crate::coordinator::plan::Mode;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence, Refusal};
use crate::coordinator::state::{LastInventory, Stage};
use crate::model::id::{Epoch, Token};
use crate::model::rrset::{MarkerSeen, ServerAnswer, ZoneView};
use crate::model::time::Ttl;

use super::super::progress::Story;
use super::super::requests::follow_absent;

impl Story<'_> {
    /// To the question whether all have followed.
    pub(super) fn on_servers(&self, outcome: &Outcome) -> Vec<Event> {
        let ttl = match outcome {
            Outcome::Behind { servers } if Guard::ServersAwaited.stands() => {
                return self.behind(servers);
            }
            Outcome::Behind { .. } => Ttl(0),
            Outcome::Followed { ttl } => *ttl,
            Outcome::Primary { .. }
            | Outcome::Update(_)
            | Outcome::Servers(_)
            | Outcome::Images { .. }
            | Outcome::Engine(_)
            | Outcome::Probe(_)
            | Outcome::Traffic(_)
            | Outcome::Before(_)
            | Outcome::Hook(_)
            | Outcome::Woke => return Vec::new(),
        };
        let followed = Event::Followed {
            site: self.site(),
            ttl,
        };
        std::iter::once(followed).chain(self.then()).collect()
    }

    /// What comes after a site is in DNS again everywhere.
    fn then(&self) -> Option<Event> {
        let site = self.site();
        if let Stage::PutBackFollowing { problem, .. } = &self.visit.stage {
            let (end, problem) = (VisitEnd::PutBack, Some(problem.clone()));
            return Some(Event::DiscardBegun { site, end, problem });
        }
        let Stage::RestoreFollowing { .. } = self.visit.stage else {
            return None;
        };
        // Whoever wants no proof before wants none after.
        Some(if self.plan().mode == UNVERIFIED {
            Event::Soaked { site }
        } else {
            Event::SoakBegun { site }
        })
    }

    /// A server has not followed in its time. A site that left goes back; one that was put in is
    /// left where it is; either way the rotation is over.
    fn behind(&self, servers: &[Lagging]) -> Vec<Event> {
        let (site, visit) = (self.site(), self.visit);
        let answers = servers.iter().map(|lagging| &lagging.answer);
        if let Some(event) = self.newer_than_primary(answers.clone()) {
            return vec![event];
        }
        let problem = behind_problem(servers);
        let behind = Event::Behind {
            site: site.clone(),
            servers: servers.to_vec(),
        };
        let then = if let Stage::RestoreFollowing { .. } = visit.stage {
            self.ends(VisitEnd::LeftInService, &problem)
        } else if let Stage::PutBackFollowing { .. } = visit.stage {
            let (end, cause) = (VisitEnd::PutBack, Some(problem.clone()));
            let discard = Event::DiscardBegun {
                site,
                end,
                problem: cause,
            };
            vec![discard, self.halted(&problem)]
        } else if self.shows_it_under_our_marker(answers) {
            visit.put_back_by_hand(self.rotation)
        } else if visit.kind == VisitKind::WithdrawOnly {
            self.ends(VisitEnd::LeftOut, &problem)
        } else if visit.can_go_back() {
            // Another attempt at its containers would be of no use.
            self.give_up(&problem)
        } else {
            self.failed(&problem)
        };
        std::iter::once(behind).chain(then).collect()
    }

    /// To the last look, by servers or engines.
    pub(super) fn on_last_look(&self, token: Token, outcome: &Outcome) -> Vec<Event> {
        let Stage::LastLook {
            servers,
            inventories,
        } = &self.visit.stage
        else {
            return Vec::new();
        };
        let asked = |state: &LastInventory| *state == LastInventory::Asked(token);
        let host = inventories
            .iter()
            .find(|(_, state)| asked(state))
            .map(|(host, _)| host);
        match (outcome, host) {
            (Outcome::Servers(answers), _) if *servers == Some(token) => self.looked(answers),
            (Outcome::Engine(EngineOutcome::Inventory(inventory)), Some(host)) => {
                let taken = || Event::LastInventory {
                    site: self.site(),
                    host: host.clone(),
                    inventory: inventory.clone(),
                };
                vec![self.fenced(host, inventory).unwrap_or_else(taken)]
            }
            (Outcome::Engine(EngineOutcome::Failed(problem)), Some(_)) => self.failed(problem),
            (_, _) => Vec::new(),
        }
    }

    /// Every server was asked once more. One that answers otherwise than before the drain makes
    /// the drain start anew, but not for ever.
    fn looked(&self, answers: &[ServerAnswer]) -> Vec<Event> {
        let site = self.site();
        if !Guard::ServersLookedAgain.stands() {
            return vec![Event::ServersLooked { site }];
        }
        if let Some(event) = self.newer_than_primary(answers.iter()) {
            return vec![event];
        }
        if self.shows_it_under_our_marker(answers.iter()) {
            return self.visit.put_back_by_hand(self.rotation);
        }
        let follow = follow_absent(self.state, self.ctx, self.plan(), &site);
        let lagging = answers.iter().find_map(|answer| {
            let why = match &answer.view {
                Ok(view) => has_followed(view, &follow).err()?,
                Err(why) => why.clone(),
            };
            Some(format!("{}: {why}", answer.server))
        });
        match lagging {
            None => vec![Event::ServersLooked { site }],
            Some(why) if self.visit.looks_behind < retry::LOOKS_BEHIND => {
                vec![Event::LookedBehind { site, why }]
            }
            Some(why) => self.give_up(&unsteady(&why)),
        }
    }

    /// **followed**: a server whose marker is newer than the primary's means that the primary went
    /// backwards, or that somebody took over. Our own change in hand is no news.
    fn newer_than_primary<'s>(
        &self,
        answers: impl Iterator<Item = &'s ServerAnswer>,
    ) -> Option<Event> {
        let proven = self.state.marker.iter();
        let sent = self
            .state
            .lane
            .changes()
            .iter()
            .map(|change| &change.marker);
        let newest = proven
            .chain(sent)
            .map(|marker| (marker.epoch, marker.seq))
            .max()?;
        let is_newer = |answer: &&ServerAnswer| newest_of(answer).is_some_and(|at| at > newest);
        let mut answers = answers;
        let answer = answers.find(is_newer)?;
        let (epoch, seq) = newest_of(answer)?;
        let refusal = Refusal::new(
            "followed",
            format!(
                "{} serves a marker of epoch {epoch} seq {seq}, ours is of epoch {} seq {}: \
                 another coordinator took over, or the primary went backwards",
                answer.server, newest.0, newest.1
            ),
            "look at the zone on every name server; when the primary is as it should be: \
             `cleanslate take-over --reason TEXT`",
        );
        Some(Event::Deposed { refusal })
    }

    /// Whether a server that is as new as our marker serves the site: somebody put it there since.
    fn shows_it_under_our_marker<'s>(
        &self,
        mut answers: impl Iterator<Item = &'s ServerAnswer>,
    ) -> bool {
        let Some(ours) = self
            .state
            .marker
            .as_ref()
            .map(|marker| (marker.epoch, marker.seq))
        else {
            return false;
        };
        let is_in = |view: &ZoneView| {
            safety::presence(self.ctx.fleet, view, &self.visit.site) != Presence::None
        };
        answers.any(|answer| {
            let is_as_new = newest_of(answer).is_some_and(|at| at >= ours);
            is_as_new && answer.view.as_ref().is_ok_and(is_in)
        })
    }
}

const UNVERIFIED: Mode = Mode::Restore { unverified: true };

/// The oldest marker that a server shows at any record decides how new it is.
fn newest_of(answer: &ServerAnswer) -> Option<(Epoch, u64)> {
    let markers = answer.view.as_ref().ok()?.markers.values();
    let at = markers.map(|seen| match seen {
        MarkerSeen::Here(marker) => Some((marker.epoch, marker.seq)),
        MarkerSeen::Absent | MarkerSeen::Foreign { .. } => None,
    });
    at.collect::<Option<Vec<_>>>()?.into_iter().min()
}

fn behind_problem(servers: &[Lagging]) -> Problem {
    let named = servers.iter().map(|lagging| {
        let serial = match &lagging.answer.view {
            Ok(view) => format!(" (serial {})", view.serial),
            Err(_) => String::new(),
        };
        format!("{}{serial}: {}", lagging.answer.server, lagging.why)
    });
    let named: Vec<String> = named.collect();
    let dead = servers
        .iter()
        .filter(|lagging| lagging.answer.view.is_err());
    let dead: Vec<String> = dead
        .map(|lagging| lagging.answer.server.ip().to_string())
        .collect();
    // One that answers is never left out: it would still send users to a site that is out.
    let cure = match dead.as_slice() {
        [] => String::new(),
        dead => format!(
            "; on-call goes on without it: `cleanslate rebuild SITE --without-ns {} --reason TEXT`",
            dead.join(",")
        ),
    };
    Problem {
        what: format!("a name server has not followed: {}", named.join("; ")),
        cure: format!("see that it transfers the zone from the primary (NOTIFY, AXFR){cure}"),
        is_transient: false,
    }
}

fn unsteady(why: &str) -> Problem {
    Problem {
        what: format!("a name server followed, and then did not answer as it had: {why}"),
        cure: "see why its answers change; on-call goes on without a dead one with `rebuild SITE \
               --without-ns ADDRESS --reason TEXT`"
            .to_owned(),
        is_transient: false,
    }
}
