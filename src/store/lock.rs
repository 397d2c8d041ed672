//! One owner at a time, who says who it is.
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// The process that owns a store, as another process's refusal names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    pub pid: u32,
    pub user: String,
    /// As typed: `cleanslate rotate nightly`.
    pub command: String,
    pub since: jiff::Timestamp,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Occupant {
            pid,
            user,
            command,
            since,
        } = self;
        write!(f, "process {pid} of {user} ({command}) since {since:.0}")
    }
}

/// The lock on a fleet's folder, held while this lives. The kernel lets go of it when the process
/// dies, however it dies; the file itself stays.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the folder `dir` at once, or says who has it.
    pub(super) fn take(dir: &Path, by: &Occupant) -> Result<Lock, StoreError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::from_io("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    dir: dir.to_owned(),
                    by: read_occupant(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::from_io("lock", &path, source));
            }
        }
        write_occupant(&mut file, by)
            .map_err(|source| StoreError::from_io("write", &path, source))?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    /// Takes the name out, so that the next owner is never mistaken for this one in the moment
    /// between its lock and its name. Unlocks by word: closing the file would leave the lock with
    /// a child that was forked and has not yet become its program.
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0).and_then(|()| self.file.unlock()) {
            tracing::debug!(%error, "the lock could not be given back in good order");
        }
    }
}

/// Who has the lock; `None` in the moment before it has written its name.
fn read_occupant(file: &mut File) -> Option<Occupant> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_occupant(file: &mut File, by: &Occupant) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(by)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_by_the_name_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = occupant("cleanslate serve");
        let _lock = Lock::take(dir.path(), &first).unwrap();
        let refused = Lock::take(dir.path(), &occupant("cleanslate rotate")).unwrap_err();
        let StoreError::InUse { by, .. } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(by.as_ref(), Some(&first));
        let text = refused.to_string();
        let words = "process 4711 of ops (cleanslate serve) since 2026-07-01T01:00:00Z";
        assert!(text.ends_with(words), "{text}");
    }

    #[test]
    fn the_lock_is_free_again_and_nameless_once_its_owner_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        drop(Lock::take(dir.path(), &occupant("first")).unwrap());
        assert_eq!(std::fs::read(dir.path().join("lock")).unwrap(), b"");
        let _lock = Lock::take(dir.path(), &occupant("second")).unwrap();
    }

    #[test]
    fn a_shorter_name_leaves_nothing_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let long = serde_json::to_string(&occupant(&"x".repeat(500))).unwrap();
        std::fs::write(dir.path().join("lock"), long).unwrap();
        let _lock = Lock::take(dir.path(), &occupant("short")).unwrap();
        let Err(StoreError::InUse { by: Some(by), .. }) = Lock::take(dir.path(), &occupant("b"))
        else {
            panic!("not refused");
        };
        assert_eq!(by.command, "short");
    }

    fn occupant(command: &str) -> Occupant {
        Occupant {
            pid: 4711,
            user: "ops".to_owned(),
            command: command.to_owned(),
            since: "2026-07-01T01:00:00Z".parse().unwrap(),
        }
    }
}
