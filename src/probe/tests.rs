//! Probes against a server on loopback, whose every address is a site's.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::stub::{Reply, Stub, http};
use super::{Prober, Try};
use crate::coordinator::effect::ProbeManner::{self, Look, Watch};
use crate::coordinator::outcome::{ProbeOutcome, Problem};
use crate::model::fleet::{
    Dns, Fleet, Probe, ProbeTarget, RecordPolicy, Site, TsigAlgorithm, TsigKey,
};
use crate::model::id::SiteName;
use crate::model::time::Ttl;

#[tokio::test]
async fn every_address_is_asked_for_the_host_and_nothing_else() {
    let mut four = Stub::start("127.0.0.1", |_| http("200 OK", &[], "all ok\n")).await;
    let fleet = fleet(
        &[("www.example.com", &["127.0.0.1"])],
        vec![front(&four, "/healthz?full=1", |_| {})],
    );
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        four.requests(),
        [format!(
            "GET /healthz?full=1 HTTP/1.1\r\nhost: www.example.com\r\n\
             user-agent: cleanslate/{version}\r\nconnection: close\r\n\r\n"
        )]
    );

    let mut six = Stub::start("::1", |_| http("200 OK", &[], "")).await;
    let fleet = self::fleet(
        &[("www.example.com", &["::1", "127.0.0.1"])],
        vec![front(&six, "/", |_| {})],
    );
    let problems = failing(probe(&fleet, Look).await);
    assert_eq!(six.requests().len(), 1, "the IPv6 address was not asked");
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(
        problem.what,
        format!(
            "front at 127.0.0.1: cannot connect to port {}: Connection refused (os error 111)",
            six.address.port()
        )
    );
    assert_eq!(
        problem.cure,
        format!(
            "check that a service listens on port {} there, and that no NAT or firewall rule of \
             the host takes the port away",
            six.address.port()
        )
    );
}

#[tokio::test]
async fn a_probe_with_record_in_it_is_asked_for_each_record_where_the_site_answers_it() {
    let mut stub = Stub::start("0.0.0.0", |_| http("200 OK", &[], "")).await;
    let port = stub.address.port();
    let url = format!("http://{{record}}:{port}/{{record}}/{{address}}");
    let fleet = fleet(
        &[
            ("api.example.com", &["127.0.0.2"]),
            ("www.example.com", &["127.0.0.1"]),
        ],
        vec![http_probe(&url, |_| {})],
    );
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
    let mut asked: Vec<String> = stub.requests();
    asked.sort();
    let asked: Vec<&str> = asked
        .iter()
        .map(|head| head.split("\r\nuser-agent").next().unwrap())
        .collect();
    assert_eq!(
        asked,
        [
            "GET /api.example.com/127.0.0.2 HTTP/1.1\r\nhost: api.example.com",
            "GET /www.example.com/127.0.0.1 HTTP/1.1\r\nhost: www.example.com",
        ]
    );
}

#[tokio::test]
async fn a_look_is_one_try_and_one_more_after_a_second() {
    let mut bad = Stub::start("127.0.0.1", |_| http("500 Oops", &[], "")).await;
    let fleet = www(vec![front(&bad, "/", |_| {})]);
    let started = Instant::now();
    let problems = failing(probe(&fleet, Look).await);
    assert_eq!(
        problems[0].what,
        "front at 127.0.0.1: HTTP 500, expected 200"
    );
    assert!(problems[0].cure.contains("logs"));
    assert_eq!(bad.requests().len(), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));

    let once = Stub::start("127.0.0.1", failing_first(1)).await;
    let fleet = www(vec![front(&once, "/", |_| {})]);
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
}

#[tokio::test]
async fn redirects_are_shown_and_not_followed() {
    let mut stub = Stub::start("127.0.0.1", |_| {
        http(
            "301 Moved",
            &["Location: https://elsewhere.example.com/"],
            "",
        )
    })
    .await;
    let fleet = www(vec![front(&stub, "/", |_| {})]);
    let problems = failing(probe(&fleet, Look).await);
    assert_eq!(
        problems[0].what,
        r#"front at 127.0.0.1: HTTP 301 to "https://elsewhere.example.com/", expected 200"#
    );
    assert_eq!(stub.requests().len(), 2);

    let fleet = www(vec![front(&stub, "/", |probe| expect(probe, 301))]);
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
}

