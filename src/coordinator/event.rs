//! Facts: what the journal holds, and all that [`apply`](super::state::State::apply) knows.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::caution::Caution;
use super::effect::Made;
use super::intent::Intent;
use super::outcome::{Lagging, Problem};
use super::plan::Plan;
use super::safety::Refusal;
use crate::model::id::{ContainerId, HookName, HostName, SiteName};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::inventory::Inventory;
use crate::model::lifecycle::HookRun;
use crate::model::marker::Marker;
use crate::model::rrset::{UpdateOutcome, ZoneChange, ZoneView};
use crate::model::time::{Mono, Ttl};

/// One fact, past and immutable. `apply` of the same events gives the same state, live and on
/// replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process began to own this store: every wait starts anew, and the epoch is raised before
    /// anything else is done.
    Started,
    /// A rotation was accepted.
    Planned {
        plan: Plan,
    },
    /// A person ended it; the visits in hand are brought to safety. `is_superseded`: nobody did,
    /// something else was asked for after its process had died.
    AbortRequested {
        actor: String,
        reason: Option<String>,
        #[serde(default)]
        is_superseded: bool,
    },
    /// Nothing further is to begin for now: no visit, no withdrawal, no first stop.
    Paused {
        actor: String,
        reason: String,
        ends: PauseEnd,
    },
    /// It goes on.
    Resumed {
        actor: String,
        reason: Option<String>,
    },
    /// The configuration was read anew, and from here on the rotation is as careful as it says.
    Tightened {
        caution: Caution,
    },
    /// A rebuild was asked for while a rotation runs: it follows the visits in hand.
    RebuildQueued {
        plan: Plan,
    },
    /// A site was to be cordoned, uncordoned or held while a rotation runs.
    WriteRequested {
        intent: Intent,
    },

    // --- the marker and the RRsets: one change at a time
    /// The primary is about to be read for this change.
    ChangeBegun {
        intent: Intent,
    },
    /// The UPDATE is settled, and may leave once this is on disk.
    ChangeDecided {
        intent: Intent,
        change: Arc<ZoneChange>,
        ttl: Ttl,
    },
    /// The world already is as the change would make it.
    ChangeNotNeeded {
        intent: Intent,
        view: Arc<ZoneView>,
    },
    /// The server's answer.
    ChangeAnswered {
        outcome: UpdateOutcome,
    },
    /// It is unknown whether an UPDATE was applied, the primary still shows the old marker: this
    /// second one, from the same old marker, settles it.
    FenceDecided {
        change: Arc<ZoneChange>,
    },
    /// The primary was read back and shows our marker.
    ChangeProven {
        intent: Intent,
        marker: Marker,
        view: Arc<ZoneView>,
    },
    /// The UPDATE was not applied, or could not be decided; we look again then.
    ChangeDelayed {
        why: String,
        until: Mono,
    },
    /// The pause before the change in hand is over: the primary is read again.
    LookDue,
    /// The marker has stood for so long that it must be refreshed.
    RefreshDue,
    /// A rule or the server said no for good.
    ChangeRefused {
        intent: Intent,
        refusal: Refusal,
    },
    /// Another coordinator holds the marker; we look again then.
    MarkerHeld {
        marker: Marker,
        until: Mono,
    },
    /// It stood unchanged for so long that it may be taken over, or a person said so.
    TakeOverAllowed {
        from: Marker,
    },
    /// Somebody newer holds the marker or works on the engines: nothing more is sent.
    Deposed {
        refusal: Refusal,
    },

    // --- a visit
    VisitStarted {
        site: SiteName,
        kind: VisitKind,
        scale: BTreeMap<String, u32>,
    },
    HostLooked {
        site: SiteName,
        host: HostName,
        inventory: Arc<Inventory>,
    },
    HostPulled {
        site: SiteName,
        host: HostName,
    },
    HostPrepared {
        site: SiteName,
        host: HostName,
        made: Vec<Made>,
        is_proof: bool,
    },
    HostUnready {
        site: SiteName,
        host: HostName,
        problems: Vec<Problem>,
    },
    /// An image was pulled ahead of its visit (or could not be: the visit asks again).
    Prefetched {
        site: SiteName,
        host: HostName,
        problem: Option<Problem>,
    },
    /// Every host is ready; who answers its probes is asked next.
    Ready {
        site: SiteName,
    },
    Probed {
        site: SiteName,
        of: SiteName,
        problems: Vec<Problem>,
    },
    /// The floor's look is over: the site may ask to leave. `is_sick`: it fails its own probes.
    WithdrawBegun {
        site: SiteName,
        answering: BTreeSet<SiteName>,
        is_sick: bool,
    },
    /// The floor's look is too old to decide on: everybody's probes are asked again.
    LookExpired {
        site: SiteName,
    },
    /// A rebuild found its site well: its hosts are made ready before it leaves.
    ReadyFirst {
        site: SiteName,
    },
    /// Every authoritative server answers without the site, or with it again.
    Followed {
        site: SiteName,
        ttl: Ttl,
    },
    Behind {
        site: SiteName,
        servers: Vec<Lagging>,
    },
    /// The shortest drain is over.
    DrainedAtLeast {
        site: SiteName,
    },
    /// Traffic cannot be measured: the drain lasts to its end.
    DrainUnknown {
        site: SiteName,
        why: String,
    },
    /// The longest drain is over, and nobody has said that traffic is quiet or unknown.
    DrainedAtMost {
        site: SiteName,
    },
    /// Quiet, while the drain lasts to its end beside a name server that was left out.
    QuietSeen {
        site: SiteName,
        packets: f64,
    },
    Drained {
        site: SiteName,
        reason: DrainReason,
        packets: Option<f64>,
        seconds: u64,
    },
    EvidenceTaken {
        site: SiteName,
        host: HostName,
        containers: u32,
    },
    /// A hook of the gate at which the visit stands is called, for the first time or again.
    HookAsked {
        site: SiteName,
        hook: HookName,
    },
    /// It says *not yet*, and is asked again then.
    HookDeferred {
        site: SiteName,
        hook: HookName,
        why: String,
        until: Mono,
    },
    /// It agreed, or failed and is passed over, unless a fact beside this one says otherwise.
    HookEnded {
        site: SiteName,
        hook: HookName,
        problem: Option<Problem>,
    },
    BeforeBegun {
        site: SiteName,
    },
    BeforeEnded {
        site: SiteName,
        problem: Option<Problem>,
    },
    LastLookBegun {
        site: SiteName,
    },
    /// Every server was asked, and answers without the site.
    ServersLooked {
        site: SiteName,
    },
    /// A server no longer answers as it did: server check and drain start anew.
    LookedBehind {
        site: SiteName,
        why: String,
    },
    /// The site stands in DNS by somebody's hand while it is being emptied or rebuilt.
    PutBackByHand {
        site: SiteName,
    },
    /// The inventory that the last look is about.
    LastInventory {
        site: SiteName,
        host: HostName,
        inventory: Arc<Inventory>,
    },
    /// The site wants to be dirty: what then goes is what the inventories hold.
    LastLookPassed {
        site: SiteName,
    },
    /// Containers made before were proofs, or are gone: they are made anew before the start.
    RemakeBegun {
        site: SiteName,
    },
    /// These containers may be stopped or removed from here on, however late: they are condemned.
    ClearBegun {
        site: SiteName,
        level: usize,
        containers: BTreeMap<HostName, Vec<ContainerId>>,
    },
    HostCleared {
        site: SiteName,
        host: HostName,
        removed: u32,
        /// Run meanwhile; what earlier versions wrote had none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookRun>,
    },
    HostUncleared {
        site: SiteName,
        host: HostName,
        problem: Problem,
        /// Run meanwhile; what earlier versions wrote had none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookRun>,
    },
    StartBegun {
        site: SiteName,
        level: usize,
    },
    HostStarted {
        site: SiteName,
        host: HostName,
        /// Run meanwhile; what earlier versions wrote had none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookRun>,
    },
    HostNotStarted {
        site: SiteName,
        host: HostName,
        problem: Problem,
        /// Run meanwhile; what earlier versions wrote had none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hooks: Vec<HookRun>,
    },
    Recreated {
        site: SiteName,
        containers: u32,
        scale: BTreeMap<String, u32>,
        seconds: u64,
    },
    /// Probes at the site's own addresses begin.
    VerifyBegun {
        site: SiteName,
    },
    /// What verify saw on one host; empty: all is our own work, on its digests, healthy.
    HostVerified {
        site: SiteName,
        host: HostName,
        problems: Vec<Problem>,
    },
    /// All is as it should be, and a person is to try the site by hand before it goes in.
    TrialBegun {
        site: SiteName,
    },
    /// A person tried it: verified once more, it goes in.
    TrialAccepted {
        site: SiteName,
        actor: String,
        reason: Option<String>,
    },
    /// A person ended the rotation instead: verified once more, it goes in untried.
    TrialWaived {
        site: SiteName,
    },
    /// A person tried it, and it is not good: it stays out, and is to be held.
    TrialRefused {
        site: SiteName,
        actor: String,
        reason: String,
    },
    Verified {
        site: SiteName,
    },
    /// The attempt failed; another follows then.
    AttemptFailed {
        site: SiteName,
        problem: Problem,
        attempt: u32,
        until: Mono,
    },
    /// The pause is over: the containers are made anew.
    AttemptBegun {
        site: SiteName,
    },
    /// The images of the visit failed for good. It is begun again with those that passed at its
    /// site last, and what failed is barred.
    RollbackBegun {
        site: SiteName,
        problem: Problem,
        pins: Pins,
        barred: Pins,
    },
    /// The pause after a refused write is over: it is wanted again.
    WriteAgain {
        site: SiteName,
    },
    SoakBegun {
        site: SiteName,
    },
    /// The measured traffic is back, or it cannot be measured.
    TrafficSeen {
        site: SiteName,
        packets: Option<f64>,
        unknown: Option<String>,
    },
    SoakTimeOver {
        site: SiteName,
    },
    SoakBroken {
        site: SiteName,
        problem: Problem,
    },
    Soaked {
        site: SiteName,
    },
    HostPruned {
        site: SiteName,
        host: HostName,
        images: u32,
        bytes: u64,
    },
    /// The site goes back as it was: nothing of it was stopped.
    PutBackBegun {
        site: SiteName,
        problem: Problem,
    },
    /// What was made and never started is removed, and the visit ends so.
    DiscardBegun {
        site: SiteName,
        end: VisitEnd,
        problem: Option<Problem>,
    },
    HostDiscarded {
        site: SiteName,
        host: HostName,
        problem: Option<Problem>,
    },
    VisitEnded {
        site: SiteName,
        end: VisitEnd,
        problem: Option<Problem>,
    },
    /// A site in service stopped answering while another one is out.
    OtherSiteFailed {
        site: SiteName,
        problems: Vec<Problem>,
    },

    // --- the rotation
    TagMoved {
        moved: BTreeMap<ImageRef, Digest>,
    },
    Halted {
        cause: Problem,
        site: Option<SiteName>,
    },
    WaveEnded {
        wave: usize,
    },
    /// The sites that are next may not be visited yet: their window opens then.
    WindowAwaited {
        opens: Timestamp,
    },
    /// The wait for a window is over: the clock is looked at again.
    WindowDue,
    Ended {
        end: RotationEnd,
    },

    // --- between rotations, too
    /// A person says that a digest that was barred may be used again.
    Cleared {
        digest: Digest,
        actor: String,
        reason: String,
    },
}

