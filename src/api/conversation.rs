//! One client of the control socket, who may be slow, silent or hostile.
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::actor::Actor;
use super::line::{Line, Lines};
use super::wire::{Command, Refusal, Reply};

/// The longest request: far more than any command needs.
const LINE_BYTES: usize = 64 << 10;

/// A question, who asks it, and where the answer goes.
#[derive(Debug)]
pub struct Asked {
    pub command: Command,
    pub actor: Actor,
    pub answer: oneshot::Sender<Answer>,
}

/// What is said in return.
#[derive(Debug)]
pub enum Answer {
    Reply(Reply),
    /// Lines of JSON without their ends, to be sent as they come: to `watch`. Whoever falls
    /// behind by more than the channel holds is told so and let go.
    Events(broadcast::Receiver<Arc<str>>),
}

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In which a request must have come in whole.
    pub(super) idle: Duration,
    /// In which a line must have been taken.
    pub(super) write: Duration,
    pub(super) connections: usize,
}

pub(super) const LIMITS: Limits = Limits {
    idle: Duration::from_secs(30),
    write: Duration::from_secs(10),
    connections: 32,
};

/// A conversation with one client.
pub(super) struct Connection {
    stream: UnixStream,
    limits: Limits,
    asked: mpsc::Sender<Asked>,
}

impl Connection {
    pub(super) fn new(
        stream: UnixStream,
        limits: Limits,
        asked: mpsc::Sender<Asked>,
    ) -> Connection {
        Connection {
            stream,
            limits,
            asked,
        }
    }

    /// Questions and answers in turn, until the client goes, is silent for too long, or sends what
    /// cannot be read: nothing after such a line can be trusted.
    pub(super) async fn converse(self) -> io::Result<()> {
        let actor = Actor::of(&self.stream)?;
        let (reader, writer) = self.stream.into_split();
        let mut lines = Lines::new(reader, LINE_BYTES);
        let mut client = Client {
            writer,
            within: self.limits.write,
        };
        loop {
            let Ok(line) = timeout(self.limits.idle, lines.next()).await else {
                return Ok(());
            };
            let command = match line? {
                Line::Ended => return Ok(()),
                Line::TooLong => return client.reply(Reply::Refused(too_long())).await,
                Line::Whole(line) => Command::parse(&line),
            };
            let answer = match command {
                Ok(command) => ask(&self.asked, command, actor.clone()).await,
                Err(error) => {
                    let refusal = unreadable(&error.to_string());
                    return client.reply(Reply::Refused(refusal)).await;
                }
            };
            match answer {
                Some(Answer::Reply(reply)) => client.reply(reply).await?,
                Some(Answer::Events(events)) => return client.send_events(events, lines).await,
                None => return client.reply(Reply::Refused(ending())).await,
            }
        }
    }
}

/// `None`: nobody is there to answer any more.
async fn ask(asked: &mpsc::Sender<Asked>, command: Command, actor: Actor) -> Option<Answer> {
    let (answer, answered) = oneshot::channel();
    let question = Asked {
        command,
        actor,
        answer,
    };
    asked.send(question).await.ok()?;
    answered.await.ok()
}

/// The way to a client, who may not read.
struct Client {
    writer: OwnedWriteHalf,
    within: Duration,
}

impl Client {
    async fn reply(&mut self, reply: Reply) -> io::Result<()> {
        self.send(&reply.line()).await
    }

    async fn send_events(
        &mut self,
        mut events: broadcast::Receiver<Arc<str>>,
        mut lines: Lines<OwnedReadHalf>,
    ) -> io::Result<()> {
        self.reply(Reply::Ok(serde_json::json!({}))).await?;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                // A watcher has nothing to say: it went.
                () = lines.stirs() => return Ok(()),
            };
            match event {
                Ok(event) => self.send(&format!("{event}\n")).await?,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    return self.reply(Reply::Refused(too_slow(missed))).await;
                }
            }
        }
    }

    async fn send(&mut self, line: &str) -> io::Result<()> {
        match timeout(self.within, self.writer.write_all(line.as_bytes())).await {
            Ok(result) => result,
            Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
        }
    }
}

fn too_long() -> Refusal {
    unreadable(&format!("it has more than {LINE_BYTES} bytes"))
}

fn unreadable(why: &str) -> Refusal {
    Refusal {
        rule: "request".to_owned(),
        what: format!("the request cannot be read: {why}"),
        cure: "use a cleanslate of the same version as the coordinator".to_owned(),
        exit: 2,
    }
}

fn ending() -> Refusal {
    Refusal {
        rule: "ending".to_owned(),
        what: "the coordinator is ending and takes no requests".to_owned(),
        cure: "try again once it has started anew".to_owned(),
        exit: 5,
    }
}

fn too_slow(missed: u64) -> Refusal {
    Refusal {
        rule: "slow".to_owned(),
        what: format!("events came faster than they were taken: {missed} were left out"),
        cure: "watch again".to_owned(),
        exit: 5,
    }
}
