//! On the way out of DNS: the floor's look, the withdrawal, and what goes wrong with them.
use std::collections::BTreeSet;

use super::Turn;
use super::outset::by_hand;
use crate::coordinator::event::{Event, VisitEnd, VisitKind};
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{EvidenceWork, Look, Rotation, Stage, Visit};
use crate::model::id::SiteName;

impl Visit {
    pub(crate) fn ready(&mut self, turn: &mut Turn<'_>) {
        self.probe_everyone(turn, Look::ToLeave);
    }

    pub(crate) fn probed(&mut self, of: &SiteName, problems: &[Problem]) {
        let Stage::Probing { asked, failing, .. } = &mut self.stage else {
            return;
        };
        asked.remove(of);
        if problems.is_empty() {
            self.answering.insert(of.clone());
        } else {
            failing.insert(of.clone(), problems.to_vec());
        }
    }

    /// The look is over, and the site may ask to leave.
    pub(crate) fn withdraw_begun(&mut self, answering: &BTreeSet<SiteName>, is_sick: bool) {
        self.answering.clone_from(answering);
        let Stage::Probing { look, .. } = &self.stage else {
            return;
        };
        let site = self.site.clone();
        self.stage = match look.clone() {
            Look::ToLeave if self.kind == VisitKind::WithdrawOnly => Stage::Writing {
                intent: Intent::Hold { site },
            },
            Look::ToLeave => {
                self.is_sick = is_sick;
                Stage::Withdrawing
            }
            Look::ToLeaveAgain { problem } => Stage::WithdrawingAgain { problem },
            Look::ToExpel => Stage::Expelling,
        };
    }

    pub(crate) fn look_expired(&mut self, turn: &mut Turn<'_>) {
        let look = match &self.stage {
            Stage::WithdrawingAgain { problem } => Look::ToLeaveAgain {
                problem: problem.clone(),
            },
            Stage::Expelling => Look::ToExpel,
            Stage::Withdrawing | Stage::Writing { .. } => Look::ToLeave,
            Stage::Readying
            | Stage::Probing { .. }
            | Stage::Following { .. }
            | Stage::Draining { .. }
            | Stage::Drained
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
            | Stage::PuttingBack { .. }
            | Stage::PutBackFollowing { .. }
            | Stage::Discarding { .. }
            | Stage::OutAgain { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => return,
        };
        self.probe_everyone(turn, look);
    }

    pub(crate) fn ready_first(&mut self) {
        self.stage = Stage::Readying;
    }

    /// It is not needed to take out what is out.
    pub(crate) fn not_needed(&mut self, turn: &mut Turn<'_>, intent: &Intent) {
        if let Intent::Withdraw { .. } = intent {
            // Somebody else took it out meanwhile: it is theirs, and stays out.
            self.kind = VisitKind::FoundOut;
        }
        self.follow(turn);
    }

    /// Whether its place is outside DNS, by what this visit did or found.
    pub(crate) fn is_kept_out(&self) -> bool {
        self.kind != VisitKind::WithdrawOnly
            && (self.stage.is_emptying() || self.stage.is_recreating())
            && self.kind != VisitKind::AsItStands
    }

    /// What follows where the site stands in DNS by somebody's hand. A dirty one is withdrawn
    /// again; one of which nothing was stopped is left where it is, and the rotation is over: who
    /// does that does it again.
    pub(crate) fn put_back_by_hand(&self, rotation: &Rotation) -> Vec<Event> {
        let site = self.site.clone();
        let mut events = vec![Event::PutBackByHand { site: site.clone() }];
        if self.is_touched {
            return events;
        }
        let problem = by_hand(&site);
        events.push(if self.kind == VisitKind::FoundOut {
            let (end, problem) = (VisitEnd::LeftInService, Some(problem.clone()));
            Event::DiscardBegun {
                site: site.clone(),
                end,
                problem,
            }
        } else {
            Event::PutBackBegun {
                site: site.clone(),
                problem: problem.clone(),
            }
        });
        if !rotation.is_ending() {
            events.push(Event::Halted {
                cause: problem,
                site: Some(site),
            });
        }
        events
    }

    /// A dirty site leaves again, is drained anew, and everything of it is made anew.
    pub(crate) fn was_put_back_by_hand(&mut self, turn: &mut Turn<'_>) {
        if !self.is_touched {
            return;
        }
        turn.state.drained.remove(&self.site);
        self.evidence = EvidenceWork::Over;
        self.ask_hosts(turn);
        self.probe_everyone(turn, Look::ToExpel);
    }
}
