//! What must hold at every step of every night, each rule by name with its reason. An all-seeing
//! onlooker asks them: before and after every UPDATE, at every removal and start of a container,
//! and at every decision of a coordinator.
mod containers;
mod decisions;
mod requests;
mod updates;

use std::fmt;

pub(crate) use containers::{Removal, removing, serving, started};
pub(crate) use decisions::decided;
pub(crate) use updates::{updated, updating};

use super::world::World;

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// A rule: its name, why it is one, and the question. `Some`: it is broken, so.
struct Invariant<Ask> {
    name: &'static str,
    reason: &'static str,
    ask: Ask,
}

impl<Ask> Invariant<Ask> {
    fn told(&self) -> (&'static str, &'static str) {
        (self.name, self.reason)
    }
}

/// Every rule by name with its reason, for people.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let parts = updates::told().chain(containers::told());
    parts.chain(decisions::told()).chain(LIVENESS).collect()
}

/// How a night must end once its faults have stopped; asked by whoever plays it.
pub(crate) const LIVENESS: [(&str, &str); 4] = [
    (
        "ends",
        "whatever happened, a rotation ends within a bound once the faults have stopped",
    ),
    (
        "says why",
        "whoever left a site otherwise than planned says why",
    ),
    (
        "comes back",
        "what we took out is in service again after one recovery and one night",
    ),
    (
        "owes nothing",
        "an idle marker with no site out or dirty is where a good night ends",
    ),
];

fn ask<Ask: Copy>(
    world: &mut World,
    rules: &[Invariant<Ask>],
    put: impl Fn(&World, Ask) -> Option<String>,
) {
    for rule in rules {
        if let Some(what) = put(world, rule.ask) {
            let invariant = rule.name;
            world.note(Violation { invariant, what });
        }
    }
}
