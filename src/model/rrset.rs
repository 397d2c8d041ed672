//! The DNS data that a fleet changes: RRsets of addresses, and what a server was seen to serve.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::marker::Marker;
use super::time::Ttl;

/// An owner name, fully qualified, lower case, with its final dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordName(Arc<str>);

/// Why a text is no owner name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no domain name: {why}")]
pub struct RecordNameError {
    text: String,
    why: &'static str,
}

impl RecordName {
    /// The name with its final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where this record's marker stands.
    pub fn marker(&self) -> String {
        format!("_cleanslate.{}", self.0)
    }

    /// Whether this name lies in `zone` or is its apex.
    pub fn is_in(&self, zone: &RecordName) -> bool {
        self.0 == zone.0 || self.0.ends_with(&format!(".{zone}"))
    }
}

impl FromStr for RecordName {
    type Err = RecordNameError;
    fn from_str(text: &str) -> Result<RecordName, RecordNameError> {
        let bad = |why| RecordNameError {
            text: text.to_owned(),
            why,
        };
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        if name.is_empty() {
            return Err(bad("it is empty"));
        }
        if name.len() > 240 {
            return Err(bad("it is longer than 240 characters"));
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > 63 {
                return Err(bad("each label has 1 to 63 characters"));
            }
            if !label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return Err(bad("labels are written with a-z, 0-9, - and _"));
            }
        }
        Ok(RecordName(format!("{name}.").into()))
    }
}

impl TryFrom<String> for RecordName {
    type Error = RecordNameError;
    fn try_from(text: String) -> Result<RecordName, RecordNameError> {
        text.parse()
    }
}

impl From<RecordName> for String {
    fn from(name: RecordName) -> String {
        name.as_str().to_owned()
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The address families, as DNS types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    A,
    Aaaa,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::A,
            IpAddr::V6(_) => Family::Aaaa,
        }
    }

    /// Both, in the order in which they are written.
    pub const BOTH: [Family; 2] = [Family::A, Family::Aaaa];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Family::A => "A",
            Family::Aaaa => "AAAA",
        })
    }
}

/// Which RRset: an owner name and a family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RrKey {
    pub name: RecordName,
    pub family: Family,
}

impl fmt::Display for RrKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.family)
    }
}

/// The addresses of one RRset with their TTL. An RRset that does not exist has no addresses and
/// no TTL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrSet {
    pub addresses: BTreeSet<IpAddr>,
    pub ttl: Option<Ttl>,
}

/// What a server holds at one record's marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkerSeen {
    /// No TXT RRset there.
    Absent,
    /// One TXT record that is a marker.
    Here(Marker),
    /// Something else: more than one record, or a text that is no marker. `texts` shows it.
    Foreign { texts: Vec<String>, why: String },
}

/// What one server was seen to serve: the RRsets and the marker of every record of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneView {
    #[serde(with = "pairs")]
    pub rrsets: BTreeMap<RrKey, RrSet>,
    pub markers: BTreeMap<RecordName, MarkerSeen>,
    /// The SOA serial, for messages to people.
    pub serial: u32,
}

/// An answer of one authoritative server, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAnswer {
    pub server: SocketAddr,
    pub view: Result<ZoneView, String>,
}

/// One DNS UPDATE (RFC 2136): what must hold, and what then changes. The whole of `expect` and
/// the marker are value-dependent prerequisites (section 2.4.2); `add` and `delete` name exact
/// records, never a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneChange {
    /// Every RRset of every record, present (its exact members) or absent (empty).
    #[serde(with = "pairs")]
    pub expect: BTreeMap<RrKey, BTreeSet<IpAddr>>,
    /// The marker as it must stand at every record; `None`: at none of them.
    pub expect_marker: Option<Marker>,
    pub add: BTreeSet<(RecordName, IpAddr)>,
    pub delete: BTreeSet<(RecordName, IpAddr)>,
    /// The TTL that added records get: the one already served.
    pub ttl: Ttl,
    /// The marker written at every record.
    pub marker: Marker,
}

/// How an UPDATE ended. There is no "failed": what got no answer may still be applied later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateOutcome {
    /// NOERROR, signature checked. Not proof: the primary is read back.
    Applied,
    /// A prerequisite did not hold (NXRRSET, YXRRSET, NXDOMAIN, YXDOMAIN): somebody changed
    /// something.
    NotApplied { why: String },
    /// The server refused for good and said so: no right, wrong key, clocks apart, no such zone.
    Refused { why: String, hint: String },
    /// It may have been applied, or may be later: no answer, or one that proves nothing.
    Unknown { why: String },
    /// It was never sent: the primary could not be reached.
    NotSent { why: String },
}

/// Maps whose keys are no strings, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
