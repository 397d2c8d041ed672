//! Faults as data: each has a name, a night draws some of them by seed.
use std::fmt;
use std::str::FromStr;

/// Something that goes wrong in a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    LostUpdates,
    LostAnswers,
    LateUpdates,
    DoubledUpdates,
    PrimarySilent,
    SecondaryStands,
    SecondaryLags,
    SecondaryGoesBack,
    Overstaying,
    ProbesFail,
    StartsFail,
    Crashing,
    Unready,
    EngineDown,
    LateRemovals,
    SlowRemovals,
    LateRequests,
    Proofs,
    WrongImages,
    Busy,
    TrafficUnknown,
    NoTraffic,
    EvidenceHangs,
    PruneFails,
    Kills,
    TornDecisions,
    Aborts,
    TakeOvers,
    Freezes,
    ClockJumps,
    Nsupdate,
    Queued,
    Cordons,
    TagsMove,
    BelowFloor,
    StoreCopied,
    StoreOld,
    StoreLost,
    ZoneRestored,
    MarkerDeleted,
    TtlChanged,
    Pauses,
    Trials,
    Hooks,
    BadImages,
}

/// Every fault, with the name and the words that people know it by.
const TABLE: [(Fault, &str, &str); 45] = [
    (
        Fault::LostUpdates,
        "lost-updates",
        "an UPDATE never reaches the primary",
    ),
    (
        Fault::LostAnswers,
        "lost-answers",
        "UPDATEs are applied, their answers are lost",
    ),
    (
        Fault::LateUpdates,
        "late-updates",
        "an UPDATE is applied long after its sender gave up",
    ),
    (
        Fault::DoubledUpdates,
        "doubled-updates",
        "an UPDATE arrives twice",
    ),
    (
        Fault::PrimarySilent,
        "primary-silent",
        "the primary cannot be reached for a while",
    ),
    (
        Fault::SecondaryStands,
        "secondary-stands",
        "the secondary follows nothing for a while",
    ),
    (
        Fault::SecondaryLags,
        "secondary-lags",
        "the secondary is some versions behind",
    ),
    (
        Fault::SecondaryGoesBack,
        "secondary-goes-back",
        "the secondary restarts from an old file",
    ),
    (
        Fault::Overstaying,
        "overstaying",
        "resolvers keep answers longer than the TTL",
    ),
    (Fault::ProbesFail, "probes-fail", "a site fails its probes"),
    (
        Fault::StartsFail,
        "starts-fail",
        "containers of a site do not start",
    ),
    (
        Fault::Crashing,
        "crashing",
        "containers of a site exit in service",
    ),
    (Fault::Unready, "unready", "a port is held, a disk is full"),
    (
        Fault::EngineDown,
        "engine-down",
        "an engine cannot be reached",
    ),
    (
        Fault::LateRemovals,
        "late-removals",
        "a removal is carried out after its sender gave up",
    ),
    (
        Fault::SlowRemovals,
        "slow-removals",
        "a removal takes very long",
    ),
    (
        Fault::LateRequests,
        "late-requests",
        "a creation or start comes after its sender gave up",
    ),
    (
        Fault::Proofs,
        "proofs",
        "a changed network is in the way of new containers",
    ),
    (
        Fault::WrongImages,
        "wrong-images",
        "containers are made from another image than asked",
    ),
    (Fault::Busy, "busy", "traffic does not end"),
    (
        Fault::TrafficUnknown,
        "traffic-unknown",
        "traffic cannot be measured",
    ),
    (Fault::NoTraffic, "no-traffic", "no traffic comes back"),
    (
        Fault::EvidenceHangs,
        "evidence-hangs",
        "the engine never ends a `docker diff`",
    ),
    (
        Fault::PruneFails,
        "prune-fails",
        "old images cannot be removed",
    ),
    (Fault::Kills, "kills", "a coordinator dies and comes back"),
    (
        Fault::TornDecisions,
        "torn-decisions",
        "a coordinator dies while it writes a decision down",
    ),
    (Fault::Aborts, "aborts", "a person aborts"),
    (
        Fault::TakeOvers,
        "take-overs",
        "another coordinator takes over, the first one works on",
    ),
    (
        Fault::Freezes,
        "freezes",
        "a coordinator stands still, and goes on later",
    ),
    (
        Fault::ClockJumps,
        "clock-jumps",
        "time jumps, or the wall clock is set",
    ),
    (
        Fault::Nsupdate,
        "nsupdate",
        "a person puts a site in or out by hand",
    ),
    (
        Fault::Queued,
        "queued",
        "a person asks for a rebuild in the middle of a rotation",
    ),
    (
        Fault::Cordons,
        "cordons",
        "a person cordons a site in the middle of a rotation",
    ),
    (
        Fault::TagsMove,
        "tags-move",
        "a tag moves while a rotation runs",
    ),
    (
        Fault::BelowFloor,
        "below-floor",
        "a person overrides the floor",
    ),
    (
        Fault::StoreCopied,
        "store-copied",
        "two coordinators run on copies of one store",
    ),
    (
        Fault::StoreOld,
        "store-old",
        "a coordinator comes back with an older copy of its store",
    ),
    (
        Fault::StoreLost,
        "store-lost",
        "a coordinator comes back without its store",
    ),
    (
        Fault::ZoneRestored,
        "zone-restored",
        "the zone is restored from an older copy",
    ),
    (
        Fault::MarkerDeleted,
        "marker-deleted",
        "a person deletes the marker",
    ),
    (Fault::TtlChanged, "ttl-changed", "a person changes the TTL"),
    (
        Fault::Pauses,
        "pauses",
        "a person pauses a rotation, or ends its process, and goes on later",
    ),
    (
        Fault::Trials,
        "trials",
        "a person accepts a rebuilt site that waits to be tried by hand, or refuses it",
    ),
    (Fault::Hooks, "hooks", "hooks say not yet, or fail"),
    (
        Fault::BadImages,
        "bad-images",
        "a new release is bad, wherever it runs",
    ),
];

