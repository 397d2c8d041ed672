//! Checking the file: what replay reads at every opening, all of it when asked.
use super::chain::Point;
use super::error::StoreError;
use super::reader::Reader;

impl Reader {
    /// Checks every page and every record there is, from the cut to the end: seconds for years of
    /// nights. Opening checks what replay reads.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage found.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.view("check the journal", || {
            self.ask_integrity("PRAGMA integrity_check(1)")?;
            self.checked_snapshot()?;
            let end = self.walk(self.row_point("cut")?, u64::MAX, |_| {})?;
            self.check_end(end)
        })
    }

    /// The structure of the tables on which something is decided. Evidence and audit are left out:
    /// one may be gigabytes, the other holds years, and on neither is anything decided.
    pub(super) fn check_structure(&self) -> Result<(), StoreError> {
        const READ_WHOLE: [&str; 9] = [
            "migrations",
            "identity",
            "head",
            "cut",
            "snapshot",
            "moved",
            "acts",
            "approvals",
            "scheduled",
        ];
        // Their rows are found by indexes: one that left out a row would hide it unseen.
        const FOUND_BY_INDEX: [&str; 7] = [
            "records",
            "config",
            "ttls",
            "stories",
            "moves",
            "passed",
            "keep_tags",
        ];
        for table in READ_WHOLE {
            self.ask_integrity(&format!("PRAGMA quick_check({table})"))?;
        }
        for table in FOUND_BY_INDEX {
            self.ask_integrity(&format!("PRAGMA integrity_check({table})"))?;
        }
        Ok(())
    }

    /// Checks the records that replay reads, and returns where the journal ends.
    pub(super) fn check_recent(&self) -> Result<Point, StoreError> {
        self.view("check the journal", || {
            let start = match self.checked_snapshot()? {
                Some((_, point)) => point,
                None => self.row_point("cut")?,
            };
            let end = self.walk(start, u64::MAX, |_| {})?;
            self.check_end(end)?;
            Ok(end)
        })
    }

    fn ask_integrity(&self, pragma: &str) -> Result<(), StoreError> {
        let answer = self.conn.query_row(pragma, (), |row| row.get(0));
        let answer: String = self.sql("check the journal", answer)?;
        if answer == "ok" {
            return Ok(());
        }
        Err(self.corrupt(answer))
    }
}
