//! Keeping replay short and the history bounded: snapshots and pruning.
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::chain::{Point, Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;

/// The state after a record. Replay is the snapshot and the records after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record that is in it.
    pub seq: u64,
    /// The format of `body`, as its writer counts.
    pub version: u16,
    pub body: String,
}

impl Store {
    /// Keeps the state after record `seq`; the one before it goes. History stays.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRecord`] if the journal does not hold `seq`, and failures to write.
    pub fn save_snapshot(&mut self, seq: u64, version: u16, body: &str) -> Result<(), StoreError> {
        let point = self.point(seq)?;
        if point.seq != seq {
            return Err(StoreError::NoSuchRecord { seq });
        }
        let sum = snapshot_sum(point, version, body);
        self.write("save a snapshot", body.len(), |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO snapshot (one, seq, version, body, sum)
                 VALUES (1, ?1, ?2, ?3, ?4)",
                (seq, version, body, sum),
            )
        })?;
        Ok(())
    }

    /// Deletes records, with their evidence and stories, of rotations that lie before `older_than` as a whole:
    /// from the beginning up to the first record that is younger, newer than the snapshot, or of a
    /// rotation whose configuration is kept (it has not ended). The place of the cut stays, so that
    /// the rest can be checked. Returns how many records went.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is to go is not as written: damage is not swept away.
    pub fn prune_history(&mut self, older_than: Timestamp) -> Result<u64, StoreError> {
        let Some((old, new)) = self.view("prune the history", || self.cut_for(older_than))? else {
            return Ok(0);
        };
        self.write("prune the history", 0, |tx| {
            for table in ["evidence", "stories"] {
                let gone = format!(
                    "DELETE FROM {table} WHERE rotation IN
                     (SELECT rotation FROM records WHERE seq <= ?1 AND rotation IS NOT NULL)"
                );
                tx.execute(&gone, [new.seq])?;
            }
            tx.execute("DELETE FROM records WHERE seq <= ?1", [new.seq])?;
            tx.execute("UPDATE cut SET seq = ?1, sum = ?2", (new.seq, new.sum))
        })?;
        Ok(new.seq - old.seq)
    }
}

impl Reader {
    /// The last snapshot, if one was kept.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was written, or not of this journal.
    pub fn latest_snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.view("read the snapshot", || {
            let found = self.checked_snapshot()?;
            Ok(found.map(|(snapshot, _)| snapshot))
        })
    }

    pub(super) fn checked_snapshot(&self) -> Result<Option<(Snapshot, Point)>, StoreError> {
        let row = self
            .conn
            .query_row(
                "SELECT seq, version, body, sum FROM snapshot WHERE one = 1",
                (),
                |row| {
                    let snapshot = Snapshot {
                        seq: row.get(0)?,
                        version: row.get(1)?,
                        body: row.get(2)?,
                    };
                    let sum: Sum = row.get(3)?;
                    Ok((snapshot, sum))
                },
            )
            .optional();
        let Some((snapshot, sum)) = self.sql("read the snapshot", row)? else {
            // Nothing is cut off but what a snapshot stands for.
            if self.row_point("cut")?.seq > 0 {
                return Err(self.corrupt("its snapshot is missing"));
            }
            return Ok(None);
        };
        let point = self.point(snapshot.seq)?;
        let found = snapshot_sum(point, snapshot.version, &snapshot.body);
        if point.seq != snapshot.seq {
            return Err(self.corrupt("the snapshot is of a record that is not there"));
        }
        self.check(found, sum, "the snapshot")?;
        Ok(Some((snapshot, point)))
    }

    /// The present cut and the new one, if it moves; what lies between has been checked.
    fn cut_for(&self, older_than: Timestamp) -> Result<Option<(Point, Point)>, StoreError> {
        let old = self.row_point("cut")?;
        let Some((snapshot, _)) = self.checked_snapshot()? else {
            return Ok(None);
        };
        let mut last = snapshot.seq;
        if let Some(young) = self.first_young(older_than)? {
            last = last.min(young.saturating_sub(1));
        }
        let unended = self.rotations_with_config()?;
        // From the youngest to the oldest: a cut that moves back to spare one rotation may come
        // to lie within an older one that overlaps it.
        let mut spans = self.rotations()?;
        spans.sort_by_key(|span| std::cmp::Reverse(span.last_seq));
        for span in spans {
            let is_whole = span.last_seq <= last && !unended.contains(&span.rotation);
            if span.first_seq <= last && !is_whole {
                last = span.first_seq.saturating_sub(1);
            }
        }
        if last <= old.seq {
            return Ok(None);
        }
        let new = self.walk(old, last, |_| {})?;
        Ok(Some((old, new)))
    }

    fn first_young(&self, older_than: Timestamp) -> Result<Option<u64>, StoreError> {
        let row = self.conn.query_row(
            "SELECT seq FROM records WHERE at >= ?1 ORDER BY seq LIMIT 1",
            [time_text(older_than)],
            |row| row.get(0),
        );
        self.sql("prune the history", row.optional())
    }
}

