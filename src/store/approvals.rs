//! Who said of which digest that it is good.
use super::audit::Entry;
use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;
use crate::model::release::Approval;

/// The step of the format that brought this table, and [`super::scheduled`]'s.
pub(super) const STEP: &str = "release_terms";

impl Store {
    /// Keeps what somebody said, and tells the audit.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_approval(
        &mut self,
        approval: &Approval,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let doing = "keep an approval";
        let last = "SELECT coalesce(max(id), 0) FROM approvals";
        let last = self.conn.query_row(last, (), |row| row.get::<_, u64>(0));
        let id = self.sql(doing, last)? + 1;
        self.write_audited(doing, approval.reason.len(), entries, |tx| {
            tx.execute(
                "INSERT INTO approvals (id, at, digest, who, way, reason, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    id,
                    time_text(approval.at),
                    approval.digest.as_str(),
                    &approval.who,
                    approval.way.as_str(),
                    &approval.reason,
                    sum_of(id, approval),
                ),
            )
        })?;
        Ok(())
    }
}

impl Reader {
    /// Everything that was said, the first one first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept, or is not there any more.
    pub fn approvals(&self) -> Result<Vec<Approval>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(Vec::new());
        }
        let doing = "read the approvals";
        let query = "SELECT id, at, digest, who, way, reason, sum FROM approvals ORDER BY id";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let rows = statement.query_map((), |row| {
            let texts: [String; 5] = [
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ];
            Ok((row.get(0)?, texts, row.get(6)?))
        });
        let rows = self.sql(doing, rows)?;
        let mut approvals = Vec::new();
        for (number, row) in (1..).zip(rows) {
            let row: (u64, [String; 5], Sum) = self.sql(doing, row)?;
            let (id, [at, digest, who, way, reason], sum) = row;
            if id != number {
                return Err(self.corrupt(format!("approval {number} is not there")));
            }
            let approval = Approval {
                at: self.parse(&at)?,
                digest: self.parse(&digest)?,
                who,
                way: self.parse(&way)?,
                reason,
            };
            self.check(sum_of(id, &approval), sum, &format!("approval {id}"))?;
            approvals.push(approval);
        }
        Ok(approvals)
    }
}

fn sum_of(id: u64, approval: &Approval) -> Sum {
    checksum(
        "approval",
        &[
            &id.to_be_bytes(),
            time_text(approval.at).as_bytes(),
            approval.digest.as_str().as_bytes(),
            approval.who.as_bytes(),
            approval.way.as_str().as_bytes(),
            approval.reason.as_bytes(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;
    use crate::model::way::Way;
    use crate::sim::world::digest;

    #[test]
    fn approvals_are_read_as_they_were_kept_and_refused_where_altered() {
        let approval = |n: u8| Approval {
            at: at(n.into()),
            digest: digest(n),
            who: "ana".to_owned(),
            way: Way::Socket,
            reason: "tried checkout".to_owned(),
        };
        let harms = [
            None,
            Some("UPDATE approvals SET who = 'eve' WHERE id = 2"),
            Some("DELETE FROM approvals WHERE id = 1"),
        ];
        for harm in harms {
            let fixture = Fixture::quick();
            let mut store = fixture.open();
            store.keep_approval(&approval(1), &[]).unwrap();
            store.keep_approval(&approval(2), &[]).unwrap();
            let Some(harm) = harm else {
                assert_eq!(store.approvals().unwrap(), [approval(1), approval(2)]);
                continue;
            };
            store.conn.execute(harm, ()).unwrap();
            let refused = store.approvals().unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt { .. }), "{harm}");
        }
    }
}
