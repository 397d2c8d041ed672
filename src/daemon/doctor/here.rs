//! This machine: the folder of the store, who works with it, and whether it is sound. It is only
//! looked at: no lock is taken, for a rotation that begins now would find it taken.
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::Check;
use crate::model::id::FleetName;
use crate::store::{Occupant, Reader, StoreError};

/// The reserve takes 8 MiB, the journal of a large night as much; evidence has its own limits.
const ROOM: u64 = 64 << 20;

/// The process that works with the store of this folder, if one does.
pub fn owner(folder: &Path) -> Option<Occupant> {
    let text = std::fs::read(folder.join("lock")).ok()?;
    let owner: Occupant = serde_json::from_slice(&text).ok()?;
    // One that was killed leaves its name behind.
    let pid = i32::try_from(owner.pid).ok()?;
    let pid = rustix::process::Pid::from_raw(pid)?;
    let lives = match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    };
    lives.then_some(owner)
}

/// What stands in the way of a store of `fleet` below `state`.
pub fn store(state: &Path, fleet: &FleetName, owner: Option<&Occupant>) -> Vec<Check> {
    let folder = state.join(fleet.as_str());
    let mut checks = vec![writable(&folder), room(&folder)];
    if let Some(owner) = owner {
        let answer = format!("{owner} works with it");
        checks.push(Check::well("owner of the store", answer));
    }
    checks.push(sound(state, fleet));
    checks
}

fn writable(folder: &Path) -> Check {
    let asked = format!("state folder {}", folder.display());
    let there = nearest(folder);
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if there == folder => Check::well(asked, "can be written"),
        Ok(()) => Check::well(asked, "is not there yet, and can be made"),
        Err(error) => Check::wrong(
            asked,
            format!("{} cannot be written: {error}", there.display()),
            "let this user write there, or name another folder with --state DIR",
        ),
    }
}

fn room(folder: &Path) -> Check {
    let asked = "space for the store";
    let there = nearest(folder);
    let found = match statvfs(&there) {
        Ok(found) => found,
        Err(error) => {
            let answer = format!("cannot be asked: {error}");
            return Check::noted(asked, answer);
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let shown = format!("{} MiB free", free >> 20);
    if free >= ROOM {
        return Check::well(asked, shown);
    }
    Check::wrong(
        asked,
        format!("{shown}, {} MiB are needed", ROOM >> 20),
        format!("free space on the file system of {}", there.display()),
    )
}

fn sound(state: &Path, fleet: &FleetName) -> Check {
    let asked = "store";
    let checked = Reader::open(state, fleet).and_then(|reader| reader.verify());
    match checked {
        Ok(()) => Check::well(asked, "every record is as it was written"),
        Err(StoreError::Missing { .. }) => {
            Check::well(asked, "none yet: the first rotation makes it")
        }
        Err(error) => {
            let why = std::error::Error::source(&error);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            let answer = format!("{error}{why}");
            match error.is_transient() {
                true => Check::unasked(asked, answer, error.cure()),
                false => Check::wrong(asked, answer, error.cure()),
            }
        }
    }
}

/// The folder, or the first above it that is there.
fn nearest(folder: &Path) -> PathBuf {
    let mut above = folder.ancestors();
    let found = above.find(|above| above.as_os_str().is_empty() || above.exists());
    match found {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_store_that_is_not_there_yet_is_well() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = "edge".parse().unwrap();
        assert_eq!(owner(&dir.path().join("edge")), None);
        let checks = store(&dir.path().join("a/b"), &fleet, None);
        assert!(
            checks.iter().all(|check| check.found == Found::Well),
            "{checks:?}"
        );
        assert!(!dir.path().join("a").exists(), "nothing is made");
    }

    #[test]
    fn who_works_with_a_store_is_told_and_nobody_who_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let fleet: FleetName = "edge".parse().unwrap();
        let folder = dir.path().join("edge");
        let us = Occupant {
            pid: std::process::id(),
            user: "ops".to_owned(),
            command: "cleanslate serve".to_owned(),
            since: "2026-07-01T01:00:00Z".parse().unwrap(),
        };
        let open = Store::open(dir.path(), &fleet, &us).unwrap();
        assert_eq!(owner(&folder), Some(us.clone()));
        drop(open);
        assert_eq!(owner(&folder), None);
        // Killed: its name is still in the file. No process has the highest number.
        let gone = Occupant {
            pid: i32::MAX.unsigned_abs(),
            ..us
        };
        std::fs::write(folder.join("lock"), serde_json::to_vec(&gone).unwrap()).unwrap();
        assert_eq!(owner(&folder), None);
    }

    #[test]
    fn a_damaged_store_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let fleet: FleetName = "edge".parse().unwrap();
        std::fs::create_dir(dir.path().join("edge")).unwrap();
        std::fs::write(dir.path().join("edge/journal.db"), "no database").unwrap();
        let sound = sound(dir.path(), &fleet);
        assert_eq!(sound.found, Found::Wrong);
        assert!(sound.cure.unwrap().contains("cleanslate recover"));
    }
}
