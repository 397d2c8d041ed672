//! One thing that is not as declared.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::evidence::PathChange;
use crate::model::id::RotationId;
use crate::model::image::Digest;

/// One thing that is not as declared. Kept as evidence: what later versions add has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `PROJECT/SERVICE`.
    pub service: String,
    /// Its name; `None`: it is about the service as a whole.
    #[serde(default)]
    pub container: Option<String>,
    #[serde(flatten)]
    pub difference: Difference,
}

/// In which way. First what somebody must have done, then what went wrong by itself, last what is
/// told and is no finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// What decides what runs was changed inside: programs, libraries and their like.
    Programs {
        changes: Vec<PathChange>,
        /// Such changes that are not listed.
        more: u64,
    },
    /// It runs what the visit that made it did not pin.
    OtherDigest {
        /// `None`: an image of no registry.
        running: Option<Digest>,
        pinned: BTreeSet<Digest>,
    },
    /// Not made by cleanslate.
    ByHand,
    /// Of our project, but of no declared service.
    Stray,
    /// Made from another spec than the one that is declared.
    OtherSpec,
    /// Made before the last visit, which ought to have recreated it.
    OlderVisit { made_by: Option<RotationId> },
    /// More of them run than are declared.
    Extra { running: u32, declared: u32 },
    /// The system killed it, or something in it, for want of memory.
    OomKilled,
    /// It is there and does not run. `state`: as engines call it.
    NotRunning {
        state: String,
        exit_code: Option<i64>,
    },
    /// Its healthcheck fails.
    Unhealthy,
    /// The engine started it again so often.
    Restarted { times: u64 },
    /// Fewer of them run than are declared.
    Missing { running: u32, declared: u32 },
    /// It runs what its visit pinned, and its tag names something else by now: the next visit
    /// takes that.
    Behind { running: Digest, tag: Digest },
    /// It runs what its tag does not name, and nobody here knows the visit that made it.
    UnknownVisit {
        running: Digest,
        made_by: Option<RotationId>,
    },
}

impl Difference {
    /// Whether a person is to look at it. The rest is told beside what was found.
    pub fn is_finding(&self) -> bool {
        match self {
            Difference::Programs { .. }
            | Difference::OtherDigest { .. }
            | Difference::ByHand
            | Difference::Stray
            | Difference::OtherSpec
            | Difference::OlderVisit { .. }
            | Difference::Extra { .. }
            | Difference::OomKilled
            | Difference::NotRunning { .. }
            | Difference::Unhealthy
            | Difference::Restarted { .. }
            | Difference::Missing { .. } => true,
            Difference::Behind { .. } | Difference::UnknownVisit { .. } => false,
        }
    }

    /// As programs read it.
    pub fn kind(&self) -> &'static str {
        match self {
            Difference::Programs { .. } => "programs",
            Difference::OtherDigest { .. } => "other_digest",
            Difference::ByHand => "by_hand",
            Difference::Stray => "stray",
            Difference::OtherSpec => "other_spec",
            Difference::OlderVisit { .. } => "older_visit",
            Difference::Extra { .. } => "extra",
            Difference::OomKilled => "oom_killed",
            Difference::NotRunning { .. } => "not_running",
            Difference::Unhealthy => "unhealthy",
            Difference::Restarted { .. } => "restarted",
            Difference::Missing { .. } => "missing",
            Difference::Behind { .. } => "behind",
            Difference::UnknownVisit { .. } => "unknown_visit",
        }
    }

    /// Its place among others.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Difference::Programs { .. } => 0,
            Difference::OtherDigest { .. } => 1,
            Difference::ByHand => 2,
            Difference::Stray => 3,
            Difference::OtherSpec => 4,
            Difference::OlderVisit { .. } => 5,
            Difference::Extra { .. } => 6,
            Difference::OomKilled => 7,
            Difference::NotRunning { .. } => 8,
            Difference::Unhealthy => 9,
            Difference::Restarted { .. } => 10,
            Difference::Missing { .. } => 11,
            Difference::Behind { .. } => 12,
            Difference::UnknownVisit { .. } => 13,
        }
    }
}
