//! The ledger: every move of a tag, the acts they belong to, and what passed at which site.
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::audit::{By, Entry};
use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;
use crate::model::id::{RotationId, SiteName};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::release::{Moved, Passed};

/// The step of the format that brought these tables.
const STEP: &str = "ledger";

/// An act as it is kept. The store asks nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAct {
    pub id: u64,
    pub began: Timestamp,
    pub who: String,
    pub way: crate::model::way::Way,
    /// JSON.
    pub body: String,
}

impl Store {
    /// Keeps a new act that is open, and tells the audit; its number.
    ///
    /// # Errors
    /// Failures to write.
    pub fn begin_act(
        &mut self,
        at: Timestamp,
        by: &By,
        body: &str,
        entries: impl Fn(u64) -> Vec<Entry>,
    ) -> Result<u64, StoreError> {
        let doing = "begin to move tags";
        let last = "SELECT coalesce(max(id), 0) FROM acts";
        let last = self.conn.query_row(last, (), |row| row.get::<_, u64>(0));
        let id = self.sql(doing, last)? + 1;
        let sum = act_sum(id, at, (&by.who, by.way.as_str()), (true, body));
        self.write_audited(doing, body.len(), &entries(id), |tx| {
            tx.execute(
                "INSERT INTO acts (id, at, who, way, is_open, body, sum)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)",
                (id, time_text(at), &by.who, by.way.as_str(), body, sum),
            )
        })?;
        Ok(id)
    }

