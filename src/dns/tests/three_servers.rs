//! What must hold on BIND, Knot and PowerDNS alike.
use std::collections::BTreeSet;

use hickory_proto::op::{Message, ResponseCode};

use crate::dns::Dns;
use crate::dns::testing::{
    Bind, Fault, Knot, PowerDns, Proxy, Server, a_marker, addresses, declared, key, next, record,
    replay, withdrawal,
};
use crate::model::rrset::{Family, MarkerSeen, RrKey, UpdateOutcome, ZoneChange};
use crate::model::time::Ttl;

/// Runs each story on each server.
macro_rules! on_three_servers {
    ($($story:ident),+ $(,)?) => {
        mod bind {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::Bind::primary()).await;
            })+
        }
        mod knot {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::Knot::primary()).await;
            })+
        }
        mod powerdns {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::PowerDns::primary()).await;
            })+
        }
    };
}

on_three_servers!(
    a_withdrawal_takes_exactly_the_site_out,
    nothing_changes_when_anything_is_not_as_stated,
    a_replayed_update_is_refused_though_the_addresses_are_back,
    a_wrong_secret_changes_nothing_and_is_named,
    a_key_of_another_name_changes_nothing_and_is_named,
);

async fn a_withdrawal_takes_exactly_the_site_out(server: Server) {
    let dns = Dns::new(declared(server.address)).unwrap();
    let before = dns.read_primary().await.unwrap();
    assert_eq!(before.serial, 1);
    assert_eq!(before.markers[&record("www")], MarkerSeen::Absent);

    let change = withdrawal(&before);
    assert_eq!(dns.update(&change).await, UpdateOutcome::Applied);

    let after = dns.read_primary().await.unwrap();
    assert_ne!(after.serial, before.serial);
    let seen = MarkerSeen::Here(change.marker.clone());
    assert_eq!(after.markers[&record("www")], seen);
    assert_eq!(after.markers[&record("api")], seen);
    assert_eq!(
        addresses(&after, "www", Family::A),
        set(&["192.0.2.2", "192.0.2.3"])
    );
    assert_eq!(
        addresses(&after, "www", Family::Aaaa),
        set(&["2001:db8::2"])
    );
    assert_eq!(addresses(&after, "api", Family::A), set(&["198.51.100.2"]));
    assert!(
        after
            .rrsets
            .values()
            .all(|set| set.ttl.is_none() || set.ttl == Some(Ttl(30)))
    );

    let mut restore = next(&after);
    restore.add = change.delete;
    assert_eq!(dns.update(&restore).await, UpdateOutcome::Applied);
    let restored = dns.read_primary().await.unwrap();
    assert_eq!(restored.rrsets, before.rrsets);
}

async fn nothing_changes_when_anything_is_not_as_stated(server: Server) {
    let dns = Dns::new(declared(server.address)).unwrap();
    let first = dns.read_primary().await.unwrap();
    assert_eq!(dns.update(&next(&first)).await, UpdateOutcome::Applied);
    let view = dns.read_primary().await.unwrap();

    for (what, spoil) in WRONG {
        let mut change = withdrawal(&view);
        spoil(&mut change);
        let outcome = dns.update(&change).await;
        assert!(
            matches!(outcome, UpdateOutcome::NotApplied { .. }),
            "{what}: {outcome:?}"
        );
    }
    assert_eq!(dns.read_primary().await.unwrap(), view);
    assert_eq!(dns.update(&withdrawal(&view)).await, UpdateOutcome::Applied);
}

type Spoil = fn(&mut ZoneChange);

/// One wrong statement each; everything else of the change is right.
const WRONG: [(&str, Spoil); 6] = [
    ("a member too few", |change| {
        of(change, "www", Family::A).remove(&"192.0.2.3".parse().unwrap());
    }),
    ("a member too many", |change| {
        of(change, "www", Family::Aaaa).insert("2001:db8::9".parse().unwrap());
    }),
    ("an RRset that is not there", |change| {
        of(change, "api", Family::Aaaa).insert("2001:db8::9".parse().unwrap());
    }),
    ("no RRset where one is", |change| {
        of(change, "api", Family::A).clear();
        change.delete.retain(|(name, _)| *name != record("api"));
    }),
    ("another marker", |change| {
        change.expect_marker = Some(a_marker(77));
    }),
    ("no marker where one is", |change| {
        change.expect_marker = None;
    }),
];

async fn a_replayed_update_is_refused_though_the_addresses_are_back(server: Server) {
    let proxy = Proxy::before(server.address, Fault::None).await;
    let dns = Dns::new(declared(server.address)).unwrap();
    let watched = Dns::new(declared(proxy.address)).unwrap();
    let before = dns.read_primary().await.unwrap();
    let withdrawal = withdrawal(&before);
    assert_eq!(watched.update(&withdrawal).await, UpdateOutcome::Applied);
    let mut restore = next(&dns.read_primary().await.unwrap());
    restore.add = withdrawal.delete;
    assert_eq!(dns.update(&restore).await, UpdateOutcome::Applied);
    let restored = dns.read_primary().await.unwrap();
    assert_eq!(restored.rrsets, before.rrsets);

    let caught = proxy.requests().await;
    let answer = replay(server.address, &caught[0]).await;

    let code = Message::from_vec(&answer).unwrap().response_code;
    assert!(
        matches!(code, ResponseCode::NXRRSet | ResponseCode::YXRRSet),
        "{code}"
    );
    assert_eq!(dns.read_primary().await.unwrap(), restored);
}

async fn a_wrong_secret_changes_nothing_and_is_named(server: Server) {
    let mut declared = declared(server.address);
    declared.key = key(b"another secret of the same length");
    let why = refused_key(declared).await;
    assert!(
        why.contains("has another secret for the TSIG key cleanslate. (BADSIG)")
            || why.contains("PowerDNS answers so to a wrong TSIG key or clock too"),
        "{why}"
    );
}

async fn a_key_of_another_name_changes_nothing_and_is_named(server: Server) {
    let mut declared = declared(server.address);
    declared.key.name = "somebody.".parse().unwrap();
    let why = refused_key(declared).await;
    assert!(
        why.contains("does not know the TSIG key somebody., or has no use for it (BADKEY)")
            || why.contains("PowerDNS answers so to a wrong TSIG key or clock too"),
        "{why}"
    );
}

/// What an UPDATE and the check of rights say under a key that the server does not accept.
async fn refused_key(declared: crate::model::fleet::Dns) -> String {
    let dns = Dns::new(declared).unwrap();
    let view = dns.read_primary().await.unwrap();
    let UpdateOutcome::Unknown { why } = dns.update(&withdrawal(&view)).await else {
        panic!("an unsigned answer decided something");
    };
    assert_eq!(dns.read_primary().await.unwrap(), view);
    let report = dns.check_rights().await;
    assert_eq!(report.granted, []);
    let [problem] = report.problems.as_slice() else {
        panic!("one problem, not {:?}", report.problems);
    };
    assert!(!problem.is_transient);
    assert!(why.contains(&problem.what), "{why} lacks {}", problem.what);
    why
}

fn of<'c>(
    change: &'c mut ZoneChange,
    name: &str,
    family: Family,
) -> &'c mut BTreeSet<std::net::IpAddr> {
    let name = record(name);
    change.expect.get_mut(&RrKey { name, family }).unwrap()
}

fn set(addresses: &[&str]) -> BTreeSet<std::net::IpAddr> {
    addresses.iter().map(|text| text.parse().unwrap()).collect()
}
