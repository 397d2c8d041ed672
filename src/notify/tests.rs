use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::model::fleet::{Notify, NotifyFormat};
use crate::model::id::SiteName;
use crate::model::notice::Severity;
use crate::model::template::Template;
use crate::model::text::Secret;
use crate::webhook::{SIGNATURE, signature};

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
        audit: None,
    }
}

fn webhook(url: &str, format: NotifyFormat, key: Option<&str>) -> Webhook {
    drop(rustls::crypto::ring::default_provider().install_default());
    Webhook::new(&notify(url, format, key)).unwrap()
}

fn notify(url: &str, format: NotifyFormat, key: Option<&str>) -> Notify {
    Notify {
        name: "chat".to_owned(),
        url: Secret::from(url),
        format,
        key: key.map(Secret::from),
        from: Severity::Info,
        sites: None,
        channels: None,
        waiting: Duration::from_secs(900),
        template: None,
        audit: false,
    }
}

fn bot() -> NotifyFormat {
    NotifyFormat::SlackApi {
        token: Secret::from("xoxb-secret"),
        channel: "#nights".to_owned(),
    }
}

/// Answers one request after the other with these, as Slack's API does; gives heads and bodies.
async fn api(
    answers: &'static [&'static str],
) -> (String, mpsc::UnboundedReceiver<(String, serde_json::Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/api/chat.postMessage",
        listener.local_addr().unwrap()
    );
    let (asked, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            let mut buffer = [0; 8192];
            let (head, body) = loop {
                let length = stream.read(&mut buffer).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                let parts = text.split_once("\r\n\r\n");
                if let Some((head, Ok(body))) =
                    parts.map(|(head, body)| (head.to_owned(), serde_json::from_str(body)))
                {
                    break (head, body);
                }
            };
            asked.send((head, body)).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
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
    let mut hook = webhook(&url, NotifyFormat::Json, Some("key"));
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
    let text = slack::text(&message(), None);
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
    let mut hook = webhook(&url, NotifyFormat::Slack, None);
    let problem = hook.post(&message(), at()).await.unwrap_err();
    asked.await.unwrap();
    assert!(problem.what.contains("HTTP 307"), "{}", problem.what);
    assert!(!problem.is_transient);
    let mut nobody = webhook("http://127.0.0.1:9/secret", NotifyFormat::Slack, None);
    let problem = nobody.post(&message(), at()).await.unwrap_err();
    assert!(problem.is_transient);
    assert!(!problem.what.contains("secret"), "{}", problem.what);
}

#[tokio::test]
async fn a_bot_begins_a_thread_with_each_rotation_and_stays_in_it() {
    let (url, mut heard) = api(&[
        r#"{"ok":true,"ts":"1700000000.000100"}"#,
        r#"{"ok":true,"ts":"1700000000.000200"}"#,
        r#"{"ok":true,"ts":"1700000000.000300"}"#,
        r#"{"ok":true,"ts":"1700000000.000400"}"#,
    ])
    .await;
    let mut hook = webhook(&url, bot(), None);
    let of = |rotation: Option<&str>, severity| Message {
        rotation: rotation.map(|rotation| rotation.parse().unwrap()),
        severity,
        ..message()
    };
    let (one, two) = (
        "nightly-20261122T020000-cron",
        "urgent-20261122T090000-ABCD",
    );
    let said = [
        of(Some(one), Severity::Info),
        of(Some(one), Severity::Critical),
        of(Some(two), Severity::Info),
        of(None, Severity::Critical),
    ];
    let mut threads = Vec::new();
    for message in said {
        hook.post(&message, at()).await.unwrap();
        let (head, body) = heard.recv().await.unwrap();
        assert!(head.contains("authorization: Bearer xoxb-secret"), "{head}");
        assert!(head.contains("charset=utf-8"), "{head}");
        assert_eq!(body["channel"], "#nights");
        assert_eq!(body["unfurl_links"], false);
        threads.push((body["thread_ts"].clone(), body["reply_broadcast"].clone()));
    }
    let none = serde_json::Value::Null;
    let first = serde_json::json!("1700000000.000100");
    let expected = [
        (none.clone(), none.clone()),
        (first, serde_json::json!(true)),
        (none.clone(), none.clone()),
        (none.clone(), none),
    ];
    assert_eq!(threads, expected);
}

#[tokio::test]
async fn a_thread_that_is_gone_begins_anew_and_what_slack_refuses_is_said_with_its_cure() {
    let (url, mut heard) = api(&[
        r#"{"ok":true,"ts":"1.1"}"#,
        r#"{"ok":false,"error":"thread_not_found"}"#,
        r#"{"ok":true,"ts":"2.2"}"#,
        r#"{"ok":false,"error":"not_in_channel"}"#,
        r#"{"ok":false,"error":"ratelimited"}"#,
        "<html>",
    ])
    .await;
    let mut hook = webhook(&url, bot(), None);
    hook.post(&message(), at()).await.unwrap();
    let gone = hook.post(&message(), at()).await.unwrap_err();
    assert!(gone.is_transient, "{}", gone.what);
    hook.post(&message(), at()).await.unwrap();
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(heard.recv().await.unwrap().1["thread_ts"].clone());
    }
    let none = serde_json::Value::Null;
    assert_eq!(threads, [none.clone(), serde_json::json!("1.1"), none]);
    let refused = hook.post(&message(), at()).await.unwrap_err();
    assert!(
        refused.what.contains("\"not_in_channel\""),
        "{}",
        refused.what
    );
    assert!(refused.cure.contains("/invite"), "{}", refused.cure);
    assert!(!refused.is_transient);
    assert!(hook.post(&message(), at()).await.unwrap_err().is_transient);
    let other = hook.post(&message(), at()).await.unwrap_err();
    assert!(other.what.contains("none of Slack's"), "{}", other.what);
    for problem in [gone, refused, other] {
        let said = format!("{} {}", problem.what, problem.cure);
        assert!(!said.contains("xoxb"), "{said}");
    }
}

#[tokio::test]
async fn a_template_words_what_is_said_and_each_format_keeps_its_escapes() {
    let template = "<!here> {severity} {fleet} {site} {rotation} {event} {at}: {text} ({next})";
    let worded = |text: &str| {
        format!(
            "<!here> critical edge fra nightly-20261122T020000-cron rotation_halted \
             2026-11-22T03:20:00Z: {text} (cleanslate rebuild fra --reason TEXT)"
        )
    };
    let formats = [
        (NotifyFormat::Slack, "halted: &lt;!channel&gt; &amp; `x`"),
        (bot(), "halted: &lt;!channel&gt; &amp; `x`"),
        (NotifyFormat::Json, "halted: <!channel> & `x`"),
    ];
    for (format, text) in formats {
        let (url, mut heard) = api(&[r#"{"ok":true}"#]).await;
        let mut notify = notify(&url, format, None);
        notify.template = Some(Template::parse(template).unwrap());
        let mut hook = Webhook::new(&notify).unwrap();
        hook.post(&message(), at()).await.unwrap();
        let (_, body) = heard.recv().await.unwrap();
        assert_eq!(body["text"], worded(text));
    }
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
