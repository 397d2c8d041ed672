//! Releases as programs and people read them: what would move, what moved, the ledger, how tags
//! stand. A field is never renamed or removed within `v`.
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::pinned::Pinned;
use crate::model::id::{Channel, PlaybookName, RotationId, ServiceName, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Left, Moved, Running};

/// What a move of tags would do, or did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    pub v: u8,
    /// `promote staging master`.
    pub what: String,
    pub tag: Channel,
    pub moves: Vec<Changing>,
    /// Images whose tag is there already.
    pub unchanged: Vec<ImageRef>,
    pub takes: Vec<Take>,
    /// The sites that are rotated at once, where that is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotates: Vec<SiteName>,
    /// When it is done; `None`: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Stands for all of the moves: whoever says it back wants these and no others.
    pub seen: String,
}

/// A tag that moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changing {
    pub image: ImageRef,
    pub services: Vec<ServiceName>,
    /// `None`: there is no such tag yet.
    pub old: Option<Told>,
    pub new: Told,
    /// The sites that run the new one already, and how it does there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_service: Vec<InService>,
    /// Who said that the new one is good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
}

/// How a digest does at a site that runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InService {
    pub site: SiteName,
    /// Since then without a fault: since the first of its visits in a row that passed, or the last
    /// restart of one of its containers.
    pub since: Timestamp,
    /// How many visits passed with it.
    pub visits: u64,
    /// Of its containers, since they were made; `None`: an engine did not tell.
    pub restarts: Option<u64>,
    /// Packets that its containers have received since they were made; `None`: not measured.
    pub packets: Option<u64>,
    /// What is wrong with it now.
    pub fault: Option<String>,
}

/// A manifest, and what its image says of itself (`org.opencontainers.image.*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub digest: Digest,
    pub version: Option<String>,
    pub revision: Option<String>,
    pub source: Option<String>,
}

/// A site that takes a moved tag, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    pub site: SiteName,
    /// Of the next run of a schedule that visits it; `None`: none does.
    pub playbook: Option<PlaybookName>,
    pub at: Option<Timestamp>,
    /// What it runs then instead of what moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
}

/// Tags were moved, all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Released {
    #[serde(flatten)]
    pub preview: Preview,
    /// Its number in the ledger; `None`: nothing was to be moved.
    pub act: Option<u64>,
    /// A rotation of the sites that take it follows by itself.
    pub rotation_follows: bool,
    /// That rotation, where it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationId>,
}

/// A promotion that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// `promote staging master`.
    pub what: String,
    pub tag: Channel,
    pub at: Timestamp,
    pub who: String,
}

/// Moves of tags, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub v: u8,
    pub moves: Vec<Entry>,
}

/// A move, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    #[serde(flatten)]
    pub moved: Moved,
    /// The sites that passed a visit with it, and when first.
    pub passed: BTreeMap<SiteName, Timestamp>,
    /// The keep-tags that it has.
    #[serde(default)]
    pub kept: Vec<Tag>,
}

/// How the tags of every image that follows a channel stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub v: u8,
    /// The act that has not ended.
    pub open: Option<String>,
    /// Promotions that wait for their time, the next one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<Waits>,
    pub images: Vec<ImageStanding>,
}

/// One image, its tags in the order of promotion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageStanding {
    pub name: String,
    pub services: Vec<ServiceName>,
    pub tags: Vec<TagStanding>,
    /// What is kept of it, the latest first.
    #[serde(default)]
    pub kept: Vec<KeptStanding>,
}

/// A digest that is kept, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStanding {
    pub digest: Digest,
    /// The keep-tag.
    pub tag: Tag,
    /// When it was put.
    pub since: Timestamp,
    /// It is beyond what is kept, and the registry does not remove the tag: why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A tag alone, without its repository.
pub type Tag = String;

/// One tag of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagStanding {
    pub channel: Channel,
    pub image: ImageRef,
    /// What the registry has now; `None`: no such tag, or it did not say.
    pub now: Option<Told>,
    /// Why the registry did not say.
    pub problem: Option<String>,
    /// How it came there, where the ledger knows it.
    pub moved: Option<Moved>,
    /// The sites that take it, and what they passed with.
    pub sites: Vec<Running>,
    /// Who said that what it names is good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    /// Those that run the image, and are pinned to something else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pinned: BTreeMap<SiteName, Pinned>,
}

/// What is told of a tag that could not be taken back, in one line.
pub fn left_behind(left: &[Left]) -> String {
    let left: Vec<String> = left
        .iter()
        .map(|left| format!("{}: {}", left.image, left.why))
        .collect();
    left.join("; ")
}
