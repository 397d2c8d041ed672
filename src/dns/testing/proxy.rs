//! A proxy before a real server: it keeps what was sent and spoils the answers.
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// What happens to each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The connection is closed instead.
    Lose,
    /// Half of it comes, then the connection is closed.
    Cut,
    /// Nothing ever comes.
    Hold,
    /// A header without question, records or signature.
    Unsign,
    /// One octet of the rcode is changed, the signature stays.
    Tamper,
    /// Its id is another.
    OtherId,
    /// It repeats another question.
    OtherQuestion,
    /// AA is taken away.
    NoAuthority,
    /// TC is set.
    Truncate,
    /// Octets that are no message.
    Garble,
    /// The connection is closed after so many answers.
    CloseAfter(usize),
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    connections: Arc<AtomicUsize>,
    upstream: Arc<Mutex<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(upstream: SocketAddr, fault: Fault) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let upstream = Arc::new(Mutex::new(upstream));
        let current = Arc::clone(&upstream);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let upstream = *current.lock().await;
                tokio::spawn(pass(client, upstream, fault, Arc::clone(&seen)));
            }
        });
        Proxy {
            address,
            requests,
            connections,
            upstream,
            task,
        }
    }

    /// New connections go to another server.
    pub(crate) async fn turn_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().await = upstream;
    }

    /// How often it was connected to.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The requests so far, in their order.
    pub(crate) async fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().await.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends `request` to `server` and gives back its answer: what an attacker does with what was
/// caught.
pub(crate) async fn replay(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    write(&mut stream, request).await.unwrap();
    read(&mut stream).await.unwrap()
}

async fn pass(
    mut client: TcpStream,
    upstream: SocketAddr,
    fault: Fault,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let mut answers = 0;
    while let Some(request) = read(&mut client).await {
        requests.lock().await.push(request.clone());
        write(&mut server, &request).await.unwrap();
        let answer = read(&mut server).await.unwrap();
        let Some(spoiled) = spoil(answer, fault) else {
            if fault == Fault::Hold {
                std::future::pending::<()>().await;
            }
            return;
        };
        if fault == Fault::Cut {
            let length = u16::try_from(spoiled.len() * 2).unwrap().to_be_bytes();
            client.write_all(&length).await.unwrap();
            client.write_all(&spoiled).await.unwrap();
            return;
        }
        if write(&mut client, &spoiled).await.is_err() {
            return;
        }
        answers += 1;
        if fault == Fault::CloseAfter(answers) {
            return;
        }
    }
}

fn spoil(mut answer: Vec<u8>, fault: Fault) -> Option<Vec<u8>> {
    match fault {
        Fault::None | Fault::CloseAfter(_) => {}
        Fault::Lose | Fault::Hold => return None,
        Fault::Cut => answer.truncate(answer.len() / 2),
        Fault::Unsign => {
            answer.truncate(12);
            answer[4..].fill(0);
        }
        Fault::Tamper => answer[3] ^= 0x08,
        Fault::OtherId => answer[0] ^= 0xff,
        Fault::OtherQuestion => answer[13] ^= 0x01,
        Fault::NoAuthority => answer[2] &= !0x04,
        Fault::Truncate => answer[2] |= 0x02,
        Fault::Garble => answer = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
    }
    Some(answer)
}

pub(super) async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

pub(super) async fn write(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, message].concat()).await
}
