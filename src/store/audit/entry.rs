//! One record of the audit, and its place in the chain.
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::id::{FleetName, RotationId, SiteName};
use crate::model::way::Way;
use crate::store::chain::{Point, checksum};

/// What is added to the audit. The store gives it its number and asks nothing of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub rotation: Option<RotationId>,
    pub site: Option<SiteName>,
    pub by: By,
    /// What it tells: `command`, `update_sent`, …
    pub kind: String,
    /// A JSON object. Secrets have no place in it: it is kept for ever.
    pub body: String,
}

/// On whose behalf, and by what way they said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// A user, the name of a token, `schedule`.
    pub who: String,
    pub way: Way,
    /// The process that asked, where it is one of this machine.
    pub pid: Option<u32>,
}

impl By {
    /// The coordinator itself.
    pub fn itself() -> By {
        By {
            who: "cleanslate".to_owned(),
            way: Way::Coordinator,
            pid: None,
        }
    }

    /// What follows from a rotation that `who` began.
    pub fn rotation_of(who: &str) -> By {
        By {
            who: who.to_owned(),
            way: Way::Rotation,
            pid: None,
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = &self.who;
        match (self.way, self.pid) {
            // The name says it.
            (Way::Rotation | Way::Schedule | Way::Push | Way::Coordinator | Way::Token, _) => {
                f.write_str(who)
            }
            (way, Some(pid)) => write!(f, "{who} ({}, process {pid})", way.as_str()),
            (way, None) => write!(f, "{who} ({})", way.as_str()),
        }
    }
}

impl Entry {
    /// About no rotation and no site.
    pub fn of(by: By, at: Timestamp, kind: &str, body: &impl Serialize) -> Entry {
        let body = serde_json::to_string(body);
        Entry {
            at,
            rotation: None,
            site: None,
            by,
            kind: kind.to_owned(),
            body: body.expect("texts, numbers and string keys always serialize"),
        }
    }

    /// The same, about these.
    #[must_use]
    pub fn about(self, rotation: Option<&RotationId>, site: Option<&SiteName>) -> Entry {
        Entry {
            rotation: rotation.cloned(),
            site: site.cloned(),
            ..self
        }
    }
}

/// Before the first record of a fleet's audit.
pub(super) fn origin(fleet: &FleetName) -> Point {
    let sum = checksum("cleanslate audit 1", &[fleet.as_str().as_bytes()]);
    Point { seq: 0, sum }
}

/// The place after `entry`.
pub(super) fn after(point: &Point, entry: &Entry) -> Point {
    let seq = point.seq + 1;
    let rotation = entry.rotation.as_ref().map_or("", |id| id.as_str());
    let site = entry.site.as_ref().map_or("", |site| site.as_str());
    let pid = entry.by.pid.map_or(String::new(), |pid| pid.to_string());
    let sum = checksum(
        "audit",
        &[
            &point.sum,
            &seq.to_be_bytes(),
            &entry.at.as_nanosecond().to_be_bytes(),
            rotation.as_bytes(),
            site.as_bytes(),
            entry.by.who.as_bytes(),
            entry.by.way.as_str().as_bytes(),
            pid.as_bytes(),
            entry.kind.as_bytes(),
            entry.body.as_bytes(),
        ],
    );
    Point { seq, sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_the_chain_is_pinned() {
        let entry = Entry {
            at: "2026-07-01T01:00:00.5Z".parse().unwrap(),
            rotation: Some("nightly-20260701T030000-abcd".parse().unwrap()),
            site: Some("fra".parse().unwrap()),
            by: By {
                who: "ops".to_owned(),
                way: Way::Socket,
                pid: Some(4711),
            },
            kind: "command".to_owned(),
            body: "{}".to_owned(),
        };
        let fleet = "edge".parse().unwrap();
        let point = after(&origin(&fleet), &entry);
        let hex = data_encoding::HEXLOWER.encode(&point.sum);
        assert_eq!(
            (point.seq, hex.as_str()),
            (
                1,
                "b38ea546459c90e11c284ce3f7f9e234c5d6ccf287bae4b0199b197d9db32fb2"
            )
        );
    }

    #[test]
    fn every_field_is_in_the_sum() {
        let entry = Entry::of(By::itself(), Timestamp::UNIX_EPOCH, "started", &());
        let origin = origin(&"edge".parse().unwrap());
        let second: Timestamp = "1970-01-01T00:00:01Z".parse().unwrap();
        let by = |who: &str, way, pid| By {
            who: who.to_owned(),
            way,
            pid,
        };
        let site = "fra".parse().unwrap();
        let night = "night-1".parse().unwrap();
        let base = entry.clone();
        let others = [
            Entry {
                at: second,
                ..base.clone()
            },
            base.clone().about(Some(&night), None),
            base.clone().about(None, Some(&site)),
            Entry {
                by: by("ana", Way::Coordinator, None),
                ..base.clone()
            },
            Entry {
                by: by("cleanslate", Way::Schedule, None),
                ..base.clone()
            },
            Entry {
                by: by("cleanslate", Way::Coordinator, Some(1)),
                ..base.clone()
            },
            Entry {
                kind: "stopped".to_owned(),
                ..base.clone()
            },
            Entry {
                body: "{}".to_owned(),
                ..base
            },
        ];
        for other in others {
            assert_ne!(after(&origin, &other), after(&origin, &entry), "{other:?}");
        }
    }
}
