//! Hooks as whoever is called meets them.
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::call;
use crate::coordinator::outcome::{HookAnswer, Problem};
use crate::model::hook::{Call, Gate, Hook, HookFailure, Occasion, On, Terms};
use crate::model::id::SiteName;
use crate::model::text::Secret;
use crate::webhook::{SIGNATURE, signature};

fn at() -> Timestamp {
    "2026-11-22T03:20:00Z".parse().unwrap()
}

fn occasion(peers: &[&str]) -> Occasion {
    let image = "registry.example.com/web:master".parse().unwrap();
    let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    Occasion {
        fleet: "edge".parse().unwrap(),
        rotation: "nightly-20261122T020000-cron".parse().unwrap(),
        site: Some("fra".parse().unwrap()),
        step: Gate::BeforeWithdraw.as_str(),
        digests: [(image, digest)].into(),
        actor: "schedule".to_owned(),
        reason: None,
        next_site: Some("nyc".parse().unwrap()),
        peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
        end: None,
    }
}

fn hook(call: Call, within: Duration) -> Hook {
    let terms = Terms {
        failure: HookFailure::Halt,
        defer_at_most: Duration::from_secs(60),
    };
    Hook {
        name: "make-room".parse().unwrap(),
        on: On::Gate(Gate::BeforeWithdraw, terms),
        call,
        within,
        sites: None,
        peers: false,
    }
}

fn command(words: &[&str]) -> Call {
    Call::Command(words.iter().map(|word| (*word).to_owned()).collect())
}

fn http(url: String, key: Option<&str>) -> Call {
    let key = key.map(Secret::from);
    Call::Http { url, key }
}

async fn runs(script: &str) -> HookAnswer {
    let hook = hook(command(&["sh", "-c", script]), Duration::from_secs(10));
    call(&hook, &occasion(&["nyc", "sin"]), at()).await
}

