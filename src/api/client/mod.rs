//! The API, the side of a command that finds a coordinator running.
mod events;
mod remote;

use std::io;
use std::path::Path;

use axum::http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::http::{PROBLEM, ProblemBody};
use super::wire::{Command, Refusal, Reply};
use crate::model::text::Secret;
pub use events::Watch;
pub use remote::{Remote, RemoteError};

/// The longest reply: the status of a fleet of thousands of hosts.
const REPLY_BYTES: usize = 16 << 20;

/// Why the coordinator's answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach the coordinator")]
    Connect(#[source] io::Error),
    #[error("cannot speak with the coordinator")]
    Speak(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may have taken the request: ask for the status.
    #[error("the coordinator went away before it answered")]
    Gone,
    #[error("the coordinator's answer cannot be read: {why}")]
    Unreadable { why: String },
    #[error("the coordinator said no: {}", .0.what)]
    Refused(Refusal),
}

/// A connection to a coordinator.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    /// What goes into `Host`.
    host: String,
    token: Option<Secret>,
}

impl Client {
    /// Connects to the coordinator at `path`; `None` if none listens: no socket, or one left
    /// behind.
    ///
    /// # Errors
    /// [`ClientError::Connect`]: one may listen, and cannot be reached (no permission, say).
    pub async fn connect(path: &Path) -> Result<Option<Client>, ClientError> {
        match UnixStream::connect(path).await {
            Ok(stream) => Client::over(stream, "localhost".to_owned(), None)
                .await
                .map(Some),
            Err(error) if is_nobody(&error) => Ok(None),
            Err(error) => Err(ClientError::Connect(error)),
        }
    }

    async fn over<S>(stream: S, host: String, token: Option<Secret>) -> Result<Client, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(speak)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the coordinator broke");
            }
        });
        Ok(Client {
            sender,
            host,
            token,
        })
    }

    /// Asks, and waits for the answer as long as the coordinator takes: who cannot, wraps this in
    /// a timeout and drops the client.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal is a reply.
    pub async fn request(&mut self, command: &Command) -> Result<Reply, ClientError> {
        let response = self.send(command).await?;
        read(response).await
    }

    /// Asks for every event from now on.
    ///
    /// # Errors
    /// [`ClientError`], [`ClientError::Refused`] among them.
    pub async fn watch(mut self) -> Result<Watch, ClientError> {
        let response = self.send(&Command::Watch { after: None }).await?;
        if response.status() == StatusCode::OK {
            return Ok(Watch::new(self, response.into_body()));
        }
        match read(response).await? {
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal)),
            Reply::Ok(_) => Err(ClientError::Gone),
        }
    }

    async fn send(&mut self, command: &Command) -> Result<Response<Incoming>, ClientError> {
        let (method, path, body) = command.request();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {}", token.reveal_text());
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).map_err(speak)?;
        let sent = self.sender.send_request(request).await;
        sent.map_err(
            |error| match error.is_incomplete_message() || error.is_canceled() {
                true => ClientError::Gone,
                false => speak(error),
            },
        )
    }
}

async fn read(response: Response<Incoming>) -> Result<Reply, ClientError> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, REPLY_BYTES).collect().await;
    let body = body.map_err(ClientError::Speak)?.to_bytes();
    let unreadable = |error: serde_json::Error| ClientError::Unreadable {
        why: format!("{}: {error}", parts.status),
    };
    if parts.status.is_success() {
        return serde_json::from_slice(&body)
            .map(Reply::Ok)
            .map_err(unreadable);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != PROBLEM) {
        let why = format!("it is HTTP {}, and no problem of ours", parts.status);
        return Err(ClientError::Unreadable { why });
    }
    let problem: ProblemBody = serde_json::from_slice(&body).map_err(unreadable)?;
    Ok(Reply::Refused(problem.into_refusal()))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn speak(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Speak(error.into())
}
