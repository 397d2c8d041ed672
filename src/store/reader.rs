//! Reading a store: what its owner does, and what everybody else may do meanwhile.
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::schema;
use crate::model::id::{FleetName, HolderId};

/// The file's name in the fleet's folder.
pub(super) const FILE: &str = "journal.db";

/// A store that is only read. Whatever it returns was checked against its sums: damage is an
/// error, never an answer.
#[derive(Debug)]
pub struct Reader {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
}

impl Reader {
    /// Opens the store of `fleet` under the state folder, beside a process that may own it. Takes
    /// no lock and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where no store was made yet, and every way in which a file can be
    /// unreadable, newer than this program, or another fleet's.
    pub fn open(state: &Path, fleet: &FleetName) -> Result<Reader, StoreError> {
        let path = state.join(fleet.as_str()).join(FILE);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::Missing { path }),
            Err(source) => return Err(StoreError::from_io("open", path, source)),
        }
        let conn = connect(&path)?;
        schema::prepare_reader(&conn, &path)?;
        let reader = Reader { conn, path };
        reader.check_fleet(fleet)?;
        Ok(reader)
    }

    /// The file that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who this coordinator is in markers: random, made with the store.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and failures to read.
    pub fn holder(&self) -> Result<HolderId, StoreError> {
        Ok(self.identity()?.1)
    }

    pub(super) fn check_fleet(&self, asked: &FleetName) -> Result<(), StoreError> {
        let (found, _) = self.identity()?;
        if found == *asked {
            return Ok(());
        }
        Err(StoreError::OtherFleet {
            path: self.path.clone(),
            found: found.to_string(),
            asked: asked.to_string(),
        })
    }

    /// Runs `read` on one state of the file, whatever its owner writes meanwhile.
    pub(super) fn view<T>(
        &self,
        doing: &'static str,
        read: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let view = self.conn.unchecked_transaction();
        let view = self.sql(doing, view)?;
        let value = read()?;
        self.sql(doing, view.finish())?;
        Ok(value)
    }

    pub(super) fn sql<T>(
        &self,
        doing: &'static str,
        result: rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sql(doing, &self.path, error))
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// Compares a row's sum; `what` names the row for people.
    pub(super) fn check(&self, found: Sum, sum: Sum, what: &str) -> Result<(), StoreError> {
        if found == sum {
            return Ok(());
        }
        Err(self.corrupt(format!("{what} is not what was written")))
    }

    /// Reads a name that we wrote.
    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        text: &str,
    ) -> Result<T, StoreError> {
        text.parse()
            .map_err(|why| self.corrupt(format!("{text:?} cannot be read: {why}")))
    }

    /// Whether the file has that step of the format: one that an older program wrote, and that
    /// nobody has owned since, may lack it.
    pub(super) fn has_taken(&self, step: &str) -> Result<bool, StoreError> {
        let query = "SELECT count(*) FROM migrations WHERE name = ?1";
        let found = self.conn.query_row(query, [step], |row| row.get(0));
        Ok(self.sql::<i64>("read the format", found)? > 0)
    }

    pub(super) fn identity(&self) -> Result<(FleetName, HolderId), StoreError> {
        let row = self.conn.query_row(
            "SELECT fleet, holder, sum FROM identity WHERE one = 1",
            (),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        let (fleet, holder, sum): (String, String, Sum) = match row {
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(self.corrupt("it does not say whose it is"));
            }
            row => self.sql("read the identity", row)?,
        };
        self.check(identity_sum(&fleet, &holder), sum, "the identity")?;
        Ok((self.parse(&fleet)?, self.parse(&holder)?))
    }
}

pub(super) fn identity_sum(fleet: &str, holder: &str) -> Sum {
    checksum("identity", &[fleet.as_bytes(), holder.as_bytes()])
}

/// Connects for reading. On a read-only file system SQLite cannot keep the books that let it read
/// beside a writer; where there is no log either, nobody writes, and it may do without them.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let error = match Connection::open_with_flags(path, flags).and_then(probe) {
        Ok(conn) => return Ok(conn),
        Err(error) => StoreError::from_sql("open the journal", path, error),
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if !is_about_writing(&error) || Path::new(&log).exists() {
        return Err(error);
    }
    connect_unchanging(path)
}

/// Connects for reading to a file that nobody writes to: nothing is made beside it, and no log that
/// lies there is read.
pub(super) fn connect_unchanging(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(immutable_uri(path), flags)
        .and_then(probe)
        .map_err(|error| StoreError::from_sql("open", path, error))
}

/// A connection that was opened reads nothing until it is asked something.
fn probe(conn: Connection) -> rusqlite::Result<Connection> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    Ok(conn)
}

fn is_about_writing(error: &StoreError) -> bool {
    if let StoreError::Database { source, .. } = error {
        return source.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen);
    }
    matches!(error, StoreError::ReadOnly { .. })
}

/// The path as SQLite's URI, every byte that could mean something there written as `%HH`.
fn immutable_uri(path: &Path) -> String {
    let bytes = OsStr::as_bytes(path.as_os_str());
    let mut uri = String::from("file:");
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else if write!(uri, "%{byte:02X}").is_err() {
            // Writing to a String cannot fail.
            break;
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_bytes_in_a_uri() {
        let uri = immutable_uri(Path::new("/srv/a b?c#d%/é.db"));
        assert_eq!(uri, "file:/srv/a%20b%3Fc%23d%25/%C3%A9.db?immutable=1");
    }

    #[test]
    fn a_store_that_was_never_made_is_said_to_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Reader::open(dir.path(), &"edge".parse().unwrap()).unwrap_err();
        assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
        assert!(!dir.path().join("edge").exists());
    }
}
