//! Numbers measured on earlier nights: how long steps took, and which TTLs were served.
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;
use crate::model::id::SiteName;
use crate::model::rrset::RecordName;
use crate::model::time::Ttl;

/// How many past visits count for what is typical: about three weeks of nights.
const VISITS: u32 = 20;

/// A TTL seen again so soon is not written again, since every write is a sync of the disk. It
/// counts as seen this much longer, so that none is forgotten early.
const SEEN_FOR: Duration = Duration::from_secs(600);

impl Store {
    /// Remembers how long a step of a visit took.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_duration(
        &mut self,
        site: &SiteName,
        step: &str,
        millis: u64,
    ) -> Result<(), StoreError> {
        let millis = millis.min(i64::MAX.unsigned_abs());
        self.write("keep a duration", 0, |tx| {
            tx.execute(
                "INSERT INTO durations (site, step, millis) VALUES (?1, ?2, ?3)",
                (site.as_str(), step, millis),
            )?;
            tx.execute(
                "DELETE FROM durations WHERE site = ?1 AND step = ?2 AND id NOT IN
                 (SELECT id FROM durations WHERE site = ?1 AND step = ?2
                  ORDER BY id DESC LIMIT ?3)",
                (site.as_str(), step, VISITS),
            )
        })?;
        Ok(())
    }

    /// Remembers that a record was served with this TTL.
    ///
    /// # Errors
    /// Failures to write, and [`StoreError::Corrupt`] if what is remembered is damaged.
    pub fn note_ttl(
        &mut self,
        record: &RecordName,
        ttl: Ttl,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let seen = match self.seen(record, ttl)? {
            Some(seen) if at < seen.counts_until() => return Ok(()),
            Some(seen) => Seen {
                last_at: at,
                ..seen
            },
            None => Seen {
                record: record.to_string(),
                ttl,
                first_at: at,
                last_at: at,
            },
        };
        self.write("note a TTL", 0, |tx| insert(tx, &seen))
    }
}

impl Store {
    /// Forgets what was seen before `since`, and takes the rest for seen at `now` for the first and
    /// the last time: what is known of TTLs begins there.
    ///
    /// # Errors
    /// Failures to write, and [`StoreError::Corrupt`] if what is remembered is damaged.
    pub(super) fn restart_ttls(
        &mut self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut all = self.all_seen()?;
        all.retain(|seen| seen.counts_until() >= since);
        for seen in &mut all {
            (seen.first_at, seen.last_at) = (now, now);
        }
        self.write("begin TTLs anew", 0, |tx| {
            tx.execute("DELETE FROM ttls", ())?;
            for seen in &all {
                insert(tx, seen)?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// The median of the last visits' durations of this step in milliseconds; `None` before the
    /// first.
    ///
    /// # Errors
    /// Failures to read.
    pub fn typical(&self, site: &SiteName, step: &str) -> Result<Option<u64>, StoreError> {
        let millis = self.durations(site, step)?;
        Ok(millis.get(millis.len() / 2).copied())
    }

    /// What 95 of 100 of the last visits took at most for this step, in milliseconds (the nearest
    /// rank); `None` before the first.
    ///
    /// # Errors
    /// Failures to read.
    pub fn nearly_longest(&self, site: &SiteName, step: &str) -> Result<Option<u64>, StoreError> {
        let millis = self.durations(site, step)?;
        let rank = (millis.len() * 95).div_ceil(100);
        Ok(rank.checked_sub(1).and_then(|at| millis.get(at)).copied())
    }

    /// In order of length.
    fn durations(&self, site: &SiteName, step: &str) -> Result<Vec<u64>, StoreError> {
        let doing = "read durations";
        let statement = self.conn.prepare_cached(
            "SELECT millis FROM durations WHERE site = ?1 AND step = ?2 ORDER BY millis",
        );
        let mut statement = self.sql(doing, statement)?;
        let rows = statement.query_map((site.as_str(), step), |row| row.get(0));
        let millis: rusqlite::Result<Vec<u64>> = self.sql(doing, rows)?.collect();
        self.sql(doing, millis)
    }

    /// The largest TTL that any record was seen with since `at`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is remembered is damaged.
    pub fn largest_ttl_since(&self, at: Timestamp) -> Result<Option<Ttl>, StoreError> {
        let recent = |seen: &Seen| seen.counts_until() >= at;
        let all = self.all_seen()?;
        Ok(all.into_iter().filter(recent).map(|seen| seen.ttl).max())
    }

    /// Since when TTLs are remembered; `None` before the first was noted.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is remembered is damaged.
    pub fn ttls_known_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let all = self.all_seen()?;
        Ok(all.into_iter().map(|seen| seen.first_at).min())
    }

    fn seen(&self, record: &RecordName, ttl: Ttl) -> Result<Option<Seen>, StoreError> {
        let row = self.conn.query_row(
            "SELECT record, ttl, first_at, last_at, sum FROM ttls WHERE record = ?1 AND ttl = ?2",
            (record.to_string(), ttl.0),
            read,
        );
        let row = self.sql("read TTLs", row.optional())?;
        row.map(|row| self.checked(row)).transpose()
    }

    fn all_seen(&self) -> Result<Vec<Seen>, StoreError> {
        let doing = "read TTLs";
        let statement = self
            .conn
            .prepare_cached("SELECT record, ttl, first_at, last_at, sum FROM ttls");
        let mut statement = self.sql(doing, statement)?;
        let rows = self.sql(doing, statement.query_map((), read))?;
        rows.map(|row| self.checked(self.sql(doing, row)?))
            .collect()
    }

    fn checked(&self, (record, ttl, first, last, sum): SeenRow) -> Result<Seen, StoreError> {
        let seen = Seen {
            record,
            ttl: Ttl(ttl),
            first_at: self.parse(&first)?,
            last_at: self.parse(&last)?,
        };
        let what = format!("the TTL of {}", seen.record);
        self.check(seen.sum(), sum, &what)?;
        Ok(seen)
    }
}

fn insert(tx: &Connection, seen: &Seen) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO ttls (record, ttl, first_at, last_at, sum)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &seen.record,
            seen.ttl.0,
            time_text(seen.first_at),
            time_text(seen.last_at),
            seen.sum(),
        ),
    )?;
    Ok(())
}

