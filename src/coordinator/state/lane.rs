//! The one DNS change in hand.
use std::sync::Arc;

use crate::coordinator::intent::Intent;
use crate::model::id::Token;
use crate::model::marker::Marker;
use crate::model::rrset::ZoneChange;
use crate::model::time::{Mono, Ttl};

use super::Wait;

/// How far the one DNS change in hand is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Lane {
    #[default]
    Free,
    /// The primary is read; the change is decided on what it shows.
    Looking {
        intent: Intent,
        attempt: u32,
        token: Token,
    },
    /// The UPDATE is out.
    Sent { flight: Flight, token: Token },
    /// NOERROR: the primary is read back.
    ReadingBack { flight: Flight, token: Token },
    /// Unknown: the marker on the primary tells which change of the flight was applied.
    Settling { flight: Flight, token: Token },
    /// Unknown, and the primary told nothing new: asked again then.
    SettlingLater { flight: Flight, wait: Wait },
    /// A fence is out.
    Fencing { flight: Flight, token: Token },
    /// Not applied: looked at again then.
    Delayed {
        intent: Intent,
        attempt: u32,
        wait: Wait,
        why: String,
    },
    /// Another coordinator holds the marker.
    Contended {
        marker: Marker,
        since: Mono,
        wait: Wait,
    },
}

/// An UPDATE that was sent, and those that fence it off.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    pub intent: Intent,
    pub attempt: u32,
    /// The change itself, then its fences. Each was decided on the same old marker, so the server
    /// lets one of them pass.
    pub changes: Vec<Arc<ZoneChange>>,
    /// The largest TTL served when it was decided.
    pub ttl: Ttl,
    /// When it was decided: the marker on the primary is at least as old as this.
    pub decided: Mono,
}

impl Lane {
    /// Whether an UPDATE was sent and it is not known whether it was applied: no engine request
    /// starts meanwhile.
    pub fn is_unknown(&self) -> bool {
        match self {
            Lane::Settling { .. } | Lane::SettlingLater { .. } | Lane::Fencing { .. } => true,
            Lane::Free
            | Lane::Looking { .. }
            | Lane::Sent { .. }
            | Lane::ReadingBack { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. } => false,
        }
    }

    /// Whether nothing of the change in hand was sent, so that it can be let go.
    pub fn is_unsent(&self) -> bool {
        match self {
            Lane::Looking { .. } | Lane::Delayed { .. } | Lane::Contended { .. } => true,
            Lane::Free
            | Lane::Sent { .. }
            | Lane::ReadingBack { .. }
            | Lane::Settling { .. }
            | Lane::SettlingLater { .. }
            | Lane::Fencing { .. } => false,
        }
    }

    /// What the change in hand is for.
    pub fn intent(&self) -> Option<&Intent> {
        match self {
            Lane::Free => None,
            Lane::Contended { .. } => Some(&Intent::Acquire),
            Lane::Looking { intent, .. } | Lane::Delayed { intent, .. } => Some(intent),
            Lane::Sent { flight, .. }
            | Lane::ReadingBack { flight, .. }
            | Lane::Settling { flight, .. }
            | Lane::SettlingLater { flight, .. }
            | Lane::Fencing { flight, .. } => Some(&flight.intent),
        }
    }

    /// The UPDATEs that were sent and are not settled yet.
    pub fn changes(&self) -> &[Arc<ZoneChange>] {
        match self {
            Lane::Sent { flight, .. }
            | Lane::ReadingBack { flight, .. }
            | Lane::Settling { flight, .. }
            | Lane::SettlingLater { flight, .. }
            | Lane::Fencing { flight, .. } => &flight.changes,
            Lane::Free | Lane::Looking { .. } | Lane::Delayed { .. } | Lane::Contended { .. } => {
                &[]
            }
        }
    }

    /// The token of the effect that the lane awaits.
    pub fn token(&self) -> Option<Token> {
        match self {
            Lane::Free => None,
            Lane::Looking { token, .. }
            | Lane::Sent { token, .. }
            | Lane::ReadingBack { token, .. }
            | Lane::Settling { token, .. }
            | Lane::Fencing { token, .. } => Some(*token),
            Lane::SettlingLater { wait, .. }
            | Lane::Delayed { wait, .. }
            | Lane::Contended { wait, .. } => Some(wait.token),
        }
    }
}
