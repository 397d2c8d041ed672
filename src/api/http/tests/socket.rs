//! Over the control socket.
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::stage::{Stage, line, request};
use crate::api::actor::Actor;
use crate::api::client::ClientError;
use crate::api::wire::{Command, Reply};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_command_reaches_the_coordinator_with_who_asked_and_its_answer_comes_back() {
    let stage = Stage::new();
    stage.open_socket().await;
    let mut client = stage.client().await;
    for reason in ["first", "second"] {
        let command = Command::Abort {
            reason: reason.to_owned(),
        };
        let reply = client.request(&command).await.unwrap();
        let who = Actor::own().unwrap().to_string();
        let said = serde_json::json!({ "asked": format!("{command:?}"), "by": who });
        assert_eq!(reply, Reply::Ok(said));
    }
    let withdraw = Command::Withdraw {
        site: "fra".parse().unwrap(),
        reason: "x".to_owned(),
        below_floor: false,
    };
    let Reply::Refused(refusal) = client.request(&withdraw).await.unwrap() else {
        panic!("not refused");
    };
    assert_eq!((refusal.rule.as_str(), refusal.exit), ("floor", 4));
    assert_eq!(refusal.what, "www A would have 1 site of 2");
}

#[tokio::test]
async fn what_is_asked_of_tags_reaches_the_coordinator_as_it_was_asked() {
    let stage = Stage::new();
    stage.open_socket().await;
    let mut client = stage.client().await;
    let body = br#"{"tag":"master","digest":"x","services":["web"],"now":true,"seen":"y"}"#;
    for command in [
        Command::read("release/rollback", body).unwrap(),
        Command::read("release/promote", br#"{"from":"a","to":"b"}"#).unwrap(),
        Command::ReleaseStatus {},
        Command::ReleaseHistory {
            image: Some("r.io/a&b=c".to_owned()),
            last: 7,
        },
    ] {
        let Reply::Ok(said) = client.request(&command).await.unwrap() else {
            panic!("refused: {command:?}");
        };
        assert_eq!(said["asked"], format!("{command:?}"));
    }
    Command::read("promote", br#"{"from":"a","to":"b"}"#).unwrap_err();
    Command::read("release/promote", br#"{"from":"a","to":"b","x":1}"#).unwrap_err();
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_name() {
    let stage = Stage::new();
    stage.open_socket().await;
    let huge = format!("{{\"reason\":\"{}\"}}", "x".repeat(70 << 10));
    let abort = |body: &str| request("POST", "/v1/abort", &[JSON], body);
    let plain = request("POST", "/v1/abort", &[], "{\"reason\":\"x\"}");
    let keyed = |key: &str| {
        let headers = [JSON, ("idempotency-key", key)];
        request("POST", "/v1/abort", &headers, "{\"reason\":\"x\"}")
    };
    for (asked, status, word) in [
        (abort("{\"raison\":\"x\"}"), 422, "raison"),
        (
            abort("{\"reason\":\"x\",\"command\":\"x\"}"),
            422,
            "command",
        ),
        (abort("{"), 400, "EOF"),
        (abort("[]"), 400, "something else"),
        (abort(&huge), 413, "65536"),
        (plain, 415, "application/json"),
        (keyed(&"k".repeat(256)), 400, "Idempotency-Key"),
        (
            request("POST", "/v1/explode", &[JSON], "{}"),
            404,
            "explode",
        ),
        (request("GET", "/v1/abort", &[], ""), 405, "method"),
        (request("POST", "/v1/status", &[JSON], "{}"), 405, "method"),
        (
            request("GET", "/v1/rotations?last=0", &[], ""),
            422,
            "1 to 1000",
        ),
        (request("GET", "/v1/rotations?last=x", &[], ""), 422, "last"),
        (request("GET", "/v1/rotations/%3Cb%3E", &[], ""), 404, "<b>"),
        (
            request("GET", "/etc/passwd", &[], ""),
            404,
            "nothing is there",
        ),
        (
            request("GET", "/v1/events", &[("last-event-id", "x")], ""),
            400,
            "ROTATION/N",
        ),
    ] {
        let said = stage.raw(asked.as_bytes()).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status} ")),
            "{asked}\n{said}"
        );
        assert!(
            said.contains("content-type: application/problem+json"),
            "{said}"
        );
        assert!(said.contains(word), "{word}: {said}");
    }
    for bytes in [
        &b"\xff\xfe\0garbage\r\n\r\n"[..],
        b"{\"v\":1,\"command\":\"status\"}\n\n",
    ] {
        let said = stage.raw(bytes).await;
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 400"),
            "{said}"
        );
    }
    stage.is_well().await;
}

#[tokio::test]
async fn half_a_command_is_never_done() {
    let stage = Stage::new();
    stage.open_socket().await;
    let whole = request("POST", "/v1/abort", &[JSON], "{\"reason\":\"half\"}");
    let mut watch = stage.client().await.watch().await.unwrap();
    for length in [1, whole.len() / 2, whole.len() - 1] {
        let mut stream = UnixStream::connect(stage.path()).await.unwrap();
        stream.write_all(&whole.as_bytes()[..length]).await.unwrap();
        drop(stream);
    }
    // Nobody was asked anything: those who answer are asked only after.
    let nothing = timeout(Duration::from_millis(200), watch.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    assert!(!stage.owner.is_finished());
}

#[tokio::test]
async fn watchers_get_every_line_and_those_who_come_back_what_they_missed() {
    let stage = Stage::new();
    stage.open_socket().await;
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(stage.client().await.watch().await.unwrap());
    }
    for n in 1..=20 {
        stage.events.send(line(n)).unwrap();
    }
    for watch in &mut watches {
        for n in 1..=20 {
            assert_eq!(watch.next().await.unwrap().as_deref(), Some(&*line(n)));
        }
    }
    let again = request("GET", "/v1/events", &[("last-event-id", "nightly-1/7")], "");
    let mut stream = UnixStream::connect(stage.path()).await.unwrap();
    stream.write_all(again.as_bytes()).await.unwrap();
    let mut said = String::new();
    while !said.contains("\n\n") || !said.contains("id: ") {
        let mut buffer = [0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
            .await
            .unwrap();
        said.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(said.contains("id: nightly-1/8\n"), "{said}");
    stage.owner.abort();
    for watch in &mut watches {
        drop(stage.events.send(line(21)));
        assert!(watch.next().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_watcher_that_fell_behind_is_told_what_it_missed() {
    let stage = Stage::new();
    stage.open_socket().await;
    let mut watch = stage.client().await.watch().await.unwrap();
    // Nothing yields in between: the connection's task cannot keep up.
    for n in 0..100 {
        stage.events.send(line(n)).unwrap();
    }
    let refused = watch.next().await.unwrap_err();
    let ClientError::Refused(refusal) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refusal.rule, "slow");
    assert!(
        refusal.what.contains("68 were left out"),
        "{}",
        refusal.what
    );
    assert_eq!(watch.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_stops_nobody() {
    let stage = Stage::new();
    stage.open_socket().await;
    let _lazy = stage.client().await.watch().await.unwrap();
    let large: Arc<str> = format!("{{\"pad\":\"{}\"}}", "x".repeat(100_000)).into();
    for _ in 0..200 {
        stage.events.send(large.clone()).unwrap();
        tokio::task::yield_now().await;
    }
    stage.is_well().await;
}

#[tokio::test]
async fn a_watcher_that_went_is_forgotten_though_nothing_happens() {
    let stage = Stage::new();
    stage.open_socket().await;
    let watch = stage.client().await.watch().await.unwrap();
    assert_eq!(stage.events.receiver_count(), 2);
    drop(watch);
    let gone = async {
        while stage.events.receiver_count() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_coordinator_that_is_ending_says_so() {
    let (asked, mut questions) = tokio::sync::mpsc::channel::<crate::api::asked::Asked>(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = crate::api::socket::Socket::bind(&path).await.unwrap();
    let front = crate::api::http::Front::new(asked, folder.path());
    tokio::spawn(socket.serve(front));
    tokio::spawn(async move { drop(questions.recv().await) });
    let mut client = crate::api::client::Client::connect(&path)
        .await
        .unwrap()
        .unwrap();
    match client.request(&Command::Status {}).await {
        Ok(Reply::Refused(refusal)) => assert_eq!(refusal.rule, "ending"),
        // It was gone before it could say so.
        Err(ClientError::Gone) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_done_once() {
    let stage = Stage::new();
    stage.open_socket().await;
    let headers = [JSON, ("idempotency-key", "ci-17")];
    let rotate = request(
        "POST",
        "/v1/rotate",
        &headers,
        "{\"playbook\":\"nightly\",\"wait\":0}",
    );
    let first = stage.raw(rotate.as_bytes()).await;
    let second = stage.raw(rotate.as_bytes()).await;
    for said in [&first, &second] {
        assert!(said.starts_with("HTTP/1.1 202"), "{said}");
    }
    assert!(!first.contains("idempotency-replayed"));
    assert!(second.contains("idempotency-replayed: true"), "{second}");
    let body = |said: &str| said.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(&first), body(&second), "process and all");
}

/// A socket may be forwarded to a port, and a page of somebody else's be made to ask there under a
/// name of its own.
#[tokio::test]
async fn over_the_socket_the_page_answers_to_this_machine_only() {
    let stage = Stage::new();
    stage.open_socket().await;
    let ask = async |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stage.raw(request.as_bytes()).await
    };
    let said = ask("evil.example:8080", "/ask/nothing").await;
    assert!(said.starts_with("HTTP/1.1 421"), "{said}");
    // Nobody signs in here.
    let said = ask("localhost:8080", "/ask/nothing").await;
    assert!(said.starts_with("HTTP/1.1 404"), "{said}");
}
