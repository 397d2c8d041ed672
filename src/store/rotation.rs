//! What a rotation keeps beside its records: the files it was planned from, until it ends, and
//! the evidence of what it destroyed, and what it was told as when it ended.
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::OptionalExtension;

use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::reader::Reader;
use super::writer::Store;
use crate::model::id::{HostName, RotationId, SiteName};

/// A file of a rotation's configuration, as it was when the rotation was planned.
pub type ConfigFile = (PathBuf, Vec<u8>);

/// Evidence of one host, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvidence {
    pub site: SiteName,
    pub host: HostName,
    /// JSON.
    pub body: String,
}

impl Store {
    /// Keeps the files of a rotation, in place of any kept for it before. They may hold secrets:
    /// nobody but the store's owner can read them.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_config(
        &mut self,
        rotation: &RotationId,
        files: &[ConfigFile],
    ) -> Result<(), StoreError> {
        let bytes = files.iter().map(|(_, content)| content.len()).sum();
        self.write("keep the configuration", bytes, |tx| {
            tx.execute(
                "DELETE FROM config WHERE rotation = ?1",
                [rotation.as_str()],
            )?;
            for (path, content) in files {
                tx.execute(
                    "INSERT INTO config (rotation, path, content, sum) VALUES (?1, ?2, ?3, ?4)",
                    (
                        rotation.as_str(),
                        path.as_os_str().as_bytes(),
                        content,
                        config_sum(rotation.as_str(), path, content),
                    ),
                )?;
            }
            Ok(())
        })
    }

    /// Lets go of the files of a rotation that has ended.
    ///
    /// # Errors
    /// Failures to write.
    pub fn drop_config(&mut self, rotation: &RotationId) -> Result<(), StoreError> {
        self.write("drop the configuration", 0, |tx| {
            tx.execute(
                "DELETE FROM config WHERE rotation = ?1",
                [rotation.as_str()],
            )
        })?;
        Ok(())
    }

    /// Keeps what was found at a host. The same found twice is kept once.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_evidence(
        &mut self,
        rotation: &RotationId,
        site: &SiteName,
        host: &HostName,
        body: &str,
    ) -> Result<(), StoreError> {
        let names = [rotation.as_str(), site.as_str(), host.as_str()];
        let sum = evidence_sum(names, body);
        self.write("keep evidence", body.len(), |tx| {
            let [rotation, site, host] = names;
            tx.execute(
                "INSERT OR IGNORE INTO evidence (rotation, site, host, body, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (rotation, site, host, body, sum),
            )
        })?;
        Ok(())
    }

    /// Keeps what a rotation was told as, in place of what was kept before.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_story(&mut self, rotation: &RotationId, body: &str) -> Result<(), StoreError> {
        let sum = story_sum(rotation, body);
        self.write("keep the story", body.len(), |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO stories (rotation, body, sum) VALUES (?1, ?2, ?3)",
                (rotation.as_str(), body, sum),
            )
        })?;
        Ok(())
    }
}

