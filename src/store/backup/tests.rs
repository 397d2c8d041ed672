//! Copied, carried, put in place; and refused as a whole where anything of it is not as written.
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::model::time::Ttl;
use crate::store::fixture::{Fixture, at, fleet, numbered, occupant, rows};
use crate::store::{By, Entry, Reader, Store, StoreError};

const TOKENS: &[u8] = br#"{"v":1,"tokens":[]}"#;

#[test]
fn what_was_copied_beside_its_owner_becomes_the_store_of_another_holder() {
    let old = Fixture::new();
    let mut owner = lived_in(&old);
    let (_dir, file) = backup_of(&old);
    owner.append(&numbered(9)[8..]).unwrap();

    let (new, backup) = (Fixture::quick(), Backup::open(&file, &fleet()).unwrap());
    let holds = backup.holds().unwrap();
    assert_eq!((holds.records, holds.rotations), (8, 2));
    assert_eq!(holds.unfinished, ["night-1".parse().unwrap()]);
    assert_eq!(holds.until, Some(at(8)));
    assert_eq!((holds.audit.records, &holds.audit.broken), (2, &None));
    put(&backup, &new, at(90)).unwrap();

    let mut store = new.open();
    store.verify().unwrap();
    assert_eq!(store.read(1).unwrap(), rows(&numbered(8)));
    assert_ne!(store.holder().unwrap(), owner.holder().unwrap());
    let moved = Moved {
        backup: holds.about.id,
        made: at(50),
        holder: owner.holder().unwrap(),
        at: at(90),
    };
    assert_eq!(store.moved().unwrap(), Some(moved));
    assert_eq!(owner.moved().unwrap(), None);
    store.append(&numbered(9)[8..]).unwrap();
    store.audit(&[entry(3)]).unwrap();
    let chain = store.audited(|_| {}).unwrap();
    assert_eq!((chain.records, chain.broken), (3, None));

    let folder = new.dir.path().join("edge");
    assert_eq!(fs::read(folder.join("tokens.json")).unwrap(), TOKENS);
    for name in ["tokens.json", "journal.db"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    assert!(!folder.join("moving").exists());
}

#[test]
fn nothing_is_made_up_for_and_no_ttl_is_known_that_only_the_former_owner_could_know() {
    let old = Fixture::new();
    let mut owner = old.open();
    let (nightly, drill) = ("nightly".parse().unwrap(), "drill".parse().unwrap());
    owner.settle_runs(&nightly, "0 3 * * *", at(5)).unwrap();
    owner
        .settle_runs(&drill, "0 9 * * SUN", at(2_000_000))
        .unwrap();
    let record = "www.example.com.".parse().unwrap();
    owner.note_ttl(&record, Ttl(3600), at(0)).unwrap();
    owner.note_ttl(&record, Ttl(30), at(900_000)).unwrap();
    let (_dir, file) = backup_of(&old);
    let (new, moved_at) = (Fixture::quick(), at(950_000));
    put(&Backup::open(&file, &fleet()).unwrap(), &new, moved_at).unwrap();
    let store = new.open();
    let settled = store.settled().unwrap();
    assert_eq!(settled[&nightly], ("0 3 * * *".to_owned(), moved_at));
    assert_eq!(settled[&drill].1, at(2_000_000), "never back");
    assert_eq!(store.ttls_known_since().unwrap(), Some(moved_at));
    assert_eq!(store.largest_ttl_since(moved_at).unwrap(), Some(Ttl(30)));
}

/// Else what is let go of later, a file with a secret in it, would stay where nobody looks for it.
#[test]
fn nothing_stands_in_a_backup_twice() {
    let old = Fixture::quick();
    let mut owner = old.open();
    for number in 0..150 {
        let words = (0..number * 37 % 1500).map(|word| format!("<{number}:{word}>"));
        let mut record = numbered(1).remove(0);
        record.body = words.collect();
        owner.append(&[record]).unwrap();
    }
    let (_dir, file) = backup_of(&old);
    let bytes = fs::read(&file).unwrap();
    let mut seen = BTreeSet::new();
    for start in bytes.split(|byte| *byte == b'<') {
        let word = start.split(|byte| *byte == b'>').next().unwrap();
        let is_whole = word.len() < start.len() && word.iter().all(|it| it.is_ascii_graphic());
        let word = String::from_utf8_lossy(word).into_owned();
        assert!(!is_whole || seen.insert(word.clone()), "{word} twice");
    }
    assert!(seen.len() > 50_000, "{}", seen.len());
}

#[test]
fn a_backup_is_never_opened_as_a_store_nor_a_store_as_a_backup() {
    let old = Fixture::new();
    drop(lived_in(&old));
    let (_dir, file) = backup_of(&old);
    let new = Fixture::quick();
    let place = new.dir.path().join("edge");
    fs::create_dir(&place).unwrap();
    fs::copy(&file, place.join("journal.db")).unwrap();
    let refused = Reader::open(new.dir.path(), &fleet()).unwrap_err();
    assert!(matches!(refused, StoreError::IsBackup { .. }), "{refused}");
    let refused = Store::open(new.dir.path(), &fleet(), &occupant()).unwrap_err();
    assert!(matches!(refused, StoreError::IsBackup { .. }), "{refused}");
    let store = old.dir.path().join("edge/journal.db");
    let refused = Backup::open(&store, &fleet()).unwrap_err();
    assert!(
        matches!(refused, StoreError::NotABackup { .. }),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_there_is_overwritten_where_it_is_a_backup_and_somebody_says_so() {
    let old = Fixture::new();
    let owner = lived_in(&old);
    let (dir, file) = backup_of(&old);
    assert_eq!(mode(&file), 0o600);
    let again = |file: &Path, replace| {
        let about = About::new(at(60), "ana").unwrap();
        owner.back_up(file, &about, &[], replace).map(drop)
    };
    let refused = again(&file, false).unwrap_err();
    assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    again(&file, true).unwrap();
    assert_eq!(Backup::about(&file).unwrap().made, at(60));
    let key = dir.path().join("tsig.key");
    fs::write(&key, "a key").unwrap();
    let journal = old.dir.path().join("edge/journal.db");
    for other in [&key, &journal, &dir.path().to_owned()] {
        let refused = again(other, true).unwrap_err();
        assert!(
            matches!(refused, StoreError::NotABackup { .. }),
            "{refused}"
        );
    }
    assert_eq!(fs::read(&key).unwrap(), b"a key");
    let names = fs::read_dir(dir.path()).unwrap();
    assert_eq!(names.count(), 2, "no part of it stays behind");
}

#[test]
fn a_bad_byte_anywhere_is_refused_and_nothing_is_made() {
    let old = Fixture::quick();
    let mut owner = lived_in(&old);
    owner
        .keep_duration(&"fra".parse().unwrap(), "drain", 77_777)
        .unwrap();
    let (dir, file) = backup_of(&old);
    let whole = Backup::open(&file, &fleet()).unwrap().holds().unwrap();
    let bytes = fs::read(&file).unwrap();
    let harmed = dir.path().join("harmed");
    let mut refused = 0;
    for position in (0..bytes.len()).step_by(61) {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1 << (position % 8);
        fs::write(&harmed, bytes).unwrap();
        match Backup::open(&harmed, &fleet()) {
            // A byte that nothing is read from.
            Ok(backup) => assert_eq!(backup.holds().unwrap(), whole, "byte {position}"),
            Err(
                StoreError::BadBackup { .. }
                | StoreError::NotABackup { .. }
                | StoreError::Newer { .. }
                | StoreError::OtherFleet { .. },
            ) => refused += 1,
            Err(error) => panic!("byte {position}: {error}"),
        }
    }
    assert!(refused > 100, "{refused}");
    for length in [0, 1, 71, 100, 4096, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&harmed, &bytes[..length]).unwrap();
        Backup::open(&harmed, &fleet()).unwrap_err();
    }
}

#[test]
fn what_no_sum_of_its_own_stands_over_is_checked_too() {
    let old = Fixture::new();
    let mut owner = lived_in(&old);
    owner
        .keep_duration(&"fra".parse().unwrap(), "drain", 7)
        .unwrap();
    let (_dir, file) = backup_of(&old);
    let harmed = file.with_extension("harmed");
    for (harm, is_noticed) in [
        ("UPDATE durations SET millis = 8", true),
        ("UPDATE backup_files SET content = x'7b7d'", true),
        ("UPDATE backup SET made_by = 'eve'", true),
        ("DELETE FROM config", true),
        ("DROP TRIGGER audit_is_kept", true),
        ("VACUUM", false),
    ] {
        fs::copy(&file, &harmed).unwrap();
        let conn = Connection::open(&harmed).unwrap();
        conn.execute_batch(harm).unwrap();
        drop(conn);
        let read = Backup::open(&harmed, &fleet());
        assert_eq!(read.is_err(), is_noticed, "{harm}");
    }
}

#[test]
fn whatever_stands_in_the_place_is_left_as_it_is() {
    let old = Fixture::new();
    drop(lived_in(&old));
    let (_dir, file) = backup_of(&old);
    let backup = Backup::open(&file, &fleet()).unwrap();
    for name in ["journal.db", "journal.db-wal", "tokens.json"] {
        let new = Fixture::quick();
        let folder = new.dir.path().join("edge");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), "theirs").unwrap();
        let refused = put(&backup, &new, at(90)).unwrap_err();
        let StoreError::Occupied { path, .. } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(*path, folder.join(name));
        assert_eq!(fs::read(folder.join(name)).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is made");
    }
}

#[test]
fn what_a_process_that_died_over_it_has_left_is_thrown_away() {
    let old = Fixture::new();
    drop(lived_in(&old));
    let (_dir, file) = backup_of(&old);
    let backup = Backup::open(&file, &fleet()).unwrap();
    let new = Fixture::quick();
    let by = occupant();
    let arriving = backup
        .unpack(new.dir.path(), &fleet(), &by, at(80))
        .unwrap();
    let place = new.dir.path().join("edge");
    assert!(!place.join("journal.db").exists(), "before it is settled");
    // As if the process died here: nothing of it is cleared away.
    fs::create_dir(place.join("kept")).unwrap();
    fs::rename(place.join("moving"), place.join("kept/moving")).unwrap();
    drop(arriving);
    fs::rename(place.join("kept/moving"), place.join("moving")).unwrap();
    // Its tokens were in their place already.
    fs::write(place.join("tokens.json"), TOKENS).unwrap();
    put(&backup, &new, at(90)).unwrap();
    assert_eq!(new.open().moved().unwrap().unwrap().at, at(90));
    assert!(!place.join("moving").exists());
}

#[test]
fn a_backup_of_another_fleet_or_of_a_later_program_is_refused_by_name() {
    let old = Fixture::new();
    drop(lived_in(&old));
    let (_dir, file) = backup_of(&old);
    let refused = Backup::open(&file, &"core".parse().unwrap()).unwrap_err();
    assert!(
        matches!(refused, StoreError::OtherFleet { .. }),
        "{refused}"
    );
    let conn = Connection::open(&file).unwrap();
    conn.execute("INSERT INTO migrations (name) VALUES ('future')", ())
        .unwrap();
    let refused = Backup::open(&file, &fleet()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { .. }), "{refused}");
}

