//! The rules about what a withdrawal leaves behind in DNS.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Refusal, present_addresses};
use crate::coordinator::guards::Guard;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, RecordName, RrKey, ZoneView};

/// **floor**: after `site` has left, at least F other member sites are in each of its RRsets and
/// answer their probes, and no RRset is left empty. `answering` are the sites that were just
/// probed and passed. With `below_floor` only the last part holds: nothing overrides it.
///
/// # Errors
/// The first RRset for which it does not hold, with the sites that are missing.
pub fn floor(
    fleet: &Fleet,
    view: &ZoneView,
    marker: &Marker,
    answering: &BTreeSet<SiteName>,
    site: &SiteName,
    below_floor: bool,
) -> Result<(), Refusal> {
    for (key, leaving) in present_addresses(fleet, view, site) {
        let served = served(view, &key);
        if served.is_subset(&leaving) && Guard::NeverEmpty.stands() {
            return Err(empty(format!(
                "without {site} the RRset {key} would be empty"
            )));
        }
        let (left, missing) = others(fleet, marker, answering, site, &key, &served);
        let need = fleet.floor(&key) as usize;
        if left < need && !below_floor && Guard::FloorCounted.stands() {
            return Err(Refusal {
                rule: "floor".to_owned(),
                why: format!(
                    "without {site} the RRset {key} would have {left} of {need} sites in \
                     service; missing: {}",
                    missing.join(", ")
                ),
                cure: "bring the missing sites into service; for withdraw and rebuild, \
                       --below-floor --reason TEXT goes on without them"
                    .to_owned(),
                is_transient: false,
            });
        }
    }
    Ok(())
}

/// Nothing overrides this: no UPDATE of ours leaves an RRset empty that had members. Asked of
/// every UPDATE, whatever it is for.
///
/// # Errors
/// The RRset that would be empty.
pub fn never_empty(
    expect: &BTreeMap<RrKey, BTreeSet<IpAddr>>,
    add: &BTreeSet<(RecordName, IpAddr)>,
    delete: &BTreeSet<(RecordName, IpAddr)>,
) -> Result<(), Refusal> {
    let of = |records: &BTreeSet<(RecordName, IpAddr)>, key: &RrKey| -> BTreeSet<IpAddr> {
        let here = |(name, address): &&(RecordName, IpAddr)| {
            *name == key.name && Family::of(*address) == key.family
        };
        records
            .iter()
            .filter(here)
            .map(|(_, address)| *address)
            .collect()
    };
    for (key, before) in expect.iter().filter(|(_, before)| !before.is_empty()) {
        let is_emptied = of(add, key).is_empty() && before.is_subset(&of(delete, key));
        if is_emptied && Guard::NeverEmpty.stands() {
            return Err(empty(format!("the RRset {key} would be empty")));
        }
    }
    Ok(())
}

/// A site that can go back does so, rather than be emptied, where somebody has taken everybody else
/// out of an RRset that its addresses were `taken` from: until it is back nobody serves there.
///
/// # Errors
/// The first RRset that is empty.
pub fn still_served(
    view: &ZoneView,
    taken: &BTreeSet<(RecordName, IpAddr)>,
) -> Result<(), Refusal> {
    for (name, address) in taken {
        let (name, family) = (name.clone(), Family::of(*address));
        let key = RrKey { name, family };
        if served(view, &key).is_empty() {
            let why = format!("somebody emptied the RRset {key} while the site was out");
            let cure = "put the sites back that serve it, and find out who did it";
            return Err(Refusal::new("floor", why, cure));
        }
    }
    Ok(())
}

/// **ttl**: every RRset of the site is served with the declared TTL.
///
/// # Errors
/// The first that is not, with both numbers.
pub fn ttl(fleet: &Fleet, view: &ZoneView, site: &SiteName) -> Result<(), Refusal> {
    for key in fleet.rrsets_of(site) {
        if !Guard::TtlAsDeclared.stands() {
            break;
        }
        let served = view.rrsets.get(&key).and_then(|set| set.ttl);
        if let Some(served) = served.filter(|served| *served != fleet.dns.ttl) {
            return Err(Refusal::new(
                "ttl",
                format!(
                    "{key} is served with a TTL of {served}, site.toml says {}",
                    fleet.dns.ttl
                ),
                "set the TTL of the records on the primary, or [dns].ttl, so that both agree: \
                 cleanslate changes no TTL",
            ));
        }
    }
    Ok(())
}

fn empty(why: String) -> Refusal {
    let cure = "bring another site of this record into service first: nothing overrides this";
    Refusal::new("floor", why, cure)
}

/// How many other members serve an RRset, and which do not, each with its reason.
fn others(
    fleet: &Fleet,
    marker: &Marker,
    answering: &BTreeSet<SiteName>,
    site: &SiteName,
    key: &RrKey,
    served: &BTreeSet<IpAddr>,
) -> (usize, Vec<String>) {
    let (mut left, mut missing) = (0, Vec::new());
    for other in fleet.members(key).iter().filter(|other| *other != site) {
        let why = if marker.out.contains(other) || marker.dirty.contains(other) {
            "out or dirty in the marker"
        } else if fleet.addresses_of(other, key).is_disjoint(served) {
            "not in DNS"
        } else if !answering.contains(other) && Guard::FloorAnswers.stands() {
            "does not answer its probes"
        } else {
            left += 1;
            continue;
        };
        missing.push(format!("{other} ({why})"));
    }
    (left, missing)
}

fn served(view: &ZoneView, key: &RrKey) -> BTreeSet<IpAddr> {
    view.rrsets
        .get(key)
        .map(|set| set.addresses.clone())
        .unwrap_or_default()
}
