//! What becomes of any octets from outside: one function for each kind, which reads them as the
//! program does and panics where a promise of the reader does not hold. Tests of this crate drive
//! them, and so does `fuzz/`, for which they are built with the feature `fuzzing`.
mod bundle;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub(crate) use bundle::Bundle;

use crate::model::marker::Marker;
use crate::{config, dns};

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// That of its folder in `fuzz/corpus`, of its words in `fuzz/words` and of its program.
    pub name: &'static str,
    /// # Panics
    /// Where a promise of the reader does not hold: that is a finding.
    pub read: fn(&[u8]),
}

/// `site.toml`, and beside it, where the input says so, Compose files, playbooks and the key file.
pub const SITE_TOML: Target = Target {
    name: "site_toml",
    read: config::fuzzing::site_toml,
};

/// A playbook of a fleet that holds.
pub const PLAYBOOK: Target = Target {
    name: "playbook",
    read: config::fuzzing::playbook,
};

/// A Compose file, and beside it those that it is merged with, extends or includes.
pub const COMPOSE_FILE: Target = Target {
    name: "compose_file",
    read: config::fuzzing::compose_file,
};

/// A TSIG key file.
pub const KEY_FILE: Target = Target {
    name: "key_file",
    read: config::fuzzing::key_file,
};

/// What a name server sends over TCP in answer to queries and UPDATEs.
pub const DNS_ANSWERS: Target = Target {
    name: "dns_answers",
    read: dns::fuzzing::answers,
};

/// The strings of a TXT record, one a line.
pub const MARKER: Target = Target {
    name: "marker",
    read: marker,
};

/// All of them.
pub const TARGETS: [Target; 6] = [
    SITE_TOML,
    PLAYBOOK,
    COMPOSE_FILE,
    KEY_FILE,
    DNS_ANSWERS,
    MARKER,
];

/// What is read as a marker is written so that it is read again, in strings that a TXT record
/// can hold, and each time in the same way.
fn marker(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let strings: Vec<&str> = text.split('\n').collect();
    let marker = match Marker::parse(&strings) {
        Ok(marker) => marker,
        Err(error) => return drop(error.to_string()),
    };
    let written = marker.strings();
    let octets: usize = written.iter().map(|string| string.len() + 1).sum();
    // Every key is there, and no list takes more room than it was written in, but for the comma
    // that becomes a string of its own.
    assert!(octets <= 2 * text.len() + 64, "{octets} octets of {text:?}");
    assert!(written.iter().all(|string| string.len() <= 255));
    assert_eq!(Marker::parse(&written).as_ref(), Ok(&marker));
    let keys: BTreeSet<_> = written
        .iter()
        .map(|string| string.split('=').next())
        .collect();
    assert_eq!(keys.len(), 11, "{written:?}");
    let json = serde_json::to_string(&marker).expect("a marker is plain data");
    let again: Marker = serde_json::from_str(&json).expect("the journal reads what it wrote");
    assert_eq!(again, marker);
}
