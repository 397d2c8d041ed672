//! Any octets as what a name server sends. They come through a connection like any other, so
//! framing, ids, questions and signatures are looked at as they are over TCP.
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigError, make_tsig_record};
use hickory_proto::rr::{RecordType, TSigner};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::discover::look;
use super::message::Update;
use super::query::QueryError;
use super::read::{self, Names, Reading, read};
use super::send::exchange;
use super::servers::{inside, ns_names};
use super::tsig::{FUDGE_S, Reply, Signer};
use super::unserved::find_over;
use super::update::judge;
use super::wire::{Connection, Stream, name};
use crate::model::fleet::{Dns, RecordPolicy, TsigAlgorithm, TsigKey};
use crate::model::rrset::{Family, RecordName, UpdateOutcome};
use crate::model::text::Secret;
use crate::model::time::Ttl;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// The key of the fleet, as servers have it whose answers are in the corpus.
pub(super) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Of the UPDATE whose answer is read.
pub(super) const UPDATE_ID: u16 = 0x6c65;

/// What was asked, by the first octet of an input: the RRsets and markers of the fleet,
pub(super) const READING: u8 = 0;
/// what `init` looks up,
pub(super) const ZONE: u8 = 1;
/// the name servers of the zone and the addresses of the first,
pub(super) const SERVERS: u8 = 2;
/// records with address hints,
pub(super) const HINTS: u8 = 3;
/// or an UPDATE. Six octets follow: when it was signed, in seconds since 1970.
pub(super) const UPDATE: u8 = 4;

/// Takes in what a server answers: frames of a length and so many octets. The first two octets of
/// an answer to a query say which of the questions it answers, and become that one's id. The answer
/// to an UPDATE comes as it is or, with any other first octet, is signed by the server: six octets
/// are its clock, one is the error under its signature, and the rest is one message.
///
/// # Panics
/// Where the answers make a reading that no server could have.
pub(crate) fn answers(input: &[u8]) {
    taken(input);
}

