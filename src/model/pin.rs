//! A site apart: services that it runs at digests of their own, for a while.
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::fleet::{Fleet, Site};
use super::hours::QuietHours;
use super::id::{ServiceName, SiteName};
use super::image::{Digest, ImageRef, Pins};
use super::service::Service;

/// What `pin` of a site says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePin {
    /// Of every service of that name that the site runs.
    pub services: BTreeMap<ServiceName, Digest>,
    /// The last day on which it holds, in the site's own time.
    pub until: Date,
}

impl Site {
    /// Whether the last day of its pin is over at that moment: it takes tags again.
    pub fn has_pin_ended(&self, at: Timestamp) -> bool {
        let today = self.zone().to_datetime(at).date();
        self.pin.as_ref().is_some_and(|pin| pin.until < today)
    }

    /// The digests that it runs at that moment instead of what tags name.
    pub fn pinned(&self, at: Timestamp) -> Pins {
        match self.has_pin_ended(at) {
            true => Pins::new(),
            false => self.declared_pins(),
        }
    }

    /// What its pin says, whether it holds or not.
    pub fn declared_pins(&self) -> Pins {
        let Some(pin) = &self.pin else {
            return Pins::new();
        };
        let pinned = self.services().filter_map(|service| {
            let digest = pin.services.get(&service.name)?;
            Some((service.image.clone(), digest.clone()))
        });
        pinned.collect()
    }

    /// How a registry is asked for each of its images at that moment: by the tag, or by the digest
    /// that it is pinned to.
    pub fn asked(&self, at: Timestamp) -> BTreeMap<ImageRef, ImageRef> {
        let own = self.pinned(at);
        let images = self.services().map(|service| &service.image);
        let asked = |image: &ImageRef| match own.get(image) {
            Some(digest) => image.by_digest(digest),
            None => image.clone(),
        };
        images.map(|image| (image.clone(), asked(image))).collect()
    }

    /// Every service of every host; those of several hosts stand here several times.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        let projects = self.hosts.iter().flat_map(|host| &host.projects);
        projects.flat_map(|project| &project.services)
    }

    /// Where no quiet hours say whose time it lives in, all sites agree on one.
    fn zone(&self) -> TimeZone {
        let zone = self.quiet.as_ref().and_then(QuietHours::zone);
        zone.cloned().unwrap_or(TimeZone::UTC)
    }
}

impl Fleet {
    /// The digests that `site` runs at that moment instead of what tags name.
    pub fn pinned(&self, site: &SiteName, at: Timestamp) -> Pins {
        let site = self.sites.get(site);
        site.map(|site| site.pinned(at)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::{digest, fleet_of};

    #[test]
    fn a_pin_holds_to_the_end_of_its_last_day_in_the_sites_own_time() {
        let quiet = |zone| {
            let zone = TimeZone::get(zone).unwrap();
            QuietHours::parse("02:00-05:00", Some(zone)).ok()
        };
        let of_playbook = QuietHours::parse("02:00-05:00", None).ok();
        for (quiet, last, first_after) in [
            (None, "2026-12-01T23:59:59Z", "2026-12-02T00:00:00Z"),
            (of_playbook, "2026-12-01T23:59:59Z", "2026-12-02T00:00:00Z"),
            (
                quiet("Asia/Singapore"),
                "2026-12-01T15:59:59Z",
                "2026-12-01T16:00:00Z",
            ),
            (
                quiet("America/New_York"),
                "2026-12-02T04:59:59Z",
                "2026-12-02T05:00:00Z",
            ),
        ] {
            let mut site = fleet_of(&["fra"], 1).sites.into_values().next().unwrap();
            site.quiet = quiet;
            site.pin = Some(SitePin {
                services: [("web".parse().unwrap(), digest(7))].into(),
                until: "2026-12-01".parse().unwrap(),
            });
            let digests = |at: &str| -> Vec<Digest> {
                let pinned = site.pinned(at.parse().unwrap());
                pinned.into_values().collect()
            };
            assert_eq!(digests("1970-01-01T00:00:00Z"), [digest(7)]);
            assert_eq!(digests(last), [digest(7)], "{:?}", site.quiet);
            assert_eq!(digests(first_after), [], "{:?}", site.quiet);
        }
    }
}