/// What a pause ends by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseEnd {
    /// A person's word.
    Word,
    /// The time, on the wall clock, or a person's word before.
    Time { at: Timestamp, then: Then },
    /// The next start of a process: this one wants to end. What is out of DNS is finished first.
    Start,
}

/// What happens when the time of a pause has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Resume,
    Abort,
}

/// Where a visit begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VisitKind {
    /// In service.
    InService,
    /// In service and asked to be rebuilt: withdrawn first where it fails its probes.
    Rebuild,
    /// Out, as the marker says: brought back on its own new pins.
    Quarantined,
    /// Out by somebody else's hand, or held: left out unless asked.
    FoundOut,
    /// Verified as it stands, then put in.
    AsItStands,
    /// Only taken out.
    WithdrawOnly,
    /// Only the marker's lists change.
    MarkerOnly,
}

/// Why a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainReason {
    Quiet,
    /// Still busy at `at_most`, and the playbook proceeds.
    AtMost,
    /// It could not be measured: it lasted `at_most`.
    Unknown,
    /// A quarantined site has no users.
    NotNeeded,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitEnd {
    /// All that was planned for the site is done.
    Completed,
    /// Nothing was changed; the site keeps serving.
    Skipped,
    /// It was withdrawn, and is back as it was.
    PutBack,
    /// What was planned for it failed; it serves the images that passed there last.
    RolledBack,
    /// It stays out until a later visit or `restore`.
    Quarantined,
    /// It is in service, but the visit did not end as planned.
    LeftInService,
    /// It was found out of service, and is left so.
    LeftOut,
}

