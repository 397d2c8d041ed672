//! The answers to effects.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::effect::Made;
use crate::model::evidence::Evidence;
use crate::model::id::{ContainerId, Nonce};
use crate::model::image::{Digest, ImageRef};
use crate::model::inventory::Inventory;
use crate::model::lifecycle::HookRun;
use crate::model::rrset::{ServerAnswer, UpdateOutcome, ZoneView};
use crate::model::time::Ttl;

/// What went wrong, and what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Names the place: `nyc2: port 8080 is held by container web-old (3f2a…)`.
    pub what: String,
    /// The cure, as an instruction.
    pub cure: String,
    /// Whether asking again may help.
    pub is_transient: bool,
}

/// The answer to one effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// To `ReadPrimary`. `nonce` is fresh, for the marker of the change that may follow.
    Primary {
        view: Result<Arc<ZoneView>, Problem>,
        nonce: Nonce,
    },
    /// To `Update`.
    Update(UpdateOutcome),
    /// To `AskServers`: one answer a server.
    Servers(Vec<ServerAnswer>),
    /// To `AwaitServers`: all have followed. The largest TTL that any of them serves for an
    /// RRset of the fleet.
    Followed { ttl: Ttl },
    /// To `AwaitServers`: the time has passed. The last answer of each server that has not
    /// followed, and what is wrong with it.
    Behind { servers: Vec<Lagging> },
    /// To `ResolveImages`.
    Images {
        digests: BTreeMap<ImageRef, Result<Digest, Problem>>,
    },
    /// To `Engine`.
    Engine(EngineOutcome),
    /// To `Probe`.
    Probe(ProbeOutcome),
    /// To `AwaitQuiet`, `JudgeTraffic` and `AwaitTraffic`.
    Traffic(TrafficOutcome),
    /// To `RunBefore`.
    Before(Result<(), Problem>),
    /// To `CallHook`.
    Hook(HookAnswer),
    /// To `Sleep`.
    Woke,
}

/// What a hook says.
#[derive(Clone, Debug, PartialEq)]
pub enum HookAnswer {
    Agreed,
    /// It is to be asked again, after so long if it says so.
    NotYet {
        why: String,
        after: Option<Duration>,
    },
    Failed(Problem),
}

/// A server that has not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lagging {
    pub answer: ServerAnswer,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EngineOutcome {
    Inventory(Arc<Inventory>),
    Pulled {
        images: u32,
    },
    /// Every container of the host was made. `is_proof`: made to prove space, mounts and options
    /// only, and removed again, because a network they need must be remade first.
    Prepared {
        containers: Vec<Made>,
        is_proof: bool,
    },
    /// Nothing was changed; every reason at once.
    Unready(Vec<Problem>),
    Discarded,
    Evidence(Vec<Evidence>),
    Cleared {
        removed: u32,
        hooks: Vec<HookRun>,
    },
    /// Some may still be stopped or removed later: the engine did not answer in time, or refused.
    Uncleared {
        left: Vec<ContainerId>,
        problem: Problem,
        hooks: Vec<HookRun>,
    },
    Started {
        hooks: Vec<HookRun>,
    },
    NotStarted {
        problem: Problem,
        hooks: Vec<HookRun>,
    },
    /// To `Watch`: one of them did what it must not.
    Breach {
        problem: Problem,
    },
    Pruned {
        images: u32,
        bytes: u64,
    },
    /// The engine could not be asked, or refused.
    Failed(Problem),
}

impl Outcome {
    /// The answer of an engine, if it is one.
    pub fn engine(&self) -> Option<&EngineOutcome> {
        if let Outcome::Engine(outcome) = self {
            return Some(outcome);
        }
        None
    }
}

impl EngineOutcome {
    /// What became of the hooks that were run meanwhile.
    pub fn hooks(&self) -> &[HookRun] {
        match self {
            EngineOutcome::Cleared { hooks, .. }
            | EngineOutcome::Uncleared { hooks, .. }
            | EngineOutcome::Started { hooks }
            | EngineOutcome::NotStarted { hooks, .. } => hooks,
            EngineOutcome::Inventory(_)
            | EngineOutcome::Pulled { .. }
            | EngineOutcome::Prepared { .. }
            | EngineOutcome::Unready(_)
            | EngineOutcome::Discarded
            | EngineOutcome::Evidence(_)
            | EngineOutcome::Breach { .. }
            | EngineOutcome::Pruned { .. }
            | EngineOutcome::Failed(_) => &[],
        }
    }

    /// What the engine failed at, or refused; a breach that was watched for is neither.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            EngineOutcome::Uncleared { problem, .. }
            | EngineOutcome::NotStarted { problem, .. }
            | EngineOutcome::Failed(problem) => Some(problem),
            EngineOutcome::Unready(problems) => problems.first(),
            EngineOutcome::Inventory(_)
            | EngineOutcome::Pulled { .. }
            | EngineOutcome::Prepared { .. }
            | EngineOutcome::Discarded
            | EngineOutcome::Evidence(_)
            | EngineOutcome::Cleared { .. }
            | EngineOutcome::Started { .. }
            | EngineOutcome::Breach { .. }
            | EngineOutcome::Pruned { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// A site without probes passes.
    Passed,
    Failing {
        problems: Vec<Problem>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum TrafficOutcome {
    /// Fewer packets a second than the bound, for long enough.
    Quiet { packets: f64 },
    /// More than the bound, or not below it for long enough; `None`: this moment is not known.
    Busy { packets: Option<f64> },
    /// Traffic was seen again.
    Back { packets: f64 },
    /// It cannot be measured.
    Unknown { why: String },
}