/// A TTL that a record was seen with.
struct Seen {
    record: String,
    ttl: Ttl,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Seen {
    fn counts_until(&self) -> Timestamp {
        self.last_at.checked_add(SEEN_FOR).unwrap_or(Timestamp::MAX)
    }

    fn sum(&self) -> Sum {
        let (first, last) = (time_text(self.first_at), time_text(self.last_at));
        let ttl = self.ttl.0.to_be_bytes();
        checksum(
            "ttl",
            &[
                self.record.as_bytes(),
                &ttl,
                first.as_bytes(),
                last.as_bytes(),
            ],
        )
    }
}

type SeenRow = (String, u32, String, String, Sum);

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<SeenRow> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;

    #[test]
    fn what_is_typical_is_the_median_of_the_last_twenty_visits() {
        let fixture = Fixture::quick();
        let mut store = fixture.open();
        let (fra, nyc) = ("fra".parse().unwrap(), "nyc".parse().unwrap());
        assert_eq!(store.typical(&fra, "drain").unwrap(), None);
        for _ in 0..30 {
            store.keep_duration(&fra, "drain", 900_000).unwrap();
        }
        for millis in 1..=VISITS {
            store.keep_duration(&fra, "drain", millis.into()).unwrap();
        }
        store.keep_duration(&nyc, "drain", 7).unwrap();
        assert_eq!(store.typical(&fra, "drain").unwrap(), Some(11));
        assert_eq!(store.nearly_longest(&fra, "drain").unwrap(), Some(19));
        assert_eq!(store.nearly_longest(&nyc, "verify").unwrap(), None);
        assert_eq!(store.typical(&nyc, "drain").unwrap(), Some(7));
        assert_eq!(store.typical(&fra, "verify").unwrap(), None);
    }

    #[test]
    fn the_largest_ttl_is_remembered_as_long_as_it_was_seen() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        assert_eq!(store.ttls_known_since().unwrap(), None);
        assert_eq!(store.largest_ttl_since(at(0)).unwrap(), None);
        let www: RecordName = "www.example.com.".parse().unwrap();
        store.note_ttl(&www, Ttl(300), at(0)).unwrap();
        store.note_ttl(&www, Ttl(300), at(5000)).unwrap();
        store.note_ttl(&www, Ttl(30), at(5001)).unwrap();
        drop(store);
        let store = fixture.open();
        assert_eq!(store.ttls_known_since().unwrap(), Some(at(0)));
        assert_eq!(store.largest_ttl_since(at(4999)).unwrap(), Some(Ttl(300)));
        assert_eq!(store.largest_ttl_since(at(5601)).unwrap(), Some(Ttl(30)));
        assert_eq!(store.largest_ttl_since(at(5602)).unwrap(), None);
    }

    #[test]
    fn a_ttl_seen_again_soon_costs_no_write_and_is_not_forgotten_early() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let www: RecordName = "www.example.com.".parse().unwrap();
        store.note_ttl(&www, Ttl(300), at(0)).unwrap();
        let before = store.conn.total_changes();
        store.note_ttl(&www, Ttl(300), at(599)).unwrap();
        assert_eq!(store.conn.total_changes(), before);
        assert_eq!(store.largest_ttl_since(at(599)).unwrap(), Some(Ttl(300)));
        store.note_ttl(&www, Ttl(300), at(600)).unwrap();
        assert_eq!(store.largest_ttl_since(at(1200)).unwrap(), Some(Ttl(300)));
    }

    #[test]
    fn an_altered_ttl_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let www: RecordName = "www.example.com.".parse().unwrap();
        store.note_ttl(&www, Ttl(300), at(0)).unwrap();
        store.conn.execute("UPDATE ttls SET ttl = 3", ()).unwrap();
        let refused = store.largest_ttl_since(at(0)).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    }
}
