//! Clients that race for the zone with the program's own UPDATEs: of all that were decided on the
//! same read, exactly one is carried out.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures_util::future::{Either, join_all, select};

use crate::dns::Dns;
use crate::dns::testing::{
    Bind, Knot, PowerDns, Server, a_marker, addresses, declared, next, record,
};
use crate::model::rrset::{Family, MarkerSeen, RecordName, UpdateOutcome, ZoneChange, ZoneView};

const CLIENTS: u64 = 8;
/// Of each race; `CLEANSLATE_ROUNDS` says otherwise.
const ROUNDS: u64 = 60;

#[tokio::test]
async fn of_eight_that_race_for_bind_exactly_one_wins_each_round() {
    race(Bind::primary()).await;
}

#[tokio::test]
async fn of_eight_that_race_for_knot_exactly_one_wins_each_round() {
    race(Knot::primary()).await;
}

#[tokio::test]
async fn of_eight_that_race_for_powerdns_exactly_one_wins_each_round() {
    race(PowerDns::primary()).await;
}

async fn race(server: Server) {
    let clients: Vec<Dns> = (0..CLIENTS)
        .map(|_| Dns::new(declared(server.address)).unwrap())
        .collect();
    let watcher = Dns::new(declared(server.address)).unwrap();
    let full = watcher.read_primary().await.unwrap();
    let mut won = BTreeMap::<&str, u64>::new();
    for round in 0..rounds() {
        let view = watcher.read_primary().await.unwrap();
        let wishes: Vec<_> = (0..CLIENTS)
            .map(|client| wish(&full, &view, round, client))
            .collect();
        let sent = clients.iter().zip(&wishes);
        let all = join_all(sent.map(|(dns, (_, change))| dns.update(change)));
        let (outcomes, looks) = watched(&watcher, all).await;

        let winners: Vec<_> = (0..)
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == UpdateOutcome::Applied)
            .map(|(client, _)| client)
            .collect();
        let [winner] = winners.as_slice() else {
            panic!("round {round}: {outcomes:?}");
        };
        let lost = |outcome: &&UpdateOutcome| matches!(outcome, UpdateOutcome::NotApplied { .. });
        let losers = outcomes.iter().filter(lost).count();
        assert_eq!(losers, outcomes.len() - 1, "round {round}: {outcomes:?}");

        let (what, change): &(&str, ZoneChange) = &wishes[*winner];
        let after = watcher.read_primary().await.unwrap();
        let seen = MarkerSeen::Here(change.marker.clone());
        assert_eq!(after.markers[&record("www")], seen, "round {round}");
        assert_eq!(after.markers[&record("api")], seen, "round {round}");
        looks.iter().chain([&after]).for_each(check_floor);
        *won.entry(what).or_default() += 1;
    }
    let total: u64 = won.values().sum();
    assert_eq!(total, rounds());
    println!("{total} rounds of {CLIENTS} clients, one winner each: {won:?}");
}

/// What all of them sent came to, and what the watcher saw meanwhile.
async fn watched<T>(watcher: &Dns, all: impl Future<Output = T> + Unpin) -> (T, Vec<ZoneView>) {
    let mut looks = Vec::new();
    let mut all = all;
    loop {
        let look = Box::pin(watcher.read_primary());
        match select(all, look).await {
            Either::Left((outcomes, _)) => return (outcomes, looks),
            Either::Right((look, rest)) => {
                looks.push(look.unwrap());
                all = rest;
            }
        }
    }
}

/// What one client wants of what all of them read: while everybody is in, each wants a site out,
/// not all the same; while one is out, some want it back, and some only the marker.
fn wish(full: &ZoneView, view: &ZoneView, round: u64, client: u64) -> (&'static str, ZoneChange) {
    let mut change = next(view);
    let number = round * CLIENTS + client;
    change.marker.nonce = a_marker(number + 1_000_000).nonce;
    // The first to connect wins most rounds: they take turns at what they want.
    let turn = client + round / 2;
    let missing: BTreeSet<_> = pairs(full).difference(&pairs(view)).cloned().collect();
    if missing.is_empty() {
        change.delete = site(turn % 3);
        ("withdrawal", change)
    } else if turn.is_multiple_of(2) {
        change.add = missing;
        ("restore", change)
    } else {
        ("marker", change)
    }
}

/// The third site is in `www` alone, and has no IPv6.
fn site(index: u64) -> BTreeSet<(RecordName, IpAddr)> {
    let all = [
        ("www", "192.0.2.", 3),
        ("www", "2001:db8::", 2),
        ("api", "198.51.100.", 2),
    ];
    let of = all.into_iter().filter(|(_, _, members)| index < *members);
    of.map(|(name, net, _)| (record(name), format!("{net}{}", index + 1).parse().unwrap()))
        .collect()
}

fn pairs(view: &ZoneView) -> BTreeSet<(RecordName, IpAddr)> {
    let sets = view.rrsets.iter();
    sets.flat_map(|(key, set)| set.addresses.iter().map(|it| (key.name.clone(), *it)))
        .collect()
}

/// Of each RRset, all members but one at least.
fn check_floor(view: &ZoneView) {
    for (name, family, floor) in [
        ("www", Family::A, 2),
        ("www", Family::Aaaa, 1),
        ("api", Family::A, 1),
    ] {
        let shown = addresses(view, name, family);
        assert!(shown.len() >= floor, "{name}: {shown:?}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test at length is asked for so"
)]
fn rounds() -> u64 {
    std::env::var("CLEANSLATE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}
