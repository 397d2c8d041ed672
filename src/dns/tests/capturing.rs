//! Real answers for `fuzz/corpus/dns_answers`: what BIND, Knot and PowerDNS say to everything that
//! is asked, taken down as [`fuzzing::answers`] takes it in.
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::dns::discover::look;
use crate::dns::fuzzing::{self, an_update};
use crate::dns::read::{Names, read};
use crate::dns::send::exchange;
use crate::dns::servers::{inside, ns_names};
use crate::dns::testing::{Bind, Knot, PowerDns, Server, declared, next};
use crate::dns::tsig::{Reply, Signer, unix_s};
use crate::dns::unserved::find_over;
use crate::dns::wire::{Connection, Stream};
use crate::dns::{Dns, query::QueryError};
use crate::model::rrset::UpdateOutcome;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/dns_answers");

/// They are written into the corpus where `CLEANSLATE_BLESS` is set.
#[tokio::test]
async fn answers_of_bind() {
    capture("bind", Bind::primary()).await;
}

#[tokio::test]
async fn answers_of_knot() {
    capture("knot", Knot::primary()).await;
}

#[tokio::test]
async fn answers_of_powerdns() {
    capture("powerdns", PowerDns::primary()).await;
}

async fn capture(brand: &str, server: Server) {
    let at = server.address;
    let names = Names::of(&declared(at)).unwrap();
    let empty = taken_down(at, async |mut line| {
        read(&mut line, &names).await.map(drop).unwrap();
    });
    keep(
        brand,
        "reading-without-marker",
        &[fuzzing::READING],
        &empty.await,
    );
    let dns = Dns::new(declared(at)).unwrap();
    let view = dns.read_primary().await.unwrap();
    let written = dns.update(&next(&view)).await;
    assert!(matches!(written, UpdateOutcome::Applied), "{written:?}");
    let reading = taken_down(at, async |mut line| {
        read(&mut line, &names).await.map(drop).unwrap();
    });
    keep(brand, "reading", &[fuzzing::READING], &reading.await);
    let www = &names.records.values().next_back().unwrap().record;
    let zone = taken_down(at, async |mut line| {
        look(&mut line, www).await.map(drop).unwrap();
    });
    keep(brand, "zone", &[fuzzing::ZONE], &zone.await);
    let servers = taken_down(at, async |mut line| {
        let found = ns_names(&mut line, &names.zone).await.unwrap();
        inside(&mut line, &found[0]).await.map(drop).unwrap();
    });
    keep(brand, "servers", &[fuzzing::SERVERS], &servers.await);
    let hints = taken_down(at, async |mut line| {
        find_over(&mut line, &names).await.map(drop).unwrap();
    });
    keep(brand, "hints", &[fuzzing::HINTS], &hints.await);
    let alias = super::super::wire::name("alias.example.com.").unwrap();
    let alias = taken_down(at, async |mut line| {
        let error = look(&mut line, &alias).await.unwrap_err();
        assert!(matches!(error, QueryError::Cname { .. }));
    });
    keep(brand, "alias", &[fuzzing::ZONE], &alias.await);
    capture_updates(brand, at, &names).await;
}

/// One that is applied, and one of a clock that is an hour late.
async fn capture_updates(brand: &str, server: SocketAddr, names: &Names) {
    let signer = Signer::new(&fuzzing::declared().key).unwrap();
    for (name, at_s) in [("update", unix_s()), ("update-late", unix_s() - 3600)] {
        let signed = signer.sign(an_update(names), at_s).unwrap();
        let answer = taken_down(server, async |mut line| {
            let reply = exchange(&mut line, signed).await.unwrap();
            let is_signed = matches!(reply, Reply::Signed(_));
            assert!(is_signed || name == "update-late", "{reply:?}");
        });
        let [_, _, at_s @ ..] = at_s.to_be_bytes();
        let head: Vec<u8> = [fuzzing::UPDATE].into_iter().chain(at_s).collect();
        keep(brand, name, &head, &answer.await);
    }
}

/// The target takes in what was taken down, and takes it as an answer.
fn keep(brand: &str, name: &str, head: &[u8], frames: &[u8]) {
    let input = [head, frames].concat();
    let taken = std::thread::spawn({
        let input = input.clone();
        move || fuzzing::taken(&input)
    });
    assert!(taken.join().unwrap() || name == "alias", "{brand} {name}");
    if std::env::var_os("CLEANSLATE_BLESS").is_some() {
        let path = Path::new(CORPUS).join(format!("{brand}-{name}"));
        std::fs::write(path, input).unwrap();
    }
}

/// What `server` says in `talk`: the frames of every flight, with the place of the question for an id.
async fn taken_down(server: SocketAddr, talk: impl AsyncFnOnce(Connection)) -> Vec<u8> {
    let (heard, said) = unbounded_channel();
    let stream = TcpStream::connect(server).await.unwrap();
    let recorder = Recorder { stream, heard };
    talk(Connection::over(server, Box::new(recorder))).await;
    frames(said)
}

fn frames(mut said: UnboundedReceiver<Heard>) -> Vec<u8> {
    let mut all = Vec::new();
    let (mut ids, mut begun) = (Vec::new(), 0);
    let mut flights = Vec::new();
    while let Ok(heard) = said.try_recv() {
        match heard {
            Heard::Asked(frames) => {
                flights.push((std::mem::take(&mut ids), begun));
                begun = all.len();
                ids = messages(&frames)
                    .map(|at| [frames[at], frames[at + 1]])
                    .collect();
            }
            Heard::Answered(octets) => all.extend(octets),
        }
    }
    flights.push((ids, begun));
    for (flight, (ids, begun)) in flights.iter().enumerate() {
        let end = flights.get(flight + 1).map_or(all.len(), |(_, next)| *next);
        let places: Vec<usize> = messages(&all[*begun..end]).collect();
        for at in places {
            let at = begun + at;
            let question = ids.iter().position(|id| *id == all[at..at + 2]);
            // That of an UPDATE is under its signature.
            if let Some(question) = question.filter(|_| all[at + 2] >> 3 & 15 == 0) {
                all[at..at + 2].copy_from_slice(&u16::try_from(question).unwrap().to_be_bytes());
            }
        }
    }
    all
}

/// Where the messages of some frames begin.
fn messages(frames: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = frames.get(at..at + 2)?;
        let message = at + 2;
        at = message + usize::from(u16::from_be_bytes([length[0], length[1]]));
        Some(message)
    })
}

enum Heard {
    Asked(Vec<u8>),
    Answered(Vec<u8>),
}

/// A connection to a real server that takes down what is said.
struct Recorder {
    stream: TcpStream,
    heard: UnboundedSender<Heard>,
}

impl Stream for Recorder {}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            let octets = buffer.filled()[before..].to_vec();
            self.heard.send(Heard::Answered(octets)).unwrap();
        }
        read
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        frames: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, frames);
        if let Poll::Ready(Ok(octets)) = &written {
            assert_eq!(*octets, frames.len(), "a flight is small");
            self.heard.send(Heard::Asked(frames.to_vec())).unwrap();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
