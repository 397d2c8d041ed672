//! One TCP connection to one server, and the framing of messages on it (RFC 1035 section 4.2.2).
//!
//! TCP for everything: an UPDATE sent over UDP may arrive twice or be answered by nobody in
//! particular (RFC 2136 section 7.8), and no answer of ours is ever truncated.
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::Message;
use hickory_proto::rr::Name;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::rrset::RecordName;

/// Why no message came or went.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// Nothing was sent.
    #[error("no connection to {server} over TCP: {why}")]
    NotConnected { server: SocketAddr, why: String },
    #[error("{server} gave no answer within {} ms", .within.as_millis())]
    Silent {
        server: SocketAddr,
        within: Duration,
    },
    #[error("the connection to {server} broke before its answer: {why}")]
    Broken { server: SocketAddr, why: String },
    #[error("{server} sent what is no DNS message: {why}")]
    Garbled { server: SocketAddr, why: String },
    /// Nothing was sent.
    #[error("the message cannot be written: {why}")]
    Unwritable { why: String },
}

/// An open connection.
pub(super) struct Connection {
    server: SocketAddr,
    stream: BufReader<Box<dyn Stream>>,
}

/// What octets travel on: TCP, or memory where it is tried what becomes of any octets.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Has what comes next acknowledged at once.
    fn hurry(&self) {}
}

impl Stream for TcpStream {
    fn hurry(&self) {
        // Queries are sent together, and a server that answers them one by one holds its second
        // answer back until the first is acknowledged (Nagle); delaying that costs 40 ms a reading.
        // The option is a hint that does not last, and where it cannot be set nothing is wrong.
        let _is_only_a_hint = rustix::net::sockopt::set_tcp_quickack(self, true);
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`WireError::NotConnected`]: nothing was sent.
    pub(super) async fn open(
        server: SocketAddr,
        within: Duration,
    ) -> Result<Connection, WireError> {
        let not_connected = |why| WireError::NotConnected { server, why };
        let stream = timeout(within, TcpStream::connect(server))
            .await
            .map_err(|_elapsed| not_connected(format!("none within {} ms", within.as_millis())))?
            .map_err(|error| not_connected(in_words(&error)))?;
        stream
            .set_nodelay(true)
            .map_err(|error| not_connected(in_words(&error)))?;
        Ok(Connection::over(server, Box::new(stream)))
    }

    /// A connection on what is open already.
    pub(super) fn over(server: SocketAddr, stream: Box<dyn Stream>) -> Connection {
        let stream = BufReader::new(stream);
        Connection { server, stream }
    }

    /// The server at the other end.
    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends messages in one write, so that they travel together. After an error, some may have
    /// arrived.
    pub(super) async fn send(&mut self, messages: &[Vec<u8>]) -> Result<(), WireError> {
        let mut frames = Vec::new();
        for message in messages {
            let length = u16::try_from(message.len()).map_err(|_| WireError::Unwritable {
                why: format!("it has {} octets, 65535 are allowed", message.len()),
            })?;
            frames.extend_from_slice(&length.to_be_bytes());
            frames.extend_from_slice(message);
        }
        let sent = self.stream.write_all(&frames).await;
        sent.map_err(|error| self.broken(&error))
    }

    /// The next message; at most 64 KiB, as the framing has it.
    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, WireError> {
        self.stream.get_ref().hurry();
        let length = self.stream.read_u16().await;
        let length = length.map_err(|error| self.broken(&error))?;
        let mut message = vec![0; usize::from(length)];
        let read = self.stream.read_exact(&mut message).await;
        read.map_err(|error| self.broken(&error))?;
        Ok(message)
    }

    /// Parses what [`Connection::receive`] gave.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Message, WireError> {
        Message::from_vec(bytes).map_err(|error| WireError::Garbled {
            server: self.server,
            why: error.to_string(),
        })
    }

    fn broken(&self, error: &io::Error) -> WireError {
        let why = if error.kind() == io::ErrorKind::UnexpectedEof {
            "it was closed".to_owned()
        } else {
            in_words(error)
        };
        WireError::Broken {
            server: self.server,
            why,
        }
    }
}

/// The system's words without its number.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Encodes a message.
///
/// # Errors
/// [`WireError::Unwritable`] where it is too long: the library would set the truncation bit and
/// leave records out, and an UPDATE without its last prerequisites is another UPDATE.
pub(super) fn encode(message: &Message) -> Result<Vec<u8>, WireError> {
    let unwritable = |why| WireError::Unwritable { why };
    let bytes = message
        .to_vec()
        .map_err(|error: ProtoError| unwritable(error.to_string()))?;
    match bytes.get(2) {
        Some(flags) if flags & TRUNCATED == 0 => Ok(bytes),
        Some(_) | None => Err(unwritable("it is longer than 65535 octets".to_owned())),
    }
}

/// The TC bit in the third octet of the header (RFC 1035 section 4.1.1).
const TRUNCATED: u8 = 0x02;

/// An owner name as the library has it.
///
/// # Errors
/// Where it is too long: with `_cleanslate.` in front a name may have 255 octets.
pub(super) fn name(text: &str) -> Result<Name, WireError> {
    let labels = text.trim_end_matches('.').split('.').map(str::as_bytes);
    Name::from_labels(labels).map_err(|error| WireError::Unwritable {
        why: format!("{text:?} is no domain name: {error}"),
    })
}

/// The library's name as ours; `None` where it holds what no host name does. Not by way of its
/// text, which escapes a leading hyphen.
pub(super) fn record_name(name: &Name) -> Option<RecordName> {
    let labels = name.iter().map(str::from_utf8);
    let labels: Vec<&str> = labels.collect::<Result<_, _>>().ok()?;
    labels.join(".").parse().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::TXT;
    use hickory_proto::rr::{RData, Record};

    use super::*;

    #[test]
    fn a_message_that_would_lose_records_is_refused() {
        let mut message = Message::query();
        for n in 0..300 {
            let txt = TXT::new(vec!["x".repeat(255)]);
            let name = name(&format!("r{n}.example.com.")).unwrap();
            message.add_answer(Record::from_rdata(name, 0, RData::TXT(txt)));
        }
        let error = encode(&message).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the message cannot be written: it is longer than 65535 octets"
        );
    }

    #[test]
    fn names_keep_their_underscores_and_hyphens() {
        let text = "_cleanslate.-odd-.www.example.com.";
        assert_eq!(record_name(&name(text).unwrap()).unwrap().as_str(), text);
    }
}
