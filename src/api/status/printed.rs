//! The object that programs read.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::pinned::Pinned;
use crate::api::release::Waits;
use crate::api::when::When;
use crate::model::id::{
    Channel, FleetName, HolderId, HostName, PlaybookName, RotationId, SiteName,
};
use crate::model::image::Digest;

/// The whole status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub v: u8,
    pub fleet: FleetName,
    /// As the primary serves it; null: none, or the primary did not answer.
    pub marker: Option<MarkerStatus>,
    pub rotation: Option<RotationStatus>,
    /// What a person is needed for.
    pub next: Vec<Next>,
    pub sites: Vec<SiteStatus>,
    /// What could not be asked, in words.
    pub unknown: Vec<String>,
    /// Digests that failed, and are planned nowhere until somebody clears them.
    #[serde(default)]
    pub barred: Vec<BarredStatus>,
    /// What the schedules begin next; null: nothing runs by itself.
    #[serde(default)]
    pub next_run: Option<NextRun>,
    #[serde(default)]
    pub release: ReleaseStatus,
}

/// Tags that are on their way, and those that will be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseStatus {
    /// The act that has not ended: until it does, no plan asks the registry.
    #[serde(default)]
    pub open: Option<String>,
    /// Promotions that wait for their time, the next one first.
    #[serde(default)]
    pub scheduled: Vec<Waits>,
}

/// A digest that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarredStatus {
    pub digest: Digest,
    pub image: String,
    /// Where it failed first.
    pub site: SiteName,
    pub rotation: RotationId,
    pub at: Timestamp,
    pub why: String,
}

/// The next run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRun {
    pub playbook: PlaybookName,
    pub planned: Timestamp,
    pub timezone: String,
    /// The same in the time of the schedule, `2026-11-22 03:00:00 CET`.
    pub local: String,
    pub in_seconds: u64,
    /// Why it does not begin.
    pub frozen: Option<String>,
    /// Whether a coordinator runs that begins it.
    pub served: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerStatus {
    pub epoch: u64,
    pub seq: u64,
    pub holder: Option<HolderId>,
    pub rotation: Option<RotationId>,
    pub out: BTreeSet<SiteName>,
    pub dirty: BTreeSet<SiteName>,
    pub held: BTreeSet<SiteName>,
    pub cordon: BTreeSet<SiteName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationStatus {
    pub id: RotationId,
    pub playbook: PlaybookName,
    pub state: RotationState,
    pub since: Timestamp,
    /// No process runs it: the next `rotate` goes on with it.
    pub interrupted: bool,
    pub actor: String,
    pub reason: Option<String>,
    /// Whose visits are over, in the order of the plan.
    pub visited: Vec<SiteName>,
    /// Whose visits have not begun.
    pub left: Vec<SiteName>,
    /// What it waits for where no site is visited.
    pub why: Option<String>,
    /// Until when, where that is known.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationState {
    Running,
    /// Nothing further begins until the pause ends.
    Paused,
    Halting,
    Aborting,
}

impl ReleaseStatus {
    /// A sentence each, without its full stop.
    pub(crate) fn words(&self, when: &When, now: Timestamp) -> Vec<String> {
        let open = self.open.iter();
        let open = open.map(|open| format!("{open} has not ended: its tags are on their way"));
        let scheduled = self.scheduled.iter().map(|waits| {
            let at = when.ahead(waits.at, now);
            format!("{} of {} is to be done {at}", waits.what, waits.who)
        });
        open.chain(scheduled).collect()
    }
}

/// One thing that a person is needed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    pub site: Option<SiteName>,
    pub why: String,
    pub command: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteStatus {
    pub name: SiteName,
    pub channel: Channel,
    /// Null where nobody can tell.
    pub state: Option<SiteState>,
    pub in_dns: InDns,
    pub cordoned: bool,
    /// What runs, by service (`PROJECT/SERVICE` where the site runs several projects); what last
    /// passed here where its engines were not asked.
    pub digests: BTreeMap<String, String>,
    /// Since when its containers run, as the one that runs longest tells it; kept ones apart. Null
    /// where its engines were not asked.
    #[serde(default)]
    pub runs_since: Option<Timestamp>,
    /// What it is pinned to, where `site.toml` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    pub hosts: Vec<HostStatus>,
    pub step: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub why: Option<String>,
    /// Packets a second into its published containers, the mean of the last seconds. Null where
    /// they are not measured, as they are while it is visited.
    #[serde(default)]
    pub traffic: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteState {
    InService,
    Ready,
    Withdrawing,
    Draining,
    Recreating,
    Verifying,
    Restoring,
    Soaking,
    Quarantined,
    Held,
    OutOfService,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDns {
    Yes,
    No,
    Partly,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    pub name: HostName,
    pub engine: EngineStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineStatus {
    Up,
    Down,
    Unknown,
}

impl RotationState {
    /// In the order of a rotation's life.
    pub const ALL: [RotationState; 4] = [
        RotationState::Running,
        RotationState::Paused,
        RotationState::Halting,
        RotationState::Aborting,
    ];

    /// The word that programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            RotationState::Running => "running",
            RotationState::Paused => "paused",
            RotationState::Halting => "halting",
            RotationState::Aborting => "aborting",
        }
    }
}

impl InDns {
    pub const ALL: [InDns; 4] = [InDns::Yes, InDns::No, InDns::Partly, InDns::Unknown];

    /// The word that programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            InDns::Yes => "yes",
            InDns::No => "no",
            InDns::Partly => "partly",
            InDns::Unknown => "unknown",
        }
    }
}

impl SiteState {
    /// In the order of a visit, then those at rest.
    pub const ALL: [SiteState; 11] = [
        SiteState::InService,
        SiteState::Ready,
        SiteState::Withdrawing,
        SiteState::Draining,
        SiteState::Recreating,
        SiteState::Verifying,
        SiteState::Restoring,
        SiteState::Soaking,
        SiteState::Quarantined,
        SiteState::Held,
        SiteState::OutOfService,
    ];

    /// The word that programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            SiteState::InService => "in_service",
            SiteState::Ready => "ready",
            SiteState::Withdrawing => "withdrawing",
            SiteState::Draining => "draining",
            SiteState::Recreating => "recreating",
            SiteState::Verifying => "verifying",
            SiteState::Restoring => "restoring",
            SiteState::Soaking => "soaking",
            SiteState::Quarantined => "quarantined",
            SiteState::Held => "held",
            SiteState::OutOfService => "out_of_service",
        }
    }

    /// The word that programs meet, without underscores.
    pub fn words(self) -> &'static str {
        match self {
            SiteState::InService => "in service",
            SiteState::Ready => "ready",
            SiteState::Withdrawing => "withdrawing",
            SiteState::Draining => "draining",
            SiteState::Recreating => "recreating",
            SiteState::Verifying => "verifying",
            SiteState::Restoring => "restoring",
            SiteState::Soaking => "soaking",
            SiteState::Quarantined => "quarantined",
            SiteState::Held => "held",
            SiteState::OutOfService => "out of service",
        }
    }
}
