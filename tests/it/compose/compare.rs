//! Two accounts of the same thing, leaf by leaf.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// What the engine says of everything that was made of one file: by `KIND NAME`.
pub(super) type Account = BTreeMap<String, Value>;

/// One leaf that differs.
pub(super) struct Difference {
    /// `container web 1`, `network front`, `volume data`.
    pub(super) of: String,
    /// `HostConfig/Memory`.
    pub(super) path: String,
    /// Null where there is none.
    pub(super) theirs: Value,
    pub(super) ours: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference {
            of,
            path,
            theirs,
            ours,
        } = self;
        write!(
            f,
            "{of}: {path}: docker-compose {theirs}, cleanslate {ours}"
        )
    }
}

pub(super) fn differences(theirs: &Account, ours: &Account) -> Vec<Difference> {
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let (their, our) = (leaves(theirs.get(name)), leaves(ours.get(name)));
        let paths: BTreeSet<&String> = their.keys().chain(our.keys()).collect();
        for path in paths {
            let one =
                |leaves: &BTreeMap<String, Value>| leaves.get(path).cloned().unwrap_or(Value::Null);
            let (theirs, ours) = (one(&their), one(&our));
            if theirs != ours {
                found.push(Difference {
                    of: name.clone(),
                    path: path.clone(),
                    theirs,
                    ours,
                });
            }
        }
    }
    found
}

/// Lists are leaves, in an order of their own where theirs means nothing. What is empty is not said.
fn leaves(value: Option<&Value>) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    match value {
        None => drop(leaves.insert(String::new(), Value::Null)),
        Some(value) => gather(value, String::new(), &mut leaves),
    }
    leaves
}

/// Words in their order: every other list is a set.
const IN_ORDER: [&str; 8] = [
    "Cmd",
    "Entrypoint",
    "Test",
    "Args",
    "Dns",
    "DnsSearch",
    "VolumesFrom",
    "Capabilities",
];

fn gather(value: &Value, path: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}/{key}")
                };
                gather(value, path, into);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            let mut items = items.clone();
            let last = path.rsplit('/').next().unwrap_or_default();
            if !IN_ORDER.contains(&last) {
                items.sort_by_key(ToString::to_string);
            }
            into.insert(path, Value::Array(items));
        }
        Value::Null | Value::Bool(false) => {}
        Value::String(text) if text.is_empty() => {}
        Value::Number(number) if number.as_i64() == Some(0) => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(path, value.clone());
        }
    }
}