    /// Keeps how far an act has come, and tells the audit.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_act(
        &mut self,
        act: &StoredAct,
        is_open: bool,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let by = (act.who.as_str(), act.way.as_str());
        let sum = act_sum(act.id, act.began, by, (is_open, &act.body));
        self.write_audited("move tags", act.body.len(), entries, |tx| {
            tx.execute(
                "UPDATE acts SET is_open = ?2, body = ?3, sum = ?4 WHERE id = ?1",
                (act.id, is_open, &act.body, sum),
            )
        })?;
        Ok(())
    }

    /// Adds a move to the ledger, and tells the audit. What the act has there already is not added
    /// again.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_move(&mut self, moved: &Moved, entries: &[Entry]) -> Result<(), StoreError> {
        if moved.act.is_some() {
            let last = self.last_move(&moved.image)?;
            let is_it = |last: &Moved| last.act == moved.act && last.new == moved.new;
            if last.as_ref().is_some_and(is_it) {
                return Ok(());
            }
        }
        let doing = "keep a move";
        let last = "SELECT coalesce(max(id), 0) FROM moves";
        let last = self.conn.query_row(last, (), |row| row.get::<_, u64>(0));
        let id = self.sql(doing, last)? + 1;
        let sum = move_sum(id, moved);
        self.write_audited(doing, 0, entries, |tx| {
            tx.execute(
                "INSERT INTO moves (id, at, image, old, new, cause, who, way, act, reason, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                (
                    id,
                    time_text(moved.at),
                    moved.image.to_string(),
                    moved.old.as_ref().map(Digest::as_str),
                    moved.new.as_str(),
                    moved.cause.as_str(),
                    &moved.who,
                    moved.way.as_str(),
                    moved.act,
                    &moved.reason,
                    sum,
                ),
            )
        })?;
        Ok(())
    }

    /// Remembers that a site passed a visit with these digests. The same visit told twice counts
    /// once.
    ///
    /// # Errors
    /// Failures to write, and [`StoreError::Corrupt`] if what is remembered is damaged.
    pub fn keep_passed(
        &mut self,
        site: &SiteName,
        pins: &Pins,
        rotation: Option<&RotationId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.passed()?;
        let mut rows = Vec::new();
        for (image, digest) in pins {
            let is_it =
                |it: &&Passed| it.site == *site && it.image == *image && it.digest == *digest;
            let before = known.iter().find(is_it);
            let theirs = known
                .iter()
                .filter(|it| it.site == *site && it.image == *image);
            let last = theirs.max_by_key(|it| it.last);
            let is_last = last.is_some_and(|last| last.digest == *digest);
            let is_told = match rotation {
                Some(rotation) => before.is_some_and(|it| it.rotation.as_ref() == Some(rotation)),
                // Of a visit that nobody knows any more: only what is news.
                None => is_last,
            };
            if !is_told {
                rows.push(Passed {
                    site: site.clone(),
                    image: image.clone(),
                    digest: digest.clone(),
                    first: before.filter(|_| is_last).map_or(at, |it| it.first),
                    last: at,
                    visits: before.map_or(0, |it| it.visits) + 1,
                    rotation: rotation.cloned(),
                });
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.write("keep what passed", 0, |tx| {
            for row in &rows {
                tx.execute(
                    "INSERT OR REPLACE INTO passed
                     (site, image, digest, first_at, last_at, visits, rotation, sum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    (
                        row.site.as_str(),
                        row.image.to_string(),
                        row.digest.as_str(),
                        time_text(row.first),
                        time_text(row.last),
                        row.visits,
                        row.rotation.as_ref().map(RotationId::as_str),
                        passed_sum(row),
                    ),
                )?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// The act that has not ended, where there is one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was kept.
    pub fn open_act(&self) -> Result<Option<StoredAct>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(None);
        }
        let row = self.conn.query_row(
            "SELECT id, at, who, way, body, sum FROM acts WHERE is_open ORDER BY id LIMIT 1",
            (),
            |row| {
                let names: (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, names, row.get(4)?, row.get(5)?))
            },
        );
        let row: Option<ActRow> = self.sql("read the act", row.optional())?;
        let Some((id, (at, who, way), body, sum)) = row else {
            return Ok(None);
        };
        let began = self.parse(&at)?;
        let found = act_sum(id, began, (&who, &way), (true, &body));
        self.check(found, sum, &format!("act {id}"))?;
        Ok(Some(StoredAct {
            id,
            began,
            way: self.parse(&way)?,
            who,
            body,
        }))
    }

    /// Every move that the ledger has, the first one first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept, or is not there any more.
    pub fn moves(&self) -> Result<Vec<Moved>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(Vec::new());
        }
        let rows = self.move_rows("SELECT * FROM moves ORDER BY id", ())?;
        let gap = (1..).zip(&rows).find(|(number, (id, _))| number != id);
        if let Some((number, _)) = gap {
            return Err(self.corrupt(format!("move {number} of the ledger is not there")));
        }
        Ok(rows.into_iter().map(|(_, moved)| moved).collect())
    }

    /// The last move of one tag.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was kept.
    pub fn last_move(&self, image: &ImageRef) -> Result<Option<Moved>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(None);
        }
        let query = "SELECT * FROM moves WHERE image = ?1 ORDER BY id DESC LIMIT 1";
        let rows = self.move_rows(query, [image.to_string()])?;
        Ok(rows.into_iter().next().map(|(_, moved)| moved))
    }

    /// With which digests sites passed their visits.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept.
    pub fn passed(&self) -> Result<Vec<Passed>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(Vec::new());
        }
        let doing = "read what passed";
        let query = "SELECT site, image, digest, first_at, last_at, visits, rotation, sum
                     FROM passed ORDER BY site, image, first_at, digest";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let rows = statement.query_map((), |row| {
            let names: [String; 5] = [
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ];
            Ok((names, row.get(5)?, row.get(6)?, row.get(7)?))
        });
        let rows = self.sql(doing, rows)?;
        rows.map(|row| {
            let row: ([String; 5], u64, Option<String>, Sum) = self.sql(doing, row)?;
            let ([site, image, digest, first, last], visits, rotation, sum) = row;
            let rotation = rotation.map(|rotation| self.parse(&rotation)).transpose()?;
            let passed = Passed {
                site: self.parse(&site)?,
                image: self.parse(&image)?,
                digest: self.parse(&digest)?,
                first: self.parse(&first)?,
                last: self.parse(&last)?,
                visits,
                rotation,
            };
            let what = format!("what passed at {site}");
            self.check(passed_sum(&passed), sum, &what)?;
            Ok(passed)
        })
        .collect()
    }

    fn move_rows(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(u64, Moved)>, StoreError> {
        let doing = "read the ledger";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let rows = statement.query_map(parameters, |row| {
            let names: [String; 6] = [
                row.get("at")?,
                row.get("image")?,
                row.get("new")?,
                row.get("cause")?,
                row.get("who")?,
                row.get("way")?,
            ];
            let rest: (Option<String>, Option<u64>, Option<String>) =
                (row.get("old")?, row.get("act")?, row.get("reason")?);
            Ok((row.get("id")?, names, rest, row.get("sum")?))
        });
        let rows = self.sql(doing, rows)?;
        rows.map(|row| {
            let row: (u64, [String; 6], _, Sum) = self.sql(doing, row)?;
            let (id, [at, image, new, cause, who, way], (old, act, reason), sum) = row;
            let old: Option<String> = old;
            let moved = Moved {
                at: self.parse(&at)?,
                image: self.parse(&image)?,
                old: old.map(|old| self.parse(&old)).transpose()?,
                new: self.parse(&new)?,
                cause: self.parse(&cause)?,
                way: self.parse(&way)?,
                who,
                act,
                reason,
            };
            self.check(
                move_sum(id, &moved),
                sum,
                &format!("move {id} of the ledger"),
            )?;
            Ok((id, moved))
        })
        .collect()
    }
}