/// The same, and whether the answers were taken.
pub(super) fn taken(input: &[u8]) -> bool {
    let Some((asked, rest)) = input.split_first() else {
        return false;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime without sockets");
    let declared = declared();
    let names = Names::of(&declared).expect("the names are short");
    let mut line = connection(rest);
    runtime.block_on(async {
        let found = match *asked {
            READING => read(&mut line, &names)
                .await
                .map(|reading| check(&names, &reading)),
            ZONE => {
                let www = &names.records[&record("www")].record;
                look(&mut line, www).await.map(drop)
            }
            SERVERS => servers(&mut line, &names).await,
            HINTS => find_over(&mut line, &names).await.map(drop),
            UPDATE | UPDATE_SIGNED.. => return update(&declared, &names, *asked, rest).await,
        };
        found.map_err(|error| read::problem(&error)).is_ok()
    })
}

const UPDATE_SIGNED: u8 = UPDATE + 1;

fn check(names: &Names, Reading { view, .. }: &Reading) {
    assert_eq!(view.markers.len(), names.records.len());
    assert_eq!(view.rrsets.len(), 2 * names.records.len());
    for (key, rrset) in &view.rrsets {
        let is_of_it = |ip: &IpAddr| Family::of(*ip) == key.family;
        assert!(rrset.addresses.iter().all(is_of_it), "{view:?}");
        assert!(
            rrset.addresses.is_empty() || rrset.ttl.is_some(),
            "{view:?}"
        );
    }
}

async fn servers(line: &mut Connection, names: &Names) -> Result<(), QueryError> {
    let found = ns_names(line, &names.zone).await?;
    match found.first() {
        Some(first) => inside(line, first).await.map(drop),
        None => Ok(()),
    }
}

async fn update(declared: &Dns, names: &Names, asked: u8, given: &[u8]) -> bool {
    let Some((at_s, given)) = seconds(given) else {
        return false;
    };
    let signer = Signer::new(&declared.key).expect("the key is good");
    let request = signer.sign(an_update(names), at_s).expect("it is short");
    let given = match asked {
        UPDATE => Some(given.to_vec()),
        _ => signed(&request.bytes, given),
    };
    let mut line = connection(&given.unwrap_or_default());
    match exchange(&mut line, request).await {
        Ok(reply) => {
            let is_signed = matches!(reply, Reply::Signed(_));
            let outcome = judge(declared, reply);
            assert!(is_signed || matches!(outcome, UpdateOutcome::Unknown { .. }));
            true
        }
        Err(_) => false,
    }
}

/// A time of 48 bits, as TSIG has them, and what stands behind it.
fn seconds(input: &[u8]) -> Option<(u64, &[u8])> {
    let (seconds, rest) = input.split_first_chunk::<6>()?;
    let [a, b, c, d, e, f] = *seconds;
    Some((u64::from_be_bytes([0, 0, a, b, c, d, e, f]), rest))
}

/// An answer under the signature of a server that has the key: whatever it says, it is not to be
/// mistaken for somebody else's. `None`: it cannot be written.
pub(super) fn signed(request: &[u8], answer: &[u8]) -> Option<Vec<u8>> {
    let (clock, answer) = seconds(answer)?;
    let (error, answer) = answer.split_first()?;
    let error = match error {
        0 => None,
        1 => Some(TsigError::BadKey),
        2 => Some(TsigError::BadSig),
        _ => Some(TsigError::BadTime),
    };
    let other = match error {
        Some(TsigError::BadTime) => clock.to_be_bytes()[2..].to_vec(),
        Some(_) | None => Vec::new(),
    };
    let mut message = Message::from_vec(answer).ok()?;
    message.take_signature();
    message.metadata.id = UPDATE_ID;
    let name = name("cleanslate.").ok()?;
    let algorithm = || hickory_proto::rr::rdata::tsig::TsigAlgorithm::HmacSha256;
    let signer = TSigner::new(SECRET.to_vec(), algorithm(), name.clone(), FUDGE_S).ok()?;
    let request = Message::from_vec(request).ok()?;
    let tsig = TSIG::new(
        algorithm(),
        clock,
        FUDGE_S,
        Vec::new(),
        UPDATE_ID,
        error,
        other,
    );
    let request_mac = &request.signature()?.data.mac;
    let octets = signer.encode_response_tbs(request_mac, &message.to_vec().ok()?, &tsig);
    let mac = signer.sign(&octets.ok()?).ok()?;
    message.set_signature(Box::new(make_tsig_record(name, tsig.set_mac(mac))));
    let message = message.to_vec().ok()?;
    let length = u16::try_from(message.len()).ok()?;
    Some([length.to_be_bytes().to_vec(), message].concat())
}

/// The UPDATE whose answers are read: it states that the zone is there, and changes nothing.
pub(super) fn an_update(names: &Names) -> Message {
    let mut update = Update::of(&names.zone);
    update.expect_any(&names.zone, RecordType::SOA);
    let mut message = update.into_message();
    message.metadata.id = UPDATE_ID;
    message
}

/// Signs something with a key of which a file says that it can.
///
/// # Panics
/// Where it cannot.
pub(crate) fn sign_with(key: &TsigKey) {
    let names = Names::of(&declared()).expect("the names are short");
    let signer = Signer::new(key).expect("a key that was taken signs");
    let signed = signer.sign(an_update(&names), 1_700_000_000);
    drop(signed.expect("a key that was taken signs"));
}

/// The fleet's DNS: `www` and `api`.
pub(super) fn declared() -> Dns {
    let policy = RecordPolicy {
        addresses: BTreeMap::new(),
        min_in_service: None,
    };
    Dns {
        server: SERVER,
        zone: "example.com.".parse().expect("it is a name"),
        ttl: Ttl(30),
        ttl_was: Ttl(30),
        key: TsigKey {
            name: "cleanslate.".parse().expect("it is a name"),
            algorithm: TsigAlgorithm::HmacSha256,
            secret: Secret::new(SECRET),
        },
        nameservers: Some(vec![SERVER]),
        records: ["api", "www"]
            .map(|name| (record(name), policy.clone()))
            .into(),
    }
}

fn record(name: &str) -> RecordName {
    format!("{name}.example.com.")
        .parse()
        .expect("it is a name")
}

fn connection(given: &[u8]) -> Connection {
    let octets = Octets {
        given: given.to_vec(),
        at: 0,
        ids: Vec::new(),
        frame: Vec::new(),
    };
    Connection::over(SERVER, Box::new(octets))
}

/// A server that answers whatever it was given beforehand.
struct Octets {
    given: Vec<u8>,
    /// How much of it was made into frames.
    at: usize,
    /// Of the questions of the last flight.
    ids: Vec<[u8; 2]>,
    /// What is left of the frame that is being read, from its end.
    frame: Vec<u8>,
}

impl Stream for Octets {}

impl Octets {
    /// The next frame, as it was given but for its id.
    fn next_frame(&mut self) -> Vec<u8> {
        let rest = self.given.get(self.at..).unwrap_or_default();
        let length = match rest {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            [] | [_] => 0,
        };
        let mut frame = rest[..rest.len().min(2 + length)].to_vec();
        self.at += frame.len();
        if let [_, _, high, low, ..] = frame.as_mut_slice()
            && let Some(id) = self.ids.get(usize::from(u16::from_be_bytes([*high, *low])))
        {
            [*high, *low] = *id;
        }
        frame
    }
}

impl AsyncRead for Octets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.frame.is_empty() {
            self.frame = self.next_frame();
        }
        let length = self.frame.len().min(buffer.remaining());
        let read: Vec<u8> = self.frame.drain(..length).collect();
        buffer.put_slice(&read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Octets {
    /// A flight comes in one write.
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        frames: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ids.clear();
        let mut rest = frames;
        while let [high, low, message @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            self.ids.extend(message.first_chunk::<2>());
            rest = message.get(length..).unwrap_or_default();
        }
        Poll::Ready(Ok(frames.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
