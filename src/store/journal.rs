//! The journal: the ordered, durable events; the only truth after a crash.
use jiff::Timestamp;
use rusqlite::Connection;

use super::audit::{self, Entry};
use super::chain::Point;
use super::error::StoreError;
use super::reader::Reader;
use super::writer::Store;
use crate::model::id::RotationId;

/// What is written to the journal. The store gives it its number and asks nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `None`: it belongs to no rotation.
    pub rotation: Option<RotationId>,
    pub at: Timestamp,
    /// The event's name.
    pub kind: String,
    /// The format of `body`, as its writer counts.
    pub version: u16,
    /// JSON.
    pub body: String,
}

/// A record in its place. Numbers begin at 1 and have no gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seq: u64,
    pub record: Record,
}

/// Where a rotation stands in the journal. Records of others may lie between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSpan {
    pub rotation: RotationId,
    pub first_seq: u64,
    pub last_seq: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

impl Store {
    /// Adds records at the end, all or none, durable on return. Returns the number of the first;
    /// of no records, the number that the next will have.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Busy`] wrote nothing, and the same may be tried
    /// again. After any other, what is on disk is in doubt and every further write is refused.
    pub fn append(&mut self, records: &[Record]) -> Result<u64, StoreError> {
        self.append_audited(records, &[])
    }

    /// The same, and what the audit is to tell of it: all of both, or nothing.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_audited(
        &mut self,
        records: &[Record],
        entries: &[Entry],
    ) -> Result<u64, StoreError> {
        let (old, audit) = (self.head, self.audit);
        let first = old.seq + 1;
        if records.is_empty() && entries.is_empty() {
            return Ok(first);
        }
        let records_bytes: usize = records.iter().map(|record| record.body.len()).sum();
        let entries_bytes: usize = entries.iter().map(|entry| entry.body.len()).sum();
        let act = |standing| {
            move |tx: &Connection| {
                let head = insert(tx, old, records)?;
                move_head(tx, old, head)?;
                Ok((head, audit::add(tx, audit, entries, &standing)?))
            }
        };
        let standing = self.audit_standing(audit);
        let aside = audit::damaged(audit, "it takes no more records".to_owned());
        let bytes = records_bytes + entries_bytes;
        let doing = "append to the journal";
        (self.head, self.audit) = self.write_or(doing, bytes, act(standing), act(aside))?;
        Ok(first)
    }
}

impl Reader {
    /// The records from number `from` on, in order. What was pruned is not among them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any of them, or their order, is not as written.
    pub fn read(&self, from: u64) -> Result<Vec<Row>, StoreError> {
        self.view("read the journal", || {
            let start = self.point(from.saturating_sub(1))?;
            let mut rows = Vec::new();
            let end = self.walk(start, u64::MAX, |row| rows.push(row))?;
            self.check_end(end)?;
            Ok(rows)
        })
    }

    /// The number of the last record; 0 before the first.
    ///
    /// # Errors
    /// Failures to read.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.row_point("head")?.seq)
    }

    /// Every rotation in the journal, by its first record.
    ///
    /// # Errors
    /// Failures to read, and values that we never write.
    pub fn rotations(&self) -> Result<Vec<RotationSpan>, StoreError> {
        const QUERY: &str = "
            SELECT span.rotation, a.seq, b.seq, a.at, b.at
            FROM (SELECT rotation, min(seq) AS first, max(seq) AS last FROM records
                  WHERE rotation IS NOT NULL GROUP BY rotation) AS span
            JOIN records AS a ON a.seq = span.first
            JOIN records AS b ON b.seq = span.last
            ORDER BY a.seq";
        let doing = "list the rotations";
        let mut statement = self.sql(doing, self.conn.prepare_cached(QUERY))?;
        let rows = statement.query_map((), |row| {
            let times: (String, String) = (row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, times))
        });
        let mut spans = Vec::new();
        for row in self.sql(doing, rows)? {
            let (rotation, first_seq, last_seq, (first_at, last_at)): (String, _, _, _) =
                self.sql(doing, row)?;
            spans.push(RotationSpan {
                rotation: self.parse(&rotation)?,
                first_seq,
                last_seq,
                first_at: self.parse(&first_at)?,
                last_at: self.parse(&last_at)?,
            });
        }
        Ok(spans)
    }

    /// The records of one rotation, in order; none if the journal does not know it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any record between its first and its last is not as written.
    pub fn records_of(&self, rotation: &RotationId) -> Result<Vec<Row>, StoreError> {
        self.view("read the journal", || {
            let span: Option<(u64, u64)> = self.span(rotation)?;
            let Some((first, last)) = span else {
                return Ok(Vec::new());
            };
            let start = self.point(first.saturating_sub(1))?;
            let mut rows = Vec::new();
            self.walk(start, last, |row| {
                if row.record.rotation.as_ref() == Some(rotation) {
                    rows.push(row);
                }
            })?;
            Ok(rows)
        })
    }

    fn span(&self, rotation: &RotationId) -> Result<Option<(u64, u64)>, StoreError> {
        let row = self.conn.query_row(
            "SELECT min(seq), max(seq) FROM records WHERE rotation = ?1",
            [rotation.as_str()],
            |row| {
                let span: (Option<u64>, Option<u64>) = (row.get(0)?, row.get(1)?);
                Ok(span.0.zip(span.1))
            },
        );
        self.sql("read the journal", row)
    }
}

