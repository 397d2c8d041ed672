//! A proxy before a name server that knows one message from the next, over TCP and UDP.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use super::Stand;
use crate::lab::Lab;
use crate::lab::ground::program::wait_until;
use crate::lab::spec::CORE;

/// What becomes of one message and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    Pass,
    /// It reaches the server so much later.
    Delay(Duration),
    /// It never reaches the server; nobody is told.
    DropRequest,
    /// The server carries it out, and its answer never comes.
    DropAnswer,
    /// The server gets it twice; the first answer is passed on.
    Double,
    /// It waits for [`NamesProxy::release`], then goes to the server, whether or not its sender
    /// still waits.
    Hold,
    /// The server carries it out, and its answer waits for [`NamesProxy::release`].
    HoldAnswer,
    /// The server carries it out, and its sender's connection is reset.
    Reset,
}

/// Messages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Question,
    Update,
}

/// An UPDATE that passed, and the rcodes of its answers so far: none where it is held or lost,
/// two where it was doubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    pub message: Vec<u8>,
    pub codes: Vec<u8>,
}

/// A proxy before a name server, in the core's network. It ends when it is dropped.
pub struct NamesProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    // Last: what is waited for below must not outlive what it waits for.
    stand: Stand,
}

struct Shared {
    upstream: SocketAddr,
    scripts: Mutex<Scripts>,
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Scripts {
    questions: Script,
    updates: Script,
    caught: Vec<Caught>,
}

/// Faults for the next messages of a kind, one each, and for all after those.
#[derive(Default)]
struct Script {
    next: VecDeque<Fault>,
    then: Fault,
}

impl NamesProxy {
    /// Listens at a free port of the core's address; everything passes at first.
    pub fn before(lab: &Lab, upstream: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            scripts: Mutex::default(),
            released: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        let (stand, address) = Stand::serve(lab, "core", move || async move {
            let listener = TcpListener::bind((CORE, 0)).await?;
            let address = listener.local_addr()?;
            let datagrams = UdpSocket::bind(address).await?;
            let serve = async move {
                tokio::join!(
                    take_connections(&listener, &serving),
                    take_datagrams(Arc::new(datagrams), &serving)
                );
            };
            Ok((address, serve))
        })?;
        Ok(Self {
            address,
            shared,
            stand,
        })
    }

    /// From now on, all messages of this kind.
    pub fn all(&self, kind: Kind, fault: Fault) {
        let mut scripts = self.shared.scripts();
        let script = scripts.of(kind);
        script.next.clear();
        script.then = fault;
    }

    /// The next messages of this kind, one each; what comes after is as before.
    pub fn next(&self, kind: Kind, faults: &[Fault]) {
        self.shared.scripts().of(kind).next.extend(faults);
    }

    /// Lets go what is held now.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// Every UPDATE that came, in order.
    pub fn caught(&self) -> Vec<Caught> {
        self.shared.scripts().caught.clone()
    }

    /// Waits until so many UPDATEs came.
    pub fn await_updates(&self, count: usize, within: Duration) -> Result<()> {
        let what = format!("{count} UPDATEs came");
        wait_until(&what, within, || self.caught().len() >= count)
    }

    /// Waits until the server answered the UPDATE of this index: it was carried out, or refused.
    pub fn await_answer(&self, index: usize, within: Duration) -> Result<()> {
        let answered = || {
            let caught = self.caught();
            caught.get(index).is_some_and(|it| !it.codes.is_empty())
        };
        wait_until(&format!("UPDATE {index} is answered"), within, answered)
    }

    /// Sends a caught message once more, past all faults, and returns the rcode of its answer.
    pub fn replay(&self, lab: &Lab, message: &[u8]) -> Result<u8> {
        let (upstream, message) = (self.shared.upstream, message.to_vec());
        let (send, answered) = std::sync::mpsc::channel();
        let (_stand, _) = Stand::serve(lab, "core", move || async move {
            let mut server = Server::Stream(None, upstream);
            let answer = server.ask(&message).await;
            let told = send.send(answer.map(|answer| rcode(&answer)));
            Ok((upstream, async move { drop(told) }))
        })?;
        let answer = answered.recv().context("no answer to what was replayed")?;
        answer.context("no answer to what was replayed")
    }
}

impl Shared {
    fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the scripts say of a message, and its place among those that were caught.
    fn plan(&self, message: &[u8]) -> (Fault, Option<usize>) {
        let kind = kind(message);
        let mut scripts = self.scripts();
        let place = (kind == Kind::Update).then(|| {
            scripts.caught.push(Caught {
                message: message.to_vec(),
                codes: Vec::new(),
            });
            scripts.caught.len() - 1
        });
        let script = scripts.of(kind);
        (script.next.pop_front().unwrap_or(script.then), place)
    }

