//! Making a store where there is none.
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::chain::Point;
use super::error::StoreError;
use super::reader::identity_sum;
use crate::model::id::FleetName;

/// Makes the fleet's folder, for its owner only, and the folders above it that are missing.
pub(super) fn make_folder(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| dir.parent().map_or(Ok(()), sync_folder))
        .map_err(|source| StoreError::from_io("make the folder", dir, source))
}

/// Makes the file before SQLite does, which would let everybody read it. Its log takes the same
/// permissions.
pub(super) fn make_file(dir: &Path, path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .and_then(|_| sync_folder(dir))
        .map_err(|source| StoreError::from_io("open", path, source))
}

/// A new name lasts once its folder is synced.
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The same, of the folder that `file` lies in.
pub(super) fn sync_folder_of(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Gives a new store its identity and the origin of its journal.
pub(super) fn introduce(
    conn: &mut Connection,
    path: &Path,
    fleet: &FleetName,
) -> Result<(), StoreError> {
    let sql = |error| StoreError::from_sql("make the identity", path, error);
    let is_new: bool = conn
        .query_row(
            "SELECT NOT EXISTS (SELECT 1 FROM identity UNION ALL SELECT 1 FROM records)",
            (),
            |row| row.get(0),
        )
        .map_err(sql)?;
    if !is_new {
        return Ok(());
    }
    let holder = draw_holder(path)?;
    let origin = Point::origin(fleet);
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)?;
    tx.execute(
        "INSERT INTO identity (one, fleet, holder, sum) VALUES (1, ?1, ?2, ?3)",
        (
            fleet.as_str(),
            &holder,
            identity_sum(fleet.as_str(), &holder),
        ),
    )
    .map_err(sql)?;
    for table in ["head", "cut"] {
        let text = format!("INSERT INTO {table} (one, seq, sum) VALUES (1, 0, ?1)");
        tx.execute(&text, [origin.sum]).map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

/// Who a new store is in markers.
pub(super) fn draw_holder(path: &Path) -> Result<String, StoreError> {
    new_holder().map_err(|why| StoreError::File {
        doing: "draw a random id for",
        path: path.to_owned(),
        source: io::Error::other(why),
    })
}

/// Forty random bits as eight base32 characters.
fn new_holder() -> Result<String, getrandom::Error> {
    let mut bits = [0; 5];
    getrandom::fill(&mut bits)?;
    Ok(data_encoding::BASE32_NOPAD
        .encode(&bits)
        .to_ascii_lowercase())
}
