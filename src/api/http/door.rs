//! Where connections come in: the control socket, and TCP.
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::caller::Peer;
use super::connections::{Connections, Limits, Place};
use super::front::Front;
use super::problem::Problem;
use crate::api::actor::Actor;
use crate::model::fleet::{Listen, ListenTls};

/// In which the head of a request must have come, TLS before it too; then the connection ends.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The longest head of a request.
const HEAD_BYTES: usize = 16 << 10;

/// Whoever takes nothing for so long has gone.
const TAKES_WITHIN_MS: u32 = 30_000;

/// Users of this machine who may open the socket are few.
const OF_SOCKET: Limits = Limits {
    all: 64,
    each: usize::MAX,
};

const OF_NET: Limits = Limits {
    all: 512,
    each: 128,
};

/// Why nobody can come in.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the certificate and the key of [api] cannot be used")]
    Tls(#[source] rustls::Error),
    #[error("the certificate of [api] cannot be read: {why}")]
    Pem { why: String },
}

/// Serves the control socket until nobody answers any more. Each connection is its own task: none
/// waits for another, and all end with this.
pub(in crate::api) async fn serve_socket(listener: UnixListener, front: Arc<Front>) {
    let mut house = House::new(&front, OF_SOCKET);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => house.take_local(stream),
                Err(error) => not_accepted(&error).await,
            },
            Some(ended) = house.tasks.join_next() => note_end(ended),
            () = front.closed() => return,
        }
    }
}

/// A TCP port, served by a thread of its own: whatever comes in there takes no time from whoever
/// drives a rotation. It closes when this goes.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    open: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a TCP port needs, and is checked before anybody comes in.
pub struct Net {
    listener: StdTcpListener,
    tls: Option<TlsAcceptor>,
}

impl Net {
    /// Whether the certificate and the key can be used, and belong together.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn check(tls: &ListenTls) -> Result<(), DoorError> {
        super::tls::acceptor(tls).map(drop)
    }

    /// Listens.
    ///
    /// # Errors
    /// [`DoorError`].
    pub fn bind(listen: &Listen) -> Result<Net, DoorError> {
        let address = listen.address;
        let failed = |source| DoorError::Listen { address, source };
        let tls = listen.tls.as_ref().map(super::tls::acceptor).transpose()?;
        let listener = StdTcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Net { listener, tls })
    }

    /// Opens.
    ///
    /// # Errors
    /// The system gives no thread, or no event loop for it.
    pub fn open(self, front: Arc<Front>) -> Result<Door, DoorError> {
        let address = self.listener.local_addr();
        let address = address.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let failed = |source| DoorError::Listen { address, source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(failed)?;
        let (open, is_shut) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("api".to_owned());
        let spawned = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = self.serve(front) => if let Err(error) = result {
                        tracing::error!(%error, "the API cannot be served");
                    },
                    _ = is_shut => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Door {
            address,
            open: Some(open),
            thread: Some(spawned.map_err(failed)?),
        })
    }

    async fn serve(self, front: Arc<Front>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let mut house = House::new(&front, OF_NET);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => house.take_remote(stream, from, self.tls.clone()),
                    Err(error) => not_accepted(&error).await,
                },
                Some(ended) = house.tasks.join_next() => note_end(ended),
                () = front.closed() => return Ok(()),
            }
        }
    }
}

impl Drop for Door {
    /// The address is free when this has returned.
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of the API did not end well");
        }
    }
}

impl Door {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Those who are inside.
struct House {
    router: Router,
    connections: Connections,
    tasks: JoinSet<()>,
}

impl House {
    fn new(front: &Arc<Front>, limits: Limits) -> House {
        House {
            router: Arc::clone(front).router(),
            connections: Connections::new(limits),
            tasks: JoinSet::new(),
        }
    }

    fn take_local(&mut self, stream: UnixStream) {
        let actor = match Actor::of(&stream) {
            Ok(actor) => actor,
            Err(error) => {
                tracing::warn!(%error, "nobody knows who connected: turned away");
                return;
            }
        };
        match self.connections.place(None) {
            Some(place) => self.converse(place, Peer::Local(actor), async { Ok(stream) }),
            // A new connection has room for one answer.
            None => drop(stream.try_write(busy().as_bytes())),
        }
    }

    fn take_remote(&mut self, stream: TcpStream, from: SocketAddr, tls: Option<TlsAcceptor>) {
        let Some(place) = self.connections.place(Some(from.ip())) else {
            return;
        };
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection keeps the system's limits");
        }
        let peer = Peer::Remote {
            address: from.ip(),
            is_encrypted: tls.is_some(),
        };
        match tls {
            None => self.converse(place, peer, async { Ok(stream) }),
            Some(tls) => self.converse(place, peer, async move { tls.accept(stream).await }),
        }
    }

    fn converse<S>(
        &mut self,
        place: Place,
        peer: Peer,
        stream: impl Future<Output = io::Result<S>> + Send + 'static,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let number = place.number();
        let router = TowerToHyperService::new(self.router.clone());
        let task = self.tasks.spawn(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(HEAD_WITHIN, stream).await else {
                return;
            };
            let spoken = place.spoken.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(spoken.clone());
                router.call(request)
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_buf_size(HEAD_BYTES);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection to the API broke");
            }
            drop(place);
        });
        self.connections.serves(number, task);
    }
}

/// Small answers at once, and no connection to somebody who has gone.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    rustix::net::sockopt::set_tcp_user_timeout(stream, TAKES_WITHIN_MS)?;
    Ok(())
}

/// Most likely no descriptor is left: one may be in a moment.
async fn not_accepted(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        tracing::error!(%error, "a connection to the API failed");
    }
}

fn busy() -> String {
    let what = "too many connections to the coordinator".to_owned();
    let cure = "close some, or try again in a moment";
    let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
    let problem = Problem::new(status, "busy", what, cure);
    let body = serde_json::to_string(&problem.body()).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        super::problem::MEDIA_TYPE,
        body.len()
    )
}
