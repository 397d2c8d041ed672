//! One HTTP request as a user's client makes it, and how it can fail.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Why a request was lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No authoritative server gave an address.
    Dns,
    Refused,
    Unreachable,
    Timeout,
    Reset,
    /// The connection ended before the answer did.
    Closed,
    Status(u16),
    /// Status 200, but not a page of the service.
    Body,
    Other(String),
}

/// A whole answer.
pub struct Page {
    pub status: u16,
    pub body: String,
    /// Whether the server keeps the connection for the next request.
    pub keeps: bool,
}

/// A failure, and whether a byte of the answer had come: without one, a request on a reused
/// connection may be made again on a new one (RFC 9110, 9.2.2), as every browser does.
pub struct Failure {
    pub reason: Reason,
    pub answered: bool,
}

/// Opens a connection to a site.
pub async fn connect(address: IpAddr, port: u16) -> Result<TcpStream, Reason> {
    let stream = TcpStream::connect((address, port))
        .await
        .map_err(|error| reason(&error))?;
    stream.set_nodelay(true).map_err(|error| reason(&error))?;
    Ok(stream)
}

/// Sends a GET and reads the answer to its end.
pub async fn get(
    stream: &mut TcpStream,
    host: &str,
    path: &str,
    keep: bool,
) -> Result<Page, Failure> {
    let connection = if keep { "keep-alive" } else { "close" };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lab\r\nConnection: {connection}\r\n\r\n"
    );
    let failed = |error: &Error| Failure {
        reason: reason(error),
        answered: false,
    };
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| failed(&error))?;
    let mut bytes = Vec::with_capacity(512);
    loop {
        if let Some(page) = whole_page(&bytes) {
            return Ok(page);
        }
        let read = stream.read_buf(&mut bytes).await;
        let answered = !bytes.is_empty();
        match read {
            Ok(0) => {
                return Err(Failure {
                    reason: Reason::Closed,
                    answered,
                });
            }
            Ok(_) => {}
            Err(error) => {
                return Err(Failure {
                    reason: reason(&error),
                    answered,
                });
            }
        }
    }
}

/// The page, once all of it is there. Only answers with a `Content-Length` are understood.
fn whole_page(bytes: &[u8]) -> Option<Page> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let body = &bytes[end + 4..];
    let field = |name: &str| {
        head.lines()
            .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    let length: usize = field("content-length")?.parse().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| Page {
        status,
        body: String::from_utf8_lossy(&body[..length]).into_owned(),
        keeps: field("connection") != Some("close"),
    })
}

fn reason(error: &Error) -> Reason {
    // Other kinds are the standard library's to add to.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ErrorKind is non-exhaustive"
    )]
    match error.kind() {
        ErrorKind::ConnectionRefused => Reason::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Reason::Reset,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reason::Unreachable,
        ErrorKind::TimedOut => Reason::Timeout,
        ErrorKind::UnexpectedEof => Reason::Closed,
        _ => Reason::Other(error.to_string()),
    }
}
