//! The store: what must last, in one SQLite file of the fleet's folder.
//!
//! `STATE/FLEET/journal.db` holds the journal (the only truth after a crash), its snapshots, what
//! a running rotation needs to be resumed, evidence, and a few measured numbers. One process at a
//! time owns it; others may read.
mod approvals;
mod audit;
mod backup;
mod chain;
mod check;
mod error;
mod founding;
mod history;
mod journal;
mod keep_tags;
mod ledger;
mod lock;
mod log;
mod measured;
mod reader;
mod reserve;
mod rotation;
mod scheduled;
mod schema;
mod settled;
mod walk;
mod writer;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod fixture;

pub use audit::{Audited, Broken, By, Chain, Entry};
pub use backup::{About, Arriving, Backup, Holds, Moved};
pub use error::StoreError;
pub use history::Snapshot;
pub use journal::{Record, RotationSpan, Row};
pub use ledger::StoredAct;
pub use lock::Occupant;
pub use reader::Reader;
pub use rotation::{ConfigFile, StoredEvidence};
pub use scheduled::Scheduled;
pub use writer::Store;
