//! How a rotation goes, as data: order, waits, policies.
use std::time::Duration;

use super::id::{PlaybookName, SiteName};

/// A playbook, every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    pub name: PlaybookName,
    pub description: String,
    /// `None`: every site, by channel in the fleet's order, then by name.
    pub sites: Option<Vec<SiteName>>,
    /// The most sites out of service at once.
    pub max_unavailable: u32,
    /// What the visit does to containers; a drill withdraws and restores only.
    pub recreate: Recreate,
    pub schedule: Option<Schedule>,
    pub drain: Drain,
    pub soak: Soak,
    pub failure: Failure,
}

/// When a playbook runs by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Five fields.
    pub cron: String,
    /// IANA name.
    pub timezone: String,
    /// No visit starts that cannot end by then (local time of day).
    pub finish_by: Option<jiff::civil::Time>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Drain {
    pub at_least: Duration,
    pub at_most: Duration,
    pub quiet: Quiet,
    pub then: StillBusy,
}

/// When traffic counts as gone: fewer packets than the larger of both bounds, for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quiet {
    /// Packets a second.
    pub below: f64,
    /// Share (0 to 1) of the minute before the withdrawal.
    pub share: f64,
    /// For how long in a row.
    pub for_at_least: Duration,
}

/// What happens to a site that is still busy at the end of its drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillBusy {
    PutBack,
    Proceed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recreate {
    /// `false`: a drill.
    pub containers: bool,
    pub volumes: Volumes,
    pub anonymous: Anonymous,
    pub strays: Strays,
    pub before: Option<Before>,
    /// How much of each container's log is kept as evidence, in bytes.
    pub logs: u64,
}

/// What happens to named volumes that are not external.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    Keep,
    Wipe,
}

/// What happens to volumes without a name that hold data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    Refuse,
    Discard,
}

/// What happens to containers of our project label, but of no declared service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strays {
    Report,
    Remove,
}

/// A command that runs at the coordinator before anything of a site is stopped; `{site}` is its
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub command: Vec<String>,
    pub within: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Soak {
    pub for_at_least: Duration,
    /// Traffic must be seen again in this time.
    pub traffic_within: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub preflight: Preflight,
    pub then: FailureThen,
}

/// What a failure in *ready* does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preflight {
    Skip,
    Halt,
}

/// What a failed visit does. `last_good` is refused by name until it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureThen {
    Quarantine,
}