impl VisitEnd {
    /// The word that programs meet.
    pub fn as_str(self) -> &'static str {
        match self {
            VisitEnd::Completed => "completed",
            VisitEnd::Skipped => "skipped",
            VisitEnd::PutBack => "put_back",
            VisitEnd::RolledBack => "rolled_back",
            VisitEnd::Quarantined => "quarantined",
            VisitEnd::LeftInService => "left_in_service",
            VisitEnd::LeftOut => "left_out",
        }
    }
}

/// How a rotation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationEnd {
    Completed,
    Halted,
    Aborted {
        reason: String,
    },
    /// The marker was not to be had; nothing was changed.
    NotAcquired {
        why: String,
    },
    /// Somebody newer took over.
    Deposed {
        why: String,
    },
}

impl RotationEnd {
    /// The word for the end of one that changed nothing, and may do later.
    pub const NOT_ACQUIRED: &str = "not_acquired";

    /// The word that programs meet.
    pub fn as_str(&self) -> &'static str {
        match self {
            RotationEnd::Completed => "completed",
            RotationEnd::Halted => "halted",
            RotationEnd::Aborted { .. } => "aborted",
            RotationEnd::NotAcquired { .. } => RotationEnd::NOT_ACQUIRED,
            RotationEnd::Deposed { .. } => "deposed",
        }
    }
}