fn snapshot_sum(point: Point, version: u16, body: &str) -> Sum {
    checksum(
        "snapshot",
        &[
            &point.seq.to_be_bytes(),
            &point.sum,
            &version.to_be_bytes(),
            body.as_bytes(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at, record, rows};
    use super::*;
    use crate::model::id::RotationId;

    #[test]
    fn a_snapshot_replaces_the_one_before_and_outlives_the_process() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        assert_eq!(store.latest_snapshot().unwrap(), None);
        store.append(&[record(1, 1), record(1, 2)]).unwrap();
        store.save_snapshot(1, 3, "one").unwrap();
        store.save_snapshot(2, 4, "two").unwrap();
        drop(store);
        let snapshot = Snapshot {
            seq: 2,
            version: 4,
            body: "two".to_owned(),
        };
        assert_eq!(fixture.open().latest_snapshot().unwrap(), Some(snapshot));
    }

    #[test]
    fn a_snapshot_of_a_record_that_was_never_written_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&[record(1, 1)]).unwrap();
        let refused = store.save_snapshot(2, 1, "ahead").unwrap_err();
        assert!(
            matches!(refused, StoreError::NoSuchRecord { seq: 2 }),
            "{refused}"
        );
        store.append(&[record(1, 2)]).unwrap();
        store.save_snapshot(2, 1, "there").unwrap();
    }

    #[test]
    fn an_altered_snapshot_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&[record(1, 1), record(1, 2)]).unwrap();
        for change in ["body = 'x'", "version = 9", "seq = 1", "seq = 3"] {
            store.save_snapshot(2, 1, "state").unwrap();
            let text = format!("UPDATE snapshot SET {change}");
            store.conn.execute(&text, ()).unwrap();
            let refused = store.latest_snapshot().unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt { .. }), "{change}");
        }
    }

    #[test]
    fn pruning_takes_whole_old_rotations_and_leaves_a_chain_that_can_be_checked() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let records: Vec<_> = (1..=4).flat_map(|n| vec![record(n, n.into()); 3]).collect();
        store.append(&records).unwrap();
        keep_evidence(&mut store, 1);
        keep_evidence(&mut store, 3);
        store.keep_story(&night(1), "old").unwrap();
        store.keep_story(&night(3), "young").unwrap();
        store.save_snapshot(12, 1, "state").unwrap();
        assert_eq!(store.prune_history(at(3)).unwrap(), 6);
        assert_eq!(store.prune_history(at(3)).unwrap(), 0);
        store.verify().unwrap();
        let rest = &rows(&records)[6..];
        assert_eq!(store.read(1).unwrap(), rest);
        assert_eq!(store.records_of(&night(1)).unwrap(), []);
        assert_eq!(store.evidence_of(&night(1)).unwrap(), []);
        assert_eq!(store.evidence_of(&night(3)).unwrap().len(), 1);
        let stories = [1, 3].map(|number| store.story_of(&night(number)).unwrap());
        assert_eq!(stories, [None, Some("young".to_owned())]);
        drop(store);
        let mut store = fixture.open();
        assert_eq!(store.append(&[record(5, 5)]).unwrap(), 13);
        assert_eq!(store.read(7).unwrap().len(), 7);
    }

    #[test]
    fn pruning_spares_what_replay_needs_what_has_not_ended_and_what_overlaps_it() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        // 1 ended; 2 overlaps 3; 3 has not ended; 4 is past the snapshot.
        let nights = [1, 1, 2, 3, 2, 3, 4];
        let records: Vec<_> = nights.map(|n| record(n, 0)).into();
        store.append(&records).unwrap();
        assert_eq!(store.prune_history(at(9)).unwrap(), 0, "no snapshot yet");
        store.save_snapshot(6, 1, "state").unwrap();
        store
            .keep_config(&night(3), &[("a".into(), vec![1])])
            .unwrap();
        assert_eq!(store.prune_history(at(9)).unwrap(), 2);
        store.drop_config(&night(3)).unwrap();
        assert_eq!(store.prune_history(at(9)).unwrap(), 4);
        assert_eq!(store.read(1).unwrap(), &rows(&records)[6..]);
    }

    #[test]
    fn damage_is_not_swept_away_by_pruning() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&[record(1, 1), record(1, 2)]).unwrap();
        store.save_snapshot(2, 1, "state").unwrap();
        let altered = "UPDATE records SET body = '{}' WHERE seq = 1";
        store.conn.execute(altered, ()).unwrap();
        let refused = store.prune_history(at(9)).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    }

    fn night(number: u32) -> RotationId {
        format!("night-{number}").parse().unwrap()
    }

    fn keep_evidence(store: &mut Store, number: u32) {
        let (site, host) = ("fra".parse().unwrap(), "fra1".parse().unwrap());
        let rotation = night(number);
        store.keep_evidence(&rotation, &site, &host, "{}").unwrap();
    }
}
