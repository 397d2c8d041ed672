//! The ledger, as it is told.
use crate::model::release::{KeepTag, Moved, Passed};
use crate::store::{Reader, StoreError};

/// Every move of a tag, what passed at which site, and the tags that keep it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub moved: Vec<Moved>,
    pub passed: Vec<Passed>,
    pub kept: Vec<KeepTag>,
}

impl Ledger {
    /// All of it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(store: &Reader) -> Result<Ledger, StoreError> {
        Ok(Ledger {
            moved: store.moves()?,
            passed: store.passed()?,
            kept: store.keep_tags()?,
        })
    }
}
