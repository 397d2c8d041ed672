//! Whether a name server has followed: the marker first, and only then the addresses.
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::effect::Follow;
use super::guards::Guard;
use crate::model::rrset::{MarkerSeen, RrKey, ZoneView};

/// Whether `view` is at least as new as `follow`, and then holds and lacks what it says.
///
/// A server that lacks an address has proved nothing: it may be two versions behind, at a state
/// that lacked the address before. So the marker of every record is looked at first.
///
/// # Errors
/// What is missing, as a fragment for people: `www.example.com. A still has 192.0.2.1`.
pub fn has_followed(view: &ZoneView, follow: &Follow) -> Result<(), String> {
    if view.markers.is_empty() {
        return Err("it shows no marker at all".to_owned());
    }
    for (name, seen) in &view.markers {
        if !Guard::FollowedByMarker.stands() {
            break;
        }
        is_as_new(seen, follow).map_err(|why| format!("{} {why}", name.marker()))?;
    }
    for (key, addresses) in &follow.present {
        let missing = addresses.difference(served(view, key)?).collect();
        nothing(&missing).map_err(|list| format!("{key} still lacks {list}"))?;
    }
    for (key, addresses) in &follow.absent {
        let left = addresses.intersection(served(view, key)?).collect();
        nothing(&left).map_err(|list| format!("{key} still has {list}"))?;
    }
    Ok(())
}

fn is_as_new(seen: &MarkerSeen, follow: &Follow) -> Result<(), String> {
    match seen {
        MarkerSeen::Absent => Err("has no marker yet".to_owned()),
        MarkerSeen::Foreign { why, .. } => Err(format!("is no marker: {why}")),
        MarkerSeen::Here(marker) if (marker.epoch, marker.seq) < (follow.epoch, follow.seq) => {
            Err(format!(
                "is older: epoch {} seq {}, awaited epoch {} seq {}",
                marker.epoch, marker.seq, follow.epoch, follow.seq
            ))
        }
        MarkerSeen::Here(_) => Ok(()),
    }
}

/// The addresses of `key`; one whose record the view shows no marker of was not asked for.
fn served<'v>(view: &'v ZoneView, key: &RrKey) -> Result<&'v BTreeSet<IpAddr>, String> {
    static NONE: BTreeSet<IpAddr> = BTreeSet::new();
    if !view.markers.contains_key(&key.name) {
        return Err(format!("{key} was not asked for"));
    }
    Ok(view.rrsets.get(key).map_or(&NONE, |rrset| &rrset.addresses))
}

fn nothing(addresses: &BTreeSet<&IpAddr>) -> Result<(), String> {
    if addresses.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Err(texts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::id::Epoch;
    use crate::model::marker::Marker;
    use crate::model::rrset::{Family, RecordName, RrSet};
    use crate::model::time::Ttl;

    #[test]
    fn a_server_has_followed_when_its_marker_is_as_new_and_the_addresses_are_gone() {
        assert_eq!(has_followed(&view(4, 2, &["192.0.2.2"]), &absent()), Ok(()));
        assert_eq!(has_followed(&view(4, 9, &["192.0.2.2"]), &absent()), Ok(()));
        assert_eq!(has_followed(&view(5, 0, &[]), &absent()), Ok(()));
    }

    #[test]
    fn lacking_the_address_under_an_older_marker_proves_nothing() {
        let older = has_followed(&view(4, 1, &["192.0.2.2"]), &absent());
        assert_eq!(
            older.unwrap_err(),
            "_cleanslate.www.example.com. is older: epoch 4 seq 1, awaited epoch 4 seq 2"
        );
        assert!(has_followed(&view(3, 7, &["192.0.2.2"]), &absent()).is_err());
    }

    #[test]
    fn a_new_marker_beside_the_old_addresses_is_not_followed() {
        let still = has_followed(&view(4, 2, &["192.0.2.1", "192.0.2.2"]), &absent());
        assert_eq!(still.unwrap_err(), "www.example.com. A still has 192.0.2.1");
    }

    #[test]
    fn restored_addresses_must_be_back() {
        let mut follow = absent();
        follow.present = std::mem::take(&mut follow.absent);
        let lacks = has_followed(&view(4, 2, &["192.0.2.2"]), &follow);
        assert_eq!(
            lacks.unwrap_err(),
            "www.example.com. A still lacks 192.0.2.1"
        );
        assert_eq!(has_followed(&view(4, 2, &["192.0.2.1"]), &follow), Ok(()));
    }

    #[test]
    fn no_marker_or_a_foreign_one_at_any_record_is_not_followed() {
        for seen in [
            MarkerSeen::Absent,
            MarkerSeen::Foreign {
                texts: vec!["v=spf1".to_owned()],
                why: "it lacks epoch=".to_owned(),
            },
        ] {
            let mut view = view(4, 2, &[]);
            view.markers
                .insert("api.example.com.".parse().unwrap(), seen);
            assert!(has_followed(&view, &absent()).is_err());
        }
        let mut bare = view(4, 2, &[]);
        bare.markers.clear();
        assert!(has_followed(&bare, &absent()).is_err());
    }

    fn www() -> RecordName {
        "www.example.com.".parse().unwrap()
    }

    fn key() -> RrKey {
        RrKey {
            name: www(),
            family: Family::A,
        }
    }

    fn absent() -> Follow {
        Follow {
            epoch: Epoch(4),
            seq: 2,
            present: BTreeMap::new(),
            absent: BTreeMap::from([(key(), BTreeSet::from(["192.0.2.1".parse().unwrap()]))]),
            without: BTreeSet::new(),
        }
    }

    fn view(epoch: u64, seq: u64, addresses: &[&str]) -> ZoneView {
        let marker = Marker {
            fleet: "edge".parse().unwrap(),
            epoch: Epoch(epoch),
            seq,
            holder: None,
            rotation: None,
            out: BTreeSet::new(),
            dirty: BTreeSet::new(),
            held: BTreeSet::new(),
            cordon: BTreeSet::new(),
            nonce: "MFRGG2DF".parse().unwrap(),
        };
        let rrset = RrSet {
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ttl: Some(Ttl(30)),
        };
        ZoneView {
            rrsets: BTreeMap::from([(key(), rrset)]),
            markers: BTreeMap::from([(www(), MarkerSeen::Here(marker))]),
            serial: 7,
        }
    }
}