fn failure(answer: HookAnswer) -> Problem {
    match answer {
        HookAnswer::Failed(problem) => problem,
        HookAnswer::Agreed | HookAnswer::NotYet { .. } => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_command_is_told_the_occasion() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("told");
    let script = format!("env | grep ^CLEANSLATE_ | sort > {}", file.display());
    assert_eq!(runs(&script).await, HookAnswer::Agreed);
    let told = std::fs::read_to_string(file).unwrap();
    insta::assert_snapshot!(told, @r"
    CLEANSLATE_ACTOR=schedule
    CLEANSLATE_DIGEST=registry.example.com/web:master@sha256:abababababababababababababababababababababababababababababababab
    CLEANSLATE_END=
    CLEANSLATE_FLEET=edge
    CLEANSLATE_HOOK=make-room
    CLEANSLATE_NEXT_SITE=nyc
    CLEANSLATE_PEER=
    CLEANSLATE_PEERS=nyc sin
    CLEANSLATE_REASON=
    CLEANSLATE_ROTATION=nightly-20261122T020000-cron
    CLEANSLATE_SITE=fra
    CLEANSLATE_STEP=before_withdraw
    ");
}

#[tokio::test]
async fn exit_75_is_not_yet_with_the_last_line_as_the_reason() {
    let answer = runs("echo trying; printf 'nyc is\\033[2J full\\n\\n'; exit 75").await;
    let why = "nyc is[2J full".to_owned();
    assert_eq!(answer, HookAnswer::NotYet { why, after: None });
    let why = "no reason is given".to_owned();
    assert_eq!(
        runs("exit 75").await,
        HookAnswer::NotYet { why, after: None }
    );
}

#[tokio::test]
async fn any_other_exit_fails_with_what_was_printed() {
    let problem = failure(runs("echo no budget; exit 3").await);
    assert!(
        problem.what.starts_with("hook make-room of fra: \"sh -c"),
        "{problem:?}"
    );
    assert!(
        problem
            .what
            .ends_with("ended with exit status: 3, and printed \"no budget\""),
        "{problem:?}"
    );
    let missing = hook(command(&["/nonexistent/hook"]), Duration::from_secs(1));
    let problem = failure(call(&missing, &occasion(&[]), at()).await);
    assert!(problem.what.contains("cannot be run"), "{problem:?}");
    let slow = hook(command(&["sleep", "60"]), Duration::from_millis(100));
    let problem = failure(call(&slow, &occasion(&[]), at()).await);
    assert!(
        problem
            .what
            .contains("was not done within 100ms and was killed"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn each_peer_is_told_and_all_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    let place = format!("{}/{{peer}}-{{site}}", dir.path().display());
    let mut touch = hook(command(&["touch", &place]), Duration::from_secs(10));
    touch.peers = true;
    let agreed = call(&touch, &occasion(&["nyc", "sin"]), at()).await;
    assert_eq!(agreed, HookAnswer::Agreed);
    let made = std::fs::read_dir(dir.path()).unwrap().flatten();
    let made: BTreeSet<String> = made
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(made, ["nyc-fra", "sin-fra"].map(str::to_owned).into());

    let script = "case $CLEANSLATE_PEER in nyc) echo full; exit 75;; sin) exit $SIN;; esac";
    let asked = |sin: &str| {
        let script = script.replace("$SIN", sin);
        let mut hook = hook(command(&["sh", "-c", &script]), Duration::from_secs(10));
        hook.peers = true;
        async move { call(&hook, &occasion(&["nyc", "sin"]), at()).await }
    };
    let why = "full".to_owned();
    assert_eq!(asked("0").await, HookAnswer::NotYet { why, after: None });
    let problem = failure(asked("1").await);
    assert!(
        problem.what.starts_with("hook make-room of fra at sin: "),
        "{problem:?}"
    );
    // With no other site in service there is nobody to object.
    let mut alone = hook(command(&["false"]), Duration::from_secs(10));
    alone.peers = true;
    assert_eq!(call(&alone, &occasion(&[]), at()).await, HookAnswer::Agreed);
}

/// Somebody who answers every POST like this, and what they were sent.
async fn answering(answer: &'static str) -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sent, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut buffer = [0; 8192];
            loop {
                let length = stream.read(&mut buffer).await.unwrap();
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && serde_json::from_str::<serde_json::Value>(body).is_ok()
                {
                    sent.send((head.to_owned(), body.to_owned())).unwrap();
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
}

async fn posts(url: String, key: Option<&str>) -> HookAnswer {
    let hook = hook(http(url, key), Duration::from_secs(5));
    call(&hook, &occasion(&["nyc"]), at()).await
}

#[tokio::test]
async fn a_post_carries_the_occasion_signed() {
    let (url, mut heard) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let agreed = posts(format!("{url}/room/{{site}}"), Some("key")).await;
    assert_eq!(agreed, HookAnswer::Agreed);
    let (head, body) = heard.recv().await.unwrap();
    assert!(head.starts_with("POST /room/fra HTTP/1.1"), "{head}");
    let signed = format!("{SIGNATURE}: {}", signature(b"key", at(), &body));
    assert!(head.contains(&signed), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "actor": "schedule",
      "at": "2026-11-22T03:20:00Z",
      "digests": {
        "registry.example.com/web:master": "sha256:abababababababababababababababababababababababababababababababab"
      },
      "end": null,
      "fleet": "edge",
      "hook": "make-room",
      "next_site": "nyc",
      "peer": null,
      "peers": [
        "nyc"
      ],
      "reason": null,
      "rotation": "nightly-20261122T020000-cron",
      "site": "fra",
      "step": "before_withdraw",
      "v": 1
    }
    "#);
}

#[tokio::test]
async fn http_503_is_not_yet_and_says_until_when() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 10\r\n\r\nnyc: full\n";
    let (url, _heard) = answering(busy).await;
    let why = "nyc: full".to_owned();
    let after = Some(Duration::from_secs(7));
    assert_eq!(posts(url, None).await, HookAnswer::NotYet { why, after });
}

#[tokio::test]
async fn any_other_status_fails_and_no_redirect_is_followed() {
    let (inside, mut heard) = answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let refused = "HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nnope";
    let (url, _sent) = answering(refused).await;
    let problem = failure(posts(url, None).await);
    assert_eq!(
        problem.what,
        "hook make-room of fra: HTTP 409 Conflict (nope)"
    );
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {inside}\r\ncontent-length: 0\r\n\r\n");
    let (url, _sent) = answering(Box::leak(moved.into_boxed_str())).await;
    let problem = failure(posts(url, None).await);
    assert!(problem.what.contains("HTTP 307"), "{problem:?}");
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn whoever_cannot_be_reached_is_tried_until_the_time_is_over() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let hook = hook(http(url, None), Duration::from_millis(1500));
    let problem = failure(call(&hook, &occasion(&[]), at()).await);
    assert!(
        problem
            .what
            .starts_with("hook make-room of fra: cannot be reached: "),
        "{problem:?}"
    );
    assert!(problem.what.ends_with(", within 1.5s") && problem.is_transient);
}

#[tokio::test]
async fn whoever_does_not_answer_is_not_posted_to_again() {
    let (url, mut heard) = answering("").await;
    let hook = hook(http(url, None), Duration::from_millis(1500));
    let problem = failure(call(&hook, &occasion(&[]), at()).await);
    assert!(problem.what.contains("no answer"), "{problem:?}");
    assert!(heard.recv().await.is_some());
    assert!(heard.try_recv().is_err());
}

#[test]
fn a_hook_of_some_sites_hears_of_them_and_of_what_is_about_none() {
    let mut hook = hook(command(&["true"]), Duration::from_secs(1));
    let (fra, nyc): (SiteName, SiteName) = ("fra".parse().unwrap(), "nyc".parse().unwrap());
    assert!(hook.is_about(Some(&fra)) && hook.is_about(None));
    hook.sites = Some([nyc].into());
    assert!(!hook.is_about(Some(&fra)) && hook.is_about(None));
}

#[test]
fn a_program_is_found_where_it_is_run() {
    assert!(super::find("sh").unwrap().ends_with("sh"));
    assert!(super::find("/bin/sh").is_some());
    for none in [
        "/bin",
        "/etc/passwd",
        "/nonexistent/hook",
        "nonexistent-hook",
    ] {
        assert_eq!(super::find(none), None, "{none}");
    }
}
