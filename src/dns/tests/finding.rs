//! The servers of a zone, and what `init` writes down, are found by asking.
use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::dns::testing::{Bind, Knot, declared, record};
use crate::dns::{Dns, discover};
use crate::model::rrset::Family;
use crate::model::time::Ttl;

#[tokio::test]
async fn the_ns_records_name_the_servers_and_the_primary_is_among_them() {
    let server = Bind::primary();
    let mut declared = declared(server.address);
    declared.nameservers = None;
    let servers = Dns::new(declared).unwrap().servers().await.unwrap();
    let mut expected = ns();
    expected.insert(server.address);
    assert_eq!(servers, expected);
}

#[tokio::test]
async fn servers_that_cannot_be_found_are_one_answer_that_is_no_view() {
    let mut declared = declared("127.0.0.1:1".parse().unwrap());
    declared.nameservers = None;
    let dns = Dns::new(declared).unwrap();
    let answers = dns.ask_servers(&BTreeSet::new()).await;
    assert_eq!(answers.len(), 1);
    assert!(
        answers[0]
            .view
            .as_ref()
            .is_err_and(|why| why.starts_with("the name servers of example.com. are not known"))
    );
    let problem = dns.servers().await.unwrap_err();
    assert!(problem.is_transient && problem.cure.contains("[dns].server"));
}

#[tokio::test]
async fn init_finds_zone_addresses_ttl_and_name_servers() {
    let server = Bind::primary();
    let found = discover(server.address, &record("www")).await.unwrap();
    assert_eq!(found.zone.as_str(), "example.com.");
    assert_eq!(found.rrsets[&Family::A].addresses.len(), 3);
    assert_eq!(found.rrsets[&Family::A].ttl, Some(Ttl(30)));
    assert_eq!(found.rrsets[&Family::Aaaa].addresses.len(), 2);
    assert_eq!(found.nameservers.unwrap(), ns());

    let apex = "example.com.".parse().unwrap();
    let apex = discover(server.address, &apex).await.unwrap();
    assert_eq!(apex.zone.as_str(), "example.com.");
    assert!(apex.rrsets.is_empty());
}

#[tokio::test]
async fn init_says_why_a_record_cannot_be_found() {
    let server = Bind::primary();
    let alias = discover(server.address, &record("alias")).await;
    assert!(alias.unwrap_err().what.contains("is a CNAME to"));
    let elsewhere = "www.example.net.".parse().unwrap();
    let elsewhere = discover(server.address, &elsewhere).await.unwrap_err();
    assert!(
        elsewhere.what.contains("www.example.net. SOA with"),
        "{}",
        elsewhere.what
    );
}

#[tokio::test]
async fn address_hints_at_a_record_are_not_served() {
    let server = Bind::primary();
    let mut declared = declared(server.address);
    let policy = declared.records[&record("www")].clone();
    for name in ["hinted", "plain"] {
        declared.records.insert(record(name), policy.clone());
    }
    let found = Dns::new(declared).unwrap().unserved().await.unwrap();
    let what: Vec<&str> = found.iter().map(|problem| &*problem.what).collect();
    assert_eq!(what, ["hinted.example.com. HTTPS has address hints"]);
}

fn ns() -> BTreeSet<SocketAddr> {
    ["127.0.0.1:53", "127.0.0.2:53", "[::1]:53"]
        .map(|server| server.parse().unwrap())
        .into()
}

#[tokio::test]
async fn other_names_with_an_address_of_ours_are_found_where_the_zone_is_handed_out() {
    let ours = ["192.0.2.1", "198.51.100.2"].map(|address| address.parse().unwrap());
    let ours = ours.into();
    // Anybody may have it.
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let found = dns.neighbours(&ours).await.unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|it| (it.name.as_str(), it.address))
        .collect();
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(names, [("hinted.example.com.", address)]);
    // A key that may only change it does not get it.
    let server = Knot::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let why = dns.neighbours(&ours).await.unwrap_err();
    assert!(why.contains("transfer of the zone"), "{why}");
}

#[tokio::test]
async fn the_zones_own_servers_are_told_by_name() {
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let named = dns.delegated().await.unwrap();
    let names: Vec<&str> = named.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["ns1.example.com.", "ns2.example.com."]);
    let addresses = named[1].addresses.clone().unwrap();
    let both = ["127.0.0.2:53", "[::1]:53"].map(|address| address.parse().unwrap());
    assert_eq!(addresses, both.into());
}