    fn answered(&self, place: Option<usize>, answer: &[u8]) {
        if let Some(place) = place {
            self.scripts().caught[place].codes.push(rcode(answer));
        }
    }

    async fn is_released(&self) {
        let mut released = self.released.subscribe();
        // The sender lives in `self`.
        drop(released.changed().await);
    }

    /// Carries one message to the server and its answer back.
    async fn carry(&self, message: &[u8], server: &mut Server) -> io::Result<Carried> {
        let (fault, place) = self.plan(message);
        match fault {
            Fault::DropRequest => return Ok(Carried::Nothing),
            Fault::Delay(by) => tokio::time::sleep(by).await,
            Fault::Hold => self.is_released().await,
            Fault::Pass | Fault::DropAnswer | Fault::Double | Fault::HoldAnswer | Fault::Reset => {}
        }
        let answer = server.ask(message).await?;
        self.answered(place, &answer);
        match fault {
            Fault::DropAnswer => return Ok(Carried::Nothing),
            Fault::Reset => return Ok(Carried::Reset),
            Fault::Double => {
                let second = server.ask(message).await?;
                self.answered(place, &second);
            }
            Fault::HoldAnswer => self.is_released().await,
            Fault::Pass | Fault::Delay(_) | Fault::DropRequest | Fault::Hold => {}
        }
        Ok(Carried::Answer(answer))
    }
}

impl Scripts {
    fn of(&mut self, kind: Kind) -> &mut Script {
        match kind {
            Kind::Question => &mut self.questions,
            Kind::Update => &mut self.updates,
        }
    }
}

enum Carried {
    Answer(Vec<u8>),
    Nothing,
    Reset,
}

/// The way to the server, opened with the first message.
enum Server {
    Stream(Option<TcpStream>, SocketAddr),
    Datagram(SocketAddr),
}

impl Server {
    async fn ask(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Stream(stream, address) => {
                let stream = match stream {
                    Some(stream) => stream,
                    None => stream.insert(TcpStream::connect(*address).await?),
                };
                write(stream, message).await?;
                read(stream).await
            }
            Self::Datagram(address) => {
                let socket = UdpSocket::bind((CORE, 0)).await?;
                socket.connect(*address).await?;
                socket.send(message).await?;
                let mut answer = vec![0; 4096];
                let length = socket.recv(&mut answer).await?;
                answer.truncate(length);
                Ok(answer)
            }
        }
    }
}

async fn take_connections(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(converse(client, Arc::clone(shared)));
    }
}

/// One message after the other, as they come. A client that went away does not stop what it sent.
async fn converse(mut client: TcpStream, shared: Arc<Shared>) {
    let mut server = Server::Stream(None, shared.upstream);
    while let Ok(message) = read(&mut client).await {
        match shared.carry(&message, &mut server).await {
            Ok(Carried::Answer(answer)) => {
                if write(&mut client, &answer).await.is_err() {
                    return;
                }
            }
            Ok(Carried::Nothing) => {}
            Ok(Carried::Reset) => return super::flow::reset(client),
            // A server that is away is away for the client too.
            Err(_) => return,
        }
    }
}

async fn take_datagrams(socket: Arc<UdpSocket>, shared: &Arc<Shared>) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let message = buffer[..length].to_vec();
        let (socket, shared) = (Arc::clone(&socket), Arc::clone(shared));
        tokio::spawn(async move {
            let mut server = Server::Datagram(shared.upstream);
            if let Ok(Carried::Answer(answer)) = shared.carry(&message, &mut server).await {
                // A client that is gone needs no answer.
                drop(socket.send_to(&answer, client).await);
            }
        });
    }
}

/// By the opcode (RFC 1035 section 4.1.1, RFC 2136 section 1.3).
fn kind(message: &[u8]) -> Kind {
    match message.get(2).map(|octet| octet >> 3 & 0x0f) {
        Some(5) => Kind::Update,
        Some(_) | None => Kind::Question,
    }
}

fn rcode(answer: &[u8]) -> u8 {
    answer.get(3).map_or(u8::MAX, |octet| octet & 0x0f)
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let whole = [&length.to_be_bytes(), message].concat();
    stream.write_all(&whole).await
}
