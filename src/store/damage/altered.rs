//! What was written is altered: bytes, lengths, pages, records.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::fixture::{Fixture, at, numbered, open_in, rows};
use super::super::{
    Audited, By, ConfigFile, Entry, Reader, Row, Snapshot, Store, StoreError, StoredEvidence,
};
use crate::model::id::RotationId;
use crate::model::time::Ttl;

const PAGE: usize = 4096;

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
    let lengths = (0..end)
        .step_by(stride(197))
        .chain(edges)
        .filter(|at| *at <= end);
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
    let step = stride(31);
    for position in (0..copy.log.len()).filter(|at| at % step == 0 || at % 4120 < 32 + 24) {
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
    let (copy, all) = copy_of_nights();
    let body = copy.file.windows(11).position(|at| at == br#"{"second":7"#);
    let body = body.unwrap();
    let mut tally = Tally::default();
    let mut refused_in_body = 0;
    let is_telling = |at: usize| at < 100 || (body - 60..body + 90).contains(&at);
    let step = stride(97);
    for position in (0..copy.file.len()).filter(|at| at % step == 0 || is_telling(*at)) {
        let mut file = copy.file.clone();
        file[position] ^= 1 << (position % 8);
        copy.write(&file, &[]);
        let is_noticed = copy.ask(&format!("byte {position}"), &all, &mut tally);
        refused_in_body += u32::from(is_noticed && (body..body + 40).contains(&position));
    }
    assert_eq!(refused_in_body, 40, "every byte of a record's body counts");
    tally.check(150);
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let (copy, all) = copy_of_nights();
    let end = copy.file.len();
    let pages = (0..end).step_by(PAGE);
    let edges = pages.flat_map(|page| [0, 1, 20, 110, 4095].map(|at| page + at));
    // Of no length at all, it is a new store, as where the file is gone.
    let lengths = (1..end).step_by(stride(997)).chain(edges.skip(1));
    let mut tally = Tally::default();
    let mut count = 0;
    for length in lengths {
        copy.write(&copy.file[..length], &[]);
        copy.ask(&format!("cut off at {length}"), &all, &mut tally);
        count += 1;
    }
    tally.check(count);
}

#[test]
fn a_tail_written_twice_or_pages_that_changed_places_are_refused_or_change_no_answer() {
    let (copy, all) = copy_of_nights();
    let mut tally = Tally::default();
    for length in (1..copy.file.len()).step_by(stride(1499).max(17)) {
        let tail = &copy.file[copy.file.len() - length..];
        copy.write(&[&copy.file, tail].concat(), &[]);
        copy.ask(&format!("the last {length} bytes twice"), &all, &mut tally);
    }
    let pages = copy.file.len() / PAGE;
    for (one, other) in (0..pages).flat_map(|one| (0..one).map(move |other| (one, other))) {
        let mut file = copy.file.clone();
        let (left, right) = file.split_at_mut(one * PAGE);
        left[other * PAGE..][..PAGE].swap_with_slice(&mut right[..PAGE]);
        copy.write(&file, &[]);
        let what = format!("pages {one} and {other} in each other's place");
        copy.ask(&what, &all, &mut tally);
    }
    tally.check(50);
}

#[test]
fn a_log_whose_tail_is_there_twice_or_whose_frames_changed_places_takes_back_one_commit_at_most() {
    const FRAME: usize = 24 + PAGE;
    let fixture = Fixture::new();
    let mut store = fixture.open();
    for number in 0..6 {
        store.append(&numbered(6)[number..=number]).unwrap();
    }
    let copy = Copy::of(&store);
    let frames = (copy.log.len() - 32) / FRAME;
    let mut logs = Vec::new();
    for count in 1..=frames {
        let tail = &copy.log[copy.log.len() - count * FRAME..];
        logs.push([&copy.log, tail].concat());
    }
    for (one, other) in (0..frames).flat_map(|one| (0..one).map(move |other| (one, other))) {
        let mut log = copy.log.clone();
        let (left, right) = log.split_at_mut(32 + one * FRAME);
        left[32 + other * FRAME..][..FRAME].swap_with_slice(&mut right[..FRAME]);
        logs.push(log);
    }
    for (number, log) in logs.iter().enumerate() {
        copy.write(&copy.file, log);
        match copy.open().and_then(|store| store.read(1)) {
            Ok(found) => {
                assert!(found.len() >= 5, "log {number}: {}", found.len());
                assert_eq!(found, rows(&numbered(found.len())), "log {number}");
            }
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
        }
    }
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
fn a_bad_byte_in_the_audit_ends_no_night_and_is_noticed() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&numbered(3)).unwrap();
    store.audit(&told(1..60)).unwrap();
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = 'audit'";
    let root: usize = store.conn.query_row(query, (), |row| row.get(0)).unwrap();
    drop(store);
    let copy = Copy::of(&fixture.open());
    let page = |number: usize| &copy.file[(number - 1) * PAGE..number * PAGE];
    assert_eq!(page(root)[0], 5, "an inner page of a tree");
    let last = bytes_of(page(root), 8);
    let pages = [root, last].map(|number| (number - 1) * PAGE);
    let mut noticed = 0;
    for position in pages.into_iter().flat_map(|start| start..start + PAGE) {
        let is_telling = position % PAGE < 40 || position % stride(61) == 0;
        if !is_telling {
            continue;
        }
        let mut file = copy.file.clone();
        file[position] ^= 1 << (position % 8);
        copy.write(&file, &[]);
        for number in 0..2 {
            let mut store = copy.open().unwrap();
            let (record, entry) = (&numbered(5)[3 + number..4 + number], &told(60..61));
            store.append_audited(record, entry).unwrap();
        }
        let store = copy.open().unwrap();
        assert_eq!(
            store.read(1).unwrap(),
            rows(&numbered(5)),
            "byte {position}"
        );
        let mut kept = Vec::new();
        let chain = store.audited(|told| kept.push(told.entry)).unwrap();
        let added = [told(60..61), told(60..61)].concat();
        let is_aside = kept.iter().any(|entry| entry.kind == "audit_set_aside");
        kept.retain(|entry| entry.kind != "audit_set_aside");
        assert!(!is_aside || kept.last() == added.last(), "byte {position}");
        let is_whole = kept == [told(1..60), added].concat();
        assert!(is_whole || chain.broken.is_some(), "byte {position}");
        noticed += u32::from(chain.broken.is_some());
    }
    assert!(noticed > 40, "{noticed}");
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

/// A page's number, as a page holds it.
fn bytes_of(page: &[u8], at: usize) -> usize {
    let number = page[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_be_bytes(number)).unwrap()
}

/// Every so many bytes something is altered; every single one with `CLEANSLATE_AT_LENGTH`
/// (`make soak`).
fn stride(usual: usize) -> usize {
    match std::env::var_os("CLEANSLATE_AT_LENGTH") {
        Some(_) => 1,
        None => usual,
    }
}

/// A store of some nights, one of which has not ended, with something in every table.
fn copy_of_nights() -> (Copy, Answers) {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&numbered(40)).unwrap();
    store.save_snapshot(30, 1, "the state").unwrap();
    store.prune_history(at(8)).unwrap();
    let files = ["compose.yaml", "playbooks/nightly.toml", "site.toml"];
    let files = files.map(|file| (file.into(), vec![b'#'; 900]));
    store.keep_config(&night(), &files).unwrap();
    store.keep_story(&night(), "what was told").unwrap();
    let (site, host) = ("fra".parse().unwrap(), "fra1".parse().unwrap());
    store.keep_evidence(&night(), &site, &host, "{}").unwrap();
    store.keep_duration(&site, "drain", 30_000).unwrap();
    let www = "www.example.com.".parse().unwrap();
    store.note_ttl(&www, Ttl(300), at(0)).unwrap();
    let nightly = "nightly".parse().unwrap();
    store.settle_runs(&nightly, "0 3 * * *", at(5)).unwrap();
    store.audit(&told(1..4)).unwrap();
    let all = Answers::of(&store).unwrap();
    drop(store);
    let copy = Copy::of(&fixture.open());
    assert!(copy.log.is_empty());
    (copy, all)
}

