//! Where a visit begins, and where it begins again after a new epoch was won.
use std::collections::BTreeMap;

use super::Turn;
use crate::coordinator::event::{VisitEnd, VisitKind};
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, recreates};
use crate::coordinator::rotation::kind_of;
use crate::coordinator::state::{EvidenceWork, HostWork, Look, Stage, State, Trial, Visit};
use crate::model::id::{ContainerId, HostName, SiteName, Token};

impl Visit {
    /// Sets out: where a visit begins follows from its kind.
    pub(crate) fn begin(&mut self, turn: &mut Turn<'_>) {
        self.taken.clear();
        self.ask_hosts(turn);
        match self.kind {
            VisitKind::InService => self.stage = Stage::Readying,
            VisitKind::Rebuild | VisitKind::WithdrawOnly => {
                self.probe_everyone(turn, Look::ToLeave);
            }
            VisitKind::FoundOut if !Guard::FoundOutIsDrained.stands() => {
                self.take_evidence(turn);
                self.stage = Stage::Drained;
            }
            VisitKind::Quarantined | VisitKind::FoundOut => self.follow(turn),
            VisitKind::AsItStands => self.stage = as_it_stands(turn),
            VisitKind::MarkerOnly => {
                let site = self.site.clone();
                let intent = match turn.plan.mode {
                    Mode::Cordon { cordoned: false } => Intent::Uncordon { site },
                    Mode::Cordon { cordoned: true }
                    | Mode::Rotate
                    | Mode::Rebuild
                    | Mode::Restore { .. }
                    | Mode::Recover
                    | Mode::Withdraw
                    | Mode::TakeOver => Intent::Cordon { site },
                };
                self.stage = Stage::Writing { intent };
            }
        }
        if !turn.is_in_dns(&self.site) {
            self.out_since = Some(turn.now.wall);
        }
    }

    /// After a new epoch was won: the world is looked at again, every clock starts anew, and what
    /// the former epoch made is made again. The marker beats the store.
    pub(crate) fn rebase(&mut self, turn: &mut Turn<'_>) {
        let is_owed = turn.state.is_owed(&self.site);
        let is_held = turn.state.is_held(&self.site);
        let is_in = turn.is_in_dns(&self.site);
        self.is_touched = turn.state.is_dirty(&self.site);
        self.drained = None;
        self.looks_behind = 0;
        // Who agreed to what the former life was about to do is asked again.
        self.hook = None;
        self.heard.clear();
        self.measure = turn.mint();
        self.recreate_since = self.recreate_since.map(|_| turn.now.mono);
        // Of a dirty site there is more only where the answers of the former life were awaited.
        let was_asked = matches!(self.evidence, EvidenceWork::Asked { .. });
        self.evidence = if self.is_touched && !was_asked {
            EvidenceWork::Over
        } else {
            EvidenceWork::NotAsked
        };
        match Former::of(std::mem::replace(&mut self.stage, Stage::Readying)) {
            Former::Pruning => {
                self.stage = Stage::Pruning {
                    hosts: BTreeMap::new(),
                }
            }
            Former::Discarding {
                hosts,
                end,
                problem,
            } => {
                let hosts = hosts.into_iter();
                let hosts = hosts
                    .map(|(host, (_, ids))| (host, (turn.mint(), ids)))
                    .collect();
                self.stage = Stage::Discarding {
                    hosts,
                    end,
                    problem,
                };
            }
            Former::PuttingBack { problem } if is_owed && !is_held && !self.is_touched => {
                self.stage = Stage::PuttingBack { problem };
            }
            Former::PuttingBack { problem } if is_in && !is_owed => {
                self.stage = Stage::PutBackFollowing {
                    problem,
                    token: turn.mint(),
                };
            }
            Former::LeavingAgain { problem } if is_owed && !is_in => {
                self.stage = Stage::OutAgain { problem };
            }
            Former::LeavingAgain { problem } if is_in && !is_owed => {
                self.probe_everyone(turn, Look::ToLeaveAgain { problem });
            }
            Former::Verified | Former::Restored if is_in && !is_owed => {
                self.stage = Stage::RestoreFollowing { token: turn.mint() };
            }
            // Clean by our own last UPDATE, and left out.
            Former::Verified if !is_owed && self.stays_out(turn.plan) => {
                self.stage = Stage::Pruning {
                    hosts: BTreeMap::new(),
                };
            }
            Former::PuttingBack { .. }
            | Former::LeavingAgain { .. }
            | Former::Verified
            | Former::Restored
            | Former::OnTheWay => self.start_over(turn, is_owed, is_in),
        }
        if self.is_touched {
            self.take_evidence(turn);
        }
    }

    /// Nothing of the former life can be gone on with, but for what it took out.
    fn start_over(&mut self, turn: &mut Turn<'_>, is_owed: bool, is_in: bool) {
        let is_whole_visit = self.is_whole_visit();
        if is_owed && self.taken.is_empty() {
            // By an UPDATE that was not proven in the former life.
            self.taken.clone_from(&self.taking);
        }
        if is_owed && is_in && is_whole_visit && self.is_touched {
            self.was_put_back_by_hand(turn);
        } else if is_owed && is_in && self.can_go_back() {
            let problem = by_hand(&self.site);
            self.stage = Stage::PuttingBack { problem };
        } else if is_owed && !is_in && is_whole_visit {
            self.kind = self.kind_by_marker(turn.state);
            self.ask_hosts(turn);
            self.follow(turn);
        } else {
            self.kind = kind_of(turn.state, turn.ctx, turn.plan, &self.site);
            self.begin(turn);
        }
    }

