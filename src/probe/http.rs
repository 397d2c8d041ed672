//! One try of one check: a new connection to that very address, one question, and away.
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::check::{Ask, Check, HttpAsk};
use super::tls::{self, Configs};
use crate::coordinator::outcome::Problem;

/// How much of a body is searched.
const BODY_BYTES: usize = 64 << 10;

/// How much of a server's own words is repeated.
const QUOTED_CHARACTERS: usize = 120;

/// What a try was busy with when its time was over.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Connecting,
    Handshake,
    Waiting,
    Reading,
}

/// Asks once, within the probe's timeout.
pub(super) async fn try_once(check: &Check, configs: &Configs) -> Result<(), Problem> {
    let mut stage = Stage::Connecting;
    match timeout(check.timeout, ask(check, configs, &mut stage)).await {
        Ok(answered) => answered,
        Err(_) => Err(too_late(check, stage)),
    }
}

async fn ask(check: &Check, configs: &Configs, stage: &mut Stage) -> Result<(), Problem> {
    let stream = TcpStream::connect(check.address)
        .await
        .map_err(|error| unreachable(check, &error))?;
    let Ask::Http(http) = &check.ask else {
        return Ok(());
    };
    let Some(authority) = &http.tls else {
        return converse(check, http, stream, stage).await;
    };
    *stage = Stage::Handshake;
    let config = tls::config_for(configs, authority)
        .map_err(|why| check.problem(format_args!("TLS cannot be set up: {why}"), CURE_ROOTS))?;
    let stream = handshake(check, http, config, stream).await?;
    converse(check, http, stream, stage).await
}

async fn handshake(
    check: &Check,
    http: &HttpAsk,
    config: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Problem> {
    let name = without_port(&http.host);
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|_| check.problem(format_args!("{name:?} is no name for TLS"), CURE_HOST))?;
    TlsConnector::from(config)
        .connect(server_name, stream)
        .await
        .map_err(|error| untrusted(check, name, &error))
}

/// The exchange itself, over HTTP/1.1.
async fn converse<S>(
    check: &Check,
    http: &HttpAsk,
    stream: S,
    stage: &mut Stage,
) -> Result<(), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    *stage = Stage::Waiting;
    let broken = |error: hyper::Error| no_http(check, &error);
    let request = request(http).map_err(|error| check.problem(error, CURE_URL))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        judge(check, http, response, stage).await
    };
    // The connection moves the bytes of the exchange; whatever ends it ends the exchange as well.
    let connection = async {
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        judged = exchange => judged,
        never = connection => never,
    }
}

fn request(http: &HttpAsk) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    Request::get(&http.path)
        .header(HOST, &http.host)
        .header(
            USER_AGENT,
            concat!("cleanslate/", env!("CARGO_PKG_VERSION")),
        )
        .header(CONNECTION, "close")
        .body(Empty::new())
}

async fn judge(
    check: &Check,
    http: &HttpAsk,
    response: Response<Incoming>,
    stage: &mut Stage,
) -> Result<(), Problem> {
    let status = response.status().as_u16();
    if status != http.expect {
        let to = location(&response);
        let what = format!("HTTP {status}{to}, expected {}", http.expect);
        return Err(check.problem(what, cure_status(status)));
    }
    let Some(wanted) = &http.body else {
        return Ok(());
    };
    *stage = Stage::Reading;
    let mut body = response.into_body();
    let mut read: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| no_http(check, &error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let searched = read.len().saturating_sub(wanted.len());
        let room = BODY_BYTES.saturating_sub(read.len());
        read.extend_from_slice(&data[..data.len().min(room)]);
        if holds(&read[searched..], wanted.as_bytes()) {
            return Ok(());
        }
        if read.len() == BODY_BYTES {
            let what = format!("{wanted:?} is not in the first {BODY_BYTES} bytes of the body");
            return Err(check.problem(what, CURE_BODY));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let found = quoted(&String::from_utf8_lossy(&read));
    Err(check.problem(format!("{wanted:?} is not in the body {found}"), CURE_BODY))
}

fn holds(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}

fn location(response: &Response<Incoming>) -> String {
    let location = response.headers().get(LOCATION);
    match location.and_then(|location| location.to_str().ok()) {
        Some(location) if response.status().is_redirection() => format!(" to {}", quoted(location)),
        Some(_) | None => String::new(),
    }
}

/// Escaped and bounded: it comes from outside, and goes to a terminal.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARACTERS).collect();
    format!("{short:?}")
}

/// `[::1]:443` and `www.example.com:443` without their port.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

const CURE_ROOTS: &str = "correct the probe's ca, or install the system's certificates";
const CURE_HOST: &str = "give the probe a host that is a domain name";
const CURE_URL: &str = "correct the probe's url and host";
const CURE_BODY: &str = "look at what the service answers, or correct the probe's body";

fn cure_status(status: u16) -> &'static str {
    match status {
        300..=399 => "redirects are not followed: probe where it leads to, or expect this status",
        500..=599 => "look at the logs of the service behind this address",
        _ => "correct the probe's path, host or expect, or what the service answers there",
    }
}

fn unreachable(check: &Check, error: &io::Error) -> Problem {
    let port = check.address.port();
    let cure = if error.kind() == io::ErrorKind::ConnectionRefused {
        format!(
            "check that a service listens on port {port} there, and that no NAT or firewall rule \
             of the host takes the port away"
        )
    } else {
        format!("check address, route and firewall: port {port} must be reached from here")
    };
    check.problem(format_args!("cannot connect to port {port}: {error}"), cure)
}

fn untrusted(check: &Check, name: &str, error: &io::Error) -> Problem {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let cure = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => {
            format!(
                "let it present a valid certificate for {name}, or correct the probe's host and ca"
            )
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS: probe it by http://".to_owned()
        }
        // rustls tells many failures apart; to a person the text above is all there is to them.
        Some(_) | None => format!("check the TLS settings of the service for the name {name}"),
    };
    check.problem(format_args!("TLS for {name} failed: {error}"), cure)
}

fn no_http(check: &Check, error: &hyper::Error) -> Problem {
    let source = std::error::Error::source(error);
    let detail = source
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    check.problem(
        format_args!("no HTTP answer: {error}{detail}"),
        "check that this port speaks HTTP, and the logs of the service behind it",
    )
}

fn too_late(check: &Check, stage: Stage) -> Problem {
    let timeout = check.timeout;
    let (stage, cure) = match stage {
        Stage::Connecting => (
            "while connecting",
            "check address, route and firewall: the port must be reached from here",
        ),
        Stage::Handshake => (
            "in the TLS handshake",
            "check the TLS settings of the service",
        ),
        Stage::Waiting => (
            "waiting for the answer",
            "look at the logs of the service, or raise the probe's timeout",
        ),
        Stage::Reading => (
            "reading the body",
            "look at the logs of the service, or raise the probe's timeout",
        ),
    };
    check.problem(format_args!("nothing within {timeout:?}, {stage}"), cure)
}
