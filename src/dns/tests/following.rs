//! A change counts only when every authoritative server serves it.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use crate::coordinator::effect::Follow;
use crate::coordinator::outcome::Lagging;
use crate::dns::testing::{Bind, Fault, Proxy, Server, addresses, declared, record, withdrawal};
use crate::dns::{Dns, Following};
use crate::model::rrset::{Family, RrKey, UpdateOutcome, ZoneChange};
use crate::model::time::Ttl;

const LONG: Duration = Duration::from_secs(30);
// Waited for in full: long enough for every server to have answered on a busy machine.
const SHORT: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_change_is_followed_when_the_secondary_serves_it_too() {
    let (primary, secondary) = Bind::pair();
    let dns = fleet(&primary, &[secondary.address]);
    let change = withdrawn(&dns).await;
    let mut reports = 0;
    let following = dns
        .await_servers(&follow(&change, &[]), LONG, |_| reports += 1)
        .await;
    assert_eq!(following, Following::Followed { ttl: Ttl(30) });
    let answers = dns.ask_servers(&BTreeSet::new()).await;
    let servers: BTreeSet<SocketAddr> = answers.iter().map(|answer| answer.server).collect();
    assert_eq!(
        servers,
        BTreeSet::from([primary.address, secondary.address])
    );
    for answer in answers {
        let www = addresses(&answer.view.unwrap(), "www", Family::A);
        assert!(!www.contains(&"192.0.2.1".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_frozen_secondary_lags_is_named_and_can_be_left_out_by_name() {
    let (primary, secondary) = Bind::pair();
    let dns = fleet(&primary, &[secondary.address]);
    secondary.freeze();
    let change = withdrawn(&dns).await;
    let mut seen = Vec::new();
    let progress = |lagging: &[Lagging]| seen.push(lagging.to_vec());
    let within = Duration::from_millis(2500);
    let all = follow(&change, &[]);
    let Following::Behind { servers } = dns.await_servers(&all, within, progress).await else {
        panic!("a frozen server followed");
    };
    let [lagging] = servers.as_slice() else {
        panic!("{servers:?}");
    };
    assert_eq!(lagging.answer.server, secondary.address);
    assert!(
        lagging.why.contains("gave no answer within 2000 ms"),
        "{}",
        lagging.why
    );
    assert_eq!(seen.last(), Some(&servers));

    let without = follow(&change, &[secondary.address]);
    let following = dns.await_servers(&without, LONG, |_| {}).await;
    assert_eq!(following, Following::Followed { ttl: Ttl(30) });

    secondary.thaw();
    let following = dns.await_servers(&follow(&change, &[]), LONG, |_| {}).await;
    assert_eq!(following, Following::Followed { ttl: Ttl(30) });
}

#[tokio::test]
async fn a_server_of_the_old_state_has_not_followed() {
    let primary = Bind::primary();
    let stray = Bind::primary();
    let dns = fleet(&primary, &[stray.address]);
    let change = withdrawn(&dns).await;
    let Following::Behind { servers } = dns
        .await_servers(&follow(&change, &[]), SHORT, |_| {})
        .await
    else {
        panic!("a server that never heard of the change followed");
    };
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].answer.server, stray.address);
    assert_eq!(
        servers[0].why,
        "_cleanslate.api.example.com. has no marker yet"
    );
    assert_eq!(servers[0].answer.view.as_ref().unwrap().serial, 1);
}

#[tokio::test]
async fn a_server_that_answers_with_the_old_set_is_never_left_out() {
    let primary = Bind::primary();
    let stray = Bind::primary();
    let dns = fleet(&primary, &[stray.address]);
    let change = withdrawn(&dns).await;
    let without = follow(&change, &[stray.address]);
    let Following::Behind { servers } = dns.await_servers(&without, SHORT, |_| {}).await else {
        panic!("a server that serves the old set was left out");
    };
    assert_eq!(servers[0].answer.server, stray.address);
    assert!(
        servers[0].why.ends_with("left out as dead, and it answers"),
        "{}",
        servers[0].why
    );
    let left_out = BTreeSet::from([stray.address]);
    assert_eq!(dns.ask_servers(&left_out).await.len(), 2);
    stray.freeze();
    assert_eq!(dns.ask_servers(&left_out).await.len(), 1);
    stray.thaw();
}

#[tokio::test]
async fn a_server_that_goes_back_while_another_is_awaited_is_found_out() {
    let (primary, stray) = (Bind::primary(), Bind::primary());
    let early = Proxy::before(primary.address, Fault::CloseAfter(8)).await;
    let late = Proxy::before(stray.address, Fault::CloseAfter(8)).await;
    let dns = fleet(&primary, &[early.address, late.address]);
    let follow = follow(&withdrawn(&dns).await, &[]);
    let within = Duration::from_millis(1500);
    let swap = async {
        sleep(Duration::from_millis(300)).await;
        early.turn_to(stray.address).await;
        late.turn_to(primary.address).await;
    };
    let (following, ()) = tokio::join!(dns.await_servers(&follow, within, |_| {}), swap);
    let Following::Behind { servers } = following else {
        panic!("a server that went back was counted as followed");
    };
    let servers: Vec<SocketAddr> = servers.iter().map(|lags| lags.answer.server).collect();
    assert_eq!(servers, [early.address]);
}

#[tokio::test]
async fn the_largest_ttl_of_any_server_counts() {
    let (primary, secondary) = Bind::pair();
    let dns = fleet(&primary, &[secondary.address]);
    let mut change = withdrawal(&dns.read_primary().await.unwrap());
    change.ttl = Ttl(77);
    change.add = BTreeSet::from([(record("www"), "192.0.2.2".parse().unwrap())]);
    assert_eq!(dns.update(&change).await, UpdateOutcome::Applied);
    let following = dns.await_servers(&follow(&change, &[]), LONG, |_| {}).await;
    assert_eq!(following, Following::Followed { ttl: Ttl(77) });
}

#[tokio::test]
async fn a_primary_that_is_away_at_first_is_awaited() {
    let primary = Bind::primary();
    let proxy = Proxy::before(primary.address, Fault::None).await;
    let mut declared = declared(proxy.address);
    declared.nameservers = None;
    let dns = Dns::new(declared).unwrap();
    let follow = follow(&withdrawn(&dns).await, &[]);
    proxy.turn_to("127.0.0.1:1".parse().unwrap()).await;
    let within = Duration::from_millis(1500);
    let mut seen = Vec::new();
    let progress = |lagging: &[Lagging]| seen.push(lagging[0].why.clone());
    let following = dns.await_servers(&follow, within, progress).await;
    assert!(matches!(following, Following::Behind { .. }));
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("the name servers of example.com. are not known"));
}

#[tokio::test]
async fn the_primary_is_never_left_out() {
    let primary = Bind::primary();
    let dns = fleet(&primary, &[]);
    let without = BTreeSet::from([primary.address]);
    assert_eq!(dns.ask_servers(&without).await.len(), 1);
}

#[tokio::test]
async fn one_connection_serves_all_polls_of_a_server() {
    let primary = Bind::primary();
    let stray = Bind::primary();
    let proxy = Proxy::before(stray.address, Fault::None).await;
    let dns = fleet(&primary, &[proxy.address]);
    let change = withdrawn(&dns).await;
    let following = dns
        .await_servers(&follow(&change, &[]), SHORT, |_| {})
        .await;
    assert!(matches!(following, Following::Behind { .. }));
    let asked = proxy.requests().await.len();
    assert!(asked > 8, "{asked} questions are no more than one poll");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_made_anew() {
    let primary = Bind::primary();
    let proxy = Proxy::before(primary.address, Fault::CloseAfter(8)).await;
    let dns = fleet(&primary, &[proxy.address]);
    let change = next_epoch(withdrawn(&dns).await);
    let mut broken = 0;
    let progress = |lagging: &[Lagging]| {
        let broke = lagging.iter().filter(|lags| lags.why.contains("broke"));
        broken += broke.count();
    };
    let follow = follow(&change, &[]);
    let Following::Behind { servers } = dns.await_servers(&follow, SHORT, progress).await else {
        panic!("an epoch that nobody wrote was followed");
    };
    assert_eq!(broken, 0);
    assert!(proxy.connections() > 2, "{}", proxy.connections());
    for lagging in servers {
        assert!(lagging.why.contains("is older"), "{}", lagging.why);
    }
}

fn fleet(primary: &Server, others: &[SocketAddr]) -> Dns {
    let mut declared = declared(primary.address);
    declared.nameservers = Some(others.to_vec());
    Dns::new(declared).unwrap()
}

async fn withdrawn(dns: &Dns) -> ZoneChange {
    let change = withdrawal(&dns.read_primary().await.unwrap());
    assert_eq!(dns.update(&change).await, UpdateOutcome::Applied);
    change
}

fn next_epoch(mut change: ZoneChange) -> ZoneChange {
    change.marker.epoch.0 += 1;
    change
}

fn follow(change: &ZoneChange, without: &[SocketAddr]) -> Follow {
    let mut absent: BTreeMap<RrKey, BTreeSet<_>> = BTreeMap::new();
    for (name, address) in &change.delete {
        let (name, family) = (name.clone(), Family::of(*address));
        let set = absent.entry(RrKey { name, family }).or_default();
        set.insert(*address);
    }
    assert!(absent.keys().any(|key| key.name == record("www")));
    Follow {
        epoch: change.marker.epoch,
        seq: change.marker.seq,
        present: BTreeMap::new(),
        absent,
        without: without.iter().copied().collect(),
    }
}
