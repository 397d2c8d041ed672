//! A coordinator that answers everything, and those who ask it.
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::api::asked::{Answer, Asked, Heard};
use crate::api::client::Client;
use crate::api::http::{Door, Front, Net};
use crate::api::socket::Socket;
use crate::api::token::{Role, TokenFile};
use crate::api::wire::{Command, Refusal, Reply};
use crate::model::fleet::Listen;

pub(super) struct Stage {
    pub(super) folder: tempfile::TempDir,
    pub(super) front: Arc<Front>,
    pub(super) events: broadcast::Sender<Arc<str>>,
    _events: broadcast::Receiver<Arc<str>>,
    pub(super) owner: JoinHandle<()>,
}

impl Stage {
    /// Says who asked what; refuses to withdraw; has two lines for whoever missed some.
    pub(super) fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (asked, questions) = mpsc::channel(16);
        let (events, receiver) = broadcast::channel(32);
        let owner = tokio::spawn(answer(questions, events.clone()));
        Stage {
            front: Front::new(asked, folder.path()),
            folder,
            events,
            _events: receiver,
            owner,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    pub(super) async fn open_socket(&self) {
        let socket = Socket::bind(&self.path()).await.unwrap();
        tokio::spawn(socket.serve(Arc::clone(&self.front)));
    }

    pub(super) fn open_net(&self) -> Door {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let net = Net::bind(&Listen { address, tls: None }).unwrap();
        net.open(Arc::clone(&self.front)).unwrap()
    }

    pub(super) fn token(&self, role: Role, expires: Option<Timestamp>) -> String {
        let file = TokenFile::of(self.folder.path());
        let token = file.create(role.word(), role, "root", Timestamp::now(), expires);
        token.unwrap().reveal_text()
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(&self.path()).await.unwrap().unwrap()
    }

    /// That somebody who asks properly is answered; the connection stays.
    pub(super) async fn is_well(&self) -> Client {
        let mut client = self.client().await;
        let reply = client.request(&Command::Status {}).await;
        assert!(matches!(reply, Ok(Reply::Ok(_))), "{reply:?}");
        client
    }

    /// What is answered to these bytes, to the end of the connection.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        // The other end may close before it has taken everything.
        let _is_all_sent = stream.write_all(bytes).await.is_ok();
        let mut said = Vec::new();
        let _is_clean_end = stream.read_to_end(&mut said).await.is_ok();
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// The same over TCP.
pub(in crate::api) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _is_all_sent = stream.write_all(bytes).await.is_ok();
    let mut said = Vec::new();
    let _is_clean_end = stream.read_to_end(&mut said).await.is_ok();
    String::from_utf8_lossy(&said).into_owned()
}

/// A request that is the last of its connection.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers
        .iter()
        .map(|(k, v)| format!("{k}: {v}\r\n"))
        .collect();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\
         {headers}\r\n{body}",
        body.len()
    )
}

async fn answer(mut questions: mpsc::Receiver<Asked>, events: broadcast::Sender<Arc<str>>) {
    while let Some(question) = questions.recv().await {
        let answer = match &question.command {
            Command::Watch { after } => Answer::Events(Heard {
                missed: after.iter().map(|id| line(id.n + 1)).collect(),
                lines: events.subscribe(),
            }),
            Command::Withdraw { .. } => Answer::Reply(Reply::Refused(Refusal {
                rule: "floor".to_owned(),
                what: "www A would have 1 site of 2".to_owned(),
                cure: "wait".to_owned(),
                exit: 4,
            })),
            Command::Status {}
            | Command::History { .. }
            | Command::Report { .. }
            | Command::Rotate { .. }
            | Command::Abort { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::TakeOver { .. }
            | Command::Recover { .. }
            | Command::Retry { .. }
            | Command::Cordon { .. }
            | Command::Uncordon { .. }
            | Command::Restore { .. }
            | Command::Rebuild(_)
            | Command::ReleaseApprove { .. }
            | Command::ReleaseCancel { .. }
            | Command::ReleaseClear { .. }
            | Command::Promote(_)
            | Command::Rollback(_)
            | Command::ReleaseHistory { .. }
            | Command::ReleaseStatus {}
            | Command::Pushed { .. } => Answer::Reply(Reply::Ok(serde_json::json!({
                "asked": format!("{:?}", question.command),
                "by": question.actor.to_string(),
            }))),
        };
        drop(question.answer.send(answer));
    }
}

pub(super) fn line(n: u64) -> Arc<str> {
    format!("{{\"v\":1,\"n\":{n},\"rotation\":\"nightly-1\"}}").into()
}