type ActRow = (u64, (String, String, String), String, Sum);

fn act_sum(id: u64, at: Timestamp, by: (&str, &str), (is_open, body): (bool, &str)) -> Sum {
    checksum(
        "act",
        &[
            &id.to_be_bytes(),
            time_text(at).as_bytes(),
            by.0.as_bytes(),
            by.1.as_bytes(),
            &[u8::from(is_open)],
            body.as_bytes(),
        ],
    )
}

fn move_sum(id: u64, moved: &Moved) -> Sum {
    let text = |text: Option<&str>| text.unwrap_or("").as_bytes().to_vec();
    checksum(
        "move",
        &[
            &id.to_be_bytes(),
            time_text(moved.at).as_bytes(),
            moved.image.to_string().as_bytes(),
            &text(moved.old.as_ref().map(Digest::as_str)),
            moved.new.as_str().as_bytes(),
            moved.cause.as_str().as_bytes(),
            moved.who.as_bytes(),
            moved.way.as_str().as_bytes(),
            &moved.act.unwrap_or(0).to_be_bytes(),
            &text(moved.reason.as_deref()),
        ],
    )
}

fn passed_sum(passed: &Passed) -> Sum {
    let rotation = passed.rotation.as_ref().map_or("", RotationId::as_str);
    checksum(
        "passed",
        &[
            passed.site.as_str().as_bytes(),
            passed.image.to_string().as_bytes(),
            passed.digest.as_str().as_bytes(),
            time_text(passed.first).as_bytes(),
            time_text(passed.last).as_bytes(),
            &passed.visits.to_be_bytes(),
            rotation.as_bytes(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;
    use crate::model::release::Cause;
    use crate::model::way::Way;
    use crate::sim::world::digest;

    #[test]
    fn an_act_is_open_until_it_is_said_to_have_ended() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        assert_eq!(store.open_act().unwrap(), None);
        let by = By::itself();
        let id = store.begin_act(at(1), &by, "{}", |_| Vec::new()).unwrap();
        drop(store);
        let mut store = fixture.open();
        let mut act = store.open_act().unwrap().unwrap();
        assert_eq!((act.id, act.began, act.body.as_str()), (id, at(1), "{}"));
        act.body = "{1}".to_owned();
        store.keep_act(&act, true, &[]).unwrap();
        assert_eq!(store.open_act().unwrap(), Some(act.clone()));
        store.keep_act(&act, false, &[]).unwrap();
        assert_eq!(store.open_act().unwrap(), None);
        let next = store.begin_act(at(2), &by, "{}", |_| Vec::new()).unwrap();
        assert_eq!(next, id + 1);
    }

    #[test]
    fn moves_are_read_as_they_were_kept_and_those_of_an_act_once() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let first = moved(1, None);
        let second = moved(2, Some(7));
        for moved in [&first, &second, &second] {
            store.keep_move(moved, &[]).unwrap();
        }
        assert_eq!(store.moves().unwrap(), [first.clone(), second.clone()]);
        assert_eq!(store.last_move(&first.image).unwrap(), Some(second));
        let other = "r.example.com/other:x".parse().unwrap();
        assert_eq!(store.last_move(&other).unwrap(), None);
    }

    #[test]
    fn what_passed_is_counted_once_a_visit_and_begins_anew_after_another_digest() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let fra: SiteName = "fra".parse().unwrap();
        let image = moved(1, None).image;
        let mut keep = |n: u8, night: &str, second| {
            let pins = Pins::from([(image.clone(), digest(n))]);
            let night: RotationId = night.parse().unwrap();
            store
                .keep_passed(&fra, &pins, Some(&night), at(second))
                .unwrap();
            store
                .keep_passed(&fra, &pins, Some(&night), at(second))
                .unwrap();
            store.keep_passed(&fra, &pins, None, at(99)).unwrap();
        };
        keep(1, "night-1", 1);
        keep(1, "night-2", 2);
        keep(2, "night-3", 3);
        keep(1, "night-4", 4);
        let told: Vec<_> = store
            .passed()
            .unwrap()
            .into_iter()
            .map(|it| (it.digest, it.first, it.last, it.visits))
            .collect();
        assert_eq!(
            told,
            [(digest(2), at(3), at(3), 1), (digest(1), at(4), at(4), 3)]
        );
    }

    #[test]
    fn an_altered_or_missing_row_is_refused() {
        let harms = [
            "UPDATE moves SET reason = 'another' WHERE id = 1",
            "UPDATE moves SET new = old WHERE id = 2",
            "DELETE FROM moves WHERE id = 1",
            "UPDATE passed SET visits = 9",
            "UPDATE acts SET body = '[]'",
        ];
        for harm in harms {
            let fixture = Fixture::quick();
            let mut store = fixture.open();
            store.keep_move(&moved(1, None), &[]).unwrap();
            store.keep_move(&moved(2, None), &[]).unwrap();
            let pins = Pins::from([(moved(1, None).image, digest(1))]);
            let fra = "fra".parse().unwrap();
            store.keep_passed(&fra, &pins, None, at(1)).unwrap();
            let by = By::itself();
            store.begin_act(at(1), &by, "{}", |_| Vec::new()).unwrap();
            store.conn.execute(harm, ()).unwrap();
            let found = store
                .moves()
                .map(drop)
                .and_then(|()| store.passed().map(drop))
                .and_then(|()| store.open_act().map(drop));
            let refused = found.unwrap_err();
            assert!(
                matches!(refused, StoreError::Corrupt { .. }),
                "{harm}: {refused}"
            );
        }
    }

    fn moved(n: u8, act: Option<u64>) -> Moved {
        Moved {
            at: at(n.into()),
            image: "r.example.com/web:master".parse().unwrap(),
            old: Some(digest(n)),
            new: digest(n + 1),
            cause: Cause::Promote,
            who: "ana".to_owned(),
            way: Way::Socket,
            act,
            reason: Some("good in staging".to_owned()),
        }
    }
}
