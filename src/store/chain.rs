//! The hash chain: each record is bound to all before it, so that none can be altered, left out
//! or put elsewhere unseen.
use sha2::{Digest as _, Sha256};

use super::journal::Record;
use crate::model::id::FleetName;

/// A SHA-256 sum.
pub(super) type Sum = [u8; 32];

/// A place in the chain: a record's number and the sum over it and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) seq: u64,
    pub(super) sum: Sum,
}

impl Point {
    /// Before the first record of a fleet's journal.
    pub(super) fn origin(fleet: &FleetName) -> Point {
        let sum = checksum("cleanslate journal 1", &[fleet.as_str().as_bytes()]);
        Point { seq: 0, sum }
    }

    /// The place after `record`.
    pub(super) fn after(&self, record: &Record) -> Point {
        let seq = self.seq + 1;
        let rotation = record.rotation.as_ref().map_or("", |id| id.as_str());
        let sum = checksum(
            "record",
            &[
                &self.sum,
                &seq.to_be_bytes(),
                rotation.as_bytes(),
                &record.at.as_nanosecond().to_be_bytes(),
                record.kind.as_bytes(),
                &record.version.to_be_bytes(),
                record.body.as_bytes(),
            ],
        );
        Point { seq, sum }
    }
}

/// The sum over `parts`. Each goes in with its length, so that nothing can move from one to the
/// next; `what` keeps sums of different kinds of things apart.
pub(super) fn checksum(what: &str, parts: &[&[u8]]) -> Sum {
    let mut hasher = Sha256::new();
    for part in std::iter::once(&what.as_bytes()).chain(parts) {
        // A usize has at most 64 bits on every platform that Rust knows.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_change_of_any_record_changes_every_sum_from_there_on(
            records in prop::collection::vec(record(), 1..8),
            other in record(),
            at in any::<prop::sample::Index>(),
        ) {
            let at = at.index(records.len());
            prop_assume!(records[at] != other);
            let mut altered = records.clone();
            altered[at] = other;
            let (before, after) = (sums(&records), sums(&altered));
            prop_assert_eq!(&before[..at], &after[..at]);
            for seq in at..records.len() {
                prop_assert_ne!(before[seq], after[seq]);
            }
        }

        #[test]
        fn bytes_cannot_move_from_one_part_to_the_next(text in "[a-z]{2,20}", cut in 1_usize..20) {
            let cut = cut.min(text.len() - 1);
            let (head, tail) = text.as_bytes().split_at(cut);
            prop_assert_ne!(
                checksum("x", &[head, tail]),
                checksum("x", &[&head[..cut - 1], &text.as_bytes()[cut - 1..]])
            );
        }
    }

    #[test]
    fn the_format_of_the_chain_is_pinned() {
        let fleet = "edge".parse().unwrap();
        let record = Record {
            rotation: Some("nightly-20260701T030000-abcd".parse().unwrap()),
            at: "2026-07-01T01:00:00.5Z".parse().unwrap(),
            kind: "withdrawn".to_owned(),
            version: 1,
            body: "{}".to_owned(),
        };
        let point = Point::origin(&fleet).after(&record);
        let hex = data_encoding::HEXLOWER.encode(&point.sum);
        assert_eq!(
            (point.seq, hex.as_str()),
            (
                1,
                "93d74345e81582dccfafeccffe548c2d8ff35d4fe7ccec3af7053c1a0e4f8281"
            )
        );
    }

    fn sums(records: &[Record]) -> Vec<Sum> {
        let mut point = Point::origin(&"edge".parse().unwrap());
        let mut sums = Vec::new();
        for record in records {
            point = point.after(record);
            sums.push(point.sum);
        }
        sums
    }

    fn record() -> impl Strategy<Value = Record> {
        let rotation = prop::option::of("[a-z]{1,4}".prop_map(|id| id.parse().unwrap()));
        let at = (0_i64..3).prop_map(|second| jiff::Timestamp::from_second(second).unwrap());
        (rotation, at, "[a-z]{0,3}", 0_u16..3, "[{}a-z]{0,4}").prop_map(
            |(rotation, at, kind, version, body)| Record {
                rotation,
                at,
                kind,
                version,
                body,
            },
        )
    }
}
