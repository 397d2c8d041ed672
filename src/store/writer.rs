//! Owning a store: one process opens it, checks it, and alone writes to it.
use std::ops::Deref;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::chain::Point;
use super::error::StoreError;
use super::founding::{introduce, make_file, make_folder};
use super::lock::{Lock, Occupant};
use super::log;
use super::reader::{FILE, Reader};
use super::reserve::Reserve;
use super::schema;
use crate::model::id::FleetName;

/// How much log may gather before it is brought into the file: about a night of a small fleet.
const LOG_BYTES: usize = 4 << 20;

/// What one commit adds to the log beside its texts: a few pages.
const COMMIT_BYTES: usize = 16 << 10;

/// A store that this process owns. Each write is on disk when its call returns.
///
/// After a write that failed otherwise than for lack of space or a busy file, nothing more is
/// written: what is on disk is then in doubt (a failed sync may have thrown the data away, and the
/// next would report success), and only a new process that reads the file afresh may go on.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: the connection closes before the lock goes.
    reader: Reader,
    pub(super) head: Point,
    /// Where the audit ends.
    pub(super) audit: Point,
    /// Why nothing more is written.
    failed: Option<String>,
    log_bytes: usize,
    reserve: Reserve,
    _lock: Lock,
}

impl Deref for Store {
    type Target = Reader;

    /// An owner reads as everybody does.
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Store {
    /// Opens the store of `fleet` under the state folder for this process alone, and makes it
    /// where there is none. `by` is what other processes are told while it is open.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with the other process; [`StoreError::Corrupt`] if any record since
    /// the last snapshot, or the structure of the file, is not as written; and every way in which
    /// a file can be unwritable.
    pub fn open(state: &Path, fleet: &FleetName, by: &Occupant) -> Result<Store, StoreError> {
        let dir = state.join(fleet.as_str());
        make_folder(&dir)?;
        Store::open_in(&dir, fleet, by)
    }

    /// The same, in a folder that is there.
    pub(super) fn open_in(
        dir: &Path,
        fleet: &FleetName,
        by: &Occupant,
    ) -> Result<Store, StoreError> {
        let lock = Lock::take(dir, by)?;
        let path = dir.join(FILE);
        make_file(dir, &path)?;
        log::check(&path)?;
        let mut conn = connect(&path)?;
        schema::prepare_writer(&mut conn, &path)?;
        introduce(&mut conn, &path, fleet)?;
        let reader = Reader { conn, path };
        reader.check_fleet(fleet)?;
        reader.check_structure()?;
        let head = reader.check_recent()?;
        let audit = reader.audit_head()?;
        let mut store = Store {
            reader,
            head,
            audit,
            failed: None,
            log_bytes: 0,
            reserve: Reserve::set_aside(dir),
            _lock: lock,
        };
        store.settle()?;
        Ok(store)
    }

    /// Opens the store for reading only, beside the process that owns it: [`Reader::open`].
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_read_only(state: &Path, fleet: &FleetName) -> Result<Reader, StoreError> {
        Reader::open(state, fleet)
    }

    /// Checks that space is set aside for finishing what is begun. Without it nothing new may be.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub fn check_reserve(&self) -> Result<(), StoreError> {
        if self.reserve.is_there() {
            return Ok(());
        }
        Err(StoreError::Full {
            path: self.reader.path.clone(),
            doing: "set aside what a rotation may need",
        })
    }

