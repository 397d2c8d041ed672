//! That a store was made from a backup, and what it may not believe any more for that.
use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension;

use super::about::About;
use crate::model::id::HolderId;
use crate::store::chain::{Sum, checksum};
use crate::store::error::StoreError;
use crate::store::journal::time_text;
use crate::store::reader::Reader;
use crate::store::writer::Store;

/// From which backup a store was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The backup's id.
    pub backup: String,
    /// When the backup was made.
    pub made: Timestamp,
    /// Whose store it was.
    pub holder: HolderId,
    /// When it was put in place.
    pub at: Timestamp,
}

impl Moved {
    fn sum(&self) -> Sum {
        let (made, at) = (time_text(self.made), time_text(self.at));
        checksum(
            "moved",
            &[
                self.backup.as_bytes(),
                made.as_bytes(),
                self.holder.as_str().as_bytes(),
                at.as_bytes(),
            ],
        )
    }
}

impl Reader {
    /// From which backup this store was made; `None`: from none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and failures to read.
    pub fn moved(&self) -> Result<Option<Moved>, StoreError> {
        if !self.has_taken("moved")? {
            return Ok(None);
        }
        let row = self.conn.query_row(
            "SELECT backup, made, holder, at, sum FROM moved WHERE one = 1",
            (),
            |row| {
                let texts: (String, String, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((texts, row.get::<_, Sum>(4)?))
            },
        );
        let row = self.sql("read where it comes from", row.optional())?;
        let Some(((backup, made, holder, at), sum)) = row else {
            return Ok(None);
        };
        let moved = Moved {
            made: self.parse(&made)?,
            holder: self.parse(&holder)?,
            at: self.parse(&at)?,
            backup,
        };
        self.check(moved.sum(), sum, "where it comes from")?;
        Ok(Some(moved))
    }
}

impl Store {
    /// Writes down where this store comes from, and lets go of what only its former owner could
    /// know: which runs are behind us, and which TTLs were served since.
    pub(super) fn has_moved(
        &mut self,
        about: &About,
        holder: &HolderId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        // The former owner may have begun them after the copy was made: none is made up for.
        for (playbook, (schedule, until)) in self.settled()? {
            self.settle_runs(&playbook, &schedule, until.max(at))?;
        }
        // A larger TTL may have been served since, unseen: a day of looks is begun anew. What was
        // seen within the last day counts as seen until this moment.
        let day_ago = at - SignedDuration::from_hours(24);
        self.restart_ttls(day_ago, at)?;
        let moved = Moved {
            backup: about.id.clone(),
            made: about.made,
            holder: holder.clone(),
            at,
        };
        self.write("write where it comes from", 0, |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO moved (one, backup, made, holder, at, sum)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
                (
                    &moved.backup,
                    time_text(moved.made),
                    moved.holder.as_str(),
                    time_text(moved.at),
                    moved.sum(),
                ),
            )
        })?;
        Ok(())
    }
}
