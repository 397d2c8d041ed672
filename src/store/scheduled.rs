//! Promotions that wait for their time.
use jiff::Timestamp;

use super::approvals::STEP;
use super::audit::Entry;
use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;
use crate::model::id::Channel;
use crate::model::way::Way;

/// A promotion that waits for its time. The store asks nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The channel whose tags are to move: at most one waits for each.
    pub tag: Channel,
    /// When it was asked for.
    pub at: Timestamp,
    pub due: Timestamp,
    pub who: String,
    pub way: Way,
    /// JSON.
    pub body: String,
}

impl Store {
    /// Keeps one; there is none of that tag.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_scheduled(
        &mut self,
        scheduled: &Scheduled,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let doing = "schedule a promotion";
        self.write_audited(doing, scheduled.body.len(), entries, |tx| {
            tx.execute(
                "INSERT INTO scheduled (tag, at, due, who, way, body, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    scheduled.tag.as_str(),
                    time_text(scheduled.at),
                    time_text(scheduled.due),
                    &scheduled.who,
                    scheduled.way.as_str(),
                    &scheduled.body,
                    sum_of(scheduled),
                ),
            )
        })?;
        Ok(())
    }

    /// It was begun, or is not to be.
    ///
    /// # Errors
    /// Failures to write.
    pub fn drop_scheduled(&mut self, tag: &Channel, entries: &[Entry]) -> Result<(), StoreError> {
        self.write_audited("end a scheduled promotion", 0, entries, |tx| {
            tx.execute("DELETE FROM scheduled WHERE tag = ?1", [tag.as_str()])
        })?;
        Ok(())
    }
}

impl Reader {
    /// Every promotion that waits, the next one first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept.
    pub fn scheduled(&self) -> Result<Vec<Scheduled>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(Vec::new());
        }
        let doing = "read what is scheduled";
        let query = "SELECT tag, at, due, who, way, body, sum FROM scheduled ORDER BY due, tag";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let rows = statement.query_map((), |row| {
            let texts: [String; 6] = [
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ];
            Ok((texts, row.get(6)?))
        });
        let rows = self.sql(doing, rows)?;
        rows.map(|row| {
            let row: ([String; 6], Sum) = self.sql(doing, row)?;
            let ([tag, at, due, who, way, body], sum) = row;
            let scheduled = Scheduled {
                tag: self.parse(&tag)?,
                at: self.parse(&at)?,
                due: self.parse(&due)?,
                who,
                way: self.parse(&way)?,
                body,
            };
            let what = format!("what is scheduled for {tag}");
            self.check(sum_of(&scheduled), sum, &what)?;
            Ok(scheduled)
        })
        .collect()
    }
}

fn sum_of(scheduled: &Scheduled) -> Sum {
    checksum(
        "scheduled",
        &[
            scheduled.tag.as_str().as_bytes(),
            time_text(scheduled.at).as_bytes(),
            time_text(scheduled.due).as_bytes(),
            scheduled.who.as_bytes(),
            scheduled.way.as_str().as_bytes(),
            scheduled.body.as_bytes(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;

    #[test]
    fn what_waits_is_read_by_its_time_until_it_is_dropped_and_refused_where_altered() {
        let of = |tag: &str, due: i64| Scheduled {
            tag: tag.parse().unwrap(),
            at: at(1),
            due: at(due),
            who: "ana".to_owned(),
            way: Way::Socket,
            body: "{}".to_owned(),
        };
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.keep_scheduled(&of("master", 9), &[]).unwrap();
        store.keep_scheduled(&of("staging", 5), &[]).unwrap();
        drop(store);
        let mut store = fixture.open();
        let (staging, master) = (of("staging", 5), of("master", 9));
        assert_eq!(store.scheduled().unwrap(), [staging.clone(), master]);
        store
            .drop_scheduled(&"master".parse().unwrap(), &[])
            .unwrap();
        assert_eq!(store.scheduled().unwrap(), [staging]);
        let harm = "UPDATE scheduled SET due = at";
        store.conn.execute(harm, ()).unwrap();
        let refused = store.scheduled().unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    }
}
