//! A proxy before a server of streams: plain TCP, or HTTP, where a path says what is spoiled.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Stand;
use crate::lab::Lab;
use crate::lab::spec::CORE;

/// What becomes of a connection (plain) or of one request and its answer (HTTP). Bytes are counted
/// from the start of what the server says, over HTTP from the start of its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    #[default]
    Pass,
    /// It goes on so much later.
    Delay(Duration),
    /// Nothing reaches the server, and nothing is said.
    Mute,
    /// The server gets all of it, and none of its answer comes.
    DropAnswer,
    /// The connection is reset.
    Reset,
    /// It waits for [`FlowProxy::release`].
    Hold,
    /// The connection ends after so many bytes.
    CutAfter(u64),
    /// One bit of the byte at this place is turned.
    FlipAt(u64),
    /// So many bytes a second.
    Trickle(u64),
    /// These words of the server become others, as long.
    Swap {
        from: &'static str,
        to: &'static str,
    },
    /// The server is not asked; this is the answer: status and reason, and one header.
    Say {
        status: &'static str,
        header: &'static str,
    },
}

/// How much a proxy understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Plain,
    /// One request a connection to the server.
    Http,
}

/// A proxy before a server of streams, in the core's network. It ends when it is dropped.
pub struct FlowProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    stand: Stand,
}

struct Shared {
    upstream: SocketAddr,
    speaks: Speaks,
    rules: Mutex<Vec<Rule>>,
    released: watch::Sender<u64>,
    /// First lines of the requests so far; empty lines where it speaks no HTTP.
    seen: Mutex<Vec<String>>,
}

struct Rule {
    /// Occurs in the first line of the request.
    of: String,
    flow: Flow,
    left: usize,
}

impl FlowProxy {
    /// Listens at a free port of the core's address; everything passes at first.
    pub fn before(lab: &Lab, upstream: SocketAddr, speaks: Speaks) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            speaks,
            rules: Mutex::default(),
            released: watch::Sender::new(0),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let (stand, address) = Stand::serve(lab, "core", move || async move {
            let listener = TcpListener::bind((CORE, 0)).await?;
            let serve = |listener: TcpListener| async move {
                while let Ok((client, _)) = listener.accept().await {
                    let shared = Arc::clone(&serving);
                    // However a connection ends, the next one is served.
                    tokio::spawn(async move { drop(shared.pass(client).await) });
                }
            };
            Ok((listener.local_addr()?, serve(listener)))
        })?;
        Ok(Self {
            address,
            shared,
            stand,
        })
    }

    /// So many times, what has `of` in its first line (everything, where it is empty) flows so.
    /// Earlier rules come first.
    pub fn on(&self, of: &str, times: usize, flow: Flow) {
        let rule = Rule {
            of: of.to_owned(),
            flow,
            left: times,
        };
        self.rules().push(rule);
    }

    /// Everything flows well again.
    pub fn mend(&self) {
        self.rules().clear();
        self.release();
    }

    /// Lets go what is held now.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// First lines of the requests that came, in order.
    pub fn seen(&self) -> Vec<String> {
        let seen = self.shared.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        let rules = self.shared.rules.lock();
        rules.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn plan(&self, line: &str) -> Flow {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(line.to_owned());
        drop(seen);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules
            .iter_mut()
            .find(|rule| rule.left > 0 && line.contains(&rule.of));
        let Some(rule) = rule else {
            return Flow::Pass;
        };
        rule.left -= 1;
        rule.flow.clone()
    }

    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let head = match self.speaks {
            Speaks::Plain => Vec::new(),
            Speaks::Http => read_head(&mut client).await?,
        };
        let text = String::from_utf8_lossy(&head).into_owned();
        let flow = self.plan(text.lines().next().unwrap_or_default());
        match &flow {
            Flow::Mute => return swallow(&mut client).await,
            Flow::Reset => {
                reset(client);
                return Ok(());
            }
            Flow::Delay(by) => tokio::time::sleep(*by).await,
            Flow::Hold => {
                let mut released = self.released.subscribe();
                // The sender lives in `self`.
                drop(released.changed().await);
            }
            Flow::Say { status, header } => {
                let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                let answer = format!("HTTP/1.1 {status}\r\n{header}\r\n{end}");
                return client.write_all(answer.as_bytes()).await;
            }
            Flow::Pass
            | Flow::DropAnswer
            | Flow::CutAfter(_)
            | Flow::FlipAt(_)
            | Flow::Trickle(_)
            | Flow::Swap { .. } => {}
        }
        let server = TcpStream::connect(self.upstream).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        if self.speaks == Speaks::Http {
            to_server.write_all(alone(&text).as_bytes()).await?;
        }
        let up = async {
            tokio::io::copy(&mut from_client, &mut to_server).await?;
            to_server.shutdown().await
        };
        let down = async {
            if self.speaks == Speaks::Http {
                let head = read_head(&mut from_server).await?;
                if flow != Flow::DropAnswer {
                    to_client.write_all(&head).await?;
                }
            }
            spoil(&mut from_server, &mut to_client, &flow).await
        };
        tokio::pin!(up);
        // The answer's end is the end; a client that has said all may still wait for it.
        tokio::select! {
            said = down => said,
            failed = async { match up.await { Ok(()) => std::future::pending().await, Err(error) => error } } => Err(failed),
        }
    }
}

/// What the server says, as the client gets it.
async fn spoil(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut OwnedWriteHalf,
    flow: &Flow,
) -> io::Result<()> {
    let mut at = 0;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let take = if let Flow::CutAfter(end) = flow {
            usize::try_from(end - at).unwrap_or(usize::MAX)
        } else if let Flow::Trickle(rate) = flow {
            usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1)
        } else {
            usize::MAX
        };
        let take = take.min(buffer.len());
        let length = server.read(&mut buffer[..take]).await?;
        if length == 0 {
            return client.shutdown().await;
        }
        if let Flow::FlipAt(place) = flow
            && let Some(inside) = place.checked_sub(at)
            && let Some(byte) =
                buffer[..length].get_mut(usize::try_from(inside).unwrap_or(usize::MAX))
        {
            *byte ^= 0x01;
        }
        if let Flow::Swap { from, to } = flow {
            swap(&mut buffer[..length], from.as_bytes(), to.as_bytes());
        }
        if let Flow::Trickle(_) = flow {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        at += length as u64;
        if *flow != Flow::DropAnswer {
            client.write_all(&buffer[..length]).await?;
        }
    }
}

/// Answers that are swapped in come in one piece: they are short.
fn swap(said: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len(), "its length is told before it");
    while let Some(at) = said.windows(from.len()).position(|it| it == from) {
        said[at..at + to.len()].copy_from_slice(to);
    }
}

/// Up to the empty line, and not a byte of what comes after it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The same request, after whose answer the server closes: the end of the answer is seen.
fn alone(head: &str) -> String {
    let keep = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let lines: Vec<_> = head.trim_end().split("\r\n").filter(keep).collect();
    format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))
}

async fn swallow(client: &mut TcpStream) -> io::Result<()> {
    tokio::io::copy(client, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// Ends a connection so that the other side learns of it by RST.
#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
pub(super) fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        eprintln!("faultd: {error}");
    }
}
