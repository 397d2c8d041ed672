use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Collector;
use crate::model::fleet::Traces;
use crate::model::span::{Span, SpanId, SpanNote, TraceId};

/// Answers each request with the next of these, then takes everything; tells heads and bodies.
async fn collector(
    answers: &'static [&'static str],
) -> (Traces, mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let otlp = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (said, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = answers.iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            said.send(read(&mut stream).await).unwrap();
            let status = answers.next().unwrap_or(&"200 OK");
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (Traces { otlp }, heard)
}

async fn read(stream: &mut tokio::net::TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let length = stream.read_buf(&mut bytes).await.unwrap();
        assert!(length > 0, "the request ends early");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec())
            .unwrap()
            .to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        let body = &bytes[end + 4..];
        if body.len() == length {
            return (head, body.to_vec());
        }
    }
}

fn spans() -> Vec<Span> {
    let at = |second: i64| jiff::Timestamp::from_second(1_800_000_000 + second).unwrap();
    let root = Span {
        id: SpanId(*b"rotation"),
        parent: None,
        name: "rotation nightly".to_owned(),
        began: at(0),
        ended: at(300),
        about: vec![("cleanslate.playbook", "nightly".to_owned())],
        notes: Vec::new(),
        failed: Some("web exited with 1".to_owned()),
    };
    let visit = Span {
        id: SpanId(*b"visitfra"),
        parent: Some(root.id),
        name: "visit fra".to_owned(),
        began: at(1),
        ended: at(100),
        about: Vec::new(),
        notes: vec![SpanNote {
            at: at(2),
            name: "ready".to_owned(),
            text: "ready: 2 containers created".to_owned(),
        }],
        failed: None,
    };
    vec![root, visit]
}

#[tokio::test]
async fn a_collector_gets_every_span_with_its_times_and_what_it_is_about() {
    let (traces, mut heard) = collector(&[]).await;
    let fleet = "edge".parse().unwrap();
    let collector = Collector::new(&traces, &fleet).unwrap();
    let trace = TraceId(*b"nightly-20261122");
    collector.send(trace, &spans()).await.unwrap();
    let (head, body) = heard.recv().await.unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let of_process = &request.resource_spans[0];
    let resource = of_process.resource.as_ref().unwrap();
    let named: Vec<(&str, &Value)> = resource
        .attributes
        .iter()
        .map(|of| {
            (
                of.key.as_str(),
                of.value.as_ref().unwrap().value.as_ref().unwrap(),
            )
        })
        .collect();
    let text = |text: &str| Value::StringValue(text.to_owned());
    assert!(
        named.contains(&("service.name", &text("cleanslate"))),
        "{named:?}"
    );
    assert!(
        named.contains(&("cleanslate.fleet", &text("edge"))),
        "{named:?}"
    );
    let sent = &of_process.scope_spans[0].spans;
    assert_eq!(sent.len(), 2);
    let (root, visit) = (&sent[0], &sent[1]);
    assert_eq!(
        (root.trace_id.as_slice(), root.span_id.as_slice()),
        (&trace.0[..], &b"rotation"[..])
    );
    assert_eq!(visit.parent_span_id, b"rotation");
    assert!(root.parent_span_id.is_empty() || root.parent_span_id == [0; 8]);
    assert_eq!(visit.name, "visit fra");
    assert_eq!(visit.start_time_unix_nano, 1_800_000_001_000_000_000);
    assert_eq!(visit.end_time_unix_nano, 1_800_000_100_000_000_000);
    assert_eq!(visit.events[0].name, "ready");
    assert_eq!(root.attributes[0].key, "cleanslate.playbook");
    let status = root.status.as_ref().unwrap();
    assert_eq!(
        (status.code(), status.message.as_str()),
        (StatusCode::Error, "web exited with 1")
    );
    assert_eq!(visit.status.as_ref().unwrap().code(), StatusCode::Ok);
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_and_one_that_refuses_is_not() {
    let (traces, mut heard) = collector(&["503 Busy"]).await;
    let fleet = "edge".parse().unwrap();
    let busy = Collector::new(&traces, &fleet).unwrap();
    busy.send(TraceId([1; 16]), &spans()).await.unwrap();
    let (first, second) = (heard.recv().await.unwrap(), heard.recv().await.unwrap());
    assert_eq!(first.1, second.1, "the same once more");
    let (traces, mut heard) = collector(&["400 Bad Request"]).await;
    let refusing = Collector::new(&traces, &fleet).unwrap();
    let problem = refusing.send(TraceId([1; 16]), &spans()).await.unwrap_err();
    assert!(problem.what.contains("400"), "{}", problem.what);
    assert!(heard.recv().await.is_some());
    assert!(heard.try_recv().is_err());
}
