//! A disk that is full, read-only, somebody else's, or that fails.
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::fixture::{Fixture, fleet, numbered, open_in, record, rows};
use super::super::{Record, Store, StoreError};
use super::process::{CHILD, this_test};

#[test]
fn a_write_that_the_disk_refuses_ends_all_writing_and_harms_nothing_before_it() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_into_a_failing_disk(Path::new(&dir));
    }
    let fixture = Fixture::new();
    drop(fixture.open());
    // Files may grow to 9 MiB; what goes beyond fails as a disk does, with an I/O error.
    let name = "a_write_that_the_disk_refuses_ends_all_writing_and_harms_nothing_before_it";
    let test = this_test("disk", name, fixture.dir.path());
    let mut limited = Command::new("bash");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 9216; exec \"$0\" \"$@\""])
        .arg(test.get_program())
        .args(test.get_args())
        .env(CHILD, fixture.dir.path());
    passes(&mut limited);
    assert_eq!(fixture.open().read(1).unwrap(), rows(&numbered(3)));
}

#[test]
fn a_sync_that_fails_ends_all_writing_though_the_next_would_succeed() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_while_syncs_fail(Path::new(&dir));
    }
    let fixture = Fixture::new();
    drop(fixture.open());
    let name = "a_sync_that_fails_ends_all_writing_though_the_next_would_succeed";
    let mut test = this_test("disk", name, fixture.dir.path());
    let failing = tempfile::tempdir().unwrap();
    let sick = fixture.dir.path().join("sick");
    let library = failing_syncs(failing.path());
    passes(test.env("LD_PRELOAD", library).env("SICK", sick));
    let found = fixture.open().read(1).unwrap();
    let is_prefix = found == rows(&numbered(3)) || found == rows(&numbered(4));
    assert!(is_prefix, "the one in doubt is there or not: {found:?}");
}

#[test]
fn on_a_full_disk_the_reserve_finishes_the_night_and_then_nothing_is_lost() {
    let disk = Disk::mount("size=16m");
    let mut store = open_in(&disk.path).unwrap();
    assert!(store.check_reserve().is_ok());
    disk.fill_up();
    let page = |number| Record {
        body: "x".repeat(4096),
        ..record(1, number)
    };
    let mut written = Vec::new();
    let full = loop {
        let next = page(written.len() as i64);
        match store.append(std::slice::from_ref(&next)) {
            Ok(_) => written.push(next),
            Err(error) => break error,
        }
        assert!(written.len() < 10_000, "the disk never became full");
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    assert!(written.len() > 600, "only {} fitted in", written.len());
    assert!(store.check_reserve().is_err());
    assert_eq!(store.read(1).unwrap(), rows(&written));
    disk.free();
    written.push(page(0));
    store.append(&written[written.len() - 1..]).unwrap();
    drop(store);
    let store = open_in(&disk.path).unwrap();
    assert_eq!(store.read(1).unwrap(), rows(&written));
    assert!(store.check_reserve().is_ok(), "set aside anew");
}

#[test]
fn a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written() {
    let disk = Disk::mount("size=16m");
    let mut store = open_in(&disk.path).unwrap();
    store.append(&numbered(3)).unwrap();
    drop(store);
    disk.remount("ro");
    let refused = open_in(&disk.path).unwrap_err();
    assert!(
        matches!(refused, StoreError::ReadOnly { .. }),
        "{refused:?}"
    );
    let reader = Store::open_read_only(&disk.path, &fleet()).unwrap();
    assert_eq!(reader.read(1).unwrap(), rows(&numbered(3)));
    drop(reader);
    disk.remount("rw");
    open_in(&disk.path).unwrap().append(&numbered(1)).unwrap();
}

#[test]
fn a_folder_of_another_owner_or_without_write_permission_is_named_with_the_cure() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return open_without_permission(Path::new(&dir));
    }
    let nobody = 65534;
    let harms: [&dyn Fn(&Path); 3] = [
        &|edge| chown(edge, Some(nobody), Some(nobody)).unwrap(),
        &|edge| set_mode(edge, 0o500),
        &|edge| set_mode(&edge.join("journal.db"), 0o400),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let fixture = Fixture::new();
        fixture.open().append(&numbered(3)).unwrap();
        let edge = fixture.dir.path().join("edge");
        if number == 1 {
            std::fs::remove_file(edge.join("lock")).unwrap();
        }
        harm(&edge);
        let name = "a_folder_of_another_owner_or_without_write_permission_is_named_with_the_cure";
        let test = this_test("disk", name, fixture.dir.path());
        // What lets root pass by owners and permissions is taken away.
        let mut without = Command::new("setpriv");
        without
            .args(["--bounding-set", "-dac_override,-dac_read_search,-fowner"])
            .arg(test.get_program())
            .args(test.get_args())
            .env(CHILD, fixture.dir.path());
        passes(&mut without);
        chown(&edge, Some(0), Some(0)).unwrap();
        set_mode(&edge, 0o700);
        set_mode(&edge.join("journal.db"), 0o600);
        assert_eq!(fixture.open().read(1).unwrap(), rows(&numbered(3)));
    }
}

