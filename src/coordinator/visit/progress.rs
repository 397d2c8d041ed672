//! Which facts follow by themselves from where a visit stands. Read [`advance`] as the runbook of
//! one site.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::coordinator::context::Context;
use crate::coordinator::event::{Event, VisitEnd, VisitKind};
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::coordinator::state::{
    HostWork, LastInventory, Look, Rotation, Stage, State, TrafficWait, Visit,
};
use crate::model::hook::Gate;
use crate::model::id::{ContainerId, HostName, SiteName};
use crate::model::inventory::Inventory;
use crate::model::time::Now;

use super::hosts::leaving;

/// The next facts of one visit, where some follow without waiting for anything.
pub(crate) fn advance(story: &Story<'_>) -> Vec<Event> {
    if let Some(events) = story.to_safety() {
        return events;
    }
    let site = story.site();
    match &story.visit.stage {
        Stage::Readying => story.readying(),
        Stage::Probing {
            asked,
            failing,
            look,
        } if asked.is_empty() => match look {
            Look::ToLeave => story.may_leave(failing),
            Look::ToLeaveAgain { problem } => story.may_leave_again(failing, problem),
            Look::ToExpel => vec![story.withdraw(failing)],
        },
        Stage::Draining { .. } => story.bounded_drain(),
        Stage::Drained => story.drained(),
        Stage::LastLook {
            servers: None,
            inventories,
        } if are_taken(inventories) => {
            vec![Event::LastLookPassed { site }]
        }
        Stage::Clearing {
            level,
            inventories,
            hosts,
        } if hosts.is_empty() => story.clear_next(*level, inventories),
        Stage::Starting { level, hosts } if hosts.is_empty() => story.start_next(*level),
        Stage::Inspecting {
            hosts, problems, ..
        } if hosts.is_empty() => match problems.first() {
            None => vec![Event::VerifyBegun { site }],
            Some(problem) => story.failed(problem),
        },
        Stage::OnTrial { .. } if story.rotation.aborted_by.is_some() => {
            vec![Event::TrialWaived { site }]
        }
        Stage::Soaking {
            time,
            traffic: TrafficWait::Seen { .. },
            ..
        } if time.is_over => story.pass(Gate::AfterRestore, false, Event::Soaked { site }),
        Stage::Pruning { hosts } if hosts.is_empty() => vec![story.visited()],
        Stage::Discarding {
            hosts,
            end,
            problem,
        } if hosts.is_empty() && !story.is_making() => story.discarded(*end, problem.as_ref()),
        Stage::Refused { intent, problem } => story.refused(intent, problem),
        Stage::OutAgain { problem } => story.out_again(problem),
        Stage::Probing { .. }
        | Stage::Withdrawing
        | Stage::Following { .. }
        | Stage::RunningBefore { .. }
        | Stage::LastLook { .. }
        | Stage::Dirtying { .. }
        | Stage::Clearing { .. }
        | Stage::Starting { .. }
        | Stage::Inspecting { .. }
        | Stage::Verifying { .. }
        | Stage::OnTrial { .. }
        | Stage::Restoring
        | Stage::RestoreFollowing { .. }
        | Stage::Soaking { .. }
        | Stage::Pruning { .. }
        | Stage::BackingOff { .. }
        | Stage::Expelling
        | Stage::PuttingBack { .. }
        | Stage::PutBackFollowing { .. }
        | Stage::Discarding { .. }
        | Stage::WithdrawingAgain { .. }
        | Stage::Writing { .. }
        | Stage::RefusedWrite { .. } => Vec::new(),
    }
}

/// A visit, and all that its next step may depend on.
pub(crate) struct Story<'a> {
    pub(crate) state: &'a State,
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) rotation: &'a Rotation,
    pub(crate) visit: &'a Visit,
    pub(crate) now: Now,
}

