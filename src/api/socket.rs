//! The control socket, the coordinator's side: who may connect, and how many.
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::conversation::{Asked, Connection, LIMITS, Limits};
use super::wire::{Refusal, Reply};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another process answers on {}", path.display())]
    Answered { path: PathBuf },
    #[error("{} is there and is no socket; move it away", path.display())]
    NoSocket { path: PathBuf },
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// A socket that only this user, and root, can speak to. It goes when this does.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    limits: Limits,
}

impl Socket {
    /// Listens at `path`. One left behind by a process that died is replaced; the store's lock
    /// keeps two processes from doing this at once.
    ///
    /// # Errors
    /// Somebody answers there, or the file system refuses.
    pub async fn bind(path: &Path) -> Result<Socket, SocketError> {
        refuse_if_taken(path).await?;
        // Under another name first, so that nobody can connect before the permissions are set.
        let new = path.with_extension("new");
        let at = |doing: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| SocketError::File {
                doing,
                path,
                source,
            }
        };
        if let Err(source) = std::fs::remove_file(&new)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(at("remove", &new)(source));
        }
        let listener = UnixListener::bind(&new).map_err(at("listen on", &new))?;
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600))
            .and_then(|()| std::fs::rename(&new, path))
            .map_err(at("make", path))?;
        Ok(Socket {
            listener,
            path: path.to_owned(),
            limits: LIMITS,
        })
    }

    /// Takes requests to whoever holds the other end of `asked`, until that is dropped. Each
    /// connection is its own task: none waits for another, and all end with this.
    pub async fn serve(self, asked: mpsc::Sender<Asked>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < self.limits.connections => {
                        let connection = Connection::new(stream, self.limits, asked.clone());
                        connections.spawn(connection.converse());
                    }
                    Ok((stream, _)) => turn_away(&stream),
                    Err(error) => {
                        // Most likely no descriptor is left: one may be in a moment.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => note_end(ended),
                () = asked.closed() => return,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

/// Somebody who answers, or something that is no socket, is left alone; a socket on which nobody
/// answers was left behind, and may be replaced.
async fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    let path_owned = || path.to_owned();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(SocketError::File {
                doing: "look at",
                path: path_owned(),
                source,
            });
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NoSocket { path: path_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Any other answer, "busy" among them, comes from a process that listens.
        Ok(_) | Err(_) => Err(SocketError::Answered { path: path_owned() }),
    }
}

/// Says so and closes, without waiting: a new connection has room for one line.
fn turn_away(stream: &UnixStream) {
    let refusal = Refusal {
        rule: "busy".to_owned(),
        what: "too many connections to the coordinator".to_owned(),
        cure: "close some, or try again in a moment".to_owned(),
        exit: 5,
    };
    if let Err(error) = stream.try_write(Reply::Refused(refusal).line().as_bytes()) {
        tracing::debug!(%error, "a client was turned away without a word");
    }
}

fn note_end(ended: Result<io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the control socket broke"),
        Err(error) => tracing::error!(%error, "a connection to the control socket failed"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::broadcast;
    use tokio::time::timeout;

    use super::super::client::{Client, ClientError};
    use super::super::conversation::Answer;
    use super::super::wire::Command;
    use super::*;

    #[tokio::test]
    async fn a_command_reaches_the_coordinator_with_who_asked_and_its_answer_comes_back() {
        let server = Server::start(LIMITS).await;
        let mut client = server.client().await;
        for reason in ["first", "second"] {
            let command = Command::Abort {
                reason: reason.to_owned(),
            };
            let reply = client.request(&command).await.unwrap();
            let who = format!("{} (process {})", own_user(), std::process::id());
            let said = serde_json::json!({ "command": command.line(), "by": who });
            assert_eq!(reply, Reply::Ok(said));
        }
    }

    #[tokio::test]
    async fn only_this_user_may_connect_and_the_socket_goes_with_its_owner() {
        let server = Server::start(LIMITS).await;
        let mode = std::fs::metadata(&server.path).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let path = server.path.clone();
        server.task.abort();
        assert!(server.task.await.unwrap_err().is_cancelled());
        assert!(!path.exists());
        assert!(Client::connect(&path).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_that_answers_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(Client::connect(&path).await.unwrap().is_none());
        let _socket = Socket::bind(&path).await.unwrap();
        assert!(Client::connect(&path).await.unwrap().is_some());
        let refused = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(refused, SocketError::Answered { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        let refused = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(refused, SocketError::NoSocket { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_and_the_connection_closed() {
        let server = Server::start(LIMITS).await;
        let huge = vec![b'x'; 200 << 10];
        let hostile: [(&[u8], &str); 5] = [
            (b"\xff\xfe\0garbage\n", "JSON"),
            (b"\n", "EOF"),
            (b"{\"v\":1,\"command\":\"explode\"}\n", "explode"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "JSON"),
            (&huge, "65536 bytes"),
        ];
        for (bytes, word) in hostile {
            let mut stream = UnixStream::connect(&server.path).await.unwrap();
            // The other end may close before it has taken everything.
            let _is_all_sent = stream.write_all(bytes).await.is_ok();
            let mut said = Vec::new();
            let _is_clean_end = stream.read_to_end(&mut said).await.is_ok();
            let Ok(Reply::Refused(refusal)) = Reply::parse(&said) else {
                panic!("{word}: {}", String::from_utf8_lossy(&said));
            };
            assert!(refusal.what.contains(word), "{}", refusal.what);
            assert_eq!(refusal.exit, 2);
        }
        server.is_well().await;
    }

    #[tokio::test]
    async fn half_a_command_is_never_done() {
        let (socket, path, _dir) = bound(LIMITS).await;
        let (asked, mut questions) = mpsc::channel(4);
        let task = tokio::spawn(socket.serve(asked));
        let line = Command::Abort {
            reason: "x".to_owned(),
        };
        let line = line.line();
        for length in [1, line.len() / 2, line.len() - 1] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(&line.as_bytes()[..length]).await.unwrap();
            drop(stream);
        }
        let nothing = timeout(Duration::from_millis(200), questions.recv()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        task.abort();
    }

    #[tokio::test]
    async fn one_who_sends_too_slowly_is_let_go() {
        let limits = Limits {
            idle: Duration::from_millis(200),
            ..LIMITS
        };
        let server = Server::start(limits).await;
        let (mut reader, mut writer) = server.raw().await.into_split();
        let drip = tokio::spawn(async move {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut said = Vec::new();
        let ended = timeout(Duration::from_secs(5), reader.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "still connected");
        assert_eq!(said, b"");
        drip.await.unwrap();
    }

    #[tokio::test]
    async fn too_many_are_told_so_and_make_room_when_they_go() {
        let limits = Limits {
            connections: 3,
            ..LIMITS
        };
        let server = Server::start(limits).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(server.is_well().await);
        }
        let mut client = server.client().await;
        let reply = client.request(&Command::Status {}).await.unwrap();
        let Reply::Refused(refusal) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!((refusal.rule.as_str(), refusal.exit), ("busy", 5));
        held.pop();
        let mut is_answered = false;
        for _ in 0..100 {
            let mut client = server.client().await;
            is_answered = matches!(client.request(&Command::Status {}).await, Ok(Reply::Ok(_)));
            if is_answered {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(is_answered);
    }

    #[tokio::test]
    async fn watchers_get_every_event_until_the_coordinator_ends() {
        let server = Server::start(LIMITS).await;
        let mut watches = Vec::new();
        for _ in 0..3 {
            watches.push(server.client().await.watch().await.unwrap());
        }
        for n in 0..20 {
            server.events.send(event(n)).unwrap();
        }
        for watch in &mut watches {
            for n in 0..20 {
                assert_eq!(watch.next().await.unwrap().as_deref(), Some(&*event(n)));
            }
        }
        server.task.abort();
        for watch in &mut watches {
            assert_eq!(watch.next().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_watcher_that_does_not_read_stops_nobody_and_is_let_go() {
        let limits = Limits {
            write: Duration::from_millis(300),
            ..LIMITS
        };
        let server = Server::start(limits).await;
        let mut lazy = server.client().await.watch().await.unwrap();
        let large: Arc<str> = format!("{{\"pad\":\"{}\"}}", "x".repeat(100_000)).into();
        for _ in 0..200 {
            server.events.send(large.clone()).unwrap();
            tokio::task::yield_now().await;
        }
        server.is_well().await;
        let gone = async {
            while server.events.receiver_count() > 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), gone).await.unwrap();
        let mut taken = 0;
        while let Ok(Some(_)) = lazy.next().await {
            taken += 1;
        }
        assert!(taken < 200, "{taken}");
    }

    #[tokio::test]
    async fn a_watcher_that_fell_behind_is_told_what_it_missed() {
        let server = Server::start(LIMITS).await;
        let mut watch = server.client().await.watch().await.unwrap();
        // Nothing yields in between: the connection's task cannot keep up.
        for n in 0..100 {
            server.events.send(event(n)).unwrap();
        }
        let refused = watch.next().await.unwrap_err();
        let ClientError::Refused(refusal) = refused else {
            panic!("{refused}");
        };
        assert_eq!(refusal.rule, "slow");
        assert!(
            refusal.what.contains("68 were left out"),
            "{}",
            refusal.what
        );
    }

    #[tokio::test]
    async fn a_watcher_that_went_is_forgotten_though_nothing_happens() {
        let server = Server::start(LIMITS).await;
        let watch = server.client().await.watch().await.unwrap();
        assert_eq!(server.events.receiver_count(), 2);
        drop(watch);
        let gone = async {
            while server.events.receiver_count() > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_coordinator_that_is_ending_says_so() {
        let (socket, path, _dir) = bound(LIMITS).await;
        let (asked, mut questions) = mpsc::channel::<Asked>(1);
        let _task = tokio::spawn(socket.serve(asked));
        tokio::spawn(async move { drop(questions.recv().await) });
        let mut client = Client::connect(&path).await.unwrap().unwrap();
        let reply = client.request(&Command::Status {}).await;
        let Ok(Reply::Refused(refusal)) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!((refusal.rule.as_str(), refusal.exit), ("ending", 5));
    }

    /// A socket with a coordinator behind it that repeats what it was asked.
    struct Server {
        path: PathBuf,
        task: tokio::task::JoinHandle<()>,
        events: broadcast::Sender<Arc<str>>,
        _events: broadcast::Receiver<Arc<str>>,
        _dir: tempfile::TempDir,
    }

    impl Server {
        async fn start(limits: Limits) -> Server {
            let (socket, path, dir) = bound(limits).await;
            let (asked, mut questions) = mpsc::channel::<Asked>(4);
            let task = tokio::spawn(socket.serve(asked));
            let (events, receiver) = broadcast::channel(32);
            let watched = events.clone();
            tokio::spawn(async move {
                while let Some(question) = questions.recv().await {
                    let answer = if question.command == (Command::Watch {}) {
                        Answer::Events(watched.subscribe())
                    } else {
                        Answer::Reply(Reply::Ok(serde_json::json!({
                            "command": question.command.line(),
                            "by": question.actor.to_string(),
                        })))
                    };
                    question.answer.send(answer).unwrap();
                }
            });
            Server {
                path,
                task,
                events,
                _events: receiver,
                _dir: dir,
            }
        }

        async fn client(&self) -> Client {
            Client::connect(&self.path).await.unwrap().unwrap()
        }

        async fn raw(&self) -> UnixStream {
            UnixStream::connect(&self.path).await.unwrap()
        }

        /// That somebody who asks properly is answered; the connection stays.
        async fn is_well(&self) -> Client {
            let mut client = self.client().await;
            let reply = client.request(&Command::Status {}).await;
            assert!(matches!(reply, Ok(Reply::Ok(_))), "{reply:?}");
            client
        }
    }

    async fn bound(limits: Limits) -> (Socket, PathBuf, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut socket = Socket::bind(&path).await.unwrap();
        socket.limits = limits;
        (socket, path, dir)
    }

    fn event(n: u32) -> Arc<str> {
        format!("{{\"v\":1,\"n\":{n}}}").into()
    }

    fn own_user() -> String {
        super::super::actor::Actor::own().unwrap().user
    }
}
