//! Putting a store in place that is made from a backup: it is not there before it is all there.
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::read::{Backup, Carried};
use super::write::open_alone;
use crate::model::id::FleetName;
use crate::store::error::StoreError;
use crate::store::founding::{draw_holder, make_folder, sync_folder_of};
use crate::store::lock::{Lock, Occupant};
use crate::store::reader::{FILE, identity_sum};
use crate::store::schema;
use crate::store::writer::Store;

/// The folder in the fleet's own in which it is made: nothing in it is looked at by anybody else,
/// and what a process that died has left there is thrown away.
const WORKSHOP: &str = "moving";

/// A store that was made from a backup and is not in its place yet: whoever makes it has something
/// to write into it first.
#[derive(Debug)]
pub struct Arriving {
    // Dropped in this order: the store is closed before its folder goes.
    store: Option<Store>,
    carried: Vec<Carried>,
    dir: PathBuf,
    workshop: Workshop,
    _lock: Lock,
}

impl Backup {
    /// Makes a store of it, with a holder of its own, for the place of the fleet under `state`,
    /// where there must be none.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] where something stands there; nothing was made then. Failures to
    /// read or write.
    pub fn unpack(
        &self,
        state: &Path,
        fleet: &FleetName,
        by: &Occupant,
        now: Timestamp,
    ) -> Result<Arriving, StoreError> {
        let dir = state.join(fleet.as_str());
        let carried = self.carried()?;
        self.check_is_free(&dir, &carried)?;
        make_folder(&dir)?;
        let lock = Lock::take(&dir, by)?;
        // Somebody may have made one until the lock was ours.
        self.check_is_free(&dir, &carried)?;
        let workshop = Workshop::in_folder(&dir)?;
        let copy = workshop.0.join(FILE);
        self.copy_to(&copy)?;
        // What is unpacked is what was copied, not what was read before.
        let copied = Backup::open(&copy, fleet)?;
        let holder = copied.holder()?;
        drop(copied);
        break_seal(&copy, fleet)?;
        let mut store = Store::open_in(&workshop.0, fleet, by)?;
        store.has_moved(self.is(), &holder, now)?;
        Ok(Arriving {
            store: Some(store),
            carried,
            dir,
            workshop,
            _lock: lock,
        })
    }

    /// That neither a store, nor what is left of one, nor other tokens stand in `dir`.
    fn check_is_free(&self, dir: &Path, carried: &[Carried]) -> Result<(), StoreError> {
        let occupied = |path: PathBuf| StoreError::Occupied {
            path,
            from: self.path().clone(),
        };
        // A log that is left of another store would be read as if it were of this one.
        for end in ["", "-wal", "-shm", "-journal"] {
            let path = dir.join(format!("{FILE}{end}"));
            if exists(&path)? {
                return Err(occupied(path));
            }
        }
        for (name, content) in carried {
            let path = dir.join(name);
            let is_same = || fs::read(&path).is_ok_and(|found| found == *content);
            if exists(&path)? && !is_same() {
                return Err(occupied(path));
            }
        }
        Ok(())
    }

    fn copy_to(&self, copy: &Path) -> Result<(), StoreError> {
        let from = self.path();
        let mut source = File::open(from).map_err(|why| StoreError::from_io("open", from, why))?;
        let copied = private(copy).and_then(|mut file| io::copy(&mut source, &mut file));
        copied
            .map(drop)
            .map_err(|why| StoreError::from_io("write", copy, why))
    }
}

impl Arriving {
    /// The store, to be written to before anybody else sees it.
    pub fn store(&mut self) -> &mut Store {
        self.store
            .as_mut()
            .expect("it is taken by what consumes this, and by nothing else")
    }

    /// Puts everything in its place: the store last, at once, and durable on return.
    ///
    /// # Errors
    /// Failures to write: no store is in its place then.
    pub fn settle_down(mut self) -> Result<(), StoreError> {
        if let Some(store) = self.store.take() {
            store.close_into_one_file()?;
        }
        let made = self.workshop.0.join(FILE);
        let place = self.dir.join(FILE);
        self.put_carried()?;
        let put = File::open(&made)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&made, &place))
            .and_then(|()| sync_folder_of(&place));
        put.map_err(|source| StoreError::from_io("write", &place, source))
    }

    fn put_carried(&self) -> Result<(), StoreError> {
        for (name, content) in &self.carried {
            let (made, place) = (self.workshop.0.join(name), self.dir.join(name));
            let put = private(&made).and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()?;
                fs::rename(&made, &place)
            });
            put.map_err(|source| StoreError::from_io("write", &place, source))?;
        }
        Ok(())
    }
}

/// A folder that goes with this value.
#[derive(Debug)]
struct Workshop(PathBuf);

impl Workshop {
    fn in_folder(dir: &Path) -> Result<Workshop, StoreError> {
        let path = dir.join(WORKSHOP);
        let cleared = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => DirBuilder::new().mode(0o700).create(&path),
        };
        cleared.map_err(|source| StoreError::from_io("make the folder", &path, source))?;
        Ok(Workshop(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a folder stays behind: it may go");
        }
    }
}

/// Makes a store of the copy of a backup: of a holder that no marker names yet.
fn break_seal(path: &Path, fleet: &FleetName) -> Result<(), StoreError> {
    let holder = draw_holder(path)?;
    let broken = || -> rusqlite::Result<()> {
        let mut conn = open_alone(path)?;
        let tx = conn.transaction()?;
        let sum = identity_sum(fleet.as_str(), &holder);
        let identity = "UPDATE identity SET holder = ?1, sum = ?2 WHERE one = 1";
        tx.execute(identity, (&holder, sum))?;
        tx.execute_batch("DROP TABLE backup; DROP TABLE backup_files;")?;
        tx.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        tx.commit()
    };
    broken().map_err(|error| StoreError::from_sql("unpack the backup", path, error))
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists()
        .map_err(|source| StoreError::from_io("look at", path, source))
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
