//! What the store does when its process dies, and when what it wrote is damaged.
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::fixture::{Fixture, at, fleet, numbered, open_in, record, rows};
use super::{Reader, Record, Row, Snapshot, Store, StoreError};
use crate::model::id::RotationId;
use crate::model::time::Ttl;

/// Where a test that runs itself anew, as a process to be harmed, finds its store.
const CHILD: &str = "CLEANSLATE_TEST_STORE";

#[test]
fn every_acknowledged_record_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_until_killed(Path::new(&dir));
    }
    let fixture = Fixture::new();
    let mut acknowledged = 0;
    for round in 0..5 {
        let name = "every_acknowledged_record_survives_kill_9";
        let mut child = spawn(&mut this_test(name, fixture.dir.path()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acks = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| parse_ack(&line));
        // A different number each round, so that death comes at different points of the log.
        acknowledged = acks.nth(20 + 67 * round).unwrap();
        child.kill().unwrap();
        acknowledged = acks.last().unwrap_or(acknowledged);
        child.wait().unwrap();
        let store = fixture.open();
        let found = store.read(1).unwrap();
        let (from, to) = (acknowledged, acknowledged + 2);
        assert!(
            (from..=to).contains(&(found.len() as u64)),
            "{} records, {acknowledged} acknowledged",
            found.len()
        );
        assert_eq!(found, rows(&numbered(found.len())));
    }
    assert!(acknowledged > 5 * 20);
}

#[test]
fn a_write_that_the_disk_refuses_ends_all_writing_and_harms_nothing_before_it() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_into_a_failing_disk(Path::new(&dir));
    }
    let fixture = Fixture::new();
    drop(fixture.open());
    // Files may grow to 9 MiB; what goes beyond fails as a disk does, with an I/O error.
    let name = "a_write_that_the_disk_refuses_ends_all_writing_and_harms_nothing_before_it";
    let test = this_test(name, fixture.dir.path());
    let mut limited = Command::new("bash");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 9216; exec \"$0\" \"$@\""])
        .arg(test.get_program())
        .args(test.get_args())
        .env(CHILD, fixture.dir.path());
    let output = limited.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert_eq!(fixture.open().read(1).unwrap(), rows(&numbered(3)));
}

#[test]
fn a_log_cut_off_anywhere_leaves_a_prefix_of_what_was_written() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    let mut sizes = Vec::new();
    for number in 1..=6 {
        store.append(&numbered(6)[number - 1..number]).unwrap();
        sizes.push(log_of(&store.path).metadata().unwrap().len());
    }
    let copy = Copy::of(&store);
    let end = *sizes.last().unwrap();
    let edges = sizes.iter().flat_map(|size| [size - 1, *size, size + 1]);
    let lengths = (0..end).step_by(197).chain(edges).filter(|at| *at <= end);
    for length in lengths {
        copy.write(&copy.file, &copy.log[..usize::try_from(length).unwrap()]);
        let whole = sizes.iter().filter(|size| **size <= length).count();
        let found = copy.open().unwrap().read(1).unwrap();
        assert_eq!(found, rows(&numbered(whole)), "cut off at {length}");
    }
}

