//! Stores and records for the tests of this folder.
use std::path::Path;

use super::{Occupant, Record, Row, Store, StoreError};
use crate::model::id::FleetName;

/// A store that lasts as long as its folder.
pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        Fixture { dir }
    }

    /// In memory where that can be had: for hundreds of openings that no power cut follows.
    pub(super) fn quick() -> Fixture {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Fixture { dir: dir.unwrap() }
    }

    pub(super) fn open(&self) -> Store {
        open_in(self.dir.path()).unwrap()
    }
}

pub(super) fn open_in(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, &fleet(), &occupant())
}

pub(super) fn fleet() -> FleetName {
    "edge".parse().unwrap()
}

pub(super) fn occupant() -> Occupant {
    Occupant {
        pid: std::process::id(),
        user: "ops".to_owned(),
        command: "cleanslate test".to_owned(),
        since: at(0),
    }
}

pub(super) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// A record of rotation `night-N`, at second `second`.
pub(super) fn record(night: u32, second: i64) -> Record {
    Record {
        rotation: Some(format!("night-{night}").parse().unwrap()),
        at: at(second),
        kind: "withdrawn".to_owned(),
        version: 1,
        body: format!(r#"{{"second":{second},"text":"some words about it"}}"#),
    }
}

/// The numbers and records that the journal should hold after appending `records` to nothing.
pub(super) fn rows(records: &[Record]) -> Vec<Row> {
    (1..)
        .zip(records)
        .map(|(seq, record)| Row {
            seq,
            record: record.clone(),
        })
        .collect()
}

/// The records 1 to `count` of a journal, all different.
pub(super) fn numbered(count: usize) -> Vec<Record> {
    (1..=count)
        .map(|number| record(u32::try_from(number / 5).unwrap(), number as i64))
        .collect()
}
