use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::model::text::Secret;

fn at() -> Timestamp {
    "2026-11-22T03:20:00Z".parse().unwrap()
}

fn message() -> Message {
    Message {
        v: 1,
        fleet: "edge".parse().unwrap(),
        severity: Severity::Critical,
        event: "rotation_halted".to_owned(),
        rotation: Some("nightly-20261122T020000-cron".parse().unwrap()),
        site: Some("fra".parse().unwrap()),
        at: at(),
        text: "halted: <!channel> & `x`".to_owned(),
        next: Some("cleanslate rebuild fra --reason TEXT".to_owned()),
    }
}

fn webhook(url: &str, format: NotifyFormat, key: Option<&str>) -> Webhook {
    drop(rustls::crypto::ring::default_provider().install_default());
    Webhook::new(&Notify {
        name: "chat".to_owned(),
        url: Secret::from(url),
        format,
        key: key.map(Secret::from),
        from: Severity::Info,
        sites: None,
        channels: None,
    })
    .unwrap()
}

/// Answers one request with `answer`, and gives what was asked.
async fn answering(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/secret", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0; 8192];
        while !text.contains("\r\n\r\n") || !text.trim_end().ends_with('}') {
            let length = stream.read(&mut buffer).await.unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        text
    });
    (url, asked)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_program_gets_the_whole_message_signed() {
    let (url, asked) = answering(OK).await;
    let hook = webhook(&url, NotifyFormat::Json, Some("key"));
    hook.post(&message(), at()).await.unwrap();
    let asked = asked.await.unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook/secret HTTP/1.1"), "{head}");
    let sent: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(sent["event"], "rotation_halted");
    assert_eq!(sent["severity"], "critical");
    assert_eq!(sent["next"], "cleanslate rebuild fra --reason TEXT");
    let signed = format!("{SIGNATURE}: {}", signature(b"key", at(), body));
    assert!(head.contains(&signed), "{head}");
}

#[test]
fn a_signature_is_what_others_compute() {
    // printf '1795317600.{}' | openssl dgst -sha256 -hmac key
    let now = Timestamp::from_second(1_795_317_600).unwrap();
    assert_eq!(
        signature(b"key", now, "{}"),
        "t=1795317600,v1=6f3a79a6af0945e5374cd157900e29a536aaad4699cdd584b3ccb4259943925c"
    );
}

#[test]
fn nothing_in_a_chat_becomes_a_link_or_calls_somebody() {
    let text = slack(&message());
    assert_eq!(
        text,
        ":rotating_light: *edge* fra: halted: &lt;!channel&gt; &amp; `x`\n\
         next: `cleanslate rebuild fra --reason TEXT`\n_nightly-20261122T020000-cron_"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_address_is_told() {
    let redirect = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\n\
                    content-length: 0\r\n\r\n";
    let (url, asked) = answering(redirect).await;
    let hook = webhook(&url, NotifyFormat::Slack, None);
    let problem = hook.post(&message(), at()).await.unwrap_err();
    asked.await.unwrap();
    assert!(problem.what.contains("HTTP 307"), "{}", problem.what);
    assert!(!problem.is_transient);
    let nobody = webhook("http://127.0.0.1:9/secret", NotifyFormat::Slack, None);
    let problem = nobody.post(&message(), at()).await.unwrap_err();
    assert!(problem.is_transient);
    assert!(!problem.what.contains("secret"), "{}", problem.what);
}

#[test]
fn who_is_told_what_is_said_by_severity_site_and_channel() {
    let mut notify = webhook("http://x/", NotifyFormat::Json, None)
        .notify()
        .clone();
    let (fra, nyc): (SiteName, SiteName) = ("fra".parse().unwrap(), "nyc".parse().unwrap());
    let (master, staging) = ("master".parse().unwrap(), "staging".parse().unwrap());
    notify.from = Severity::Warning;
    assert!(!notify.wants(Severity::Info, None));
    assert!(notify.wants(Severity::Critical, None));
    notify.sites = Some(BTreeSet::from([fra.clone()]));
    assert!(notify.wants(Severity::Warning, Some((&fra, &master))));
    assert!(!notify.wants(Severity::Critical, Some((&nyc, &master))));
    assert!(
        notify.wants(Severity::Critical, None),
        "about the whole night"
    );
    notify.sites = None;
    notify.channels = Some(BTreeSet::from([staging]));
    assert!(!notify.wants(Severity::Critical, Some((&nyc, &master))));
}