#[test]
fn a_bad_byte_in_the_log_costs_the_last_record_at_most_or_is_refused() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&numbered(4)).unwrap();
    store.append(&numbered(6)[4..5]).unwrap();
    let last = usize::try_from(log_of(&store.path).metadata().unwrap().len()).unwrap();
    store.append(&numbered(6)[5..]).unwrap();
    let copy = Copy::of(&store);
    let mut refused = 0;
    for position in (0..copy.log.len()).filter(|at| at % 31 == 0 || at % 4120 < 32 + 24) {
        let mut log = copy.log.clone();
        log[position] ^= 1 << (position % 8);
        copy.write(&copy.file, &log);
        match copy.open() {
            Ok(store) => {
                assert!(position >= last, "byte {position} of {last}");
                let found = store.read(1).unwrap();
                assert!(found.len() >= 5, "byte {position}: {}", found.len());
                assert_eq!(found, rows(&numbered(found.len())));
            }
            Err(StoreError::Corrupt { .. }) => refused += 1,
            Err(error) => panic!("byte {position}: {error}"),
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_bad_byte_in_the_file_is_refused_or_changes_no_answer() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    fill(&mut store);
    let all = Answers::of(&store).unwrap();
    drop(store);
    let store = fixture.open();
    let copy = Copy::of(&store);
    assert!(copy.log.is_empty());
    let body = copy.file.windows(11).position(|at| at == br#"{"second":7"#);
    let body = body.unwrap();
    let mut refused = 0;
    let mut refused_in_body = 0;
    let in_record = |at: usize| (body - 60..body + 90).contains(&at);
    for position in (0..copy.file.len()).filter(|at| at % 97 == 0 || in_record(*at)) {
        let mut file = copy.file.clone();
        file[position] ^= 1 << (position % 8);
        copy.write(&file, &[]);
        match copy.open().and_then(|store| Answers::of(&store)) {
            Ok(found) => assert_eq!(found, all, "byte {position}"),
            Err(error) => {
                let is_known =
                    matches!(error, StoreError::Corrupt { .. } | StoreError::Newer { .. });
                assert!(is_known, "byte {position}: {error}");
                refused += 1;
                refused_in_body += u32::from((body..body + 40).contains(&position));
            }
        }
    }
    assert_eq!(refused_in_body, 40, "every byte of a record's body counts");
    assert!(refused > 150, "{refused}");
}

#[test]
fn a_record_taken_out_or_put_elsewhere_is_refused() {
    let tampering = [
        "DELETE FROM records WHERE seq = 6",
        "DELETE FROM records WHERE seq = 3",
        "DELETE FROM records WHERE seq = 1",
        "UPDATE records SET seq = 99 WHERE seq = 3",
        "UPDATE records SET rotation = NULL WHERE seq = 3",
        "UPDATE records SET body = '{}' WHERE seq = 3",
        "UPDATE records SET at = 'yesterday' WHERE seq = 3",
        "UPDATE records SET version = -1 WHERE seq = 3",
        "INSERT INTO records SELECT 7, rotation, at, kind, version, body, sum FROM records
         WHERE seq = 6",
        "UPDATE head SET seq = 5, sum = (SELECT sum FROM records WHERE seq = 6)",
        "UPDATE cut SET seq = 1",
        "DELETE FROM head",
        "DELETE FROM identity",
        "UPDATE identity SET holder = 'somebody'",
    ];
    for text in tampering {
        let fixture = Fixture::quick();
        let mut store = fixture.open();
        store.append(&numbered(6)).unwrap();
        assert_eq!(store.conn.execute(text, ()).unwrap(), 1, "{text}");
        drop(store);
        let refused = open_in(fixture.dir.path()).unwrap_err();
        assert!(
            matches!(refused, StoreError::Corrupt { .. }),
            "{text}: {refused}"
        );
    }
}

#[test]
fn on_a_full_disk_the_reserve_finishes_the_night_and_then_nothing_is_lost() {
    let disk = Disk::mount("size=16m");
    let mut store = open_in(&disk.path).unwrap();
    assert!(store.has_reserve());
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
    assert!(!store.has_reserve());
    assert_eq!(store.read(1).unwrap(), rows(&written));
    disk.free();
    written.push(page(0));
    store.append(&written[written.len() - 1..]).unwrap();
    drop(store);
    let store = open_in(&disk.path).unwrap();
    assert_eq!(store.read(1).unwrap(), rows(&written));
    assert!(store.has_reserve(), "set aside anew");
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
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    let path = fixture.open().path.clone();
    std::fs::write(&path, "something else ".repeat(1000)).unwrap();
    let refused = open_in(fixture.dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "something else ".repeat(1000)
    );
}

fn append_until_killed(dir: &Path) {
    let mut store = open_in(dir).unwrap();
    let mut count = usize::try_from(store.last_seq().unwrap()).unwrap();
    loop {
        // Two at a time: they must live or die together.
        let next = &numbered(count + 2)[count..];
        store.append(next).unwrap();
        count += 2;
        println!("ack {count}");
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

fn parse_ack(line: &str) -> Option<u64> {
    line.strip_prefix("ack ")?.parse().ok()
}

/// The test `name` alone, in a process of its own.
fn this_test(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture"])
        .arg(format!("store::damage::{name}"))
        .env(CHILD, dir);
    command
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Puts something into every table.
fn fill(store: &mut Store) {
    store.append(&numbered(40)).unwrap();
    store.save_snapshot(3, 1, "the state").unwrap();
    let files = [("site.toml".into(), vec![b'#'; 900])];
    store.keep_config(&night(), &files).unwrap();
    let (site, host) = ("fra".parse().unwrap(), "fra1".parse().unwrap());
    store.keep_evidence(&night(), &site, &host, "{}").unwrap();
    let www = "www.example.com.".parse().unwrap();
    store.note_ttl(&www, Ttl(300), at(0)).unwrap();
}

fn night() -> RotationId {
    "night-1".parse().unwrap()
}

/// Everything on which something is decided.
#[derive(Debug, PartialEq)]
struct Answers {
    holder: String,
    rows: Vec<Row>,
    of_night: Vec<Row>,
    snapshot: Option<Snapshot>,
    config: Vec<super::ConfigFile>,
    evidence: Vec<super::StoredEvidence>,
    ttl: Option<Ttl>,
}

impl Answers {
    fn of(store: &Reader) -> Result<Answers, StoreError> {
        store.verify()?;
        Ok(Answers {
            holder: store.holder()?.to_string(),
            rows: store.read(1)?,
            of_night: store.records_of(&night())?,
            snapshot: store.latest_snapshot()?,
            config: store.config_of(&night())?,
            evidence: store.evidence_of(&night())?,
            ttl: store.largest_ttl_since(at(0))?,
        })
    }
}

/// The files of a store as they would be found after a crash, to be damaged and opened.
struct Copy {
    fixture: Fixture,
    file: Vec<u8>,
    log: Vec<u8>,
}

impl Copy {
    fn of(store: &Store) -> Copy {
        Copy {
            fixture: Fixture::quick(),
            file: std::fs::read(&store.path).unwrap(),
            log: std::fs::read(log_of(&store.path)).unwrap_or_default(),
        }
    }

    fn write(&self, file: &[u8], log: &[u8]) {
        let dir = self.fixture.dir.path().join("edge");
        std::fs::create_dir_all(&dir).unwrap();
        for (name, bytes) in [("journal.db", file), ("journal.db-wal", log)] {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
    }

    fn open(&self) -> Result<Store, StoreError> {
        open_in(self.fixture.dir.path())
    }
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
