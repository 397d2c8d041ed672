//! How things stand: the rotation, the marker, each site, and how long a site is out of DNS.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::exposition::{Ledger, Metrics, seconds, unix};
use super::facts::VISIT_RESULTS;
use super::labels;
use crate::api::status::{InDns, RotationState, Seen, SiteState};
use crate::model::id::SiteName;
use crate::model::marker::Marker;

/// The state of the rotation where there is none.
pub(super) const NO_ROTATION: &str = "none";

/// The state of a site where nobody can tell.
const UNKNOWN: &str = "unknown";

/// Who can hold the marker.
const HOLDERS: [&str; 3] = ["us", "other", "nobody"];

/// A site that is out of DNS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Out {
    since: Timestamp,
    /// Up to when that is in the counter.
    counted: Timestamp,
}

impl Metrics {
    /// How things are seen to stand, at the time of that sight.
    pub(super) fn stand(&self, ledger: &mut Ledger, seen: &Seen<'_>) {
        let at = seen.now.wall;
        let rotation = seen.running().map(RotationState::of);
        ledger.is_running = rotation.is_some();
        self.rotation_is(rotation.map_or(NO_ROTATION, RotationState::as_str));
        let marker = seen.marker();
        if seen.view.is_some() {
            self.marker_stands(ledger, marker.as_ref(), at);
        }
        self.sites_are(ledger, seen.fleet.sites.keys());
        let mut counts: BTreeMap<&'static str, i64> = BTreeMap::new();
        for site in seen.fleet.sites.keys() {
            let (state, in_dns) = seen.stands(site, marker.as_ref());
            self.site_stands(site, state);
            let is_cordoned = marker
                .as_ref()
                .is_some_and(|marker| marker.cordon.contains(site));
            let labels = labels::Site { site: site.clone() };
            let cordoned = self.families.site_cordoned.get_or_create(&labels);
            cordoned.set(i64::from(is_cordoned));
            drop(cordoned);
            let back = self.families.site_rolled_back.get_or_create(&labels);
            back.set(i64::from(ledger.rolled_back.contains(site)));
            drop(back);
            let since = seen
                .running()
                .and_then(|rotation| rotation.visits.get(site)?.out_since);
            self.is_in_dns(ledger, site, in_dns, (since, at));
            *counts.entry(in_dns.as_str()).or_default() += 1;
        }
        for in_dns in InDns::ALL.map(InDns::as_str) {
            let gauge = self.families.sites.get_or_create(&labels::InDns { in_dns });
            gauge.set(counts.get(in_dns).copied().unwrap_or(0));
        }
    }

    pub(super) fn rotation_is(&self, state: &'static str) {
        let running = RotationState::ALL.map(RotationState::as_str);
        for word in running.into_iter().chain([NO_ROTATION]) {
            let labels = labels::State { state: word };
            let gauge = self.families.rotation_state.get_or_create(&labels);
            gauge.set(i64::from(word == state));
        }
    }

    fn site_stands(&self, site: &SiteName, state: Option<SiteState>) {
        let is = state.map_or(UNKNOWN, SiteState::as_str);
        for word in SiteState::ALL
            .map(SiteState::as_str)
            .into_iter()
            .chain([UNKNOWN])
        {
            let (site, state) = (site.clone(), word);
            let labels = labels::SiteState { site, state };
            let gauge = self.families.site_state.get_or_create(&labels);
            gauge.set(i64::from(word == is));
        }
    }

    fn marker_stands(&self, ledger: &mut Ledger, marker: Option<&Marker>, at: Timestamp) {
        let holder = marker.and_then(|marker| marker.holder.as_ref());
        let held = match holder {
            None => "nobody",
            Some(holder) if *holder == self.holder => "us",
            Some(_) => "other",
        };
        for by in HOLDERS {
            let gauge = self.families.marker_held.get_or_create(&labels::By { by });
            gauge.set(i64::from(by == held));
        }
        let Some(marker) = marker else {
            return;
        };
        let epoch = i64::try_from(marker.epoch.0).unwrap_or(i64::MAX);
        self.families.marker_epoch.get_or_create(&[]).set(epoch);
        let is_same = |(seen, _): &(Marker, Timestamp)| seen == marker;
        if !ledger.marker.as_ref().is_some_and(is_same) {
            ledger.marker = Some((marker.clone(), at));
            let changed = self.families.marker_changed.get_or_create(&[]);
            changed.set(unix(at));
        }
    }

    /// A site that is no longer in the configuration has no state; what was counted of it stays.
    fn sites_are<'s>(&self, ledger: &mut Ledger, sites: impl Iterator<Item = &'s SiteName>) {
        let sites: BTreeSet<SiteName> = sites.cloned().collect();
        if ledger.sites == sites {
            return;
        }
        self.families.site_state.clear();
        self.families.site_cordoned.clear();
        self.families.site_rolled_back.clear();
        self.families.out_since.clear();
        ledger.out.retain(|site, _| sites.contains(site));
        // An increase can be seen only of what was there before.
        for site in &sites {
            let of_site = labels::Site { site: site.clone() };
            drop(self.families.out.get_or_create(&of_site));
            drop(self.families.retries.get_or_create(&of_site));
            for result in VISIT_RESULTS {
                let site = site.clone();
                let labels = labels::SiteResult { site, result };
                drop(self.families.visits.get_or_create(&labels));
            }
        }
        ledger.sites = sites;
    }

    /// What nobody can tell leaves the clock of a site as it is.
    fn is_in_dns(
        &self,
        ledger: &mut Ledger,
        site: &SiteName,
        in_dns: InDns,
        (since, at): (Option<Timestamp>, Timestamp),
    ) {
        let labels = labels::Site { site: site.clone() };
        match in_dns {
            InDns::No => {
                let earlier = ledger.out_since.get(site).copied();
                let out = ledger.out.entry(site.clone()).or_insert(Out {
                    since: since.or(earlier).unwrap_or(at),
                    counted: at,
                });
                let gauge = self.families.out_since.get_or_create(&labels);
                gauge.set(unix(out.since));
            }
            InDns::Yes | InDns::Partly => {
                ledger.out_since.remove(site);
                if let Some(mut out) = ledger.out.remove(site) {
                    self.count_out(site, &mut out, at);
                }
                self.families.out_since.remove(&labels);
            }
            InDns::Unknown => {}
        }
    }

    /// Counts the time up to `until`.
    pub(super) fn count_out(&self, site: &SiteName, out: &mut Out, until: Timestamp) {
        let labels = labels::Site { site: site.clone() };
        let counter = self.families.out.get_or_create(&labels);
        counter.inc_by(seconds(out.counted, until));
        out.counted = until.max(out.counted);
    }
}
