//! The safety rules that are questions about what was seen: each has the name that people meet
//! when it says no. Who asks them, and when, stands in `lane` and `visit`.
mod barred;
mod engine;
mod floor;
mod kept;
mod marker;
mod own_feet;
mod presence;

pub use barred::barred;
pub use engine::{Expected, fence, own_work};
pub use floor::{floor, never_empty, still_served, ttl};
pub use kept::{drifted, rebuild_kept};
pub use marker::{Standing, cordon, max_unavailable, one_marker, standing};
pub use own_feet::{Feet, OwnContainer, own_feet};
pub use presence::{Presence, declared_records, presence, present_addresses, present_records};

use super::outcome::Problem;

/// A rule said no.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// The rule's name: `floor`, `ttl`, `compare-and-swap`, …
    pub rule: String,
    pub why: String,
    pub cure: String,
    /// Whether the same question may be answered otherwise a little later.
    pub is_transient: bool,
}

impl Refusal {
    /// A refusal that only a person or another night can change.
    pub fn new(rule: &str, why: impl Into<String>, cure: impl Into<String>) -> Refusal {
        Refusal {
            rule: rule.to_owned(),
            why: why.into(),
            cure: cure.into(),
            is_transient: false,
        }
    }

    /// The same as a problem.
    pub fn problem(&self) -> Problem {
        Problem {
            what: format!("{}: {}", self.rule, self.why),
            cure: self.cure.clone(),
            is_transient: self.is_transient,
        }
    }
}
