//! Telling a log whose last commit was torn by a crash from one that was damaged since.
//!
//! SQLite reads its write-ahead log up to the first frame that fails its checksum and silently
//! drops the rest. That is right for a commit that a crash cut short: nobody was told of it. But
//! one bad byte in the middle would take every later commit back, and those were acknowledged. A
//! commit is begun only after the one before was synced, so a crash tears the last one only; what
//! follows the first bad frame must fit into one commit. (Format: sqlite.org/fileformat2.html,
//! section 4.)
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::error::StoreError;

/// The page size of every file that the store makes: SQLite's own default.
pub(super) const PAGE: usize = 4096;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Checks the log that an earlier process left beside the journal `path`, before SQLite reads it.
/// Nobody may be writing.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = Path::new(&log);
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::from_io("open", log, source)),
    };
    let lost = lost_commits(BufReader::new(file))
        .map_err(|source| StoreError::from_io("read", log, source))?;
    match lost {
        Lost::OneAtMost => Ok(()),
        Lost::Several => Err(StoreError::Corrupt {
            path: log.to_owned(),
            what: "a part of it is not what was written, and commits follow".to_owned(),
        }),
    }
}

/// What SQLite will drop from the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    OneAtMost,
    Several,
}

fn lost_commits(mut log: impl Read) -> io::Result<Lost> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Lost::OneAtMost);
    }
    let checks = Checks::of(&header);
    let mut chain = checks.begin(&header);
    let mut salts = chain.map(|_| salts_of_header(&header));
    let mut tail = Tail::default();
    let mut frame = vec![0; FRAME_HEADER + PAGE];
    while fill(&mut log, &mut frame)? {
        // Under a header that cannot be read, the first frame tells which salts are this log's.
        let is_ours = *salts.get_or_insert(salts_of(&frame)) == salts_of(&frame);
        chain = chain
            .filter(|_| is_ours)
            .and_then(|sums| checks.go_on(sums, &frame));
        if chain.is_some() {
            tail.take_sound(&frame);
        } else if is_ours {
            tail.take_bad(&frame);
        }
        // Other frames are left over from before the log was begun anew.
    }
    Ok(tail.lost())
}

/// What follows the last commit that SQLite will find.
#[derive(Default)]
struct Tail {
    /// A commit writes each page once: a page found twice is of two commits, even where the frame
    /// that ended the first is the bad one.
    pages: BTreeSet<[u8; 4]>,
    is_page_twice: bool,
    commits: u32,
}

impl Tail {
    fn take_sound(&mut self, frame: &[u8]) {
        if is_commit(frame) {
            *self = Tail::default();
        } else {
            self.pages.insert(bytes_at(frame, 0));
        }
    }

    fn take_bad(&mut self, frame: &[u8]) {
        self.is_page_twice |= !self.pages.insert(bytes_at(frame, 0));
        self.commits += u32::from(is_commit(frame));
    }

    fn lost(&self) -> Lost {
        if self.commits > 1 || self.is_page_twice {
            Lost::Several
        } else {
            Lost::OneAtMost
        }
    }
}

/// The running sums over header and frames.
type Sums = (u32, u32);

/// How this log's sums are reckoned: its magic number says whether words are big-endian.
struct Checks {
    to_word: fn([u8; 4]) -> u32,
}

impl Checks {
    fn of(header: &[u8]) -> Checks {
        let is_big = u32::from_be_bytes(bytes_at(header, 0)) & 1 == 1;
        Checks {
            to_word: if is_big {
                u32::from_be_bytes
            } else {
                u32::from_le_bytes
            },
        }
    }

    /// The sums of the header; `None` if it is not as written.
    fn begin(&self, header: &[u8]) -> Option<Sums> {
        let magic = u32::from_be_bytes(bytes_at(header, 0));
        let sums = self.add((0, 0), &header[..24]);
        (magic & !1 == 0x377f_0682 && sums == sums_at(header, 24)).then_some(sums)
    }

