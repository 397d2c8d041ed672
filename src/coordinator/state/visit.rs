//! One site's share of a rotation, as it stands.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::coordinator::event::{DrainReason, VisitKind};
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::Plan;
use crate::model::hook::Gate;
use crate::model::id::{ContainerId, HookName, HostName, SiteName, Token};
use crate::model::image::Pins;
use crate::model::rrset::RecordName;
use crate::model::time::{Mono, Ttl};

use super::{HostWork, Stage, Wait};

/// One site's share of a rotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    pub site: SiteName,
    pub kind: VisitKind,
    pub began: Timestamp,
    /// When its step began, for people.
    pub step_since: Timestamp,
    pub stage: Stage,
    pub hosts: BTreeMap<HostName, HostWork>,
    /// Which making of the containers this is, from 1.
    pub attempt: u32,
    /// Writes for this site that were refused.
    pub writes: u32,
    /// Last looks that found a name server behind.
    pub looks_behind: u32,
    /// How often this attempt made its containers anew, because the first were proofs.
    pub remakes: u32,
    /// Exactly what this visit took out.
    pub taken: BTreeSet<(RecordName, IpAddr)>,
    /// What the last UPDATE that was sent for this visit would take out.
    pub taking: BTreeSet<(RecordName, IpAddr)>,
    /// The largest TTL under which the old answer was served.
    pub ttl: Ttl,
    /// Who answered at the floor's look, and when it was asked.
    pub answering: BTreeSet<SiteName>,
    pub looked: Mono,
    /// It failed its own probes when it left.
    pub is_sick: bool,
    /// A stop or removal may have been sent to these: never counted as good, removed again.
    pub condemned: BTreeSet<ContainerId>,
    /// What runs for the site since its last start.
    pub serving: BTreeMap<HostName, Vec<ContainerId>>,
    pub evidence: EvidenceWork,
    pub drained: Option<DrainReason>,
    /// The marker calls it dirty: something of it may have been stopped.
    pub is_touched: bool,
    pub is_before_done: bool,
    /// The hook whose word is awaited; it counts while the visit stands at its gate.
    pub hook: Option<AskedHook>,
    /// Hooks that were heard: they agreed, or were passed over.
    pub heard: BTreeSet<HookName>,
    pub measure: Token,
    /// Running containers of each `PROJECT/SERVICE`, kept ones apart, before any was stopped.
    pub scale_from: BTreeMap<String, u32>,
    pub out_since: Option<Timestamp>,
    pub recreate_since: Option<Mono>,
    /// For how long it has waited for people to try it.
    pub on_trial: Duration,
    /// Its own images failed, and it goes on with others: once a visit.
    pub rollback: Option<Rollback>,
}

/// What a visit goes on with after its images failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    /// The digests that passed at the site last.
    pub pins: Pins,
    /// Why the others failed.
    pub problem: Problem,
}

/// How far the evidence is: of what is found, taken while the site drains; of what an attempt made
/// and failed with, as the next one begins. Never waited for without end.
#[derive(Clone, Debug, PartialEq)]
pub enum EvidenceWork {
    NotAsked,
    Asked {
        hosts: BTreeMap<HostName, Token>,
        /// Then whatever is missing is done without.
        until: Wait,
    },
    Over,
}

/// A hook that was asked at a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedHook {
    pub hook: HookName,
    pub gate: Gate,
    /// When it was asked first.
    pub since: Mono,
    pub turn: HookTurn,
}

/// Who is to do something next.
#[derive(Clone, Debug, PartialEq)]
pub enum HookTurn {
    /// The hook: its answer is awaited.
    Theirs(Token),
    /// It said *not yet*, and is asked again then.
    Later { wait: Wait, why: String },
}

impl Visit {
    /// The digests that the visit goes by: those it rolled back to, else its plan's. Whoever asks
    /// what the site is to run asks here.
    pub fn pins<'a>(&'a self, plan: &'a Plan) -> &'a Pins {
        let rollback = self.rollback.as_ref();
        let rollback = rollback.filter(|_| Guard::RollbackIsGoneBy.stands());
        rollback.map_or(plan.pins_for(&self.site), |rollback| &rollback.pins)
    }

    /// Whether a verified site is left out of DNS: it was found out, and nobody asked.
    pub fn stays_out(&self, plan: &Plan) -> bool {
        self.kind == VisitKind::FoundOut && !plan.options.restore
    }

    /// Whether the site is out and nothing of it was stopped: it could go back as it is.
    pub fn is_out_and_whole(&self) -> bool {
        self.can_go_back() && self.stage.is_emptying()
    }

    /// Whether this visit takes the site out and nothing of it was stopped.
    pub fn can_go_back(&self) -> bool {
        let may_return = !self.is_touched || !Guard::DirtyNeverPutBack.stands();
        may_return && matches!(self.kind, VisitKind::InService | VisitKind::Rebuild)
    }

    /// Whether something of the site is destroyed and made anew.
    pub fn recreates(&self) -> bool {
        self.hosts.values().any(|work| *work != HostWork::None)
    }

    /// Whether it waits for a person to try it by hand.
    pub fn is_on_trial(&self) -> bool {
        matches!(self.stage, Stage::OnTrial { .. })
    }

    /// Whether a host or the evidence is waited for.
    pub fn is_busy(&self) -> bool {
        self.hosts.values().any(HostWork::is_pending) || !self.has_evidence()
    }

    /// Whether all evidence is taken, or done without.
    pub fn has_evidence(&self) -> bool {
        self.evidence == EvidenceWork::Over
    }

    /// Whether containers that it made itself have failed, and it makes others.
    pub fn is_another_attempt(&self) -> bool {
        self.attempt > 1 || self.rollback.is_some()
    }

    /// Whether a host is still asked for the last words of what failed there. Until then nothing
    /// is made: making removes what was never started, and why it could not be goes with it.
    pub fn owes_last_words(&self, host: &HostName) -> bool {
        let EvidenceWork::Asked { hosts, .. } = &self.evidence else {
            return false;
        };
        self.is_touched && self.is_another_attempt() && hosts.contains_key(host)
    }

    /// The change of DNS that it wants at its stage.
    pub fn wants(&self, plan: &Plan) -> Option<Intent> {
        let site = self.site.clone();
        match &self.stage {
            Stage::Withdrawing => Some(Intent::Withdraw { site }),
            Stage::Dirtying { .. } => Some(Intent::Dirty { site }),
            Stage::Restoring if self.stays_out(plan) => Some(Intent::Clean { site }),
            Stage::Restoring => Some(Intent::Restore { site }),
            Stage::Expelling => Some(Intent::Expel { site }),
            Stage::PuttingBack { .. } => Some(Intent::PutBack { site }),
            Stage::WithdrawingAgain { .. } => Some(Intent::WithdrawAgain { site }),
            Stage::Writing { intent } => Some(intent.clone()),
            Stage::Readying
            | Stage::Probing { .. }
            | Stage::Following { .. }
            | Stage::Draining { .. }
            | Stage::Drained
            | Stage::RunningBefore { .. }
            | Stage::LastLook { .. }
            | Stage::Clearing { .. }
            | Stage::Starting { .. }
            | Stage::Inspecting { .. }
            | Stage::Verifying { .. }
            | Stage::OnTrial { .. }
            | Stage::RestoreFollowing { .. }
            | Stage::Soaking { .. }
            | Stage::Pruning { .. }
            | Stage::BackingOff { .. }
            | Stage::PutBackFollowing { .. }
            | Stage::Discarding { .. }
            | Stage::OutAgain { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => None,
        }
    }
}
