//! How a night went.
use std::collections::BTreeMap;

use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::model::id::SiteName;
use crate::sim::faults::Fault;
use crate::sim::invariants::Violation;

/// How a night went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    /// The faults it drew.
    pub faults: Vec<Fault>,
    /// How often each of them happened.
    pub happened: BTreeMap<Fault, u64>,
    /// Rotations that were begun: the first one, what people and coordinators began after it, and
    /// those that brought everything back.
    pub rotations: u64,
    pub steps: u64,
    /// The first rotation, if its end is known: a store that was lost does not know.
    pub first: Option<First>,
    /// The fewest sites that an UPDATE left in DNS.
    pub fewest: usize,
    pub violations: Vec<Violation>,
}

/// How the first rotation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    pub end: RotationEnd,
    pub visits: BTreeMap<SiteName, VisitEnd>,
    /// From its beginning to its end.
    pub took_ms: u64,
}
