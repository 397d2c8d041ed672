//! Going along the chain: every record that is read is checked on the way.
use rusqlite::OptionalExtension;

use super::chain::Point;
use super::error::StoreError;
use super::journal::{Record, Row};
use super::reader::Reader;

impl Reader {
    /// The place of record `seq`, or of the cut where `seq` was pruned, or of the end where it was
    /// never written.
    pub(super) fn point(&self, seq: u64) -> Result<Point, StoreError> {
        let cut = self.row_point("cut")?;
        if seq <= cut.seq {
            return Ok(cut);
        }
        let head = self.row_point("head")?;
        if seq >= head.seq {
            return Ok(head);
        }
        let sum = self
            .conn
            .query_row("SELECT sum FROM records WHERE seq = ?1", [seq], |row| {
                row.get(0)
            });
        match self.sql("read the journal", sum.optional())? {
            Some(sum) => Ok(Point { seq, sum }),
            None => Err(self.corrupt(format!("record {seq} is missing"))),
        }
    }

    /// Goes from `start` along the chain to `last` or the end, and checks every link. Returns
    /// where it ended.
    pub(super) fn walk(
        &self,
        start: Point,
        last: u64,
        mut visit: impl FnMut(Row),
    ) -> Result<Point, StoreError> {
        const QUERY: &str = "
            SELECT seq, rotation, at, kind, version, body, sum FROM records
            WHERE seq > ?1 AND seq <= ?2 ORDER BY seq";
        let doing = "read the journal";
        let last = last.min(i64::MAX.unsigned_abs());
        let mut statement = self.sql(doing, self.conn.prepare_cached(QUERY))?;
        let mut rows = self.sql(doing, statement.query((start.seq, last)))?;
        let mut point = start;
        while let Some(row) = self.sql(doing, rows.next())? {
            let stored = self.sql(doing, Stored::read(row))?;
            let record = self.record(stored.fields)?;
            point = point.after(&record);
            if stored.point != point {
                let seq = stored.point.seq;
                return Err(self.corrupt(format!("record {seq} is not what was written")));
            }
            let seq = point.seq;
            visit(Row { seq, record });
        }
        Ok(point)
    }

    /// That a walk ended where the journal does: nothing is missing at its end.
    pub(super) fn check_end(&self, end: Point) -> Result<(), StoreError> {
        let head = self.row_point("head")?;
        if end == head {
            return Ok(());
        }
        let (end, head) = (end.seq, head.seq);
        Err(self.corrupt(format!("the journal ends at record {end}, not at {head}")))
    }

    /// The one row of `head` or `cut`.
    pub(super) fn row_point(&self, table: &'static str) -> Result<Point, StoreError> {
        let text = format!("SELECT seq, sum FROM {table} WHERE one = 1");
        let row = self.conn.query_row(&text, (), |row| {
            let (seq, sum) = (row.get(0)?, row.get(1)?);
            Ok(Point { seq, sum })
        });
        match self.sql("read the journal", row.optional())? {
            Some(point) => Ok(point),
            None => Err(self.corrupt(format!("its {table} is missing"))),
        }
    }

    fn record(&self, fields: Fields) -> Result<Record, StoreError> {
        let rotation = fields.rotation.map(|id| self.parse(&id)).transpose()?;
        Ok(Record {
            rotation,
            at: self.parse(&fields.at)?,
            kind: fields.kind,
            version: fields.version,
            body: fields.body,
        })
    }
}

/// A record as it lies in its table, not yet believed.
struct Stored {
    point: Point,
    fields: Fields,
}

struct Fields {
    rotation: Option<String>,
    at: String,
    kind: String,
    version: u16,
    body: String,
}

impl Stored {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
        let (seq, sum) = (row.get(0)?, row.get(6)?);
        Ok(Stored {
            point: Point { seq, sum },
            fields: Fields {
                rotation: row.get(1)?,
                at: row.get(2)?,
                kind: row.get(3)?,
                version: row.get(4)?,
                body: row.get(5)?,
            },
        })
    }
}