#[tokio::test]
async fn a_body_is_searched_as_far_as_64_kib() {
    let near = Stub::start("127.0.0.1", |_| http("200 OK", &[], &body_at(65_534))).await;
    let fleet = www(vec![front(&near, "/", |probe| wants(probe, "ok"))]);
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);

    let far = Stub::start("127.0.0.1", |_| http("200 OK", &[], &body_at(65_535))).await;
    let fleet = www(vec![front(&far, "/", |probe| wants(probe, "ok"))]);
    let problems = failing(probe(&fleet, Look).await);
    assert_eq!(
        problems[0].what,
        r#"front at 127.0.0.1: "ok" is not in the first 65536 bytes of the body"#
    );

    let split = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
    let chunks = Stub::start("127.0.0.1", |_| Reply::Bytes(split.into())).await;
    let fleet = www(vec![front(&chunks, "/", |probe| wants(probe, "ok"))]);
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);

    let other = Stub::start("127.0.0.1", |_| http("200 OK", &[], "\x1b[2Jdown")).await;
    let fleet = www(vec![front(&other, "/", |probe| wants(probe, "ok"))]);
    let problems = failing(probe(&fleet, Look).await);
    assert_eq!(
        problems[0].what,
        r#"front at 127.0.0.1: "ok" is not in the body "\u{1b}[2Jdown""#
    );
}

#[tokio::test]
async fn a_try_ends_at_its_timeout_and_says_where_it_stood() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let silent = Stub::start("127.0.0.1", |_| Reply::Silence).await;
    let stalled = Stub::start("127.0.0.1", |_| Reply::Stall(half.into())).await;
    let quick = |probe: &mut Probe| {
        wants(probe, "ok");
        probe.timeout = Duration::from_millis(200);
    };
    let cases = [
        (&silent, "waiting for the answer"),
        (&stalled, "reading the body"),
    ];
    for (stub, stage) in cases {
        let fleet = www(vec![front(stub, "/", quick)]);
        let problems = failing(probe(&fleet, Look).await);
        let what = format!("front at 127.0.0.1: nothing within 200ms, {stage}");
        assert_eq!(problems[0].what, what);
        assert!(problems[0].is_transient);
    }
}

#[tokio::test]
async fn what_is_no_http_is_told_as_such() {
    let closed = Stub::start("127.0.0.1", |_| Reply::Bytes(Vec::new())).await;
    let fleet = www(vec![front(&closed, "/", |_| {})]);
    let problems = failing(probe(&fleet, Look).await);
    assert!(problems[0].what.contains("no HTTP answer"), "{problems:?}");
    let other = Stub::start("127.0.0.1", |_| Reply::Bytes(b"220 mail ESMTP\r\n".into())).await;
    let fleet = www(vec![front(&other, "/", |_| {})]);
    let problems = failing(probe(&fleet, Look).await);
    assert!(problems[0].what.contains("no HTTP answer"), "{problems:?}");
}

