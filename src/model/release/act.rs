//! An act: tags that are moved together, as it is written down before the first of them moves.
use serde::{Deserialize, Serialize};

use crate::model::id::Channel;
use crate::model::image::{Digest, ImageRef};

/// Several tags that are moved as one. It is kept until it has ended, and a process that finds one
/// that has not finishes it or takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub verb: Verb,
    /// The channel whose tags move.
    pub tag: Channel,
    /// In the order in which they move.
    pub moves: Vec<Move>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub phase: Phase,
}

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// To what another tag names.
    Promote { from: Channel },
    /// To what passed before.
    Rollback,
}

/// One tag, and the manifests it names before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub image: ImageRef,
    /// `None`: there was no such tag, and none can be made of it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Digest>,
    pub new: Digest,
}

/// How far an act has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Every tag goes to its new manifest.
    Forward,
    /// Every tag goes back to its old one. `stuck`: those that cannot.
    Back { why: String, stuck: Vec<Left> },
    /// Nothing more is done.
    Ended(End),
}

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// Every tag names its new manifest.
    Done,
    /// Every tag names its old one, but for those that are `left`.
    Undone { why: String, left: Vec<Left> },
}

/// A tag that is not where an act that was taken back found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub image: ImageRef,
    pub why: String,
}

impl Act {
    /// What is to be moved, those last that have no way back: until they move, all others have one.
    pub fn new(verb: Verb, tag: Channel, moves: Vec<Move>, reason: Option<String>) -> Act {
        let mut moves = moves;
        moves.sort_by_key(|it| it.old.is_none());
        Act {
            verb,
            tag,
            moves,
            reason,
            phase: Phase::Forward,
        }
    }

    /// How it ended; `None`: it has not.
    pub fn end(&self) -> Option<&End> {
        match &self.phase {
            Phase::Ended(end) => Some(end),
            Phase::Forward | Phase::Back { .. } => None,
        }
    }

    /// As people call it: `promote staging master`.
    pub fn name(&self) -> String {
        let tag = &self.tag;
        match &self.verb {
            Verb::Promote { from } => format!("promote {from} {tag}"),
            Verb::Rollback => format!("rollback {tag}"),
        }
    }
}