impl Reader {
    /// What a rotation was told as; `None`: it has not ended, or a cleanslate wrote this store
    /// that kept no stories.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was kept.
    pub fn story_of(&self, rotation: &RotationId) -> Result<Option<String>, StoreError> {
        let doing = "read the story";
        if !self.has_taken("stories")? {
            return Ok(None);
        }
        let row = self.conn.query_row(
            "SELECT body, sum FROM stories WHERE rotation = ?1",
            [rotation.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
        let row: Option<(String, Sum)> = self.sql(doing, row.optional())?;
        let Some((body, sum)) = row else {
            return Ok(None);
        };
        let found = story_sum(rotation, &body);
        self.check(found, sum, &format!("the story of {rotation}"))?;
        Ok(Some(body))
    }

    /// The files of a rotation, by path; none if it has ended.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept.
    pub fn config_of(&self, rotation: &RotationId) -> Result<Vec<ConfigFile>, StoreError> {
        let doing = "read the configuration";
        let statement = self.conn.prepare_cached(
            "SELECT path, content, sum FROM config WHERE rotation = ?1 ORDER BY path",
        );
        let mut statement = self.sql(doing, statement)?;
        let rows = statement.query_map([rotation.as_str()], |row| {
            let path: Vec<u8> = row.get(0)?;
            Ok((
                PathBuf::from(OsString::from_vec(path)),
                row.get(1)?,
                row.get(2)?,
            ))
        });
        let mut files = Vec::new();
        for row in self.sql(doing, rows)? {
            let (path, content, sum): (PathBuf, Vec<u8>, Sum) = self.sql(doing, row)?;
            let found = config_sum(rotation.as_str(), &path, &content);
            self.check(found, sum, &format!("the copy of {}", path.display()))?;
            files.push((path, content));
        }
        Ok(files)
    }

    /// Everything that was found at the hosts a rotation visited, in the order it was kept.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any of it is not what was kept.
    pub fn evidence_of(&self, rotation: &RotationId) -> Result<Vec<StoredEvidence>, StoreError> {
        let doing = "read evidence";
        let statement = self.conn.prepare_cached(
            "SELECT site, host, body, sum FROM evidence WHERE rotation = ?1 ORDER BY id",
        );
        let mut statement = self.sql(doing, statement)?;
        let rows = statement.query_map([rotation.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let mut all = Vec::new();
        for row in self.sql(doing, rows)? {
            let (site, host, body, sum): (String, String, String, Sum) = self.sql(doing, row)?;
            let found = evidence_sum([rotation.as_str(), &site, &host], &body);
            self.check(found, sum, &format!("evidence of {host}"))?;
            all.push(StoredEvidence {
                site: self.parse(&site)?,
                host: self.parse(&host)?,
                body,
            });
        }
        Ok(all)
    }

    /// Rotations that have not ended: their files are still kept.
    ///
    /// # Errors
    /// Failures to read, and values that we never write.
    pub fn rotations_with_config(&self) -> Result<BTreeSet<RotationId>, StoreError> {
        let doing = "read the configuration";
        let statement = self
            .conn
            .prepare_cached("SELECT DISTINCT rotation FROM config");
        let mut statement = self.sql(doing, statement)?;
        let rows = statement.query_map((), |row| row.get::<_, String>(0));
        self.sql(doing, rows)?
            .map(|row| self.parse(&self.sql(doing, row)?))
            .collect()
    }
}

fn config_sum(rotation: &str, path: &Path, content: &[u8]) -> Sum {
    let path = path.as_os_str().as_bytes();
    checksum("config", &[rotation.as_bytes(), path, content])
}

fn story_sum(rotation: &RotationId, body: &str) -> Sum {
    checksum("story", &[rotation.as_str().as_bytes(), body.as_bytes()])
}

fn evidence_sum(names: [&str; 3], body: &str) -> Sum {
    let [rotation, site, host] = names.map(str::as_bytes);
    checksum("evidence", &[rotation, site, host, body.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_rotation_finds_its_files_byte_for_byte_until_they_are_dropped() {
        let fixture = Fixture::new();
        let (one, other) = (id("night-1"), id("night-2"));
        let odd = PathBuf::from(OsString::from_vec(b"z\xff.env".to_vec()));
        let files = vec![("site.toml".into(), vec![0, 255, 10]), (odd, Vec::new())];
        let mut store = fixture.open();
        let stale = [("gone.toml".into(), vec![1])];
        store.keep_config(&one, &stale).unwrap();
        store.keep_config(&one, &files).unwrap();
        store.keep_config(&other, &stale).unwrap();
        drop(store);
        let mut store = fixture.open();
        assert_eq!(store.config_of(&one).unwrap(), files);
        let unended = store.rotations_with_config().unwrap();
        assert_eq!(unended, BTreeSet::from([one.clone(), other.clone()]));
        store.drop_config(&one).unwrap();
        assert_eq!(store.config_of(&one).unwrap(), []);
        assert_eq!(store.config_of(&other).unwrap(), stale);
    }

    #[test]
    fn an_altered_file_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let files = [("site.toml".into(), b"min_in_service = 2".to_vec())];
        store.keep_config(&id("night-1"), &files).unwrap();
        let text = "UPDATE config SET content = CAST('min_in_service = 0' AS BLOB)";
        store.conn.execute(text, ()).unwrap();
        let refused = store.config_of(&id("night-1")).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("the copy of site.toml is not what was written"),
            "{refused}"
        );
    }

    #[test]
    fn dropped_files_leave_no_secret_in_the_file() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let secret = b"PASSWORD=correct-horse-battery-staple".repeat(500);
        let files = [("fra.env".into(), secret)];
        store.keep_config(&id("night-1"), &files).unwrap();
        store.drop_config(&id("night-1")).unwrap();
        let path = store.path.clone();
        drop(store);
        let bytes = std::fs::read(path).unwrap();
        let needle = b"correct-horse";
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }

    #[test]
    fn a_story_is_kept_by_rotation_and_an_altered_one_is_refused() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.keep_story(&id("night-1"), "first").unwrap();
        store.keep_story(&id("night-1"), "whole").unwrap();
        assert_eq!(
            store.story_of(&id("night-1")).unwrap().as_deref(),
            Some("whole")
        );
        assert_eq!(store.story_of(&id("night-2")).unwrap(), None);
        store
            .conn
            .execute("UPDATE stories SET body = 'other'", ())
            .unwrap();
        assert!(matches!(
            store.story_of(&id("night-1")),
            Err(StoreError::Corrupt { .. })
        ));
    }

    #[test]
    fn a_store_of_an_older_program_has_no_stories() {
        let fixture = Fixture::new();
        let store = fixture.open();
        store
            .conn
            .execute_batch("DROP TABLE stories; DELETE FROM migrations WHERE name = 'stories'")
            .unwrap();
        assert_eq!(store.story_of(&id("night-1")).unwrap(), None);
    }

    #[test]
    fn evidence_is_kept_in_order_and_the_same_only_once() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let rotation = id("night-1");
        let (site, host) = ("nyc".parse().unwrap(), "nyc2".parse().unwrap());
        for body in ["{\"n\":1}", "{\"n\":2}", "{\"n\":1}"] {
            store.keep_evidence(&rotation, &site, &host, body).unwrap();
        }
        let found = store.evidence_of(&rotation).unwrap();
        let kept = |body: &str| StoredEvidence {
            site: site.clone(),
            host: host.clone(),
            body: body.to_owned(),
        };
        assert_eq!(found, [kept("{\"n\":1}"), kept("{\"n\":2}")]);
    }

    fn id(text: &str) -> RotationId {
        text.parse().unwrap()
    }
}
