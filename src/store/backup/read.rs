//! Reading a backup: nothing of it is believed before all of it was checked.
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::about::About;
use super::contents;
use crate::model::id::{FleetName, HolderId, RotationId};
use crate::store::audit::Chain;
use crate::store::error::StoreError;
use crate::store::reader::{Reader, connect_unchanging};
use crate::store::schema;

/// The files that a backup may bring into the fleet's folder. No other name is put anywhere.
pub(super) const CARRIED: [&str; 1] = ["tokens.json"];

/// A file and what is in it.
pub(super) type Carried = (String, Vec<u8>);

/// A backup that is whole.
#[derive(Debug)]
pub struct Backup {
    reader: Reader,
    about: About,
}

/// What a backup holds, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    pub about: About,
    pub fleet: FleetName,
    /// Whose store it was.
    pub holder: HolderId,
    /// The number of the journal's last record, and when the last of journal or audit was written.
    pub records: u64,
    pub until: Option<Timestamp>,
    pub rotations: usize,
    /// Rotations that had not ended.
    pub unfinished: Vec<RotationId>,
    pub audit: Chain,
    pub bytes: u64,
}

impl Backup {
    /// Opens a backup of `fleet` and checks all of it. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotABackup`], [`StoreError::BadBackup`] with the first damage,
    /// [`StoreError::Newer`], [`StoreError::OtherFleet`], and failures to read.
    pub fn open(file: &Path, fleet: &FleetName) -> Result<Backup, StoreError> {
        checked(file, fleet).map_err(as_backup)
    }

    /// Which backup a file is, without a look at what it holds.
    ///
    /// # Errors
    /// As [`Backup::open`].
    pub fn about(file: &Path) -> Result<About, StoreError> {
        let read = || Ok(About::read(&open(file)?)?.0);
        read().map_err(as_backup)
    }

    /// What it holds, in numbers.
    ///
    /// # Errors
    /// Failures to read.
    pub fn holds(&self) -> Result<Holds, StoreError> {
        let reader = &self.reader;
        let (fleet, holder) = reader.identity()?;
        let audit = reader.audited(|_| {})?;
        let last_at = reader.conn.query_row(
            "SELECT at FROM records ORDER BY seq DESC LIMIT 1",
            (),
            |row| row.get(0),
        );
        let last_at: Option<String> = reader.sql("read the journal", last_at.optional())?;
        let last_at = last_at.map(|at| reader.parse(&at)).transpose()?;
        let length = std::fs::metadata(&reader.path);
        let length = length
            .map_err(|source| StoreError::from_io("read the size of", &reader.path, source))?;
        Ok(Holds {
            about: self.about.clone(),
            fleet,
            holder,
            records: reader.last_seq()?,
            until: last_at.max(audit.last_at),
            rotations: reader.rotations()?.len(),
            unfinished: reader.rotations_with_config()?.into_iter().collect(),
            audit,
            bytes: length.len(),
        })
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.reader.path
    }

    /// Which one it is.
    pub fn is(&self) -> &About {
        &self.about
    }

    /// Whose store it was.
    pub(super) fn holder(&self) -> Result<HolderId, StoreError> {
        self.reader.holder()
    }

    /// The files that go with the store.
    pub(super) fn carried(&self) -> Result<Vec<Carried>, StoreError> {
        let doing = "read the files that go with it";
        let statement = self
            .reader
            .conn
            .prepare("SELECT name, content FROM backup_files ORDER BY name");
        let mut statement = self.reader.sql(doing, statement)?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: rusqlite::Result<Vec<Carried>> = self.reader.sql(doing, rows)?.collect();
        let files = self.reader.sql(doing, rows)?;
        match files
            .iter()
            .find(|(name, _)| !CARRIED.contains(&name.as_str()))
        {
            None => Ok(files),
            Some((name, _)) => Err(StoreError::BadBackup {
                path: self.path().clone(),
                what: format!("it brings a file {name:?}, which no backup does"),
            }),
        }
    }
}

fn checked(file: &Path, fleet: &FleetName) -> Result<Backup, StoreError> {
    let reader = open(file)?;
    let (about, sum) = About::read(&reader)?;
    reader.check_fleet(fleet)?;
    reader.verify()?;
    let contents = reader.sql("read the contents", contents::sum(&reader.conn))?;
    reader.check(contents, sum, "something in it")?;
    Ok(Backup { reader, about })
}

fn open(file: &Path) -> Result<Reader, StoreError> {
    let found = std::fs::metadata(file);
    let found = found.map_err(|source| StoreError::from_io("open", file, source))?;
    if !found.is_file() {
        let path = file.to_owned();
        return Err(StoreError::NotABackup { path });
    }
    let conn = connect_unchanging(file)?;
    schema::prepare_backup(&conn, file)?;
    let path = file.to_owned();
    Ok(Reader { conn, path })
}

/// Damage to a backup has another cure than damage to a store.
fn as_backup(error: StoreError) -> StoreError {
    let StoreError::Corrupt { path, what } = error else {
        return error;
    };
    StoreError::BadBackup { path, what }
}