impl Fault {
    /// All of them, in a fixed order.
    pub fn all() -> Vec<Fault> {
        TABLE.iter().map(|(fault, _, _)| *fault).collect()
    }

    /// What happens, for people.
    pub fn what(self) -> &'static str {
        self.row().2
    }

    /// Whether people do it, rather than servers, engines or networks.
    pub fn is_by_people(self) -> bool {
        matches!(
            self,
            Fault::Aborts
                | Fault::TakeOvers
                | Fault::Nsupdate
                | Fault::Queued
                | Fault::Cordons
                | Fault::TagsMove
                | Fault::BelowFloor
                | Fault::ZoneRestored
                | Fault::MarkerDeleted
                | Fault::TtlChanged
                | Fault::Pauses
                | Fault::Trials
        )
    }

    /// Whether it needs somebody who measures traffic.
    pub fn is_about_traffic(self) -> bool {
        matches!(
            self,
            Fault::Overstaying | Fault::Busy | Fault::TrafficUnknown | Fault::NoTraffic
        )
    }

    fn row(self) -> &'static (Fault, &'static str, &'static str) {
        let mut rows = TABLE.iter();
        rows.find(|(fault, _, _)| *fault == self)
            .unwrap_or(&TABLE[0])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().1)
    }
}

/// No fault is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fault is called {name:?}")]
pub struct UnknownFault {
    pub name: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;
    fn from_str(name: &str) -> Result<Fault, UnknownFault> {
        let found = TABLE.iter().find(|(_, known, _)| *known == name);
        found.map(|(fault, _, _)| *fault).ok_or(UnknownFault {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_row_of_its_own_and_is_read_as_it_is_written() {
        let all = Fault::all();
        for fault in &all {
            assert_eq!(fault.to_string().parse(), Ok(*fault));
        }
        let unlike: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unlike.len(), TABLE.len());
        assert!("frogs".parse::<Fault>().is_err());
    }
}