    /// Who took out the site of a whole visit: a person, who leaves it out, or a visit, which brings
    /// it back. The marker beats what was found when the visit began.
    pub(super) fn kind_by_marker(&self, state: &State) -> VisitKind {
        let (is_held, is_out) = (state.is_held(&self.site), state.is_out(&self.site));
        match self.kind {
            VisitKind::InService | VisitKind::Rebuild | VisitKind::Quarantined if is_held => {
                VisitKind::FoundOut
            }
            VisitKind::FoundOut if is_out && !is_held => VisitKind::Quarantined,
            VisitKind::InService
            | VisitKind::Rebuild
            | VisitKind::Quarantined
            | VisitKind::FoundOut
            | VisitKind::AsItStands
            | VisitKind::WithdrawOnly
            | VisitKind::MarkerOnly => self.kind,
        }
    }

    /// Every host is looked at anew, and what ran so far is not what will. A dirty site is always
    /// recreated: it returns no other way.
    pub(super) fn ask_hosts(&mut self, turn: &mut Turn<'_>) {
        let is_whole_visit = self.is_whole_visit();
        let recreates = self.is_touched || recreates(turn.ctx.playbook, &turn.plan.mode);
        if self.recreate_since.is_none() {
            self.scale_from.clear();
        }
        self.remakes = 0;
        self.serving.clear();
        let hosts = turn.ctx.hosts(&self.site, &turn.plan.options);
        let asked = hosts.into_iter().map(|host| {
            let work = if is_whole_visit && recreates {
                HostWork::Looking { token: turn.mint() }
            } else {
                HostWork::None
            };
            (host, work)
        });
        self.hosts = asked.collect();
    }

    /// Whether the visit goes through all its steps.
    fn is_whole_visit(&self) -> bool {
        match self.kind {
            VisitKind::AsItStands | VisitKind::WithdrawOnly | VisitKind::MarkerOnly => false,
            VisitKind::InService
            | VisitKind::Rebuild
            | VisitKind::Quarantined
            | VisitKind::FoundOut => true,
        }
    }

    /// The floor's look: every site in service is asked once. A cordoned one counts for the floor
    /// like any other.
    pub(super) fn probe_everyone(&mut self, turn: &mut Turn<'_>, look: Look) {
        let sites = turn.ctx.fleet.sites.keys();
        let in_service: Vec<_> = sites.filter(|site| turn.is_in_dns(site)).cloned().collect();
        let asked = in_service
            .into_iter()
            .map(|site| (site, turn.mint()))
            .collect();
        self.answering.clear();
        self.looked = turn.now.mono;
        self.stage = Stage::Probing {
            asked,
            failing: BTreeMap::new(),
            look,
        };
    }

    /// Asks every server whether it has followed; the whole drain starts after that.
    pub(super) fn follow(&mut self, turn: &mut Turn<'_>) {
        self.drained = None;
        self.stage = Stage::Following { token: turn.mint() };
    }
}

/// What is said where a site that was whole stands in DNS again and none of ours put it there.
pub(super) fn by_hand(site: &SiteName) -> Problem {
    Problem {
        what: format!("somebody put {site} back into DNS by hand while it was being emptied"),
        cure: "find who else writes to this zone; nothing of the site was stopped".to_owned(),
        is_transient: false,
    }
}

fn as_it_stands(turn: &mut Turn<'_>) -> Stage {
    match turn.plan.mode {
        Mode::Restore { unverified: true } => Stage::Restoring,
        Mode::Restore { unverified: false }
        | Mode::Recover
        | Mode::Rotate
        | Mode::Rebuild
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => Stage::Verifying {
            token: turn.mint(),
            trial: Trial::Untried,
        },
    }
}

/// Where the former life stood, as far as the next one can go on from it.
enum Former {
    Pruning,
    Discarding {
        hosts: BTreeMap<HostName, (Token, Vec<ContainerId>)>,
        end: VisitEnd,
        problem: Option<Problem>,
    },
    PuttingBack {
        problem: Problem,
    },
    /// After a broken soak.
    LeavingAgain {
        problem: Problem,
    },
    Verified,
    Restored,
    OnTheWay,
}

impl Former {
    fn of(stage: Stage) -> Former {
        match stage {
            Stage::Pruning { .. } => Former::Pruning,
            Stage::Discarding {
                hosts,
                end,
                problem,
            } => Former::Discarding {
                hosts,
                end,
                problem,
            },
            Stage::PuttingBack { problem } | Stage::PutBackFollowing { problem, .. } => {
                Former::PuttingBack { problem }
            }
            Stage::WithdrawingAgain { problem }
            | Stage::OutAgain { problem }
            | Stage::Probing {
                look: Look::ToLeaveAgain { problem },
                ..
            } => Former::LeavingAgain { problem },
            Stage::Restoring => Former::Verified,
            Stage::RestoreFollowing { .. } | Stage::Soaking { .. } => Former::Restored,
            Stage::Readying
            | Stage::Probing {
                look: Look::ToLeave | Look::ToExpel,
                ..
            }
            | Stage::Withdrawing
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
            | Stage::BackingOff { .. }
            | Stage::Expelling
            | Stage::Writing { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => Former::OnTheWay,
        }
    }
}
