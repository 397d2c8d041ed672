//! The zone that all tests start from, and changes of it.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::fleet::{Dns, RecordPolicy, TsigAlgorithm, TsigKey};
use crate::model::id::Epoch;
use crate::model::marker::Marker;
use crate::model::rrset::{Family, MarkerSeen, RecordName, RrKey, ZoneChange, ZoneView};
use crate::model::text::Secret;
use crate::model::time::Ttl;

/// Two records of the fleet, with IPv4 and IPv6; the second has no AAAA.
pub(super) const ZONE: &str = "\
$ORIGIN example.com.
$TTL 30
@    IN SOA ns1 hostmaster 1 3600 600 86400 30
@    IN NS ns1
@    IN NS ns2
ns1  IN A 127.0.0.1
ns2  IN A 127.0.0.2
ns2  IN AAAA ::1
www  IN A 192.0.2.1
www  IN A 192.0.2.2
www  IN A 192.0.2.3
www  IN AAAA 2001:db8::1
www  IN AAAA 2001:db8::2
api  IN A 198.51.100.1
api  IN A 198.51.100.2
alias IN CNAME www
hinted IN A 192.0.2.1
hinted IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1
plain IN HTTPS 1 . alpn=h2
";

pub(super) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) fn record(name: &str) -> RecordName {
    format!("{name}.example.com.").parse().unwrap()
}

/// The key `cleanslate.`, as servers and fleet have it.
pub(crate) fn key(secret: &[u8]) -> TsigKey {
    TsigKey {
        name: "cleanslate.".parse().unwrap(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: Secret::new(secret),
    }
}

/// The key's secret as configuration files have it.
pub(super) fn secret_base64() -> String {
    data_encoding::BASE64.encode(SECRET)
}

/// The fleet's DNS at `server`: `www` and `api`, nothing but the primary to agree.
pub(crate) fn declared(server: SocketAddr) -> Dns {
    let policy = RecordPolicy {
        addresses: BTreeMap::new(),
        min_in_service: None,
    };
    let records = ["api", "www"].map(|name| (record(name), policy.clone()));
    Dns {
        server,
        zone: "example.com.".parse().unwrap(),
        ttl: Ttl(30),
        ttl_was: Ttl(30),
        key: key(SECRET),
        nameservers: Some(vec![server]),
        records: records.into(),
    }
}

/// A marker of the fleet `edge`; the same for the same `seq`.
pub(crate) fn a_marker(seq: u64) -> Marker {
    let nonce = data_encoding::BASE32_NOPAD.encode(&seq.to_be_bytes());
    Marker {
        fleet: "edge".parse().unwrap(),
        epoch: Epoch(1),
        seq,
        holder: Some("a1b2".parse().unwrap()),
        rotation: None,
        out: BTreeSet::new(),
        dirty: BTreeSet::new(),
        held: BTreeSet::new(),
        cordon: BTreeSet::new(),
        nonce: nonce.parse().unwrap(),
    }
}

/// The addresses of one RRset.
pub(crate) fn addresses(view: &ZoneView, name: &str, family: Family) -> BTreeSet<IpAddr> {
    let name = record(name);
    view.rrsets[&RrKey { name, family }].addresses.clone()
}

/// A change of nothing but the marker, decided on `view`.
fn a_change(view: &ZoneView, marker: Marker) -> ZoneChange {
    let rrsets = view.rrsets.iter();
    ZoneChange {
        expect: rrsets
            .map(|(key, rrset)| (key.clone(), rrset.addresses.clone()))
            .collect(),
        expect_marker: match &view.markers[&record("www")] {
            MarkerSeen::Here(marker) => Some(marker.clone()),
            MarkerSeen::Absent => None,
            MarkerSeen::Foreign { why, .. } => panic!("a foreign marker: {why}"),
        },
        add: BTreeSet::new(),
        delete: BTreeSet::new(),
        ttl: Ttl(30),
        marker,
    }
}

/// The next change: the marker's `seq` is one higher than that of `view`.
pub(crate) fn next(view: &ZoneView) -> ZoneChange {
    let seq = match &view.markers[&record("www")] {
        MarkerSeen::Here(marker) => marker.seq,
        MarkerSeen::Absent | MarkerSeen::Foreign { .. } => 0,
    };
    a_change(view, a_marker(seq + 1))
}

/// The first site leaves both records, with both its families.
pub(crate) fn withdrawal(view: &ZoneView) -> ZoneChange {
    let mut change = next(view);
    change.delete = site();
    change
}

/// What the first site has in DNS.
fn site() -> BTreeSet<(RecordName, IpAddr)> {
    let pair = |name, address: &str| (record(name), address.parse().unwrap());
    BTreeSet::from([
        pair("www", "192.0.2.1"),
        pair("www", "2001:db8::1"),
        pair("api", "198.51.100.1"),
    ])
}
