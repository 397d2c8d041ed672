//! The pin of a site, as programs and people read it.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::model::fleet::Site;
use crate::model::id::ServiceName;
use crate::model::image::{Digest, ImageRef};

/// What a site is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    pub services: BTreeMap<ServiceName, Digest>,
    /// Its last day, in the site's own time.
    pub until: Date,
    /// That day is over: the site takes tags again, and the pin is to be removed.
    pub ended: bool,
}

impl Pinned {
    /// The pin of a site, as it is at that moment.
    pub fn of(site: &Site, at: Timestamp) -> Option<Pinned> {
        let pin = site.pin.as_ref()?;
        Some(Pinned {
            services: pin.services.clone(),
            until: pin.until,
            ended: site.has_pin_ended(at),
        })
    }

    /// What of it holds then for these images; `None`: nothing.
    pub fn of_images(
        site: &Site,
        at: Timestamp,
        images: impl Fn(&ImageRef) -> bool,
    ) -> Option<Pinned> {
        let mut pinned = Pinned::of(site, at).filter(|pinned| !pinned.ended)?;
        let theirs = site.services().filter(|service| images(&service.image));
        let theirs: BTreeSet<&ServiceName> = theirs.map(|service| &service.name).collect();
        pinned.services.retain(|name, _| theirs.contains(name));
        (!pinned.services.is_empty()).then_some(pinned)
    }
}

/// After the site's name: `is pinned to 4f5a0b1c2d3e (api, web) until 2026-12-01`.
impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pinned {
            services,
            until,
            ended,
        } = self;
        if *ended {
            return write!(f, "takes tags again: its pin ended on {until}, remove it");
        }
        let mut alike: BTreeMap<&Digest, Vec<&str>> = BTreeMap::new();
        for (service, digest) in services {
            alike.entry(digest).or_default().push(service.as_str());
        }
        let alike = alike.into_iter();
        let to = alike.map(|(digest, names)| format!("{} ({})", digest.short(), names.join(", ")));
        let to: Vec<String> = to.collect();
        write!(f, "is pinned to {} until {until}", to.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::digest;

    #[test]
    fn what_is_pinned_alike_stands_together_and_what_has_ended_is_to_be_removed() {
        let pinned = |services: &[(&str, u8)], ended| {
            let services = services.iter();
            let services = services.map(|(name, n)| (name.parse().unwrap(), digest(*n)));
            Pinned {
                services: services.collect(),
                until: "2026-12-01".parse().unwrap(),
                ended,
            }
            .to_string()
        };
        let two = [("web", 2), ("api", 1), ("worker", 2)];
        insta::assert_snapshot!(pinned(&two, false), @"is pinned to 010101010101 (api), 020202020202 (web, worker) until 2026-12-01");
        insta::assert_snapshot!(pinned(&two, true), @"takes tags again: its pin ended on 2026-12-01, remove it");
    }
}
