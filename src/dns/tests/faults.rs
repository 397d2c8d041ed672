//! Answers that are lost, spoiled or forged decide nothing; what was never sent is said so.
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::tsig::TsigError;
use tokio::net::TcpListener;

use crate::dns::Dns;
use crate::dns::message::Update;
use crate::dns::send::CONNECT_WITHIN;
use crate::dns::testing::{Bind, Fault, Proxy, Server, declared, next, record, withdrawal};
use crate::dns::tsig::{Reply, Signer, unix_s};
use crate::dns::update::judge;
use crate::dns::wire::{Connection, name};
use crate::model::rrset::{MarkerSeen, UpdateOutcome};

#[tokio::test]
async fn an_answer_that_is_lost_or_spoiled_leaves_it_unknown_though_it_was_applied() {
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let faults = [
        (Fault::Lose, "broke before its answer: it was closed"),
        (Fault::Cut, "broke before its answer: it was closed"),
        (Fault::Hold, "gave no answer within 5 s"),
        (Fault::Unsign, "proves nothing (it is not signed)"),
        (Fault::Tamper, "proves nothing (its signature does not hold"),
        (Fault::OtherId, "proves nothing (its id is not ours)"),
        (Fault::Garble, "sent what is no DNS message"),
    ];
    for (fault, says) in faults {
        let proxy = Proxy::before(server.address, fault).await;
        let change = next(&dns.read_primary().await.unwrap());
        let spoiled = Dns::new(declared(proxy.address)).unwrap();
        let UpdateOutcome::Unknown { why } = spoiled.update(&change).await else {
            panic!("{fault:?} decided something");
        };
        assert!(why.contains(says), "{fault:?}: {why}");
        assert_eq!(proxy.requests().await.len(), 1, "{fault:?}: sent once");
        let view = dns.read_primary().await.unwrap();
        assert_eq!(
            view.markers[&record("www")],
            MarkerSeen::Here(change.marker),
            "{fault:?}: it was applied all the same"
        );
    }
}

