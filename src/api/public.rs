//! The event lines that programs read: one JSON object a line, version 1. A field is never renamed
//! or removed within a version.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{Channel, HookName, HostName, PlaybookName, RotationId, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::rrset::RecordName;

/// The version of every line.
pub const VERSION: u8 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub v: u8,
    /// Counts the rotation's lines from 1, without gaps, across restarts of the process.
    /// `waiting` is no fact of the journal: it repeats the number of the line before it.
    pub n: u64,
    pub at: Timestamp,
    pub rotation: RotationId,
    /// The fencing token under which it happened; 0 before the marker was first won.
    pub epoch: u64,
    pub site: Option<SiteName>,
    /// Of the site: `ready`, `withdraw`, `drain`, `recreate`, `verify`, `restore`, `soak`,
    /// `signal`, `put_back`, `mark`.
    pub step: Option<String>,
    #[serde(flatten)]
    pub public: Public,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Public {
    RotationPlanned {
        playbook: PlaybookName,
        /// In order.
        sites: Vec<SiteName>,
        /// Sites of one wave are visited together.
        waves: Vec<Vec<SiteName>>,
        /// Of the sites that are visited in their quiet hours only.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        windows: BTreeMap<SiteName, Window>,
        digests: BTreeMap<Channel, BTreeMap<ImageRef, Digest>>,
        /// What sites are visited with instead, that are pinned.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        pinned: BTreeMap<SiteName, BTreeMap<ImageRef, Digest>>,
        /// Images of which some site last passed on another digest, or on none yet.
        changed: BTreeSet<ImageRef>,
        actor: String,
        reason: Option<String>,
        /// Why there is a freeze, where somebody set it aside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_freeze: Option<String>,
    },
    VisitStarted {
        kind: Kind,
    },
    /// Every host of the site has every image.
    ImagesPulled {
        images: u64,
    },
    /// Kept services of a host run, and not as declared: the visit leaves them alone.
    KeptDrifted {
        host: HostName,
        /// One a container.
        drifted: Vec<String>,
        /// The command that recreates them.
        next: String,
    },
    /// The new containers are made; nothing of the site was touched.
    Ready {
        containers: u64,
    },
    /// A rule or the server said no.
    WithdrawRefused {
        rule: String,
        why: String,
        cure: String,
    },
    /// The primary serves it no longer.
    Withdrawn {
        addresses: BTreeMap<RecordName, BTreeSet<IpAddr>>,
    },
    /// Every name server has followed. In seconds.
    Draining {
        at_least: u64,
        at_most: u64,
        ttl: u32,
    },
    Drained {
        seconds: u64,
        /// Packets a second at the end; null: unknown.
        traffic: Option<f64>,
        reason: DrainEnd,
    },
    Recreated {
        containers: u64,
        seconds: u64,
        /// Running containers of each `PROJECT/SERVICE` of the site before; kept ones apart.
        scaled_from: BTreeMap<String, u32>,
        scaled_to: BTreeMap<String, u32>,
    },
    /// All is as it should be, and a person is to try the site by hand before it goes in.
    TrialBegun {
        /// Where.
        addresses: BTreeSet<IpAddr>,
        /// The command that puts it in.
        next: String,
    },
    /// A person tried it: it is verified once more, and goes in.
    TrialAccepted {
        actor: String,
        reason: Option<String>,
    },
    Verified {
        /// Whether its containers were made anew; else it was verified as it stands.
        recreated: bool,
    },
    /// The primary serves it again.
    Restored {
        addresses: BTreeMap<RecordName, BTreeSet<IpAddr>>,
    },
    Soaked,
    /// Who was asked whether the visit may go on could not be heard, or said no. Whether it went on
    /// all the same follows.
    HookFailed {
        hook: HookName,
        why: String,
        cure: String,
    },
    VisitCompleted {
        /// Whether the site serves; one that was found out stays out unless asked.
        in_service: bool,
        next_site: Option<SiteName>,
    },
    /// Back as it was: nothing of it was stopped.
    PutBack {
        why: String,
        cure: String,
    },
    /// Nothing of it was changed.
    SiteSkipped {
        why: String,
        cure: String,
    },
    /// It stays out of DNS until a later visit or `restore`.
    SiteQuarantined {
        why: String,
        cure: String,
    },
    /// Its images failed for good: it is made again from those that passed there last.
    RollingBack {
        why: String,
        cure: String,
        /// What it goes on with.
        digests: BTreeMap<ImageRef, Digest>,
        /// What no plan holds from now on, until somebody clears it.
        barred: BTreeMap<ImageRef, Digest>,
    },
    /// It serves the images that passed there last. What was planned for it failed.
    RolledBack {
        why: String,
        cure: String,
    },
    Retrying {
        /// The one that follows, from 2.
        attempt: u32,
        /// In so many seconds.
        after: u64,
        why: String,
    },
    Waiting {
        why: String,
        /// Seconds so far.
        r#for: u64,
        until: Option<Timestamp>,
    },
    /// After it was pinned: the next rotation takes the new digest.
    TagMoved {
        moved: BTreeMap<ImageRef, Digest>,
    },
    /// The marker of another holder, or of our own former process's store.
    TakenOver {
        from: Option<String>,
        from_epoch: u64,
    },
    /// Nothing further begins: no visit, no withdrawal, no first stop.
    RotationPaused {
        actor: String,
        reason: String,
        /// Null: until somebody resumes it.
        until: Option<Timestamp>,
        /// What follows by itself then: `resume` or `abort`; null where nothing does.
        then: Option<Then>,
    },
    RotationResumed {
        after: Interruption,
    },
    RotationHalted {
        cause: String,
        cure: String,
        /// The command that a person types next.
        next: String,
    },
    RotationAborted {
        reason: String,
    },
    RotationCompleted {
        seconds: u64,
        visited: Vec<SiteName>,
        /// Whose visit did not do what was planned.
        skipped: Vec<SiteName>,
    },
}

/// The quiet hours of a site that a rotation keeps to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub opens: Timestamp,
    pub closes: Timestamp,
    /// As they are written, in the time zone: `02:00-05:00`.
    pub hours: String,
    pub timezone: String,
}

/// Where a visit began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    InService,
    Rebuild,
    Quarantined,
    FoundOut,
    AsItStands,
    WithdrawOnly,
    MarkerOnly,
}

/// Why a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainEnd {
    Quiet,
    AtMost,
    Unknown,
}

/// What a rotation was resumed after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    Pause,
    Crash,
}

/// What happens when the time of a pause has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Resume,
    Abort,
}

impl Line {
    /// The JSON text, without an end of line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and string keys always serialize")
    }
}

impl Public {
    /// Whether nothing follows it in its rotation.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            Public::RotationHalted { .. }
                | Public::RotationAborted { .. }
                | Public::RotationCompleted { .. }
        )
    }
}
