//! Adding to the audit, in the transaction of what it is about.
//!
//! A damaged audit must not end a night, and must not be written into: what cannot be gone on with
//! is set aside under another name, and a new table goes on with the chain.
use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use super::entry::{By, Entry, after};
use crate::model::id::{RotationId, SiteName};
use crate::store::chain::Point;
use crate::store::journal::time_text;
use crate::store::{Reader, Store, StoreError};

/// The table, to be made anew where the one there is was set aside.
const TABLE: &str = include_str!("../schema/4_audit.sql");

/// Tables that were set aside begin so, and end with the number of their last record.
pub(super) const ASIDE: &str = "audit_set_aside_";

impl Store {
    /// Adds to the audit, durable on return. What is about facts of the journal is written with
    /// them: [`Store::append_audited`].
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn audit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.append_audited(&[], entries).map(drop)
    }

    /// Writes something else and what the audit is to tell of it: both, or nothing.
    pub(in crate::store) fn write_audited<T>(
        &mut self,
        doing: &'static str,
        bytes: usize,
        entries: &[Entry],
        act: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let audit = self.audit;
        let with = |standing| {
            let act = &act;
            move |tx: &Connection| {
                let value = act(tx)?;
                Ok((value, add(tx, audit, entries, &standing)?))
            }
        };
        let standing = self.audit_standing(audit);
        let aside = damaged(audit, "it takes no more records".to_owned());
        let bytes = bytes + entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        let (value, end) = self.write_or(doing, bytes, with(standing), with(aside))?;
        self.audit = end;
        Ok(value)
    }
}

/// How the table stands, before it is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Standing {
    /// Its last row is the one that was left there.
    Sound,
    /// It is not gone on with: a page that is not the audit's must not be written to in its name.
    /// The chain goes on from `base`.
    Damaged { base: Point, why: String },
}

impl Reader {
    /// Looked at outside of a transaction that writes: SQLite lets none of those go on that met
    /// damage.
    pub(in crate::store) fn audit_standing(&self, left_at: Point) -> Standing {
        let last = match last_row(&self.conn) {
            Ok(last) => last,
            Err(error) => return damaged(left_at, error.to_string()),
        };
        match last {
            Some(last) if last == left_at => Standing::Sound,
            None if left_at.seq == 0 => Standing::Sound,
            Some(_) | None => {
                // As far as either of them says that it reaches.
                let base = last.filter(|last| last.seq >= left_at.seq);
                let why = "its last record is not the one that was written last";
                damaged(base.unwrap_or(left_at), why.to_owned())
            }
        }
    }
}

pub(in crate::store) fn damaged(base: Point, why: String) -> Standing {
    Standing::Damaged { base, why }
}

/// Adds `entries` after `from`, where this process left the audit.
pub(in crate::store) fn add(
    tx: &Connection,
    from: Point,
    entries: &[Entry],
    standing: &Standing,
) -> rusqlite::Result<Point> {
    let Some(first) = entries.first() else {
        return Ok(from);
    };
    let base = match standing {
        Standing::Sound => from,
        Standing::Damaged { base, why } => {
            tracing::error!(
                why,
                "the audit is damaged: it is set aside, and goes on anew"
            );
            let table = set_aside(tx, *base)?;
            let body = json!({ "why": why, "table": table });
            let told = Entry::of(By::itself(), first.at, "audit_set_aside", &body);
            insert(tx, *base, &[told])?
        }
    };
    let to = insert(tx, base, entries)?;
    move_head(tx, from, to)?;
    Ok(to)
}

fn last_row(conn: &Connection) -> rusqlite::Result<Option<Point>> {
    let query = "SELECT seq, sum FROM audit ORDER BY seq DESC LIMIT 1";
    let mut statement = conn.prepare_cached(query)?;
    let row = statement.query_row((), |row| {
        let (seq, sum) = (row.get(0)?, row.get(1)?);
        Ok(Point { seq, sum })
    });
    row.optional()
}

/// Makes room for a new table, and returns what the old one is called from now on.
fn set_aside(tx: &Connection, base: Point) -> rusqlite::Result<String> {
    let name = format!("{ASIDE}{}", base.seq);
    let is_there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'audit'";
    let is_there: i64 = tx.query_row(is_there, (), |row| row.get(0))?;
    if is_there > 0 {
        tx.execute_batch(&format!(
            "DROP TRIGGER IF EXISTS audit_is_not_altered; DROP TRIGGER IF EXISTS audit_is_kept;
             ALTER TABLE audit RENAME TO {name}"
        ))?;
    }
    tx.execute_batch(TABLE)?;
    Ok(name)
}