#[tokio::test]
async fn a_tcp_probe_passes_where_something_listens() {
    let stub = Stub::start("127.0.0.1", |_| Reply::Silence).await;
    let port = stub.address.port();
    let tcp = |port: u16| Probe {
        target: ProbeTarget::Tcp {
            address: format!("{{address}}:{port}"),
        },
        ..http_probe("", |_| {})
    };
    let fleet = www(vec![tcp(port)]);
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
    drop(stub);
    let problems = failing(probe(&fleet, Look).await);
    assert!(
        problems[0].what.contains("Connection refused"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_private_authority_vouches_for_the_name_that_is_asked_for() {
    let tls = Tls::new("www.example.com");
    let stub = Stub::start_tls("127.0.0.1", tls.server(), |_| http("200 OK", &[], "")).await;
    let port = stub.address.port();
    let with = |url: &str, host: Option<&str>, authority: Option<&Path>| {
        www(vec![http_probe(url, |probe| {
            let ProbeTarget::Http { host: h, ca, .. } = &mut probe.target else {
                return;
            };
            *h = host.map(str::to_owned);
            *ca = authority.map(Path::to_owned);
        })])
    };
    let url = format!("https://{{address}}:{port}/");
    let authority = Some(tls.authority.as_path());

    assert_eq!(
        probe(&with(&url, None, authority), Look).await,
        ProbeOutcome::Passed
    );

    let other_name = with(&url, Some("api.example.com"), authority);
    let problems = failing(probe(&other_name, Look).await);
    assert!(
        problems[0].what.contains("not valid for name"),
        "{problems:?}"
    );

    let nobody = failing(probe(&with(&url, None, None), Look).await);
    assert!(nobody[0].what.contains("UnknownIssuer"), "{nobody:?}");

    let missing = with(&url, None, Some(Path::new("/nonexistent.pem")));
    let problems = failing(probe(&missing, Look).await);
    assert!(
        problems[0].what.contains("/nonexistent.pem: No such file"),
        "{problems:?}"
    );

    let plain = Stub::start("127.0.0.1", |_| http("400 Bad Request", &[], "")).await;
    let url = format!("https://{{address}}:{}/", plain.address.port());
    let problems = failing(probe(&with(&url, None, authority), Look).await);
    assert!(
        problems[0].cure.contains("probe it by http://"),
        "{problems:?}"
    );
}

/// Until it has passed so often in a row.
const VERIFY: ProbeManner = ProbeManner::Verify {
    lasts: Duration::ZERO,
};

#[tokio::test]
async fn what_is_new_goes_on_passing_for_a_while_and_what_breaks_meanwhile_has_failed() {
    let lasts = |millis| ProbeManner::Verify {
        lasts: Duration::from_millis(millis),
    };
    // Two passes of the probe, and then it breaks.
    let breaking = || {
        let count = AtomicUsize::new(0);
        move |_: &_| match count.fetch_add(1, Ordering::Relaxed) {
            0..3 => http("200 OK", &[], ""),
            _ => http("500 Dead", &[], ""),
        }
    };
    let stub = Stub::start("127.0.0.1", breaking()).await;
    let fleet = www(vec![front(&stub, "/", |_| {})]);
    assert_eq!(probe(&fleet, VERIFY).await, ProbeOutcome::Passed);
    // However short: what broke since the last look is not put in.
    for millis in [1, 6000] {
        let stub = Stub::start("127.0.0.1", breaking()).await;
        let fleet = www(vec![front(&stub, "/", |_| {})]);
        let problems = failing(probe(&fleet, lasts(millis)).await);
        assert!(problems[0].what.contains("HTTP 500"), "{problems:?}");
    }
    let good = Stub::start("127.0.0.1", |_| http("200 OK", &[], "")).await;
    let fleet = www(vec![front(&good, "/", |_| {})]);
    assert_eq!(probe(&fleet, lasts(100)).await, ProbeOutcome::Passed);
}

#[tokio::test]
async fn verify_wants_passes_in_a_row_and_takes_no_longer_than_they_need() {
    // Fails the 1st and the 3rd time: passes 2, 4, 5 and 6.
    let count = AtomicUsize::new(0);
    let mut stub = Stub::start("127.0.0.1", move |_| {
        let so_far = count.fetch_add(1, Ordering::Relaxed);
        match so_far == 0 || so_far == 2 {
            true => http("503 Starting", &[], ""),
            false => http("200 OK", &[], ""),
        }
    })
    .await;
    let fleet = www(vec![front(&stub, "/", |_| {})]);
    assert_eq!(probe(&fleet, VERIFY).await, ProbeOutcome::Passed);
    assert_eq!(stub.requests().len(), 6);
}

#[tokio::test]
async fn verify_ends_with_the_last_error_of_each_probe() {
    let good = Stub::start("127.0.0.1", |_| http("200 OK", &[], "")).await;
    let bad = Stub::start("127.0.0.1", |_| http("503 Starting", &[], "")).await;
    let short = |probe: &mut Probe| probe.within = Duration::from_millis(1200);
    let fleet = www(vec![front(&good, "/", short), front(&bad, "/", short)]);
    let problems = failing(probe(&fleet, VERIFY).await);
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(
        problem.what,
        "front at 127.0.0.1: HTTP 503, expected 200 (after 1.2s)"
    );
}

#[tokio::test]
async fn watch_ends_when_a_probe_fails_twice_in_a_row_and_not_before() {
    let once = Stub::start("127.0.0.1", failing_first(1)).await;
    let fleet = www(vec![front(&once, "/", |_| {})]);
    let watching = timeout(Duration::from_millis(2500), probe(&fleet, Watch));
    assert!(watching.await.is_err(), "one failure ended it");

    let good = Stub::start("127.0.0.1", |_| http("200 OK", &[], "")).await;
    let bad = Stub::start("127.0.0.1", |_| http("500 Oops", &[], "")).await;
    let fleet = www(vec![front(&good, "/", |_| {}), front(&bad, "/", |_| {})]);
    let watching = timeout(Duration::from_secs(5), probe(&fleet, Watch));
    let problems = failing(watching.await.unwrap());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("HTTP 500"), "{problems:?}");
}

#[tokio::test]
async fn a_site_without_probes_passes_and_is_watched_for_ever() {
    let fleet = www(Vec::new());
    assert_eq!(probe(&fleet, Look).await, ProbeOutcome::Passed);
    assert_eq!(probe(&fleet, VERIFY).await, ProbeOutcome::Passed);
    let watching = timeout(Duration::from_millis(100), probe(&fleet, Watch));
    assert!(watching.await.is_err());
}

#[tokio::test]
async fn what_cannot_be_probed_never_passes() {
    let nowhere = fleet(
        &[("www.example.com", &[])],
        vec![http_probe("http://{address}/", |_| {})],
    );
    let problems = failing(probe(&nowhere, Look).await);
    assert_eq!(problems[0].what, "front: site fra has no address to probe");

    let bad_url = www(vec![http_probe("ftp://{address}/", |_| {})]);
    let problems = failing(probe(&bad_url, Look).await);
    assert!(
        problems[0].what.contains("neither http:// nor https://"),
        "{problems:?}"
    );

    let nobody: SiteName = "nyc".parse().unwrap();
    let prober = Prober::new(&www(Vec::new()));
    let problems = failing(prober.probe(&nobody, Look, &|_| {}).await);
    assert!(
        problems[0].what.contains("site nyc is not in site.toml"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn progress_tells_each_try() {
    let stub = Stub::start("127.0.0.1", failing_first(1)).await;
    let fleet = www(vec![front(&stub, "/", |probe| probe.passes = 2)]);
    let (sender, mut tries) = tokio::sync::mpsc::unbounded_channel();
    let site: SiteName = "fra".parse().unwrap();
    let progress = move |tried: Try| sender.send(tried).unwrap();
    let probing = Prober::new(&fleet);
    assert_eq!(
        probing.probe(&site, VERIFY, &progress).await,
        ProbeOutcome::Passed
    );
    let mut passes = Vec::new();
    while let Ok(tried) = tries.try_recv() {
        assert_eq!(tried.check, "front at 127.0.0.1");
        passes.push((tried.result.is_ok(), tried.passes));
    }
    let expected = [
        (false, Some((0, 2))),
        (true, Some((1, 2))),
        (true, Some((2, 2))),
    ];
    assert_eq!(passes, expected);
}

async fn probe(fleet: &Fleet, manner: ProbeManner) -> ProbeOutcome {
    let site: SiteName = "fra".parse().unwrap();
    let prober = Prober::new(fleet);
    must_be_send(prober.probe(&site, manner, &|_| {})).await
}

fn must_be_send<F: Future + Send>(future: F) -> F {
    future
}

fn failing(outcome: ProbeOutcome) -> Vec<Problem> {
    match outcome {
        ProbeOutcome::Passed => panic!("it passed"),
        ProbeOutcome::Failing { problems } => problems,
    }
}

fn failing_first(times: usize) -> impl Fn(&str) -> Reply + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |_| match count.fetch_add(1, Ordering::Relaxed) < times {
        true => http("503 Starting", &[], ""),
        false => http("200 OK", &[], ""),
    }
}

fn body_at(offset: usize) -> String {
    format!("{}ok and more", "x".repeat(offset))
}

fn front(stub: &Stub, path: &str, change: impl Fn(&mut Probe)) -> Probe {
    http_probe(
        &format!("http://{{address}}:{}{path}", stub.address.port()),
        change,
    )
}

fn http_probe(url: &str, change: impl Fn(&mut Probe)) -> Probe {
    let mut probe = Probe {
        name: "front".to_owned(),
        target: ProbeTarget::Http {
            url: url.to_owned(),
            host: None,
            expect: 200,
            body: None,
            ca: None,
        },
        timeout: Duration::from_secs(2),
        passes: 3,
        within: Duration::from_secs(10),
        sites: None,
    };
    change(&mut probe);
    probe
}

fn expect(probe: &mut Probe, status: u16) {
    if let ProbeTarget::Http { expect, .. } = &mut probe.target {
        *expect = status;
    }
}

fn wants(probe: &mut Probe, text: &str) {
    if let ProbeTarget::Http { body, .. } = &mut probe.target {
        *body = Some(text.to_owned());
    }
}

fn www(probes: Vec<Probe>) -> Fleet {
    fleet(&[("www.example.com", &["127.0.0.1"])], probes)
}

/// A fleet of one site, `fra`, with these addresses for these records.
fn fleet(records: &[(&str, &[&str])], probes: Vec<Probe>) -> Fleet {
    let site: SiteName = "fra".parse().unwrap();
    let policy = |addresses: &[&str]| RecordPolicy {
        addresses: BTreeMap::from([(
            site.clone(),
            addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        )]),
        min_in_service: None,
    };
    let all: BTreeSet<IpAddr> = records
        .iter()
        .flat_map(|(_, addresses)| addresses.iter().map(|ip| ip.parse().unwrap()))
        .collect();
    Fleet {
        name: "test".parse().unwrap(),
        channels: vec!["master".parse().unwrap()],
        dns: Dns {
            server: "127.0.0.1:53".parse().unwrap(),
            zone: "example.com".parse().unwrap(),
            ttl: Ttl(30),
            ttl_was: Ttl(30),
            key: TsigKey {
                name: "key".parse().unwrap(),
                algorithm: TsigAlgorithm::HmacSha256,
                secret: "".into(),
            },
            nameservers: None,
            records: records
                .iter()
                .map(|(name, addresses)| (name.parse().unwrap(), policy(addresses)))
                .collect(),
        },
        sites: BTreeMap::from([(
            site.clone(),
            Site {
                name: site.clone(),
                channel: "master".parse().unwrap(),
                in_floor: true,
                quiet: None,
                pin: None,
                addresses: all,
                hosts: Vec::new(),
            },
        )]),
        probes,
        measures_traffic: false,
        freezes: Vec::new(),
        release: crate::model::release::Terms::default(),
        notifies: Vec::new(),
        hooks: Vec::new(),
        traces: None,
        api: None,
        on_push: BTreeMap::new(),
        registries: BTreeMap::new(),
    }
}

/// A private authority, and a certificate of its own for one name.
struct Tls {
    authority: PathBuf,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: Vec<u8>,
    _dir: tempfile::TempDir,
}

impl Tls {
    fn new(name: &str) -> Tls {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authority.pem");
        std::fs::write(&path, authority.pem()).unwrap();
        Tls {
            authority: path,
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            _dir: dir,
        }
    }

    /// Hangs up on a client that does not say by SNI whom it wants.
    fn server(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = self.key.clone().try_into().unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(vec![self.certificate.clone()], key);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(AnySni(Arc::new(certified))));
        Arc::new(config)
    }
}

#[derive(Debug)]
struct AnySni(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for AnySni {
    fn resolve(
        &self,
        hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        hello.server_name().map(|_| Arc::clone(&self.0))
    }
}
