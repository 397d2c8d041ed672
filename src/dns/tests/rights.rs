//! The rights of the key are proved record by record, and nothing moves.
use crate::dns::testing::{
    Bind, Fault, Knot, PowerDns, Proxy, Server, declared, key, next, record, withdrawal,
};
use crate::dns::{Dns, Right, RightKind};
use crate::model::rrset::{Family, UpdateOutcome};

#[tokio::test]
async fn what_doctor_prints_grants_bind_just_what_is_needed() {
    all_is_granted_and_nothing_moves(Bind::primary()).await;
}

#[tokio::test]
async fn what_doctor_prints_grants_knot_just_what_is_needed() {
    all_is_granted_and_nothing_moves(Knot::primary()).await;
}

#[tokio::test]
async fn what_doctor_prints_grants_powerdns_what_is_needed() {
    all_is_granted_and_nothing_moves(PowerDns::primary()).await;
}

async fn all_is_granted_and_nothing_moves(server: Server) {
    let dns = Dns::new(declared(server.address)).unwrap();
    for marked in [false, true] {
        let before = dns.read_primary().await.unwrap();
        let report = dns.check_rights().await;
        assert_eq!(report.problems, []);
        assert_eq!(report.granted, all());
        assert!(report.clocks.unwrap().server_ahead_s().abs() <= 1);
        assert_eq!(dns.read_primary().await.unwrap(), before);
        if !marked {
            assert_eq!(dns.update(&next(&before)).await, UpdateOutcome::Applied);
        }
    }
}

#[tokio::test]
async fn a_key_is_proved_whatever_its_rights_and_a_wrong_one_is_named() {
    let server = Bind::primary_with("update-policy { grant other. zonesub ANY; };");
    let right = declared(server.address);
    let dns = Dns::new(right.clone()).unwrap();
    let before = dns.read_primary().await.unwrap();
    assert_eq!(dns.prove_key().await, Ok(()));

    let mut secret = right.clone();
    secret.key = key(b"fedcba9876543210fedcba9876543210");
    let mut name = right;
    name.key.name = "nobody.".parse().unwrap();
    for (wrong, word) in [(secret, "(BADSIG)"), (name, "(BADKEY)")] {
        let problem = Dns::new(wrong).unwrap().prove_key().await.unwrap_err();
        assert!(
            problem.what.contains(word) && !problem.is_transient,
            "{problem:?}"
        );
    }
    assert_eq!(dns.read_primary().await.unwrap(), before);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_with_the_lines_that_grant_it() {
    let policy = "update-policy {
        grant cleanslate. name www.example.com. A AAAA;
        grant cleanslate. name api.example.com. A;
        grant cleanslate. name _cleanslate.www.example.com. TXT;
    };";
    let server = Bind::primary_with(policy);
    let dns = Dns::new(declared(server.address)).unwrap();
    let report = dns.check_rights().await;
    let what: Vec<&str> = report
        .problems
        .iter()
        .map(|problem| problem.what.split(" at ").next().unwrap())
        .collect();
    assert_eq!(
        what,
        [
            "key cleanslate. may not change api.example.com. AAAA",
            "key cleanslate. may not change _cleanslate.api.example.com. TXT",
        ]
    );
    assert!(
        report.problems[1]
            .cure
            .contains("grant cleanslate. name _cleanslate.api.example.com. TXT;")
    );
    assert_eq!(report.granted.len(), 4);

    let view = dns.read_primary().await.unwrap();
    let UpdateOutcome::Refused { why, hint } = dns.update(&withdrawal(&view)).await else {
        panic!("the marker of api was written without a right");
    };
    assert!(why.contains("refuses the update of example.com. (REFUSED)"));
    assert!(hint.contains("grant cleanslate. name _cleanslate.api.example.com. TXT;"));
    assert_eq!(dns.read_primary().await.unwrap(), view);
}

#[tokio::test]
async fn the_grants_of_bind_reach_no_other_name() {
    no_other_name_is_reached(Bind::primary()).await;
}

#[tokio::test]
async fn the_grants_of_knot_reach_no_other_name() {
    no_other_name_is_reached(Knot::primary()).await;
}

async fn no_other_name_is_reached(server: Server) {
    let mut wider = declared(server.address);
    let policy = wider.records[&record("www")].clone();
    wider.records.insert(record("ns1"), policy);
    let report = Dns::new(wider).unwrap().check_rights().await;
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
    assert_eq!(report.granted, all());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_said_once() {
    let server = Bind::primary();
    let proxy = Proxy::before(server.address, Fault::Lose).await;
    let report = Dns::new(declared(proxy.address))
        .unwrap()
        .check_rights()
        .await;
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].is_transient);
}

fn all() -> Vec<Right> {
    let of = |name: &str| {
        let addresses = |family| Right {
            name: record(name).to_string(),
            kind: RightKind::Addresses(family),
        };
        let marker = Right {
            name: record(name).marker(),
            kind: RightKind::Marker,
        };
        [addresses(Family::A), addresses(Family::Aaaa), marker]
    };
    ["api", "www"].map(of).concat()
}
