//! A server for tests that answers what it is told to, and remembers what it was asked.
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What the stub does with a request.
pub(crate) enum Reply {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// Nothing; the connection stays open.
    Silence,
    /// These bytes, and then nothing; the connection stays open.
    Stall(Vec<u8>),
}

pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stub {
    /// Serves `answer(request head)` on a free port of `host`.
    pub(crate) async fn start<F>(host: &str, answer: F) -> Stub
    where
        F: Fn(&str) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        Stub::serve(listener, None, answer)
    }

    /// The same over TLS.
    pub(crate) async fn start_tls<F>(host: &str, tls: Arc<rustls::ServerConfig>, answer: F) -> Stub
    where
        F: Fn(&str) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        Stub::serve(listener, Some(tls.into()), answer)
    }

    fn serve<F>(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, answer: F) -> Stub
    where
        F: Fn(&str) -> Reply + Send + Sync + 'static,
    {
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let answer = Arc::new(answer);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, answer, tls) = (sender.clone(), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => one(stream, &sender, &*answer).await,
                        // A client that does not trust us hangs up: its test sees why.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                one(stream, &sender, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        Stub {
            address,
            requests,
            serving,
        }
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

/// An answer with a body and the headers that are needed.
pub(crate) fn http(status: &str, headers: &[&str], body: &str) -> Reply {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    Reply::Bytes(head.into_bytes())
}

async fn one<S>(
    mut stream: S,
    requests: &mpsc::UnboundedSender<String>,
    answer: &(dyn Fn(&str) -> Reply + Send + Sync),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    // A TLS handshake that meets plain HTTP is answered at once, as real servers do.
    while !head.starts_with(b"\x16\x03") && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let reply = answer(&head);
    // Whoever asked may have gone, and the test may be over.
    drop(requests.send(head));
    let (bytes, stays) = match reply {
        Reply::Bytes(bytes) => (bytes, false),
        Reply::Silence => (Vec::new(), true),
        Reply::Stall(bytes) => (bytes, true),
    };
    let written = stream.write_all(&bytes).await;
    if stays {
        std::future::pending::<()>().await;
    }
    if written.is_ok() {
        drop(stream.shutdown().await);
    }
}
