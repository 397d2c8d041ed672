//! How far the site of a visit is.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::coordinator::effect::Made;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::model::hook::Gate;
use crate::model::id::{ContainerId, HostName, SiteName, Token};
use crate::model::inventory::Inventory;
use crate::model::time::Mono;

use super::Wait;

/// How far the site is.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Hosts are made ready; nothing that serves is touched.
    Readying,
    /// Everybody's probes are asked once: the floor's look.
    Probing {
        asked: BTreeMap<SiteName, Token>,
        failing: BTreeMap<SiteName, Vec<Problem>>,
        look: Look,
    },
    /// Wants to be withdrawn.
    Withdrawing,
    /// Every authoritative server is asked until it answers without the site.
    Following {
        token: Token,
    },
    Draining {
        since: Mono,
        least: Wait,
        most: Wait,
        quiet: Quietness,
    },
    /// Waits for its hosts to be prepared, and for the evidence.
    Drained,
    RunningBefore {
        token: Token,
    },
    /// Every server is asked once more, and every host's inventory taken.
    LastLook {
        servers: Option<Token>,
        inventories: BTreeMap<HostName, LastInventory>,
    },
    /// Wants to be dirty.
    Dirtying {
        inventories: BTreeMap<HostName, Arc<Inventory>>,
    },
    Clearing {
        level: usize,
        inventories: BTreeMap<HostName, Arc<Inventory>>,
        hosts: BTreeMap<HostName, (Token, Vec<ContainerId>)>,
    },
    Starting {
        level: usize,
        hosts: BTreeMap<HostName, (Token, Vec<Made>)>,
    },
    Inspecting {
        hosts: BTreeMap<HostName, Token>,
        problems: Vec<Problem>,
        trial: Trial,
    },
    Verifying {
        token: Token,
        trial: Trial,
    },
    /// Verified; a person is to try it by hand, at these addresses, and to say whether it goes in.
    OnTrial {
        since: Timestamp,
        addresses: BTreeSet<IpAddr>,
    },
    /// Verified; wants to be restored (or, found out, to be clean).
    Restoring,
    RestoreFollowing {
        token: Token,
    },
    Soaking {
        time: Wait,
        traffic: TrafficWait,
        probes: Token,
        containers: BTreeMap<HostName, Token>,
    },
    Pruning {
        hosts: BTreeMap<HostName, Token>,
    },
    /// The next attempt begins then.
    BackingOff {
        wait: Wait,
        problem: Problem,
    },
    /// Dirty, and in DNS by somebody's hand: wants to leave again.
    Expelling,
    /// Wants to be put back as it was.
    PuttingBack {
        problem: Problem,
    },
    PutBackFollowing {
        problem: Problem,
        token: Token,
    },
    /// What was made and never started is removed; then the visit ends so.
    Discarding {
        hosts: BTreeMap<HostName, (Token, Vec<ContainerId>)>,
        end: VisitEnd,
        problem: Option<Problem>,
    },
    /// A restored site failed its soak and wants to leave again.
    WithdrawingAgain {
        problem: Problem,
    },
    /// It is out again after a broken soak: the visit has failed.
    OutAgain {
        problem: Problem,
    },
    /// Wants a marker or RRset change and nothing else.
    Writing {
        intent: Intent,
    },
    /// That change was refused for good.
    Refused {
        intent: Intent,
        problem: Problem,
    },
    /// A change that must be made was refused; it is wanted again then.
    RefusedWrite {
        intent: Intent,
        problem: Problem,
        wait: Wait,
    },
}

/// What the floor is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// The site wants to be withdrawn.
    ToLeave,
    /// It was restored, and failed its soak.
    ToLeaveAgain { problem: Problem },
    /// It is dirty, and somebody put it in by hand.
    ToExpel,
}

/// Whether a person has tried what is being verified. Containers that are made anew are untried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    Untried,
    /// It is verified once more, for it has stood a while.
    Accepted,
}

/// One host's part of the last look.
#[derive(Clone, Debug, PartialEq)]
pub enum LastInventory {
    Asked(Token),
    Taken(Arc<Inventory>),
}

/// What the meter has said so far of a drain.
#[derive(Clone, Debug, PartialEq)]
pub enum Quietness {
    NotAsked,
    Asked(Token),
    /// At the end of the longest drain: what is left of the traffic decides.
    AskedLast(Token),
    /// Quiet, but the drain lasts to its end beside a silent name server.
    Seen {
        packets: f64,
    },
    Unknown {
        why: String,
    },
}

/// Whether traffic has come back.
#[derive(Clone, Debug, PartialEq)]
pub enum TrafficWait {
    Awaited { token: Token, deadline: Wait },
    Seen { packets: Option<f64> },
}

impl Stage {
    /// The gate before whatever follows this stage.
    pub fn gate(&self) -> Option<Gate> {
        if let Stage::Readying = self {
            Some(Gate::BeforeWithdraw)
        } else if let Stage::Drained = self {
            Some(Gate::BeforeRecreate)
        } else if let Stage::Soaking { .. } = self {
            Some(Gate::AfterRestore)
        } else {
            None
        }
    }

    /// Whether the site has left DNS and is on its way to its last look.
    pub fn is_emptying(&self) -> bool {
        match self {
            Stage::Following { .. }
            | Stage::Draining { .. }
            | Stage::Drained
            | Stage::RunningBefore { .. }
            | Stage::LastLook { .. }
            | Stage::Dirtying { .. }
            | Stage::BackingOff { .. } => true,
            Stage::Readying
            | Stage::Probing { .. }
            | Stage::Withdrawing
            | Stage::Clearing { .. }
            | Stage::Starting { .. }
            | Stage::Inspecting { .. }
            | Stage::Verifying { .. }
            | Stage::OnTrial { .. }
            | Stage::Restoring
            | Stage::RestoreFollowing { .. }
            | Stage::Soaking { .. }
            | Stage::Pruning { .. }
            | Stage::Expelling
            | Stage::PuttingBack { .. }
            | Stage::PutBackFollowing { .. }
            | Stage::Discarding { .. }
            | Stage::WithdrawingAgain { .. }
            | Stage::OutAgain { .. }
            | Stage::Writing { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => false,
        }
    }

    /// Whether its containers are being stopped, made or examined.
    pub fn is_recreating(&self) -> bool {
        match self {
            Stage::Clearing { .. }
            | Stage::Starting { .. }
            | Stage::Inspecting { .. }
            | Stage::Verifying { .. }
            | Stage::OnTrial { .. } => true,
            Stage::Readying
            | Stage::Probing { .. }
            | Stage::Withdrawing
            | Stage::Following { .. }
            | Stage::Draining { .. }
            | Stage::Drained
            | Stage::RunningBefore { .. }
            | Stage::LastLook { .. }
            | Stage::Dirtying { .. }
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
            | Stage::OutAgain { .. }
            | Stage::Writing { .. }
            | Stage::Refused { .. }
            | Stage::RefusedWrite { .. } => false,
        }
    }
}
