//! What the world does wrong.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::id::{HostName, SiteName};
use crate::model::image::Digest;

/// What hooks answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HooksSay {
    #[default]
    Yes,
    NotYet,
    No,
}

/// How an image is bad: whatever is made from it, wherever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadImage {
    /// It exits when it is started.
    Dies,
    /// It starts, and answers nobody.
    FailsProbes,
    /// It exits in service.
    DiesLater,
}

/// The switches of a world. All off: everything obeys.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Faults {
    /// Answers to UPDATEs are lost; they are applied all the same.
    pub(crate) lose_answers: bool,
    /// UPDATEs are lost on the way, their sender hears nothing.
    pub(crate) lose_requests: u32,
    /// The next UPDATEs get no answer, and are applied so many milliseconds later.
    pub(crate) late_updates: VecDeque<u64>,
    /// The next UPDATEs arrive once more, so many milliseconds later.
    pub(crate) doubled_updates: VecDeque<u64>,
    /// Until then the primary cannot be reached.
    pub(crate) primary_silent_until: u64,
    /// Until then the secondary follows nothing.
    pub(crate) secondary_stands_until: u64,
    /// Each version of the zone reaches the secondary so many milliseconds later, one after
    /// another.
    pub(crate) transfer_lag: u64,
    pub(crate) servers_lag: bool,
    /// Some resolvers keep answers for so many milliseconds longer than they may.
    pub(crate) overstay: u64,
    pub(crate) failing_probes: BTreeSet<SiteName>,
    pub(crate) unhealthy: BTreeSet<SiteName>,
    /// Containers of these sites exit while they are watched.
    pub(crate) crashing: BTreeSet<SiteName>,
    pub(crate) bad_images: BTreeMap<Digest, BadImage>,
    pub(crate) unready: BTreeSet<SiteName>,
    pub(crate) disk_full: BTreeSet<SiteName>,
    /// Sites that get no images from the registry.
    pub(crate) unpulled: BTreeSet<SiteName>,
    /// Engines that cannot be reached.
    pub(crate) down: BTreeSet<HostName>,
    /// The next removals are carried out so many milliseconds later, their answer is lost.
    pub(crate) late_clears: VecDeque<u64>,
    /// The same for what is made, started or thrown away unstarted.
    pub(crate) late_requests: VecDeque<u64>,
    /// The next removals take so many milliseconds.
    pub(crate) slow_clears: VecDeque<u64>,
    /// So many preparations are proofs: a network must be remade first.
    pub(crate) proofs: u32,
    /// So many preparations make containers of another image than was pinned.
    pub(crate) wrong_images: u32,
    pub(crate) busy: bool,
    pub(crate) traffic_unknown: bool,
    pub(crate) no_traffic: bool,
    pub(crate) before_fails: bool,
    pub(crate) hooks: HooksSay,
    pub(crate) evidence_hangs: bool,
    pub(crate) prune_fails: bool,
}