fn append_into_a_failing_disk(dir: &Path) {
    let mut store = open_in(dir).unwrap();
    store.append(&numbered(3)).unwrap();
    let large = Record {
        body: "x".repeat(12 << 20),
        ..record(1, 4)
    };
    let refused = store.append(&[large]).unwrap_err();
    assert!(
        matches!(refused, StoreError::Database { .. }),
        "{refused:?}"
    );
    let refused = store.append(&numbered(1)).unwrap_err();
    assert!(matches!(refused, StoreError::Failed { .. }), "{refused:?}");
    assert_eq!(store.read(1).unwrap(), rows(&numbered(3)));
}

fn append_while_syncs_fail(dir: &Path) {
    let mut store = open_in(dir).unwrap();
    store.append(&numbered(3)).unwrap();
    let sick = dir.join("sick");
    std::fs::write(&sick, "").unwrap();
    let refused = store.append(&numbered(4)[3..]).unwrap_err();
    assert!(
        matches!(refused, StoreError::Database { .. }),
        "{refused:?}"
    );
    std::fs::remove_file(&sick).unwrap();
    let refused = store.append(&numbered(5)[4..]).unwrap_err();
    assert!(matches!(refused, StoreError::Failed { .. }), "{refused:?}");
}

fn open_without_permission(dir: &Path) {
    let refused = open_in(dir).unwrap_err();
    let is_told = matches!(
        refused,
        StoreError::File { .. } | StoreError::ReadOnly { .. }
    );
    assert!(is_told, "{refused:?}");
    let edge = dir.join("edge").display().to_string();
    assert!(refused.to_string().contains(&edge), "{refused}");
    assert!(refused.cure().contains(&edge), "{}", refused.cure());
}

/// A library under which syncs fail as a disk's do, while the file `SICK` is there.
fn failing_syncs(dir: &Path) -> PathBuf {
    const SOURCE: &str = "
        #include <errno.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        static int sync_or_fail(long call, int fd) {
            const char *sick = getenv(\"SICK\");
            if (sick && access(sick, F_OK) == 0) { errno = EIO; return -1; }
            return syscall(call, fd);
        }
        int fsync(int fd) { return sync_or_fail(SYS_fsync, fd); }
        int fdatasync(int fd) { return sync_or_fail(SYS_fdatasync, fd); }";
    let (source, library) = (dir.join("syncs.c"), dir.join("syncs.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .args([&library, &source]);
    let output = cc.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    library
}

/// Runs a test in a process of its own, which must succeed.
fn passes(test: &mut Command) {
    let output = test.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A small disk of its own, in memory; gone with this.
struct Disk {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Disk {
    fn mount(options: &str) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], &path);
        Disk { path, _dir: dir }
    }

    fn remount(&self, mode: &str) {
        run("mount", &["-o", &format!("remount,{mode}")], &self.path);
    }

    fn fill_up(&self) {
        let zeros = vec![0; 64 << 20];
        std::fs::write(self.path.join("ballast"), zeros).unwrap_err();
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &[], &self.path);
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "this test mounts a disk in memory: run it as root ({program}: {})",
        String::from_utf8_lossy(&output.stderr)
    );
}