fn insert(tx: &Connection, from: Point, entries: &[Entry]) -> rusqlite::Result<Point> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO audit (seq, at, rotation, site, who, way, pid, kind, body, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let mut point = from;
    for entry in entries {
        point = after(&point, entry);
        statement.execute((
            point.seq,
            time_text(entry.at),
            entry.rotation.as_ref().map(RotationId::as_str),
            entry.site.as_ref().map(SiteName::as_str),
            &entry.by.who,
            entry.by.way.as_str(),
            entry.by.pid,
            &entry.kind,
            &entry.body,
            point.sum,
        ))?;
    }
    Ok(point)
}

/// Had anybody else written, no row is found.
fn move_head(tx: &Connection, from: Point, to: Point) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE head SET audit_seq = ?1, audit_sum = ?2 WHERE audit_seq = ?3 AND audit_sum IS ?4",
    )?;
    let sum = (from.seq > 0).then_some(from.sum);
    match statement.execute((to.seq, to.sum, from.seq, sum))? {
        1 => Ok(()),
        other => Err(rusqlite::Error::StatementChangedRows(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::way::Way;
    use crate::store::fixture::{Fixture, at, numbered};

    #[test]
    fn facts_and_their_audit_are_written_together_or_not_at_all() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append_audited(&numbered(2), &entries(1..3)).unwrap();
        let fails = "CREATE TRIGGER fails BEFORE INSERT ON records WHEN new.seq > 2
                     BEGIN SELECT RAISE(ABORT, 'a disk'); END";
        store.conn.execute_batch(fails).unwrap();
        let refused = store.append_audited(&numbered(3)[2..], &entries(3..4));
        refused.unwrap_err();
        assert_eq!(kinds(&fixture), ["told-1", "told-2"]);
    }

    #[test]
    fn the_audit_goes_on_in_the_next_process_and_cannot_be_altered_in_passing() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.audit(&entries(1..3)).unwrap();
        for text in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
            let refused = store.conn.execute(text, ()).unwrap_err();
            assert!(refused.to_string().contains("only added to"), "{refused}");
        }
        drop(store);
        let mut store = fixture.open();
        store.audit(&entries(3..4)).unwrap();
        let chain = store.audited(|_| {}).unwrap();
        assert_eq!((chain.records, chain.broken), (3, None));
    }

    #[test]
    fn pruning_the_journal_takes_nothing_from_the_audit() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append_audited(&numbered(9), &entries(1..4)).unwrap();
        store.save_snapshot(9, 1, "state").unwrap();
        assert_eq!(store.prune_history(at(99)).unwrap(), 9);
        let chain = store.audited(|_| {}).unwrap();
        assert_eq!((chain.records, chain.broken), (3, None));
    }

    #[test]
    fn a_damaged_audit_is_set_aside_and_the_journal_goes_on() {
        let harms = [
            "DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE seq = 3",
            "DROP TRIGGER audit_is_kept; DELETE FROM audit",
            "DROP TRIGGER audit_is_not_altered; UPDATE audit SET sum = zeroblob(32) WHERE seq = 3",
            "DROP TRIGGER audit_is_not_altered; UPDATE audit SET seq = 9 WHERE seq = 3",
            "DROP TABLE audit",
            "UPDATE head SET audit_seq = 2",
            "UPDATE head SET audit_sum = zeroblob(32)",
        ];
        for harm in harms {
            let fixture = Fixture::quick();
            fixture.open().audit(&entries(1..4)).unwrap();
            fixture.open().conn.execute_batch(harm).unwrap();
            let mut store = fixture.open();
            store.append_audited(&numbered(1), &entries(4..5)).unwrap();
            drop(store);
            let mut store = fixture.open();
            store
                .append_audited(&numbered(2)[1..], &entries(5..6))
                .unwrap();
            store.verify().unwrap();
            let kinds = kinds(&fixture);
            let told = kinds.iter().position(|kind| kind == "audit_set_aside");
            let rest = &kinds[told.expect(harm)..];
            assert_eq!(rest, ["audit_set_aside", "told-4", "told-5"], "{harm}");
            let is_whole = kinds.starts_with(&["told-1", "told-2", "told-3"].map(str::to_owned));
            let chain = store.audited(|_| {}).unwrap();
            assert!(is_whole || chain.broken.is_some(), "{harm}: {kinds:?}");
        }
    }

    fn entries(numbers: std::ops::Range<i64>) -> Vec<Entry> {
        let by = By {
            who: "ana".to_owned(),
            way: Way::Socket,
            pid: Some(7),
        };
        let entry = |number| {
            let kind = format!("told-{number}");
            Entry::of(by.clone(), at(number), &kind, &json!({ "number": number }))
        };
        numbers.map(entry).collect()
    }

    fn kinds(fixture: &Fixture) -> Vec<String> {
        let reader = Store::open_read_only(fixture.dir.path(), &"edge".parse().unwrap());
        let mut kinds = Vec::new();
        let told = |told: super::super::Audited| kinds.push(told.entry.kind);
        reader.unwrap().audited(told).unwrap();
        kinds
    }
}
