//! Which planned runs are behind us: up to an instant each was begun, or told as missed or frozen.
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::writer::Store;
use crate::model::id::PlaybookName;

impl Store {
    /// The runs of `playbook` up to `until` are settled. `schedule` says, in words, by which times
    /// they were planned: those of another schedule have never been.
    ///
    /// # Errors
    /// Failures to write.
    pub fn settle_runs(
        &mut self,
        playbook: &PlaybookName,
        schedule: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let until = time_text(until);
        let sum = sum(playbook.as_str(), schedule, &until);
        self.write("settle a run", 0, |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO settled (playbook, schedule, until, sum)
                 VALUES (?1, ?2, ?3, ?4)",
                (playbook.as_str(), schedule, &until, sum),
            )
        })?;
        Ok(())
    }

    /// Of each playbook its schedule, in the words it was settled with, and up to when.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is remembered is damaged.
    pub fn settled(&self) -> Result<BTreeMap<PlaybookName, (String, Timestamp)>, StoreError> {
        let doing = "read settled runs";
        let statement = self
            .conn
            .prepare_cached("SELECT playbook, schedule, until, sum FROM settled");
        let mut statement = self.sql(doing, statement)?;
        let rows = statement.query_map((), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let rows = self.sql(doing, rows)?;
        rows.map(|row| {
            let (playbook, schedule, until, found): (String, String, String, Sum) =
                self.sql(doing, row)?;
            let what = format!("the settled runs of {playbook}");
            self.check(sum(&playbook, &schedule, &until), found, &what)?;
            Ok((self.parse(&playbook)?, (schedule, self.parse(&until)?)))
        })
        .collect()
    }
}

fn sum(playbook: &str, schedule: &str, until: &str) -> Sum {
    checksum(
        "settled",
        &[playbook.as_bytes(), schedule.as_bytes(), until.as_bytes()],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;

    #[test]
    fn the_last_word_on_each_playbook_lasts() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        assert_eq!(store.settled().unwrap(), BTreeMap::new());
        let (nightly, drill) = ("nightly".parse().unwrap(), "drill".parse().unwrap());
        store.settle_runs(&nightly, "0 3 * * *", at(5)).unwrap();
        store.settle_runs(&drill, "0 9 * * SUN", at(7)).unwrap();
        store.settle_runs(&nightly, "0 4 * * *", at(6)).unwrap();
        drop(store);
        let settled = fixture.open().settled().unwrap();
        assert_eq!(settled[&nightly], ("0 4 * * *".to_owned(), at(6)));
        assert_eq!(settled[&drill], ("0 9 * * SUN".to_owned(), at(7)));
    }

    #[test]
    fn an_altered_instant_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let nightly = "nightly".parse().unwrap();
        store.settle_runs(&nightly, "0 3 * * *", at(5)).unwrap();
        let altered = "UPDATE settled SET until = '2020-01-01T00:00:00.000000000Z'";
        store.conn.execute(altered, ()).unwrap();
        let refused = store.settled().unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    }
}
