//! What differs on purpose, with its reason. `docs/compose.md` tells each of them.
use serde_json::Value;

use super::compare::Difference;

/// A difference that is none of ours to mend.
pub(super) struct Known {
    /// As the page says it.
    pub(super) reason: &'static str,
    is_it: fn(&Difference) -> bool,
}

impl Known {
    pub(super) fn explains(&self, difference: &Difference) -> bool {
        (self.is_it)(difference)
    }
}

pub(super) const KNOWN: &[Known] = &[];
