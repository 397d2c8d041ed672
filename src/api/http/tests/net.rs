//! Over TCP, by token.
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::stage::{Stage, raw, request};
use crate::api::client::Remote;
use crate::api::http::Net;
use crate::api::metrics::{CONTENT_TYPE, Metrics};
use crate::api::token::{Role, TokenFile};
use crate::api::wire::{Command, Reply};
use crate::model::fleet::{Listen, ListenTls};
use crate::model::text::Secret;

#[tokio::test]
async fn a_token_opens_what_its_role_may_and_nothing_else() {
    let stage = Stage::new();
    let door = stage.open_net();
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let [viewer, release] = [Role::Viewer, Role::Release].map(|role| stage.token(role, None));
    let operator = stage.token(Role::Operator, None);
    let expired = stage.token(Role::Admin, Some(hour_ago));
    let ask = async |token: Option<&str>, method: &str, path: &str, body: &str| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        raw(
            door.address(),
            request(method, path, &headers, body).as_bytes(),
        )
        .await
    };
    let cordon = ("POST", "/v1/cordon", r#"{"site":"fra","reason":"x"}"#);
    let forced = r#"{"site":"fra","reason":"x","below_floor":true}"#;
    let forced = ("POST", "/v1/withdraw", forced);
    let status = ("GET", "/v1/status", "");
    for (token, (method, path, body), expected) in [
        (None, status, "401"),
        (Some("cleanslate_nonsense"), status, "401"),
        (Some(expired.as_str()), status, "401"),
        (Some(&viewer), status, "200"),
        (Some(&release), status, "200"),
        (Some(&viewer), cordon, "403"),
        (Some(&release), cordon, "403"),
        (Some(&operator), cordon, "202"),
        (Some(&operator), forced, "403"),
        (None, ("GET", "/v1/openapi.json", ""), "200"),
        (None, ("GET", "/healthz", ""), "200"),
    ] {
        let said = ask(token, method, path, body).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{path}: {said}"
        );
        assert!(!said.contains(&operator[11..]), "{said}");
        if expected == "401" {
            assert!(said.contains("www-authenticate: Bearer"), "{said}");
        }
    }
    let said = ask(Some(&operator), cordon.0, cordon.1, cordon.2).await;
    assert!(said.contains("\"by\":\"token operator\""), "{said}");
    let file = TokenFile::of(stage.folder.path());
    file.revoke("operator", Timestamp::now()).unwrap();
    let said = ask(Some(&operator), "GET", "/v1/status", "").await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
}

#[tokio::test]
async fn the_metrics_are_for_whoever_may_see() {
    let stage = Stage::new();
    let door = stage.open_net();
    let viewer = format!("Bearer {}", stage.token(Role::Viewer, None));
    let ask = async |headers: &[(&str, &str)]| {
        let asked = request("GET", "/metrics", headers, "");
        raw(door.address(), asked.as_bytes()).await
    };
    let by_viewer = [("authorization", viewer.as_str())];
    let said = ask(&by_viewer).await;
    assert!(
        said.starts_with("HTTP/1.1 404 "),
        "a rotation in place: {said}"
    );
    let (fleet, holder) = ("edge".parse().unwrap(), "holder-a".parse().unwrap());
    let metrics = Metrics::new(&fleet, "1.2.3", holder, Timestamp::now());
    stage.front.show(Arc::new(metrics));
    let said = ask(&[]).await;
    assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
    let said = ask(&by_viewer).await;
    let (head, page) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains(&format!("content-type: {CONTENT_TYPE}")),
        "{head}"
    );
    assert!(
        page.contains("cleanslate_build_info{fleet=\"edge\",version=\"1.2.3\"} 1\n"),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"), "{page}");
}

#[tokio::test]
async fn the_command_line_asks_over_tls_and_trusts_whom_it_is_told_to() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let stage = Stage::new();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = stage.folder.path().join("ca.pem");
    std::fs::write(&ca, cert.pem()).unwrap();
    let tls = ListenTls {
        cert: cert.pem().into_bytes(),
        key: Secret::from(signing_key.serialize_pem()),
    };
    let net = Net::bind(&Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: Some(tls),
    });
    let door = net.unwrap().open(stage.front.clone()).unwrap();
    let token = Secret::from(stage.token(Role::Viewer, None));
    let url = format!("https://localhost:{}", door.address().port());
    let remote = Remote::new(&url, token.clone(), Some(&ca)).unwrap();
    let mut client = remote.connect().await.unwrap();
    let reply = client.request(&Command::Status {}).await.unwrap();
    assert!(matches!(reply, Reply::Ok(_)), "{reply:?}");
    let Reply::Refused(refusal) = client
        .request(&Command::Recover { reason: None })
        .await
        .unwrap()
    else {
        panic!("a viewer took over");
    };
    assert_eq!((refusal.rule.as_str(), refusal.exit), ("role", 4));
    let watch = remote.connect().await.unwrap().watch().await.unwrap();
    drop(watch);
    // The system knows nobody who signed it.
    let stranger = Remote::new(&url, token, None).unwrap();
    let error = stranger.connect().await.unwrap_err();
    let why = format!("{error:?}");
    assert!(
        why.contains("certificate") || why.contains("UnknownIssuer"),
        "{why}"
    );
    let plain = raw(
        door.address(),
        request("GET", "/healthz", &[], "").as_bytes(),
    )
    .await;
    assert!(!plain.contains("ok"), "{plain}");
}

#[test]
fn a_certificate_and_a_key_of_others_are_found_out() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (pair(), pair());
    let tls = |cert: String, key: String| ListenTls {
        cert: cert.into_bytes(),
        key: Secret::from(key),
    };
    let key = one.signing_key.serialize_pem();
    assert!(Net::check(&tls(one.cert.pem(), key.clone())).is_ok());
    assert!(Net::check(&tls(other.cert.pem(), key.clone())).is_err());
    assert!(Net::check(&tls(String::new(), key)).is_err());
    assert!(Net::check(&tls(one.cert.pem(), "x".to_owned())).is_err());
}