/// A time as the store writes it: nine digits always, so that texts sort as times do.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.9}")
}

fn insert(tx: &Connection, from: Point, records: &[Record]) -> rusqlite::Result<Point> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO records (seq, rotation, at, kind, version, body, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut point = from;
    for record in records {
        point = point.after(record);
        statement.execute((
            point.seq,
            record.rotation.as_ref().map(RotationId::as_str),
            time_text(record.at),
            &record.kind,
            record.version,
            &record.body,
            point.sum,
        ))?;
    }
    Ok(point)
}

/// Moves the head on from where this process left it: had anybody else written, no row is found.
fn move_head(tx: &Connection, from: Point, to: Point) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare_cached("UPDATE head SET seq = ?1, sum = ?2 WHERE seq = ?3 AND sum = ?4")?;
    match statement.execute((to.seq, to.sum, from.seq, from.sum))? {
        1 => Ok(()),
        other => Err(rusqlite::Error::StatementChangedRows(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{Fixture, at, record, rows};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_was_appended_is_read_back_by_this_and_every_later_process(
            batches in prop::collection::vec(prop::collection::vec(any_record(), 0..5), 0..6),
            reopen in any::<bool>(),
        ) {
            let fixture = Fixture::quick();
            let mut store = fixture.open();
            let mut next = 1;
            for batch in &batches {
                prop_assert_eq!(store.append(batch).unwrap(), next);
                next += batch.len() as u64;
                if reopen {
                    drop(store);
                    store = fixture.open();
                }
            }
            let all = rows(&batches.concat());
            prop_assert_eq!(&store.read(1).unwrap(), &all);
            drop(store);
            let store = fixture.open();
            for from in 0..next + 2 {
                let rest: Vec<Row> = all.iter().filter(|row| row.seq >= from).cloned().collect();
                prop_assert_eq!(store.read(from).unwrap(), rest);
            }
            store.verify().unwrap();
        }
    }

    #[test]
    fn rotations_are_listed_with_their_spans_and_give_only_their_own_records() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let own = Record {
            rotation: None,
            ..record(0, 2)
        };
        let records = [record(1, 1), own, record(2, 3), record(1, 4), record(2, 5)];
        store.append(&records).unwrap();
        let spans: Vec<_> = store
            .rotations()
            .unwrap()
            .into_iter()
            .map(|span| (span.rotation.to_string(), span.first_seq, span.last_seq))
            .collect();
        assert_eq!(
            spans,
            [("night-1".to_owned(), 1, 4), ("night-2".to_owned(), 3, 5)]
        );
        let second = &store.rotations().unwrap()[1];
        assert_eq!((second.first_at, second.last_at), (at(3), at(5)));
        let night = "night-1".parse().unwrap();
        let all = rows(&records);
        assert_eq!(
            store.records_of(&night).unwrap(),
            [all[0].clone(), all[3].clone()]
        );
        let unknown = "night-9".parse().unwrap();
        assert_eq!(store.records_of(&unknown).unwrap(), []);
    }

    #[test]
    fn another_program_that_wrote_to_the_journal_is_noticed_before_anything_is_added() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&[record(1, 1)]).unwrap();
        let other = Connection::open(&store.path).unwrap();
        other.execute("UPDATE head SET seq = 7", ()).unwrap();
        let refused = store.append(&[record(1, 2)]).unwrap_err();
        assert!(matches!(refused, StoreError::Database { .. }), "{refused}");
        other.execute("UPDATE head SET seq = 1", ()).unwrap();
        let refused = store.append(&[record(1, 2)]).unwrap_err();
        assert!(matches!(refused, StoreError::Failed { .. }), "{refused}");
        assert_eq!(store.read(1).unwrap(), rows(&[record(1, 1)]));
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let rotation = prop::option::of("[a-z]{1,4}".prop_map(|id| id.parse().unwrap()));
        let at = (0_i64..4_000_000_000, 0_i32..1_000_000_000)
            .prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap());
        (rotation, at, ".{0,8}", any::<u16>(), "\\PC{0,64}").prop_map(
            |(rotation, at, kind, version, body)| Record {
                rotation,
                at,
                kind,
                version,
                body,
            },
        )
    }
}