/// Everything on which something is decided, and what people are told.
#[derive(Clone, Debug, PartialEq)]
struct Answers {
    holder: String,
    rows: Vec<Row>,
    of_night: Vec<Row>,
    snapshot: Option<Snapshot>,
    config: Vec<ConfigFile>,
    with_config: BTreeSet<RotationId>,
    story: Option<String>,
    evidence: Vec<StoredEvidence>,
    ttl: Option<Ttl>,
    ttls_since: Option<jiff::Timestamp>,
    /// `None`: its damage was noticed.
    audit: Option<Vec<Audited>>,
}

impl Answers {
    fn of(store: &Reader) -> Result<Answers, StoreError> {
        Ok(Answers {
            holder: store.holder()?.to_string(),
            rows: store.read(1)?,
            of_night: store.records_of(&night())?,
            snapshot: store.latest_snapshot()?,
            config: store.config_of(&night())?,
            with_config: store.rotations_with_config()?,
            story: store.story_of(&night())?,
            evidence: store.evidence_of(&night())?,
            ttl: store.largest_ttl_since(at(0))?,
            ttls_since: store.ttls_known_since()?,
            audit: audit_of(store)?,
        })
    }

    /// Whether it is the same; of evidence, on which nothing is decided, some may be gone, and of
    /// an audit it may be said that it is damaged.
    fn is_all_of(&self, all: &Answers) -> bool {
        let is_known = |found: &StoredEvidence| all.evidence.contains(found);
        let evidence = all.evidence.clone();
        let found = Answers {
            evidence,
            audit: self.audit.clone().or_else(|| all.audit.clone()),
            ..self.clone()
        };
        found == *all && self.evidence.iter().all(is_known)
    }

