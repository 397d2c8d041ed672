//! By force: idle connections, slow ones, wrong tokens.
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stage::{Stage, raw, request};
use crate::api::token::Role;

#[tokio::test]
async fn whoever_has_a_token_gets_through_a_flood_of_idle_connections() {
    let stage = Stage::new();
    let door = stage.open_net();
    let bearer = format!("Bearer {}", stage.token(Role::Viewer, None));
    let status = request("GET", "/v1/status", &[("authorization", &bearer)], "");
    let kept = "GET /v1/status HTTP/1.1\r\nhost: x\r\nauthorization: ";
    let mut known = TcpStream::connect(door.address()).await.unwrap();
    known
        .write_all(format!("{kept}{bearer}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(known.read(&mut buffer).await.unwrap() > 0);
    let mut idle = Vec::new();
    for _ in 0..600 {
        idle.push(TcpStream::connect(door.address()).await.unwrap());
    }
    let said = raw(door.address(), status.as_bytes()).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    // Who was known before is still inside.
    known
        .write_all(format!("{kept}{bearer}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(known.read(&mut buffer).await.unwrap() > 0);
    // The first of the others made room.
    let first = timeout(Duration::from_secs(5), idle[0].read(&mut buffer)).await;
    assert!(matches!(first, Ok(Ok(0) | Err(_))), "{first:?}");
}

#[tokio::test]
async fn one_who_sends_too_slowly_is_let_go() {
    let stage = Stage::new();
    let door = stage.open_net();
    let (mut reader, mut writer) = TcpStream::connect(door.address())
        .await
        .unwrap()
        .into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(20), reader.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "still connected");
    drip.await.unwrap();
}

#[tokio::test]
async fn each_wrong_token_is_answered_later_and_a_right_one_at_once() {
    let stage = Stage::new();
    let door = stage.open_net();
    let bearer = format!("Bearer {}", stage.token(Role::Viewer, None));
    let ask = async |bearer: &str| {
        let began = Instant::now();
        let status = request("GET", "/v1/status", &[("authorization", bearer)], "");
        let said = raw(door.address(), status.as_bytes()).await;
        (said, began.elapsed())
    };
    let mut total = Duration::ZERO;
    for _ in 0..4 {
        let (said, took) = ask("Bearer cleanslate_x").await;
        assert!(said.starts_with("HTTP/1.1 401"), "{said}");
        total += took;
    }
    // 0.1 + 0.2 + 0.4 + 0.8 s: no upper bound is asserted.
    assert!(total >= Duration::from_millis(1500), "{total:?}");
    assert!(ask(&bearer).await.0.starts_with("HTTP/1.1 200"));
    assert!(ask("Bearer cleanslate_x").await.1 >= Duration::from_millis(100));
}
