//! The control socket, the side of a command that finds a coordinator running.
use std::io;
use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::line::{Line, Lines};
use super::wire::{Command, Refusal, Reply, WireError};

/// The longest reply: the status of a fleet of thousands of hosts.
const REPLY_BYTES: usize = 16 << 20;

/// Why the coordinator's answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach the coordinator")]
    Connect(#[source] io::Error),
    #[error("cannot speak with the coordinator")]
    Speak(#[source] io::Error),
    /// It may have taken the request: ask for the status.
    #[error("the coordinator went away before it answered")]
    Gone,
    #[error("the coordinator's answer is longer than {REPLY_BYTES} bytes")]
    TooLong,
    #[error("the coordinator's answer cannot be read")]
    Unreadable(#[source] WireError),
    #[error("the coordinator said no: {}", .0.what)]
    Refused(Refusal),
}

/// A connection to a coordinator.
#[derive(Debug)]
pub struct Client {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// Connects to the coordinator at `path`; `None` if none listens: no socket, or one left
    /// behind.
    ///
    /// # Errors
    /// [`ClientError::Connect`]: one may listen, and cannot be reached (no permission, say).
    pub async fn connect(path: &Path) -> Result<Option<Client>, ClientError> {
        match UnixStream::connect(path).await {
            Ok(stream) => {
                let (reader, writer) = stream.into_split();
                let lines = Lines::new(reader, REPLY_BYTES);
                Ok(Some(Client { lines, writer }))
            }
            Err(error) if is_nobody(&error) => Ok(None),
            Err(error) => Err(ClientError::Connect(error)),
        }
    }

    /// Asks, and waits for the answer as long as the coordinator takes: who cannot, wraps this in
    /// a timeout and drops the client.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal is a reply.
    pub async fn request(&mut self, command: &Command) -> Result<Reply, ClientError> {
        let sent = self.writer.write_all(command.line().as_bytes()).await;
        // A coordinator that turns clients away says why before it closes: read first.
        let line = match (next_line(&mut self.lines).await, sent) {
            (Ok(Some(line)), _) => line,
            (_, Err(error)) => return Err(ClientError::Speak(error)),
            (Ok(None), Ok(())) => return Err(ClientError::Gone),
            (Err(error), Ok(())) => return Err(error),
        };
        Reply::parse(&line).map_err(ClientError::Unreadable)
    }

    /// Asks for every event from now on.
    ///
    /// # Errors
    /// [`ClientError`], [`ClientError::Refused`] among them.
    pub async fn watch(mut self) -> Result<Watch, ClientError> {
        match self.request(&Command::Watch {}).await? {
            Reply::Ok(_) => Ok(Watch { client: self }),
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
        }
    }
}

/// Events of a coordinator, as they happen.
#[derive(Debug)]
pub struct Watch {
    client: Client,
}

impl Watch {
    /// The next line; `None` once the coordinator has ended. A call may be given up and made again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if this side was too slow, and failures to read.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        let Some(line) = next_line(&mut self.client.lines).await? else {
            return Ok(None);
        };
        // Events have no `error` of their own: such a line is the coordinator's last word.
        if let Ok(Reply::Refused(refusal)) = Reply::parse(&line) {
            return Err(ClientError::Refused(refusal));
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|error| ClientError::Speak(io::Error::other(error)))
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

async fn next_line(lines: &mut Lines<OwnedReadHalf>) -> Result<Option<Vec<u8>>, ClientError> {
    match lines.next().await.map_err(ClientError::Speak)? {
        Line::Whole(line) => Ok(Some(line)),
        Line::Ended => Ok(None),
        Line::TooLong => Err(ClientError::TooLong),
    }
}
