//! Asking an authoritative server, one question a datagram.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::lab::inspect::Answer;
use crate::lab::spec::ZONE;

/// A question for a name and type, as bytes for the wire, and the id to know its answer by.
pub fn question(name: &Name, kind: RecordType) -> Result<(u16, Vec<u8>)> {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), kind));
    let wire = message.to_vec().context("failed to write a question")?;
    Ok((message.metadata.id, wire))
}

/// An answer to the question of this id: NXDOMAIN is an answer like any other.
pub fn parse(id: u16, bytes: &[u8]) -> Result<Message> {
    let message = Message::from_vec(bytes).context("failed to read an answer")?;
    ensure!(message.metadata.id == id, "an answer to another question");
    let code = message.metadata.response_code;
    let answered = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    ensure!(answered, "the server said {code}");
    ensure!(
        message.metadata.authoritative,
        "the server does not speak for the zone"
    );
    Ok(message)
}

/// The addresses in a message and their lowest TTL.
pub fn addresses(message: &Message) -> (Vec<IpAddr>, Option<u32>) {
    let mut found = Vec::new();
    let mut ttl: Option<u32> = None;
    for record in &message.answers {
        if let RData::A(a) = &record.data {
            found.push(IpAddr::V4(a.0));
        } else if let RData::AAAA(aaaa) = &record.data {
            found.push(IpAddr::V6(aaaa.0));
        } else {
            continue;
        }
        ttl = Some(ttl.map_or(record.ttl, |lowest| lowest.min(record.ttl)));
    }
    found.sort_unstable();
    (found, ttl)
}

/// The strings of the first TXT record in a message, and its TTL.
pub fn strings(message: &Message) -> (Vec<String>, Option<u32>) {
    let text = message.answers.iter().find_map(|record| {
        let RData::TXT(txt) = &record.data else {
            return None;
        };
        Some((txt, record.ttl))
    });
    let Some((txt, ttl)) = text else {
        return (Vec::new(), None);
    };
    let strings = txt
        .txt_data
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (strings.collect(), Some(ttl))
}

/// A zone of the lab changes every few seconds, and a look takes a millisecond.
const TRIES: usize = 20;

/// A connected socket to one server, for questions that wait for their answers.
pub struct Asker {
    socket: UdpSocket,
}

impl Asker {
    pub fn new(server: IpAddr, timeout: Duration) -> Result<Self> {
        let any: SocketAddr = if server.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(any).context("failed to open a socket")?;
        socket
            .connect((server, 53))
            .with_context(|| format!("no way to {server}"))?;
        socket
            .set_read_timeout(Some(timeout))
            .context("failed to set a timeout")?;
        Ok(Self { socket })
    }

    /// All that tests want to know of a record.
    pub fn look(&self, record: &Name) -> Result<Answer> {
        let mut answers = self.look_at(std::slice::from_ref(record))?;
        answers.pop().context("one record was asked for")
    }

    /// The same of several records, all of it from one version of the zone: where its serial moved
    /// between the first answer and the last, it is asked again.
    pub fn look_at(&self, records: &[Name]) -> Result<Vec<Answer>> {
        let mut questions = Vec::new();
        for record in records {
            let marker = Name::from_str("_cleanslate")?.append_domain(record)?;
            questions.push((marker, RecordType::TXT));
            questions.push((record.clone(), RecordType::A));
            questions.push((record.clone(), RecordType::AAAA));
        }
        for _ in 0..TRIES {
            let serial = self.serial()?;
            let answers = self.ask(&questions)?;
            if self.serial()? == serial {
                return Ok(answers.chunks(3).map(|it| read(it, serial)).collect());
            }
        }
        bail!("the zone does not stand still")
    }

    fn serial(&self) -> Result<u32> {
        let answers = self.ask(&[(Name::from_str(ZONE)?, RecordType::SOA)])?;
        let serial = answers[0].answers.iter().find_map(|record| {
            let RData::SOA(soa) = &record.data else {
                return None;
            };
            Some(soa.serial)
        });
        serial.context("the server has no SOA of the zone")
    }

    /// Asks all, then waits for all; answers to earlier questions that come late are dropped.
    fn ask(&self, questions: &[(Name, RecordType)]) -> Result<Vec<Message>> {
        let mut ids = Vec::new();
        for (name, kind) in questions {
            let (id, wire) = question(name, *kind)?;
            self.socket.send(&wire).context("failed to ask")?;
            ids.push(id);
        }
        let mut answers: Vec<Option<Message>> = vec![None; questions.len()];
        let mut buffer = [0u8; 4096];
        while answers.iter().any(Option::is_none) {
            let length = self.socket.recv(&mut buffer).context("no answer")?;
            let id = buffer
                .first_chunk()
                .map_or(0, |bytes| u16::from_be_bytes(*bytes));
            if let Some(i) = ids.iter().position(|asked| *asked == id) {
                answers[i] = Some(parse(id, &buffer[..length])?);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

/// Marker, A and AAAA of one record.
fn read(messages: &[Message], serial: u32) -> Answer {
    let (marker, marker_ttl) = strings(&messages[0]);
    let (mut all, ttl) = addresses(&messages[1]);
    let (v6, v6_ttl) = addresses(&messages[2]);
    all.extend(v6);
    Answer {
        addresses: all,
        ttl: ttl.or(v6_ttl),
        marker,
        marker_ttl,
        serial,
    }
}