#[tokio::test]
async fn an_answer_whose_rcode_was_turned_into_a_refusal_is_not_believed() {
    let server = Bind::primary();
    let proxy = Proxy::before(server.address, Fault::Tamper).await;
    let dns = Dns::new(declared(server.address)).unwrap();
    let change = withdrawal(&dns.read_primary().await.unwrap());
    let outcome = Dns::new(declared(proxy.address))
        .unwrap()
        .update(&change)
        .await;
    // NOERROR with one bit turned is NXRRSET.
    assert!(
        matches!(outcome, UpdateOutcome::Unknown { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_frozen_server_leaves_it_unknown_and_applies_it_later() {
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let change = withdrawal(&dns.read_primary().await.unwrap());
    server.freeze();
    let outcome = dns.update(&change).await;
    let read = dns.read_primary().await;
    server.thaw();
    assert!(
        matches!(outcome, UpdateOutcome::Unknown { .. }),
        "{outcome:?}"
    );
    let problem = read.unwrap_err();
    assert!(problem.is_transient && problem.what.contains("gave no answer within 2000 ms"));
    let seen = marker_once_it_moves(&dns).await;
    assert_eq!(seen, MarkerSeen::Here(change.marker));
}

#[tokio::test]
async fn what_could_not_be_sent_is_said_so() {
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let change = next(&dns.read_primary().await.unwrap());
    let away = Dns::new(declared(nobody().await)).unwrap();
    let UpdateOutcome::NotSent { why } = away.update(&change).await else {
        panic!("it was sent to nobody");
    };
    assert!(why.contains("Connection refused"), "{why}");
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_is_never_sent() {
    let server = Bind::primary();
    let proxy = Proxy::before(server.address, Fault::None).await;
    let dns = Dns::new(declared(proxy.address)).unwrap();
    let view = dns.read_primary().await.unwrap();
    let reads = proxy.requests().await.len();
    let good = withdrawal(&view);

    let mut twice = good.clone();
    twice.add = twice.delete.clone();
    let mut same = good.clone();
    same.expect_marker = Some(same.marker.clone());
    let mut undeclared = good.clone();
    let other = ("other.example.com.".parse().unwrap(), ip("192.0.2.9"));
    undeclared.add = BTreeSet::from([other]);
    let mut unstated = good.clone();
    unstated.expect.pop_first();
    let mut emptying = good;
    emptying.delete.insert((record("api"), ip("198.51.100.2")));
    let bad = [
        (twice, "both added and deleted"),
        (same, "no two may have the same value"),
        (undeclared, "other.example.com. is no record of the fleet"),
        (unstated, "api.example.com. A is not stated"),
        (emptying, "leave api.example.com. A without any address"),
    ];
    for (change, says) in bad {
        let UpdateOutcome::NotSent { why } = dns.update(&change).await else {
            panic!("sent: {says}");
        };
        assert!(why.contains(says), "{why}");
    }
    assert_eq!(proxy.requests().await.len(), reads);
    assert_eq!(dns.read_primary().await.unwrap(), view);
}

#[tokio::test]
async fn clocks_apart_are_refused_under_signature_and_both_are_shown() {
    let server = Bind::primary();
    let declared = declared(server.address);
    for (skew_s, apart) in [(-60_i64, "60 s apart"), (60, "60 s apart")] {
        let at_s = unix_s().saturating_add_signed(skew_s);
        let reply = send_at(&server, at_s).await;
        let Reply::Signed(answer) = &reply else {
            panic!("{reply:?}");
        };
        assert_eq!(answer.tsig_error, Some(TsigError::BadTime));
        let ahead = answer.clocks.unwrap().server_ahead_s();
        assert!((ahead + skew_s).abs() <= 1, "{ahead}");
        let UpdateOutcome::Refused { why, hint } = judge(&declared, reply) else {
            panic!("BADTIME is signed");
        };
        let about = why.contains(apart) || why.contains("59 s apart") || why.contains("61 s apart");
        assert!(about, "{why}");
        assert!(hint.contains("set both by NTP"), "{hint}");
    }
    let within = send_at(&server, unix_s() - 15).await;
    let Reply::Signed(answer) = within else {
        panic!("{within:?}");
    };
    assert_eq!(answer.tsig_error, None);
}

#[tokio::test]
async fn a_read_without_authority_truncated_or_garbled_is_an_error() {
    let server = Bind::primary();
    let faults = [
        (Fault::NoAuthority, "example.com. SOA without authority"),
        (Fault::Truncate, "truncates its answer to example.com. SOA"),
        (Fault::OtherId, "its id is none of ours"),
        (Fault::OtherQuestion, "it repeats another question"),
        (Fault::Garble, "what is no DNS message"),
        (Fault::Lose, "broke before its answer"),
        (Fault::Cut, "broke before its answer"),
    ];
    for (fault, says) in faults {
        let proxy = Proxy::before(server.address, fault).await;
        let dns = Dns::new(declared(proxy.address)).unwrap();
        let problem = dns.read_primary().await.unwrap_err();
        assert!(problem.what.contains(says), "{fault:?}: {}", problem.what);
    }
}

#[tokio::test]
async fn an_alias_is_refused_by_name() {
    let server = Bind::primary();
    let mut declared = declared(server.address);
    let policy = declared.records.pop_first().unwrap().1;
    declared.records.insert(record("alias"), policy);
    let problem = Dns::new(declared)
        .unwrap()
        .read_primary()
        .await
        .unwrap_err();
    assert!(
        problem
            .what
            .starts_with("alias.example.com. is a CNAME to www.example.com."),
        "{}",
        problem.what
    );
    assert!(problem.cure.contains("aliases are not served"));
    assert!(!problem.is_transient);
}

/// Sends an UPDATE that changes nothing, signed at another time.
async fn send_at(server: &Server, at_s: u64) -> Reply {
    let declared = declared(server.address);
    let mut update = Update::of(&name("example.com.").unwrap());
    update.expect(
        &name("nothing.example.com.").unwrap(),
        RecordType::A,
        vec![],
    );
    let signer = Signer::new(&declared.key).unwrap();
    let signed = signer.sign(update.into_message(), at_s).unwrap();
    let opened = Connection::open(server.address, CONNECT_WITHIN).await;
    let mut connection = opened.unwrap();
    let sent = connection.send(std::slice::from_ref(&signed.bytes)).await;
    sent.unwrap();
    let bytes = connection.receive().await.unwrap();
    let parsed = connection.parse(&bytes).unwrap();
    signed.check(&bytes, &parsed)
}

/// The marker, as soon as there is one.
async fn marker_once_it_moves(dns: &Dns) -> MarkerSeen {
    for _ in 0..100 {
        let seen = dns.read_primary().await.unwrap().markers[&record("www")].clone();
        if seen != MarkerSeen::Absent {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    MarkerSeen::Absent
}

async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}