    /// Closes it with everything in the file itself: nothing beside it belongs to it any more.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where somebody reads it, and failures to write.
    pub(super) fn close_into_one_file(self) -> Result<(), StoreError> {
        self.checkpoint("TRUNCATE")?;
        let conn = &self.reader.conn;
        let mode = conn.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0));
        let mode: String = self.reader.sql("bring the log into the journal", mode)?;
        if mode == "delete" {
            return Ok(());
        }
        Err(StoreError::Busy {
            path: self.reader.path.clone(),
        })
    }

    /// Carries out `act` in one transaction that is durable on return; `bytes` is about what it
    /// writes. On a full disk the reserve is given up and `act` carried out once more.
    pub(super) fn write<T>(
        &mut self,
        doing: &'static str,
        bytes: usize,
        act: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_doubt()?;
        let result = self.with_reserve(doing, act);
        self.written(bytes, result)
    }

    /// The same; where `act` meets damage, `instead` is carried out.
    pub(super) fn write_or<T>(
        &mut self,
        doing: &'static str,
        bytes: usize,
        act: impl Fn(&Connection) -> rusqlite::Result<T>,
        instead: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.check_doubt()?;
        let mut result = self.with_reserve(doing, act);
        if matches!(result, Err(StoreError::Corrupt { .. })) {
            result = self.with_reserve(doing, instead);
        }
        self.written(bytes, result)
    }

    fn check_doubt(&self) -> Result<(), StoreError> {
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(StoreError::Failed {
                path: self.reader.path.clone(),
                why: why.clone(),
            }),
        }
    }

    fn written<T>(&mut self, bytes: usize, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.note_doubt(&result);
        let value = result?;
        self.tend_log(bytes);
        Ok(value)
    }

    fn with_reserve<T>(
        &mut self,
        doing: &'static str,
        act: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match self.attempt(doing, &act) {
            Err(StoreError::Full { .. }) if self.reserve.release() => self.attempt(doing, &act),
            result => result,
        }
    }

    fn attempt<T>(
        &mut self,
        doing: &'static str,
        act: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let conn = &mut self.reader.conn;
        let result = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|tx| {
                let value = act(&tx)?;
                tx.commit()?;
                Ok(value)
            });
        self.reader.sql(doing, result)
    }

    fn note_doubt<T>(&mut self, result: &Result<T, StoreError>) {
        if let Err(error) = result
            && error.leaves_doubt()
        {
            self.failed = Some(error.to_string());
        }
    }

    /// Brings the log into the file when enough has gathered. What was asked is durable by then:
    /// a failure here stops the next write, not the last.
    fn tend_log(&mut self, bytes: usize) {
        self.log_bytes = self.log_bytes.saturating_add(bytes + COMMIT_BYTES);
        if self.log_bytes < LOG_BYTES {
            return;
        }
        self.log_bytes = 0;
        let result = self.checkpoint("PASSIVE");
        self.note_doubt(&result);
        if let Err(error) = result {
            tracing::warn!(%error, "the log could not be brought into the journal");
        }
    }

    /// Writes what the log of an earlier process held into the file, and syncs that. Its last
    /// commit may have been read back from memory only: a sync that failed it leaves the pages
    /// looking written.
    fn settle(&mut self) -> Result<(), StoreError> {
        match self.checkpoint("TRUNCATE") {
            Err(StoreError::Full { .. }) if self.reserve.release() => self.checkpoint("TRUNCATE"),
            result => result,
        }
    }

    fn checkpoint(&self, mode: &str) -> Result<(), StoreError> {
        let text = format!("PRAGMA wal_checkpoint({mode})");
        let result = self.reader.conn.query_row(&text, (), |_| Ok(()));
        self.reader.sql("bring the log into the journal", result)
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::from_sql("open the journal", path, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::fixture::{Fixture, fleet, occupant, open_in, record, rows};
    use super::*;

    #[test]
    fn only_its_owner_can_read_a_store() {
        let fixture = Fixture::new();
        let state = fixture.dir.path().join("a/b");
        let mut store = open_in(&state).unwrap();
        store.append(&[record(1, 1)]).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join("edge"))), (0o700, 0o700));
        for entry in std::fs::read_dir(state.join("edge")).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn a_second_process_is_told_who_owns_the_store() {
        let fixture = Fixture::new();
        let _store = fixture.open();
        let refused = open_in(fixture.dir.path()).unwrap_err();
        let StoreError::InUse { by, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(by, Some(occupant()));
    }

    #[test]
    fn the_holder_is_drawn_once_and_kept() {
        let fixture = Fixture::new();
        let holder = fixture.open().holder().unwrap();
        assert_eq!(holder.as_str().len(), 8);
        assert_eq!(fixture.open().holder().unwrap(), holder);
        let other = Fixture::new();
        assert_ne!(other.open().holder().unwrap(), holder);
    }

    #[test]
    fn the_store_of_another_fleet_is_refused() {
        let fixture = Fixture::new();
        drop(fixture.open());
        let (edge, core) = ("edge", "core");
        std::fs::rename(fixture.dir.path().join(edge), fixture.dir.path().join(core)).unwrap();
        let refused = Store::open(fixture.dir.path(), &core.parse().unwrap(), &occupant());
        let refused = refused.unwrap_err();
        assert!(
            matches!(&refused, StoreError::OtherFleet { found, .. } if found == edge),
            "{refused}"
        );
    }

    #[test]
    fn a_reader_sees_each_append_of_the_process_that_owns_the_store_and_stops_none() {
        let fixture = Fixture::quick();
        let mut store = fixture.open();
        let reader = Store::open_read_only(fixture.dir.path(), &fleet()).unwrap();
        let mut written = Vec::new();
        for second in 0..20 {
            written.push(record(1, second));
            store.append(&written[written.len() - 1..]).unwrap();
            assert_eq!(reader.read(1).unwrap(), rows(&written));
        }
        let view = reader.conn.unchecked_transaction().unwrap();
        let seen = reader.last_seq().unwrap();
        for second in 20..700 {
            store.append(&[record(1, second)]).unwrap();
        }
        assert_eq!(seen, 20);
        drop(view);
        assert_eq!(reader.last_seq().unwrap(), 700);
    }

    #[test]
    fn the_log_is_brought_into_the_journal_while_the_store_is_open() {
        let fixture = Fixture::quick();
        let mut store = fixture.open();
        for second in 0..1000 {
            store.append(&[record(1, second)]).unwrap();
        }
        let log = store
            .path
            .with_extension("db-wal")
            .metadata()
            .unwrap()
            .len();
        assert!(log < 2 * LOG_BYTES as u64, "{log} bytes");
        let file = store.path.metadata().unwrap().len();
        assert!(file > 100_000, "{file} bytes");
    }
}
