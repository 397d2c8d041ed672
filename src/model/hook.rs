//! Whom a rotation asks, or tells, at its turning points: `[[hook]]`.
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::id::{FleetName, HookName, RotationId, SiteName};
use super::image::Pins;
use super::text::Secret;

/// Somebody outside who has a word at a turning point, or hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub name: HookName,
    pub on: On,
    pub call: Call,
    /// One call is ended after so long.
    pub within: Duration,
    /// Calls about another site are not made; `None`: about all.
    pub sites: Option<BTreeSet<SiteName>>,
    /// It is called once for each other site in service, and not once in all.
    pub peers: bool,
}

/// The turning point, and whether its answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The visit waits for its answer.
    Gate(Gate, Terms),
    /// It is told; nothing waits for it.
    Cue(Cue),
}

impl On {
    /// As in site.toml, and in `CLEANSLATE_STEP`.
    pub fn as_str(self) -> &'static str {
        match self {
            On::Gate(gate, _) => gate.as_str(),
            On::Cue(cue) => cue.as_str(),
        }
    }
}

/// A point that a visit passes when every hook there has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// All is ready, and nothing has changed yet.
    BeforeWithdraw,
    /// Out of DNS and drained; nothing was stopped yet.
    BeforeRecreate,
    /// Back in DNS, and its soak is over.
    AfterRestore,
}

impl Gate {
    pub const ALL: [Gate; 3] = [
        Gate::BeforeWithdraw,
        Gate::BeforeRecreate,
        Gate::AfterRestore,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Gate::BeforeWithdraw => "before_withdraw",
            Gate::BeforeRecreate => "before_recreate",
            Gate::AfterRestore => "after_restore",
        }
    }
}

/// Something that others may want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cue {
    RotationStarted,
    /// It is known which site comes next.
    NextSite,
    /// However it ended.
    VisitEnded,
    Halted,
    RotationEnded,
}

impl Cue {
    pub const ALL: [Cue; 5] = [
        Cue::RotationStarted,
        Cue::NextSite,
        Cue::VisitEnded,
        Cue::Halted,
        Cue::RotationEnded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Cue::RotationStarted => "rotation_started",
            Cue::NextSite => "next_site",
            Cue::VisitEnded => "visit_ended",
            Cue::Halted => "halted",
            Cue::RotationEnded => "rotation_ended",
        }
    }
}

/// What a gate makes of answers other than yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub failure: HookFailure,
    /// Whoever still says *not yet* after so long has failed.
    pub defer_at_most: Duration,
}

/// What follows where a hook at a gate fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFailure {
    /// The site is brought to safety, and the rotation ends.
    Halt,
    /// It is told, and the visit goes on.
    GoOn,
}

/// How it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A program at the coordinator and its words, without a shell. Exit 0 agrees, 75 (`EX_TEMPFAIL`
    /// of sysexits.h) says *not yet*.
    Command(Vec<String>),
    /// A POST of the occasion. 2xx agrees, 503 says *not yet*.
    Http {
        url: String,
        /// Signs what is said.
        key: Option<Secret>,
    },
}

impl Hook {
    /// Whether it is called about `site`; what is about none is about all.
    pub fn is_about(&self, site: Option<&SiteName>) -> bool {
        let is_listed = |sites: &BTreeSet<SiteName>| site.is_none_or(|site| sites.contains(site));
        self.sites.as_ref().is_none_or(is_listed)
    }
}

/// What whoever is called is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Occasion {
    pub fleet: FleetName,
    pub rotation: RotationId,
    /// The site it is about; none where it is about the rotation.
    pub site: Option<SiteName>,
    /// The turning point.
    pub step: &'static str,
    /// What the site is to run, by image reference; of the whole rotation where there is no site.
    pub digests: Pins,
    /// Who began the rotation.
    pub actor: String,
    /// Why it was begun; at the end of something, why it ended so.
    pub reason: Option<String>,
    pub next_site: Option<SiteName>,
    /// The other sites in service.
    pub peers: BTreeSet<SiteName>,
    /// How a visit or rotation ended.
    pub end: Option<String>,
}

/// An occasion at the moment at which it is told, to one of the peers where each is told.
#[derive(Clone, Debug, Serialize)]
pub struct Telling<'a> {
    pub v: u32,
    pub hook: &'a HookName,
    pub at: Timestamp,
    #[serde(flatten)]
    pub occasion: &'a Occasion,
    pub peer: Option<&'a SiteName>,
}