    /// The sums up to and with `frame`; `None` if it is not as written.
    fn go_on(&self, sums: Sums, frame: &[u8]) -> Option<Sums> {
        let sums = self.add(sums, &frame[..8]);
        let sums = self.add(sums, &frame[FRAME_HEADER..]);
        (sums == sums_at(frame, 16)).then_some(sums)
    }

    fn add(&self, sums: Sums, bytes: &[u8]) -> Sums {
        bytes.chunks_exact(8).fold(sums, |(first, second), pair| {
            let one = (self.to_word)(bytes_at(pair, 0));
            let first = first.wrapping_add(one).wrapping_add(second);
            let other = (self.to_word)(bytes_at(pair, 4));
            (first, second.wrapping_add(other).wrapping_add(first))
        })
    }
}

/// The last frame of a commit carries the size of the file after it.
fn is_commit(frame: &[u8]) -> bool {
    bytes_at::<4>(frame, 4) != [0; 4]
}

fn salts_of(frame: &[u8]) -> [u8; 8] {
    bytes_at(frame, 8)
}

fn salts_of_header(header: &[u8]) -> [u8; 8] {
    bytes_at(header, 16)
}

fn sums_at(bytes: &[u8], at: usize) -> Sums {
    let word = |at| u32::from_be_bytes(bytes_at(bytes, at));
    (word(at), word(at + 4))
}

/// `N` bytes from `at` on. Headers and frames have fixed sizes, so they are always there.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// Fills `buffer`; `false` at the end of the log, where a part of a frame may remain.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::fixture::{Fixture, at, numbered};
    use super::*;
    use crate::model::time::Ttl;

    #[test]
    fn a_log_as_written_loses_nothing() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&numbered(9)).unwrap();
        assert_eq!(lost_commits(&*log_of(&store)).unwrap(), Lost::OneAtMost);
        assert_eq!(lost_commits(&[][..]).unwrap(), Lost::OneAtMost);
    }

    #[test]
    fn any_frame_of_the_last_commit_may_be_torn_whatever_of_it_came_through() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&numbered(1)).unwrap();
        let from = log_of(&store).len();
        store.append(&numbered(2)[1..]).unwrap();
        let log = log_of(&store);
        let frames = (log.len() - from) / (FRAME_HEADER + PAGE);
        assert!(frames > 1, "{frames}");
        for frame in 0..frames {
            let mut torn = log.clone();
            let start = from + frame * (FRAME_HEADER + PAGE) + FRAME_HEADER;
            torn[start + 512..start + PAGE].fill(0);
            assert_eq!(lost_commits(&*torn).unwrap(), Lost::OneAtMost);
        }
    }

    #[test]
    fn two_commits_without_a_page_in_common_are_told_apart() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let www = "www.example.com.".parse().unwrap();
        store.note_ttl(&www, Ttl(30), at(0)).unwrap();
        store
            .keep_duration(&"fra".parse().unwrap(), "drain", 1)
            .unwrap();
        let mut log = log_of(&store);
        log[HEADER + FRAME_HEADER + 100] ^= 1;
        assert_eq!(lost_commits(&*log).unwrap(), Lost::Several);
    }

    #[test]
    fn frames_of_an_earlier_generation_are_no_part_of_the_log() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        store.append(&numbered(9)).unwrap();
        store.append(&numbered(12)[9..]).unwrap();
        let old = log_of(&store).len();
        let begin_anew = "PRAGMA wal_checkpoint(RESTART)";
        store.conn.query_row(begin_anew, (), |_| Ok(())).unwrap();
        store
            .keep_duration(&"fra".parse().unwrap(), "drain", 1)
            .unwrap();
        let log = log_of(&store);
        assert_eq!(log.len(), old, "the old frames are still there");
        assert_eq!(lost_commits(&*log).unwrap(), Lost::OneAtMost);
    }

    fn log_of(store: &Store) -> Vec<u8> {
        std::fs::read(store.path.with_extension("db-wal")).unwrap()
    }
}
