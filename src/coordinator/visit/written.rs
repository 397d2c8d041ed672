//! What became of a DNS change that the visit wanted.
use std::collections::BTreeMap;

use super::Turn;
use crate::coordinator::intent::Intent;
use crate::coordinator::lane::{Proven, largest_ttl};
use crate::coordinator::outcome::Problem;
use crate::coordinator::retry;
use crate::coordinator::state::{Look, Stage, Visit};
use crate::model::time::Ttl;

impl Visit {
    /// It stands on the primary.
    pub(crate) fn written(&mut self, turn: &mut Turn<'_>, intent: &Intent, sent: Option<&Proven>) {
        self.writes = 0;
        self.ttl = self.ttl.max(ttl_of(turn, sent));
        match intent {
            Intent::Withdraw { .. } | Intent::Expel { .. } | Intent::Hold { .. } => {
                let gone = sent
                    .map(|sent| sent.change.delete.clone())
                    .unwrap_or_default();
                self.taken.extend(gone);
                self.kind = self.kind_by_marker(turn.state);
                self.out_since.get_or_insert(turn.now.wall);
                self.follow(turn);
                self.take_evidence(turn);
            }
            Intent::Dirty { .. } => self.dirty(turn),
            Intent::Restore { .. } => {
                self.stage = Stage::RestoreFollowing { token: turn.mint() };
            }
            Intent::PutBack { .. } => {
                if let Stage::PuttingBack { problem } = &self.stage {
                    let problem = problem.clone();
                    self.stage = Stage::PutBackFollowing {
                        problem,
                        token: turn.mint(),
                    };
                }
            }
            Intent::WithdrawAgain { .. } => {
                // The marker calls it so from here on.
                self.is_touched = true;
                if let Stage::WithdrawingAgain { problem } = &self.stage {
                    self.stage = Stage::OutAgain {
                        problem: problem.clone(),
                    };
                }
            }
            // For a visit that wanted nothing else, or a verified site that stays out, it is over.
            Intent::Clean { .. } => {
                self.stage = Stage::Pruning {
                    hosts: BTreeMap::new(),
                }
            }
            Intent::Cordon { .. } | Intent::Uncordon { .. } => {
                if self.wants_only(intent) {
                    self.stage = Stage::Pruning {
                        hosts: BTreeMap::new(),
                    };
                }
            }
            Intent::Acquire | Intent::Refresh | Intent::Release => {}
        }
    }

    /// A rule or the server said no. What must be written is wanted again after a pause.
    pub(crate) fn refused(&mut self, turn: &mut Turn<'_>, intent: &Intent, problem: &Problem) {
        let (intent, problem) = (intent.clone(), problem.clone());
        if matches!(intent, Intent::Cordon { .. } | Intent::Uncordon { .. })
            && !self.wants_only(&intent)
        {
            return;
        }
        self.stage = if self.must_write(&intent) && self.writes < retry::WRITE_ATTEMPTS {
            self.writes += 1;
            let wait = turn.wait(turn.now.mono.plus(retry::WRITE_AGAIN));
            Stage::RefusedWrite {
                intent,
                problem,
                wait,
            }
        } else {
            Stage::Refused { intent, problem }
        };
    }

    pub(crate) fn write_again(&mut self, turn: &mut Turn<'_>) {
        let Stage::RefusedWrite {
            intent, problem, ..
        } = &self.stage
        else {
            return;
        };
        self.stage = match intent {
            Intent::PutBack { .. } => Stage::PuttingBack {
                problem: problem.clone(),
            },
            // With a last look, or the floor's look, of its own.
            Intent::Dirty { .. } => Stage::Drained,
            Intent::Expel { .. } => return self.probe_everyone(turn, Look::ToExpel),
            Intent::Restore { .. } | Intent::Clean { .. } => Stage::Restoring,
            Intent::Withdraw { .. }
            | Intent::WithdrawAgain { .. }
            | Intent::Hold { .. }
            | Intent::Cordon { .. }
            | Intent::Uncordon { .. }
            | Intent::Acquire
            | Intent::Refresh
            | Intent::Release => return,
        };
    }

    /// The inventories of the last look are what may go.
    fn dirty(&mut self, turn: &Turn<'_>) {
        self.is_touched = true;
        if let Stage::Dirtying { inventories } = &self.stage {
            let inventories = inventories.clone();
            let level = turn.ctx.levels(&self.site).len();
            self.stage = Stage::Clearing {
                level,
                inventories,
                hosts: BTreeMap::new(),
            };
        }
    }

    /// A site may be cordoned while it is visited for something else.
    fn wants_only(&self, intent: &Intent) -> bool {
        matches!(&self.stage, Stage::Writing { intent: wanted } if wanted == intent)
    }

    fn must_write(&self, intent: &Intent) -> bool {
        match intent {
            Intent::PutBack { .. }
            | Intent::Restore { .. }
            | Intent::Clean { .. }
            | Intent::Expel { .. } => true,
            Intent::Dirty { .. } => self.is_touched,
            Intent::Acquire
            | Intent::Refresh
            | Intent::Withdraw { .. }
            | Intent::WithdrawAgain { .. }
            | Intent::Hold { .. }
            | Intent::Cordon { .. }
            | Intent::Uncordon { .. }
            | Intent::Release => false,
        }
    }
}

/// The largest TTL under which the old answer was served: when the change was decided, and as the
/// primary serves it now. Prerequisites see no TTLs, so it may have risen in between.
fn ttl_of(turn: &Turn<'_>, sent: Option<&Proven>) -> Ttl {
    let read_back = turn.state.view.as_deref().map_or(Ttl(0), largest_ttl);
    sent.map_or(read_back, |sent| sent.ttl.max(read_back))
}
