//! The marker: the TXT record that says who may change the fleet's DNS, and what is out.
//!
//! It stands at `_cleanslate.RECORD` of every record, all alike, and is stated and written in
//! each UPDATE: the marker RR of RFC 2136 section 5.6, whose value is never seen twice.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::{Epoch, FleetName, HolderId, Nonce, RotationId, SiteName};

/// The marker's value. Idle: no holder, no rotation; the lists stay, they are debts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    pub fleet: FleetName,
    pub epoch: Epoch,
    /// Raised by every change.
    pub seq: u64,
    pub holder: Option<HolderId>,
    pub rotation: Option<RotationId>,
    /// Sites that our visits took out and did not bring back.
    pub out: BTreeSet<SiteName>,
    /// Sites at which something may have been stopped: never put back, only recreated.
    pub dirty: BTreeSet<SiteName>,
    /// Sites taken out by `withdraw`.
    pub held: BTreeSet<SiteName>,
    /// Sites that rotations skip.
    pub cordon: BTreeSet<SiteName>,
    /// Random; makes every value unique.
    pub nonce: Nonce,
}

/// Why TXT strings are no marker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    #[error("it lacks {key}=")]
    Missing { key: &'static str },
    #[error("{key}= is there twice")]
    Twice { key: &'static str },
    #[error("{text:?} is no KEY=VALUE that a marker has")]
    Unknown { text: String },
    #[error("{key}={value:?} cannot be read: {why}")]
    Value {
        key: &'static str,
        value: String,
        why: String,
    },
    #[error("it is of version {version}, this program reads version 1")]
    Version { version: String },
}

/// A TXT string holds at most 255 octets (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

impl Marker {
    /// Whether `self` is at least as new as `other`: the order in which markers follow each other.
    pub fn is_at_least(&self, other: &Marker) -> bool {
        (self.epoch, self.seq) >= (other.epoch, other.seq)
    }

    /// Sites that the floor counts as unavailable.
    pub fn unavailable(&self) -> BTreeSet<SiteName> {
        self.out.union(&self.dirty).cloned().collect()
    }

    /// The TXT strings, in the order in which they are written. Long lists go on in another
    /// string of the same key.
    pub fn strings(&self) -> Vec<String> {
        let dash = "-".to_owned();
        let mut strings = vec![
            "v=1".to_owned(),
            format!("fleet={}", self.fleet),
            format!("epoch={}", self.epoch),
            format!("seq={}", self.seq),
            format!(
                "holder={}",
                self.holder
                    .as_ref()
                    .map_or(dash.clone(), ToString::to_string)
            ),
            format!(
                "rotation={}",
                self.rotation.as_ref().map_or(dash, ToString::to_string)
            ),
        ];
        let lists = [
            ("out", &self.out),
            ("dirty", &self.dirty),
            ("held", &self.held),
            ("cordon", &self.cordon),
        ];
        for (key, sites) in lists {
            push_list(&mut strings, key, sites);
        }
        strings.push(format!("nonce={}", self.nonce));
        strings
    }

    /// Reads the strings of one TXT record; their order does not matter, but for lists.
    ///
    /// # Errors
    /// [`MarkerError`] where a key is missing, doubled or unknown, or a value cannot be read.
    pub fn parse<S: AsRef<str>>(strings: &[S]) -> Result<Marker, MarkerError> {
        let mut fields = Fields::default();
        for string in strings {
            fields.take(string.as_ref())?;
        }
        let version = one("v", fields.v)?;
        if version != "1" {
            return Err(MarkerError::Version { version });
        }
        Ok(Marker {
            fleet: value("fleet", &one("fleet", fields.fleet)?)?,
            epoch: Epoch(value("epoch", &one("epoch", fields.epoch)?)?),
            seq: value("seq", &one("seq", fields.seq)?)?,
            holder: optional("holder", &one("holder", fields.holder)?)?,
            rotation: optional("rotation", &one("rotation", fields.rotation)?)?,
            out: list("out", &fields.out)?,
            dirty: list("dirty", &fields.dirty)?,
            held: list("held", &fields.held)?,
            cordon: list("cordon", &fields.cordon)?,
            nonce: value("nonce", &one("nonce", fields.nonce)?)?,
        })
    }
}

fn push_list(strings: &mut Vec<String>, key: &str, sites: &BTreeSet<SiteName>) {
    if sites.is_empty() {
        strings.push(format!("{key}=-"));
        return;
    }
    let mut line = format!("{key}=");
    for site in sites {
        let is_first = line.ends_with('=');
        if !is_first && line.len() + 1 + site.as_str().len() > STRING_MAX {
            strings.push(std::mem::replace(&mut line, format!("{key}=")));
        }
        if !line.ends_with('=') {
            line.push(',');
        }
        line.push_str(site.as_str());
    }
    strings.push(line);
}

#[derive(Default)]
struct Fields {
    v: Option<String>,
    fleet: Option<String>,
    epoch: Option<String>,
    seq: Option<String>,
    holder: Option<String>,
    rotation: Option<String>,
    nonce: Option<String>,
    out: Vec<String>,
    dirty: Vec<String>,
    held: Vec<String>,
    cordon: Vec<String>,
}

impl Fields {
    fn take(&mut self, string: &str) -> Result<(), MarkerError> {
        let unknown = || MarkerError::Unknown {
            text: string.to_owned(),
        };
        let (key, value) = string.split_once('=').ok_or_else(unknown)?;
        let (slot, key) = match key {
            "v" => (&mut self.v, "v"),
            "fleet" => (&mut self.fleet, "fleet"),
            "epoch" => (&mut self.epoch, "epoch"),
            "seq" => (&mut self.seq, "seq"),
            "holder" => (&mut self.holder, "holder"),
            "rotation" => (&mut self.rotation, "rotation"),
            "nonce" => (&mut self.nonce, "nonce"),
            "out" => return push(&mut self.out, value),
            "dirty" => return push(&mut self.dirty, value),
            "held" => return push(&mut self.held, value),
            "cordon" => return push(&mut self.cordon, value),
            _ => return Err(unknown()),
        };
        match slot.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(MarkerError::Twice { key }),
        }
    }
}

