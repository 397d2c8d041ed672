//! How the lane moves when a fact about its change became true.
use std::sync::Arc;

use crate::coordinator::intent::Intent;
use crate::coordinator::state::{Flight, Lane, Wait};
use crate::model::id::Token;
use crate::model::rrset::{UpdateOutcome, ZoneChange};
use crate::model::time::{Mono, Ttl};

impl Lane {
    /// The UPDATE is settled and leaves.
    pub(crate) fn sent(
        &mut self,
        intent: Intent,
        change: Arc<ZoneChange>,
        ttl: Ttl,
        decided: Mono,
        token: Token,
    ) {
        let attempt = match self {
            Lane::Looking { attempt, .. } => *attempt,
            Lane::Free
            | Lane::Sent { .. }
            | Lane::ReadingBack { .. }
            | Lane::Settling { .. }
            | Lane::SettlingLater { .. }
            | Lane::Fencing { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. } => 1,
        };
        let changes = vec![change];
        let flight = Flight {
            intent,
            attempt,
            changes,
            ttl,
            decided,
        };
        *self = Lane::Sent { flight, token };
    }

    /// There was an answer: the primary is read next.
    pub(crate) fn answered(&mut self, outcome: &UpdateOutcome, token: Token) {
        *self = match std::mem::take(self) {
            Lane::Sent { flight, .. } if *outcome == UpdateOutcome::Applied => {
                Lane::ReadingBack { flight, token }
            }
            Lane::Sent { flight, .. } | Lane::Fencing { flight, .. } => {
                Lane::Settling { flight, token }
            }
            lane @ (Lane::Free
            | Lane::Looking { .. }
            | Lane::ReadingBack { .. }
            | Lane::Settling { .. }
            | Lane::SettlingLater { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. }) => lane,
        };
    }

    /// A pause is over: the primary is read again.
    pub(crate) fn looks_again(&mut self, token: Token) {
        *self = match std::mem::take(self) {
            Lane::SettlingLater { mut flight, .. } => {
                flight.attempt += 1;
                Lane::Settling { flight, token }
            }
            Lane::Delayed {
                intent, attempt, ..
            } => Lane::Looking {
                intent,
                attempt: attempt + 1,
                token,
            },
            Lane::Contended { .. } => Lane::Looking {
                intent: Intent::Acquire,
                attempt: 1,
                token,
            },
            lane @ (Lane::Free
            | Lane::Looking { .. }
            | Lane::Sent { .. }
            | Lane::ReadingBack { .. }
            | Lane::Settling { .. }
            | Lane::Fencing { .. }) => lane,
        };
    }

    /// A fence leaves.
    pub(crate) fn fencing(&mut self, fence: Arc<ZoneChange>, token: Token) {
        *self = match std::mem::take(self) {
            Lane::ReadingBack { mut flight, .. } | Lane::Settling { mut flight, .. } => {
                flight.changes.push(fence);
                Lane::Fencing { flight, token }
            }
            lane @ (Lane::Free
            | Lane::Looking { .. }
            | Lane::Sent { .. }
            | Lane::SettlingLater { .. }
            | Lane::Fencing { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. }) => lane,
        };
    }

    /// It is looked at again after a pause. What may have been applied stays to be settled.
    pub(crate) fn delayed(&mut self, wait: Wait, why: &str) {
        *self = match std::mem::take(self) {
            Lane::ReadingBack { flight, .. }
            | Lane::Settling { flight, .. }
            | Lane::SettlingLater { flight, .. }
            | Lane::Fencing { flight, .. } => Lane::SettlingLater { flight, wait },
            Lane::Looking {
                intent, attempt, ..
            }
            | Lane::Delayed {
                intent, attempt, ..
            } => Lane::Delayed {
                intent,
                attempt,
                wait,
                why: why.to_owned(),
            },
            // Only an answer that says it was not applied delays what was sent.
            Lane::Sent {
                flight: Flight {
                    intent, attempt, ..
                },
                ..
            } => Lane::Delayed {
                intent,
                attempt,
                wait,
                why: why.to_owned(),
            },
            Lane::Contended { marker, since, .. } => Lane::Contended {
                marker,
                since,
                wait,
            },
            Lane::Free => Lane::Free,
        };
    }

    /// What was sent, and the flight's change whose marker stands.
    pub(crate) fn take_proven(&mut self, nonce: &crate::model::id::Nonce) -> Option<Proven> {
        match std::mem::take(self) {
            Lane::ReadingBack { flight, .. } | Lane::Settling { flight, .. } => {
                let Flight {
                    changes,
                    ttl,
                    decided,
                    ..
                } = flight;
                let change = changes
                    .into_iter()
                    .find(|change| change.marker.nonce == *nonce)?;
                Some(Proven {
                    change,
                    ttl,
                    decided,
                })
            }
            Lane::Free
            | Lane::Looking { .. }
            | Lane::Sent { .. }
            | Lane::SettlingLater { .. }
            | Lane::Fencing { .. }
            | Lane::Delayed { .. }
            | Lane::Contended { .. } => None,
        }
    }
}

/// A change that stands on the primary.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) change: Arc<ZoneChange>,
    pub(crate) ttl: Ttl,
    pub(crate) decided: Mono,
}