#[test]
fn a_backup_brings_no_file_but_those_that_a_store_has() {
    let old = Fixture::new();
    let owner = lived_in(&old);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("edge.backup");
    let about = About::new(at(50), "ana").unwrap();
    let carried = [("../../escaped", b"x".to_vec())];
    owner.back_up(&file, &about, &carried, false).unwrap();
    let new = Fixture::quick();
    let refused = put(&Backup::open(&file, &fleet()).unwrap(), &new, at(90)).unwrap_err();
    assert!(matches!(refused, StoreError::BadBackup { .. }), "{refused}");
    assert_eq!(fs::read_dir(new.dir.path()).unwrap().count(), 0);
}

/// A store of two rotations, of which one has not ended.
fn lived_in(fixture: &Fixture) -> Store {
    let mut store = fixture.open();
    let told = [entry(1), entry(2)];
    store.append_audited(&numbered(8), &told).unwrap();
    let files = [("site.toml".into(), b"[fleet]".to_vec())];
    store
        .keep_config(&"night-1".parse().unwrap(), &files)
        .unwrap();
    store
}

/// Written beside whoever owns the store.
fn backup_of(fixture: &Fixture) -> (tempfile::TempDir, PathBuf) {
    let dir = Fixture::quick().dir;
    let file = dir.path().join("edge.backup");
    let reader = Reader::open(fixture.dir.path(), &fleet()).unwrap();
    let about = About::new(at(50), "ana").unwrap();
    let carried = [("tokens.json", TOKENS.to_vec())];
    reader.back_up(&file, &about, &carried, false).unwrap();
    (dir, file)
}

fn put(backup: &Backup, new: &Fixture, now: Timestamp) -> Result<(), StoreError> {
    let arriving = backup.unpack(new.dir.path(), &fleet(), &occupant(), now)?;
    arriving.settle_down()
}

fn entry(number: i64) -> Entry {
    Entry::of(
        By::itself(),
        at(number),
        "told",
        &json!({ "number": number }),
    )
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}
