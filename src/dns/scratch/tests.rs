//! Each proof holds at BIND, Knot and PowerDNS, and is seen to fail at a server that lies.
use std::collections::BTreeMap;

use crate::coordinator::outcome::Problem;
use crate::dns::Dns;
use crate::dns::testing::{
    Bind, Fault, Knot, Liar, Lie, PowerDns, Proxy, Server, declared, record,
};
use crate::model::fleet;

const ALL: [&str; 18] = [
    "records are created where none are",
    "nothing is created where something is",
    "a change is carried out when all it states holds",
    "refused: an address too few is stated",
    "refused: an address too many is stated",
    "refused: another address is stated",
    "refused: addresses of a type that is not there are stated",
    "refused: another marker is stated",
    "refused: no marker is stated where one is",
    "one statement that does not hold undoes all",
    "addresses and marker change together",
    "a deletion takes the record it names, and no other",
    "adding what is there and deleting what is not is no error",
    "a message that comes again changes nothing",
    "an update without a signature changes nothing",
    "of several at once exactly one is carried out",
    "what was written is read back at once",
    "the serial moves with each change",
];

#[tokio::test]
async fn bind_does_all_that_a_change_rests_on() {
    all_holds(Bind::primary_for(&wider)).await;
}

#[tokio::test]
async fn knot_does_all_that_a_change_rests_on() {
    all_holds(Knot::primary_for(&wider)).await;
}

#[tokio::test]
async fn powerdns_does_all_that_a_change_rests_on() {
    all_holds(PowerDns::primary()).await;
}

async fn all_holds(server: Server) {
    let dns = Dns::new(declared(server.address)).unwrap();
    let before = dns.read_primary().await.unwrap();
    let scratch = dns.scratch(&record("scratch")).unwrap();
    assert_eq!(scratch.is_free().await, Ok(()));
    let told = proved(&dns).await;
    assert_eq!(told.ended, Ok(()));
    let wrong: Vec<_> = told.proofs.iter().filter(|(_, it)| it.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let proved: Vec<&str> = told.order;
    assert_eq!(proved, ALL);
    assert_eq!(told.cleaned, Ok(()));
    assert_eq!(scratch.is_free().await, Ok(()));
    let after = dns.read_primary().await.unwrap();
    assert_eq!(after.rrsets, before.rrsets);
    assert_eq!(after.markers, before.markers);
}

#[tokio::test]
async fn a_server_that_keeps_the_rules_is_not_accused() {
    assert_eq!(accused(Lie::None).await, [""; 0]);
}

#[tokio::test]
async fn every_proof_fails_at_a_server_that_does_otherwise() {
    let lies = [
        (Lie::CreatesNothing, ALL[0]),
        (Lie::CreatesTwice, ALL[1]),
        (Lie::RefusesAll, ALL[2]),
        (Lie::TakesSubsets, ALL[3]),
        (Lie::TakesSupersets, ALL[4]),
        (Lie::TakesAnyValue, ALL[5]),
        (Lie::OverlooksV6, ALL[6]),
        (Lie::OverlooksTexts, ALL[7]),
        (Lie::CreatesTwice, ALL[8]),
        (Lie::OneIsEnough, ALL[9]),
        (Lie::DropsTexts, ALL[10]),
        (Lie::DeletesTheSet, ALL[11]),
        (Lie::RefusesWhatIsThere, ALL[12]),
        (Lie::RepeatsItself, ALL[13]),
        (Lie::TakesUnsigned, ALL[14]),
        (Lie::Races, ALL[15]),
        (Lie::ShowsLate, ALL[16]),
        (Lie::SerialStands, ALL[17]),
        (Lie::SerialRuns, ALL[17]),
    ];
    for (lie, of) in lies {
        let accused = accused(lie).await;
        assert!(accused.contains(&of), "{lie:?}: {accused:?} lacks {of:?}");
    }
    // Each of them at least once.
    assert!(ALL.iter().all(|of| lies.iter().any(|(_, it)| it == of)));
}

#[tokio::test]
async fn what_lies_in_one_thing_is_accused_of_that_alone() {
    for (lie, of) in [
        (Lie::OverlooksV6, ALL[6]),
        (Lie::RefusesWhatIsThere, ALL[12]),
        (Lie::RepeatsItself, ALL[13]),
        (Lie::TakesUnsigned, ALL[14]),
        (Lie::Races, ALL[15]),
        (Lie::SerialStands, ALL[17]),
    ] {
        assert_eq!(accused(lie).await, [of], "{lie:?}");
    }
}

async fn accused(lie: Lie) -> Vec<&'static str> {
    let server = Liar::start(lie).await;
    let told = proved(&Dns::new(declared(server.address)).unwrap()).await;
    assert_eq!(told.ended, Ok(()), "{lie:?}");
    assert_eq!(told.cleaned, Ok(()), "{lie:?}");
    assert_eq!(server.records().await, 0, "{lie:?}");
    let wrong = told.order.into_iter();
    wrong.filter(|of| told.proofs[of].is_err()).collect()
}