    /// Where it differs, in words.
    fn unlike(&self, all: &Answers) -> String {
        let (found, all) = (format!("{self:#?}"), format!("{all:#?}"));
        let lines = found.lines().zip(all.lines());
        let differ = lines.filter(|(found, was)| found != was);
        let words = differ.map(|(found, was)| format!("{} for {}", found.trim(), was.trim()));
        words.take(3).collect::<Vec<_>>().join(", ")
    }
}

fn audit_of(store: &Reader) -> Result<Option<Vec<Audited>>, StoreError> {
    let mut all = Vec::new();
    let chain = store.audited(|told| all.push(told))?;
    Ok(chain.broken.is_none().then_some(all))
}

fn told(numbers: std::ops::Range<i64>) -> Vec<Entry> {
    let told = |number| {
        let body = serde_json::json!({ "number": number, "why": "words about it ".repeat(20) });
        Entry::of(By::itself(), at(number), "told", &body)
    };
    numbers.map(told).collect()
}

fn night() -> RotationId {
    "night-6".parse().unwrap()
}

/// How a store that was altered answered.
#[derive(Default)]
struct Tally {
    refused: u32,
    /// Other answers than before, and errors that do not say that it is damaged.
    wrong: Vec<String>,
}

impl Tally {
    #[track_caller]
    fn check(&self, refused_at_least: u32) {
        let wrong = self.wrong.join("\n");
        assert!(wrong.is_empty(), "{} wrong:\n{wrong}", self.wrong.len());
        assert!(self.refused >= refused_at_least, "{}", self.refused);
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

    /// Opens it and asks everything, `what` having been done to it.
    fn ask(&self, what: &str, all: &Answers, tally: &mut Tally) -> bool {
        match self.open().and_then(|store| Answers::of(&store)) {
            Ok(found) if found.is_all_of(all) => return false,
            Ok(found) => tally.wrong.push(format!("{what}: {}", found.unlike(all))),
            Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }) => tally.refused += 1,
            Err(error) => tally.wrong.push(format!("{what}: {error}")),
        }
        true
    }
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}
