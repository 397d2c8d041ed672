//! Going along the audit from its first record to its head.
use data_encoding::HEXLOWER;
use jiff::Timestamp;

use super::entry::{By, Entry, after, origin};
use super::writing::ASIDE;
use crate::store::chain::{Point, Sum};
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// A record of the audit in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    pub seq: u64,
    pub entry: Entry,
    /// The hash over this record and all before it, in hex.
    pub hash: String,
    /// Whether it is what was written, after the one that was written before it.
    pub is_sound: bool,
}

/// What a walk along the audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// How many there are to be read.
    pub records: u64,
    /// The hash over all of them, in hex, as the audit's head says.
    pub head: String,
    pub last_at: Option<Timestamp>,
    /// The first that is not as it was written.
    pub broken: Option<Broken>,
}

/// Where the audit is damaged or was tampered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: u64,
    pub what: String,
}

impl Reader {
    /// Tells every record of the audit, sound or not, and checks each link of the chain. Damage is
    /// no error here: whoever looks at what is left of a damaged audit must see it.
    ///
    /// # Errors
    /// Where even that cannot be found out.
    pub fn audited(&self, visit: impl FnMut(Audited)) -> Result<Chain, StoreError> {
        self.view("read the audit", || {
            let head = self.audit_head()?;
            let (fleet, _) = self.identity()?;
            let mut walk = Walk {
                point: origin(&fleet),
                chain: Chain {
                    records: 0,
                    head: HEXLOWER.encode(&head.sum),
                    last_at: None,
                    broken: None,
                },
                visit,
            };
            for table in self.audit_tables()? {
                self.walk_table(&table, &mut walk);
            }
            walk.ends(head);
            Ok(walk.chain)
        })
    }

    /// How many records the audit has, and the hash over all of them in hex.
    ///
    /// # Errors
    /// Failures to read.
    pub fn audit_end(&self) -> Result<(u64, String), StoreError> {
        let head = self.audit_head()?;
        Ok((head.seq, HEXLOWER.encode(&head.sum)))
    }

    /// Where the audit ends.
    pub(in crate::store) fn audit_head(&self) -> Result<Point, StoreError> {
        let (fleet, _) = self.identity()?;
        if !self.has_taken("audit_head")? {
            return Ok(origin(&fleet));
        }
        let query = "SELECT audit_seq, audit_sum FROM head WHERE one = 1";
        let row = self.conn.query_row(query, (), |row| {
            let (seq, sum): (u64, Option<Sum>) = (row.get(0)?, row.get(1)?);
            Ok((seq, sum))
        });
        let (seq, sum) = self.sql("read the audit", row)?;
        let sum = sum.unwrap_or(origin(&fleet).sum);
        Ok(Point { seq, sum })
    }

    /// Those that were set aside, in order, and the one that is written to. None where the store
    /// was written by an older program and nobody has owned it since.
    fn audit_tables(&self) -> Result<Vec<String>, StoreError> {
        let doing = "read the audit";
        let query = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let names = self.sql(doing, statement.query_map((), |row| row.get(0)))?;
        let mut tables: Vec<(u64, String)> = Vec::new();
        for name in names {
            let name: String = self.sql(doing, name)?;
            let aside = name.strip_prefix(ASIDE).and_then(|seq| seq.parse().ok());
            let place = aside.or((name == "audit").then_some(u64::MAX));
            tables.extend(place.map(|place| (place, name)));
        }
        tables.sort();
        Ok(tables.into_iter().map(|(_, name)| name).collect())
    }

    /// Along one table; past a part that cannot be read, where there is one.
    fn walk_table(&self, table: &str, walk: &mut Walk<impl FnMut(Audited)>) {
        let Err(error) = self.walk_rows(table, 0, walk) else {
            return;
        };
        let at = walk.point.seq;
        walk.breaks(at + 1, format!("it cannot be read: {error}"));
        if let Some(behind) = self.first_behind(table, at)
            && let Err(error) = self.walk_rows(table, behind, walk)
        {
            tracing::debug!(%error, table, "a part of the audit cannot be read");
        }
    }

    fn walk_rows(
        &self,
        table: &str,
        from: u64,
        walk: &mut Walk<impl FnMut(Audited)>,
    ) -> rusqlite::Result<()> {
        let query = format!(
            "SELECT seq, sum, at, rotation, site, who, way, pid, kind, body FROM {table}
             WHERE seq >= ?1 ORDER BY seq"
        );
        let mut statement = self.conn.prepare(&query)?;
        let mut rows = statement.query([from])?;
        while let Some(row) = rows.next()? {
            let (seq, sum) = (row.get(0)?, row.get(1)?);
            walk.meets(Point { seq, sum }, entry(row));
        }
        Ok(())
    }

    /// The first record after `seq` that can be reached from the end.
    fn first_behind(&self, table: &str, seq: u64) -> Option<u64> {
        let query = format!("SELECT seq FROM {table} ORDER BY seq DESC");
        let mut statement = self.conn.prepare(&query).ok()?;
        let rows = statement.query_map((), |row| row.get(0)).ok()?;
        rows.map_while(Result::ok)
            .take_while(|found: &u64| *found > seq)
            .last()
    }
}

/// A walk, as far as it came.
struct Walk<V> {
    point: Point,
    chain: Chain,
    visit: V,
}