#[tokio::test]
async fn what_cannot_be_taken_away_is_told() {
    let server = Liar::start(Lie::KeepsAll).await;
    let dns = Dns::new(declared(server.address)).unwrap();
    let told = proved(&dns).await;
    let problem = told.cleaned.unwrap_err();
    assert!(problem.what.contains("is left at"), "{problem:?}");
    assert!(
        problem
            .cure
            .contains("update delete scratch.example.com. A"),
        "{problem:?}"
    );
    assert!(server.records().await > 0);

    // Whoever comes after it reads whose it is.
    let scratch = dns.scratch(&record("scratch")).unwrap();
    let problems = scratch.is_free().await.unwrap_err();
    assert!(
        problems[0].what.contains("an earlier check was killed"),
        "{problems:?}"
    );
    assert!(
        problems[0]
            .cure
            .contains("_cleanslate.scratch.example.com. TXT")
    );
}

#[tokio::test]
async fn a_server_that_falls_silent_ends_the_proofs_and_what_was_written_is_taken_away() {
    let server = Bind::primary_for(&wider);
    let proxy = Proxy::before(server.address, Fault::None).await;
    let dns = Dns::new(declared(proxy.address)).unwrap();
    let scratch = dns.scratch(&record("scratch")).unwrap();
    let mut proofs = 0;
    {
        let proving = scratch.prove(|_| proofs += 1);
        // Dropped in the middle, as a Ctrl-C does it.
        let enough = async {
            while proxy.requests().await.len() < 60 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = enough => {}
            ended = proving => panic!("it came to its end: {ended:?}"),
        }
    }
    assert!(proofs > 0 && proofs < ALL.len(), "{proofs}");
    assert_eq!(scratch.clean().await, Ok(()));
    assert_eq!(scratch.is_free().await, Ok(()));

    let silent = Liar::start(Lie::FallsSilent(4)).await;
    let told = proved(&Dns::new(declared(silent.address)).unwrap()).await;
    let problem = told.ended.unwrap_err();
    assert!(
        problem.is_transient && problem.what.contains("no answer"),
        "{problem:?}"
    );
    assert!(problem.cure.contains("20 s"), "{problem:?}");
    assert!(told.cleaned.is_err(), "it takes no more");
}

#[tokio::test]
async fn a_name_that_is_not_free_is_refused_before_anything_is_sent() {
    let server = Bind::primary();
    let proxy = Proxy::before(server.address, Fault::None).await;
    let dns = Dns::new(declared(proxy.address)).unwrap();
    let why = |name: &str| {
        let name = name.parse().unwrap();
        dns.scratch(&name).err().map(|problem| problem.what)
    };
    assert_eq!(
        why("www.example.com.").unwrap(),
        "www.example.com. is not free: the fleet's record www.example.com. uses it"
    );
    assert!(
        why("_cleanslate.www.example.com.")
            .unwrap()
            .contains("uses it")
    );
    assert!(why("example.com.").unwrap().contains("not inside of"));
    assert!(
        why("scratch.example.org.")
            .unwrap()
            .contains("not inside of")
    );
    assert_eq!(proxy.requests().await.len(), 0);

    // There is an A, and an alias.
    for name in ["ns1.example.com.", "alias.example.com."] {
        let scratch = dns.scratch(&name.parse().unwrap()).unwrap();
        let problems = scratch.is_free().await.unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].what.contains("is not free"), "{problems:?}");
    }
    let asked = proxy.requests().await;
    let is_update = |octets: &&Vec<u8>| octets[2] >> 3 & 0x0f == 5;
    assert_eq!(asked.iter().filter(is_update).count(), 0);
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_with_the_lines_that_grant_it() {
    let server = Bind::primary();
    let dns = Dns::new(declared(server.address)).unwrap();
    let scratch = dns.scratch(&record("scratch")).unwrap();
    let problems = scratch.is_free().await.unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for line in [
        "grant cleanslate. name scratch.example.com. A AAAA;",
        "grant cleanslate. name _cleanslate.scratch.example.com. TXT;",
        "grant cleanslate. name www.example.com. A AAAA;",
    ] {
        assert!(problems[0].cure.contains(line), "{}", problems[0].cure);
    }
}

struct Told {
    order: Vec<&'static str>,
    proofs: BTreeMap<&'static str, Result<String, Problem>>,
    ended: Result<(), Problem>,
    cleaned: Result<(), Problem>,
}

async fn proved(dns: &Dns) -> Told {
    let scratch = dns.scratch(&record("scratch")).unwrap();
    let mut order = Vec::new();
    let mut proofs = BTreeMap::new();
    let ended = scratch
        .prove(|proof| {
            order.push(proof.of);
            proofs.insert(proof.of, proof.result);
        })
        .await;
    Told {
        order,
        proofs,
        ended,
        cleaned: scratch.clean().await,
    }
}

/// The fleet as the server is to know it: with the scratch name's grants.
fn wider(declared: &mut fleet::Dns) {
    let policy = declared.records[&record("www")].clone();
    declared.records.insert(record("scratch"), policy);
}