impl Story<'_> {
    pub(super) fn site(&self) -> SiteName {
        self.visit.site.clone()
    }

    pub(super) fn plan(&self) -> &Plan {
        self.rotation.plan_of(&self.visit.site)
    }

    /// *ready*: every host is asked; nothing that serves is touched.
    fn readying(&self) -> Vec<Event> {
        let is_pending = self.visit.hosts.values().any(HostWork::is_pending);
        if is_pending && Guard::ReadyFirst.stands() {
            return Vec::new();
        }
        match self.unready() {
            Some(problem) => vec![self.not_ready(&problem)],
            None => {
                let is_held = self.rotation.is_held(&self.visit.site);
                let ready = Event::Ready { site: self.site() };
                self.pass(Gate::BeforeWithdraw, is_held, ready)
            }
        }
    }

    /// The floor's look is over. While the rotation is paused nothing leaves; a look that has grown
    /// old meanwhile is had again.
    fn may_leave(&self, failing: &BTreeMap<SiteName, Vec<Problem>>) -> Vec<Event> {
        let events = self.left_or_not(failing);
        let leaves = |event: &Event| matches!(event, Event::WithdrawBegun { .. });
        let is_held = self.rotation.is_held(&self.visit.site) && Guard::PauseHolds.stands();
        if events.iter().any(leaves) && is_held {
            return Vec::new();
        }
        events
    }

    /// What is sick leaves at once and is made ready outside; what is well is made ready first, and
    /// leaves only while everybody else is well too.
    fn left_or_not(&self, failing: &BTreeMap<SiteName, Vec<Problem>>) -> Vec<Event> {
        match self.visit.kind {
            VisitKind::WithdrawOnly => vec![self.withdraw(failing)],
            VisitKind::Rebuild => {
                let is_ready = self.visit.hosts.values().all(HostWork::is_settled);
                let may_leave = is_ready && self.is_open(Gate::BeforeWithdraw);
                if failing.contains_key(&self.visit.site) || may_leave {
                    vec![self.withdraw(failing)]
                } else {
                    vec![Event::ReadyFirst { site: self.site() }]
                }
            }
            VisitKind::InService
            | VisitKind::Quarantined
            | VisitKind::FoundOut
            | VisitKind::AsItStands
            | VisitKind::MarkerOnly => match self.who_fails(failing) {
                None => vec![self.withdraw(failing)],
                Some(problem) => vec![self.not_ready(&problem)],
            },
        }
    }

    /// **fail static**: a broken soak takes a site out only while somebody answers. Where nobody
    /// does it is the prober that is suspected.
    fn may_leave_again(
        &self,
        failing: &BTreeMap<SiteName, Vec<Problem>>,
        problem: &Problem,
    ) -> Vec<Event> {
        if self.visit.answering.is_empty() && failing.len() > 1 {
            let suspected = Problem {
                what: format!(
                    "{}; but no other site answers its probes either: is it the prober?",
                    problem.what
                ),
                cure: "see that this machine reaches the sites; nothing was withdrawn for it"
                    .to_owned(),
                is_transient: true,
            };
            return self.ends(VisitEnd::LeftInService, &suspected);
        }
        vec![self.withdraw(failing)]
    }

    fn withdraw(&self, failing: &BTreeMap<SiteName, Vec<Problem>>) -> Event {
        Event::WithdrawBegun {
            site: self.site(),
            answering: self.visit.answering.clone(),
            is_sick: failing.contains_key(&self.visit.site),
        }
    }

    /// Its users are gone; whatever else must be ready is waited for here.
    fn drained(&self) -> Vec<Event> {
        let (site, visit) = (self.site(), self.visit);
        if visit.is_busy() {
            return Vec::new();
        }
        if let Some(problem) = self.unready() {
            return if problem.is_transient {
                self.failed(&problem)
            } else {
                self.failed_for_good(&problem)
            };
        }
        if !visit.recreates() {
            return vec![Event::VerifyBegun { site }];
        }
        let is_held = self.rotation.holds_what_left(&visit.site) && Guard::PauseHolds.stands();
        if is_held && !visit.is_touched {
            return Vec::new();
        }
        if visit.is_touched {
            return vec![if Guard::StartsAfterWrite.stands() {
                Event::LastLookBegun { site }
            } else {
                Event::StartBegun { site, level: 0 }
            }];
        }
        let has_before = self.ctx.playbook.recreate.before.is_some();
        let next = if has_before && !visit.is_before_done {
            Event::BeforeBegun { site }
        } else {
            Event::LastLookBegun { site }
        };
        self.pass(Gate::BeforeRecreate, false, next)
    }

    /// Stops the projects level by level, in reverse; each list of ids is on disk before any of
    /// them is sent.
    fn clear_next(
        &self,
        level: usize,
        inventories: &BTreeMap<HostName, Arc<Inventory>>,
    ) -> Vec<Event> {
        let Some(level) = level.checked_sub(1) else {
            return self.start();
        };
        let levels = self.ctx.levels(&self.visit.site);
        let strays = self.ctx.playbook.recreate.strays;
        let of_host =
            |(host, inventory): (&HostName, &Arc<Inventory>)| -> (HostName, Vec<ContainerId>) {
                let made = self
                    .visit
                    .hosts
                    .get(host)
                    .map(HostWork::made)
                    .unwrap_or_default();
                (
                    host.clone(),
                    leaving(inventory, made, strays, levels.get(level)),
                )
            };
        let containers = inventories.iter().map(of_host).collect();
        vec![Event::ClearBegun {
            site: self.site(),
            level,
            containers,
        }]
    }

    /// The old ones have gone. Proofs are made anew first; a second proof is one too many.
    fn start(&self) -> Vec<Event> {
        let proof = self.visit.hosts.iter().find(|(_, work)| match work {
            HostWork::Prepared { is_proof, .. } => *is_proof,
            HostWork::None => false,
            HostWork::Looking { .. }
            | HostWork::Pulling { .. }
            | HostWork::Preparing { .. }
            | HostWork::Unready { .. } => true,
        });
        match proof {
            None if self.has_barred() => self.rolls_back_unstarted(),
            None => vec![Event::StartBegun {
                site: self.site(),
                level: 0,
            }],
            Some(_) if self.visit.remakes == 0 => vec![Event::RemakeBegun { site: self.site() }],
            Some((host, _)) => self.failed(&Problem {
                what: format!(
                    "{host}: a network that changed is still in the way of its containers"
                ),
                cure: format!("see on {host} which containers hang on the project's networks"),
                is_transient: true,
            }),
        }
    }

    fn start_next(&self, level: usize) -> Vec<Event> {
        let site = self.site();
        let next = level + 1;
        if next < self.ctx.levels(&self.visit.site).len() {
            return vec![Event::StartBegun { site, level: next }];
        }
        let mut scale: BTreeMap<String, u32> = BTreeMap::new();
        for made in self.visit.hosts.values().flat_map(HostWork::made) {
            *scale
                .entry(format!("{}/{}", made.project, made.service))
                .or_insert(0) += 1;
        }
        let since = self.visit.recreate_since.unwrap_or(self.now.mono);
        let seconds = self.now.mono.since(since).as_secs();
        vec![Event::Recreated {
            site,
            containers: scale.values().sum(),
            scale,
            seconds,
        }]
    }

    /// All that was planned for the site is done, or its last good images serve instead.
    pub(super) fn visited(&self) -> Event {
        let rollback = self.visit.rollback.as_ref();
        let end = match rollback {
            _ if self.visit.stays_out(self.plan()) => VisitEnd::LeftOut,
            Some(_) => VisitEnd::RolledBack,
            None => VisitEnd::Completed,
        };
        Event::VisitEnded {
            site: self.site(),
            end,
            problem: rollback.map(|rollback| rollback.problem.clone()),
        }
    }

    /// Whether a host is still making containers.
    pub(super) fn is_making(&self) -> bool {
        let making = |work: &HostWork| matches!(work, HostWork::Preparing { .. });
        self.visit.hosts.values().any(making)
    }

    /// Why a site may not leave while everybody must be well. A cordoned one need not be.
    fn who_fails(&self, failing: &BTreeMap<SiteName, Vec<Problem>>) -> Option<Problem> {
        let cordoned: BTreeSet<&SiteName> = self
            .state
            .marker
            .iter()
            .flat_map(|marker| &marker.cordon)
            .collect();
        let counts = |site: &SiteName| *site == self.visit.site || !cordoned.contains(site);
        let (site, problems) = failing.iter().find(|(site, _)| counts(site))?;
        let first = problems.first().map_or("", |problem| problem.what.as_str());
        if self.visit.answering.is_empty() && failing.len() > 1 {
            return Some(Problem {
                what: format!("no site answers its probes ({first}): is it the prober?"),
                cure: "see that this machine reaches the sites; nothing was changed".to_owned(),
                is_transient: true,
            });
        }
        Some(Problem {
            what: format!("{site} does not answer its probes: {first}"),
            cure: format!(
                "mend {site} first (`cleanslate rebuild {site} --reason TEXT`), or take it out \
                 of the round with `cleanslate cordon {site} --reason TEXT`"
            ),
            is_transient: true,
        })
    }
}

fn are_taken(inventories: &BTreeMap<HostName, LastInventory>) -> bool {
    inventories.values().all(|inventory| match inventory {
        LastInventory::Taken(_) => true,
        LastInventory::Asked(_) => false,
    })
}