impl<V: FnMut(Audited)> Walk<V> {
    /// Goes on from what is stored, whatever was to be there: one bad record is one bad record.
    fn meets(&mut self, stored: Point, entry: Result<Entry, String>) {
        let next = self.point.seq + 1;
        if stored.seq != next {
            self.breaks(
                next.min(stored.seq),
                format!("record {} stands there", stored.seq),
            );
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(why) => {
                self.breaks(stored.seq, why);
                self.point = stored;
                return;
            }
        };
        let is_sound = after(&self.point, &entry) == stored;
        if !is_sound {
            self.breaks(stored.seq, "it is not what was written".to_owned());
        }
        self.point = stored;
        self.chain.records += 1;
        self.chain.last_at = Some(entry.at);
        (self.visit)(Audited {
            seq: stored.seq,
            entry,
            hash: HEXLOWER.encode(&stored.sum),
            is_sound,
        });
    }

    fn ends(&mut self, head: Point) {
        let end = self.point;
        if end.seq < head.seq {
            let last = head.seq;
            self.breaks(end.seq + 1, format!("it is missing: {last} were written"));
        } else if end != head {
            let what = "it is not the one that was written last".to_owned();
            self.breaks(end.seq.min(head.seq + 1), what);
        }
    }

    fn breaks(&mut self, seq: u64, what: String) {
        self.chain.broken.get_or_insert(Broken { seq, what });
    }
}

/// What stands in a row, after its number and its sum.
fn entry(row: &rusqlite::Row<'_>) -> Result<Entry, String> {
    let text = |at: usize| row.get::<_, String>(at).map_err(|error| error.to_string());
    let name = |at: usize| {
        let name = row.get::<_, Option<String>>(at);
        name.map_err(|error| error.to_string())
    };
    Ok(Entry {
        at: parse(&text(2)?)?,
        rotation: name(3)?.as_deref().map(parse).transpose()?,
        site: name(4)?.as_deref().map(parse).transpose()?,
        by: By {
            who: text(5)?,
            way: parse(&text(6)?)?,
            pid: row.get(7).map_err(|error| error.to_string())?,
        },
        kind: text(8)?,
        body: text(9)?,
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    let read = text.parse();
    read.map_err(|why| format!("{text:?} cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::fixture::{Fixture, at};

    #[test]
    fn the_first_record_that_is_not_as_written_is_named_and_the_rest_is_told() {
        let harms = [
            (
                "UPDATE audit SET who = 'eve' WHERE seq = 3",
                3,
                "not what was written",
            ),
            (
                "UPDATE audit SET body = '{}' WHERE seq IN (2, 4)",
                2,
                "not what was written",
            ),
            (
                "UPDATE audit SET way = 'shout' WHERE seq = 2",
                2,
                "\"shout\" cannot be read",
            ),
            (
                "UPDATE audit SET at = '2020-01-01T00:00:00Z' WHERE seq = 1",
                1,
                "not what",
            ),
            (
                "DELETE FROM audit WHERE seq = 2",
                2,
                "record 3 stands there",
            ),
            (
                "DELETE FROM audit WHERE seq = 1",
                1,
                "record 2 stands there",
            ),
            (
                "DELETE FROM audit WHERE seq = 5",
                5,
                "it is missing: 5 were written",
            ),
            (
                "UPDATE head SET audit_sum = zeroblob(32)",
                5,
                "the one that was written last",
            ),
            (
                "INSERT INTO audit SELECT 6, at, rotation, site, who, way, pid, kind, body, sum
                 FROM audit WHERE seq = 5",
                6,
                "not what was written",
            ),
        ];
        for (harm, seq, what) in harms {
            let fixture = Fixture::quick();
            let mut store = fixture.open();
            store.audit(&entries()).unwrap();
            let free = "DROP TRIGGER audit_is_kept; DROP TRIGGER audit_is_not_altered;";
            store.conn.execute_batch(&format!("{free} {harm}")).unwrap();
            let chain = store.audited(|_| {}).unwrap();
            let broken = chain.broken.expect(harm);
            assert_eq!(broken.seq, seq, "{harm}: {}", broken.what);
            assert!(broken.what.contains(what), "{harm}: {}", broken.what);
        }
    }

    #[test]
    fn the_hash_of_each_record_is_that_of_the_audit_as_it_ended_with_it() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let mut heads = Vec::new();
        for entry in entries() {
            store.audit(&[entry]).unwrap();
            heads.push(store.audited(|_| {}).unwrap().head);
        }
        let mut hashes = Vec::new();
        let chain = store.audited(|told| hashes.push(told.hash)).unwrap();
        assert_eq!(hashes, heads);
        assert_eq!(chain.last_at, Some(at(4)));
        assert_eq!(chain.records, 5);
    }

    #[test]
    fn a_store_of_an_older_program_has_no_audit() {
        let fixture = Fixture::new();
        let store = fixture.open();
        let older = "DROP TABLE audit; DELETE FROM migrations WHERE name LIKE 'audit%'";
        store.conn.execute_batch(older).unwrap();
        let chain = store.audited(|_| {}).unwrap();
        assert_eq!((chain.records, chain.broken), (0, None));
    }

    fn entries() -> Vec<Entry> {
        let entry = |number| {
            Entry::of(
                By::itself(),
                at(number),
                "told",
                &json!({ "number": number }),
            )
        };
        (0..5).map(entry).collect()
    }
}
