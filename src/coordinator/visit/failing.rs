//! What follows when something of a visit goes wrong.
use crate::coordinator::event::{Event, VisitEnd, VisitKind};
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Mode;
use crate::coordinator::retry;
use crate::coordinator::safety::{self, Presence};
use crate::coordinator::state::HostWork;
use crate::model::id::HostName;
use crate::model::image::ImageRef;
use crate::model::playbook::Preflight;

use super::progress::Story;

impl Story<'_> {
    /// An attempt at the containers failed: another follows after a pause, or the visit has
    /// failed.
    pub(super) fn failed(&self, problem: &Problem) -> Vec<Event> {
        let visit = self.visit;
        let is_last =
            visit.attempt >= retry::RECREATE_ATTEMPTS || visit.kind == VisitKind::AsItStands;
        // What failed elsewhere meanwhile is not tried once more.
        if is_last || self.has_barred() {
            return self.failed_for_good(problem);
        }
        vec![Event::AttemptFailed {
            site: self.site(),
            problem: problem.clone(),
            attempt: visit.attempt,
            until: self.now.mono.plus(retry::backoff(visit.attempt + 1)),
        }]
    }

    /// No further attempt follows with these images.
    pub(super) fn failed_for_good(&self, problem: &Problem) -> Vec<Event> {
        let rollback = self.rollback(problem);
        rollback.unwrap_or_else(|| self.give_up(&self.after_rollback(problem)))
    }

    /// The visit has failed, and the rotation is over. A site of which nothing was stopped goes
    /// back as it was, but for one that was sick when it left; any other stays where it stands.
    pub(super) fn give_up(&self, problem: &Problem) -> Vec<Event> {
        let (site, visit) = (self.site(), self.visit);
        let problem = problem.clone();
        if visit.is_touched {
            return self.ends(self.as_it_stands(), &problem);
        }
        let first = if visit.can_go_back() && !visit.is_sick {
            Event::PutBackBegun {
                site,
                problem: problem.clone(),
            }
        } else {
            let (end, problem) = (self.as_it_stands(), Some(problem.clone()));
            Event::DiscardBegun { site, end, problem }
        };
        vec![first, self.halted(&problem)]
    }

    /// The visit ends so, and the rotation with it.
    pub(super) fn ends(&self, end: VisitEnd, problem: &Problem) -> Vec<Event> {
        let (site, cause) = (self.site(), problem.clone());
        let ended = Event::VisitEnded {
            site,
            end,
            problem: Some(cause),
        };
        vec![ended, self.halted(problem)]
    }

    pub(super) fn halted(&self, problem: &Problem) -> Event {
        Event::Halted {
            cause: problem.clone(),
            site: Some(self.site()),
        }
    }

    /// A failure before anything was changed: the site is left as it is, and nothing of ours
    /// behind.
    pub(super) fn not_ready(&self, problem: &Problem) -> Event {
        let (site, problem) = (self.site(), Some(problem.clone()));
        Event::DiscardBegun {
            site,
            end: self.as_it_stands(),
            problem,
        }
    }

    /// How a visit ends that stops where it is, by what the marker and DNS say of its site.
    pub(super) fn as_it_stands(&self) -> VisitEnd {
        let (state, site) = (self.state, &self.visit.site);
        let view = state.view.as_ref();
        let presence = view.map(|view| safety::presence(self.ctx.fleet, view, site));
        let is_in = presence.is_some_and(|presence| presence != Presence::None);
        let is_owed = state.is_owed(site);
        match self.visit.kind {
            VisitKind::MarkerOnly | VisitKind::WithdrawOnly => VisitEnd::Skipped,
            VisitKind::InService
            | VisitKind::Rebuild
            | VisitKind::Quarantined
            | VisitKind::FoundOut
            | VisitKind::AsItStands => match (is_in, is_owed) {
                (true, _) if self.visit.taken.is_empty() => VisitEnd::Skipped,
                (true, _) => VisitEnd::LeftInService,
                (false, true) => VisitEnd::Quarantined,
                (false, false) => VisitEnd::LeftOut,
            },
        }
    }

    /// Every reason why a host is not ready, as one, with the way around it where there is one.
    pub(super) fn unready(&self) -> Option<Problem> {
        let mut all: Vec<Problem> = self.unpinned().into_iter().collect();
        for (host, work) in &self.visit.hosts {
            if let HostWork::Unready { problems, .. } = work {
                all.extend(
                    problems
                        .iter()
                        .cloned()
                        .map(|problem| self.around(host, problem)),
                );
            }
        }
        let what: Vec<&str> = all.iter().map(|problem| problem.what.as_str()).collect();
        let mut cures: Vec<&str> = all.iter().map(|problem| problem.cure.as_str()).collect();
        cures.dedup();
        (!all.is_empty()).then(|| Problem {
            what: what.join("; "),
            cure: cures.join("; "),
            is_transient: all.iter().all(|problem| problem.is_transient),
        })
    }

    /// On-call goes on without a dead host by naming it.
    fn around(&self, host: &HostName, problem: Problem) -> Problem {
        let site = &self.visit.site;
        let is_one_of_many = self.visit.hosts.len() > 1;
        if self.plan().mode != Mode::Rebuild || !is_one_of_many {
            return problem;
        }
        let cure = format!(
            "{}; or go on without it: `cleanslate rebuild {site} --without {host} --reason TEXT`",
            problem.cure
        );
        Problem { cure, ..problem }
    }

    /// A site that became dirty after it was planned has to be recreated, on digests that nobody
    /// pinned.
    fn unpinned(&self) -> Option<Problem> {
        let declared = self.ctx.fleet.sites.get(&self.visit.site)?;
        let made = |host: &HostName| {
            self.visit
                .hosts
                .get(host)
                .is_some_and(|work| *work != HostWork::None)
        };
        let hosts = declared.hosts.iter().filter(|host| made(&host.name));
        let pins = self.visit.pins(self.plan());
        let missing: ImageRef = hosts
            .flat_map(|host| host.images())
            .find(|image| !pins.contains_key(image))?;
        Some(Problem {
            what: format!("no digest of {missing} was pinned when this was planned"),
            cure: format!("cleanslate rebuild {} --reason TEXT", self.visit.site),
            is_transient: false,
        })
    }

    /// Nothing of ours was left behind; what the playbook says of a failed *ready* is done.
    pub(super) fn discarded(&self, end: VisitEnd, problem: Option<&Problem>) -> Vec<Event> {
        let (site, cause) = (self.site(), problem.cloned());
        let mut events = vec![Event::VisitEnded {
            site,
            end,
            problem: cause,
        }];
        let halts = self.ctx.playbook.failure.preflight == Preflight::Halt;
        if let Some(problem) = problem.filter(|_| halts && !self.rotation.is_ending()) {
            events.push(self.halted(problem));
        }
        events
    }

    /// A write was refused for good.
    pub(super) fn refused(&self, intent: &Intent, problem: &Problem) -> Vec<Event> {
        match intent {
            Intent::Withdraw { .. } | Intent::Hold { .. } => vec![self.not_ready(problem)],
            Intent::Dirty { .. } => self.give_up(problem),
            // It serves, for better or worse: the floor does not let it go.
            Intent::WithdrawAgain { .. } | Intent::Expel { .. } => {
                self.ends(VisitEnd::LeftInService, problem)
            }
            Intent::Restore { .. } | Intent::PutBack { .. } | Intent::Clean { .. } => {
                self.ends(VisitEnd::Quarantined, problem)
            }
            Intent::Cordon { .. } | Intent::Uncordon { .. } => {
                let (site, problem) = (self.site(), Some(problem.clone()));
                vec![Event::VisitEnded {
                    site,
                    end: VisitEnd::Skipped,
                    problem,
                }]
            }
            Intent::Acquire | Intent::Refresh | Intent::Release => Vec::new(),
        }
    }
}
