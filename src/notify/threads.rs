//! One thread a rotation: under which message of a chat the others of its rotation stand.
use std::collections::VecDeque;

use crate::model::id::RotationId;

/// The threads that were begun by this process. One that began in an earlier process is not found
/// again: what follows of its rotation begins another.
#[derive(Debug, Default)]
pub(super) struct Threads {
    begun: VecDeque<(RotationId, String)>,
}

/// Rotations come one after another; what is said of older ones is said by nobody.
const KEPT: usize = 8;

impl Threads {
    /// The first message of the rotation, as the chat calls it.
    pub(super) fn of(&self, rotation: &RotationId) -> Option<&str> {
        let mut begun = self.begun.iter();
        let (_, first) = begun.find(|(of, _)| of == rotation)?;
        Some(first)
    }

    pub(super) fn begin(&mut self, rotation: &RotationId, first: String) {
        self.forget(rotation);
        self.begun.push_back((rotation.clone(), first));
        if self.begun.len() > KEPT {
            self.begun.pop_front();
        }
    }

    /// Somebody deleted its first message.
    pub(super) fn forget(&mut self, rotation: &RotationId) {
        self.begun.retain(|(of, _)| of != rotation);
    }
}