fn push(values: &mut Vec<String>, value: &str) -> Result<(), MarkerError> {
    values.push(value.to_owned());
    Ok(())
}

fn one(key: &'static str, found: Option<String>) -> Result<String, MarkerError> {
    found.ok_or(MarkerError::Missing { key })
}

fn value<T: std::str::FromStr<Err: ToString>>(
    key: &'static str,
    text: &str,
) -> Result<T, MarkerError> {
    text.parse().map_err(|error: T::Err| MarkerError::Value {
        key,
        value: text.to_owned(),
        why: error.to_string(),
    })
}

fn optional<T: std::str::FromStr<Err: ToString>>(
    key: &'static str,
    text: &str,
) -> Result<Option<T>, MarkerError> {
    if text == "-" {
        Ok(None)
    } else {
        value(key, text).map(Some)
    }
}

fn list(key: &'static str, strings: &[String]) -> Result<BTreeSet<SiteName>, MarkerError> {
    if strings.is_empty() {
        return Err(MarkerError::Missing { key });
    }
    let names = strings
        .iter()
        .filter(|text| *text != "-")
        .flat_map(|text| text.split(','));
    names.map(|name| value(key, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(out: usize) -> Marker {
        Marker {
            fleet: "edge".parse().unwrap(),
            epoch: Epoch(7),
            seq: 41,
            holder: Some("a1b2".parse().unwrap()),
            rotation: Some("nightly-20261121T030000-AB12".parse().unwrap()),
            out: (0..out)
                .map(|n| format!("site-number-{n:03}").parse().unwrap())
                .collect(),
            dirty: BTreeSet::new(),
            held: BTreeSet::from(["sin".parse().unwrap()]),
            cordon: BTreeSet::new(),
            nonce: "MFRGG2DF".parse().unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for out in [0, 1, 2, 16, 17, 100] {
            let strings = marker(out).strings();
            assert!(strings.iter().all(|s| s.len() <= STRING_MAX));
            assert_eq!(Marker::parse(&strings).unwrap(), marker(out));
        }
    }

    #[test]
    fn a_long_list_goes_on_in_another_string_of_the_same_key() {
        let lines = marker(100).strings();
        assert!(lines.iter().filter(|line| line.starts_with("out=")).count() > 1);
    }

    #[test]
    fn what_is_no_marker_says_why() {
        let mut lines = marker(0).strings();
        lines.retain(|line| !line.starts_with("epoch="));
        assert_eq!(
            Marker::parse(&lines),
            Err(MarkerError::Missing { key: "epoch" })
        );
        let spf = Marker::parse(&["v=spf1 -all"]);
        assert_eq!(
            spf.unwrap_err().to_string(),
            "it is of version spf1 -all, this program reads version 1"
        );
        let doubled = Marker::parse(&["v=1", "v=1"]);
        assert_eq!(doubled, Err(MarkerError::Twice { key: "v" }));
    }
}
