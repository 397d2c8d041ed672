//! Where a site stands in what a server serves.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::rrset::{RecordName, RrKey, ZoneView};

/// Which part of a site's declared addresses a view holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    All,
    Partly,
    None,
}

/// Where a site stands in what a server serves.
pub fn presence(fleet: &Fleet, view: &ZoneView, site: &SiteName) -> Presence {
    let mut declared = 0;
    let mut present = 0;
    for key in fleet.rrsets_of(site) {
        let served = view.rrsets.get(&key);
        for address in fleet.addresses(site, &key) {
            declared += 1;
            present += usize::from(served.is_some_and(|set| set.addresses.contains(&address)));
        }
    }
    match present {
        0 => Presence::None,
        _ if present == declared => Presence::All,
        _ => Presence::Partly,
    }
}

/// The addresses of a site that a view holds, per RRset.
pub fn present_addresses(
    fleet: &Fleet,
    view: &ZoneView,
    site: &SiteName,
) -> BTreeMap<RrKey, BTreeSet<IpAddr>> {
    let mut present = BTreeMap::new();
    for key in fleet.rrsets_of(site) {
        let served = view.rrsets.get(&key);
        let is_served =
            |address: &IpAddr| served.is_some_and(|set| set.addresses.contains(address));
        let of_site: BTreeSet<IpAddr> = fleet.addresses(site, &key).filter(is_served).collect();
        if !of_site.is_empty() {
            present.insert(key, of_site);
        }
    }
    present
}

/// The same as exact records: what an UPDATE deletes when the site leaves.
pub fn present_records(
    fleet: &Fleet,
    view: &ZoneView,
    site: &SiteName,
) -> BTreeSet<(RecordName, IpAddr)> {
    records(present_addresses(fleet, view, site))
}

/// Every record that the fleet declares for a site.
pub fn declared_records(fleet: &Fleet, site: &SiteName) -> BTreeSet<(RecordName, IpAddr)> {
    let keys = fleet.rrsets_of(site).into_iter();
    records(keys.map(|key| (key.clone(), fleet.addresses_of(site, &key))))
}

fn records(
    sets: impl IntoIterator<Item = (RrKey, BTreeSet<IpAddr>)>,
) -> BTreeSet<(RecordName, IpAddr)> {
    let of_set = |(key, addresses): (RrKey, BTreeSet<IpAddr>)| {
        addresses
            .into_iter()
            .map(move |address| (key.name.clone(), address))
    };
    sets.into_iter().flat_map(of_set).collect()
}
