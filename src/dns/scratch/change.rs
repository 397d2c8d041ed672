//! One UPDATE of the scratch name: what it states, what it adds and deletes, and what it came to.
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use super::super::message::{Update, address_data, txt_data};
use super::super::query::QueryError;
use super::super::random::nonce;
use super::super::read;
use super::super::refusal::refusal;
use super::super::send::{Sending, deliver};
use super::super::tsig::{FUDGE_S, Reply};
use super::super::update::UNFULFILLED;
use super::ground::Scratch;
use crate::coordinator::outcome::Problem;
use crate::model::time::Ttl;

/// Nobody is sent there, so nobody may remember it for long.
const TTL: Ttl = Ttl(1);

/// What the text at the place of the marker begins with, so that what a killed check left is known.
const TEXT: &str = "cleanslate scratch ";

/// Addresses, and texts at the place of the marker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) texts: BTreeSet<String>,
}

impl Held {
    /// Addresses by their numbers, of the range for documentation (RFC 5737), and one text.
    pub(super) fn of(numbers: &[u8], text: &str) -> Held {
        let address = |number: &u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, *number));
        Held {
            addresses: numbers.iter().map(address).collect(),
            texts: [text.to_owned()].into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.texts.is_empty()
    }

    /// Whether only a check that did not come to its end can have left it.
    pub(super) fn is_left_by_a_check(&self) -> bool {
        !self.texts.is_empty() && self.texts.iter().all(|text| text.starts_with(TEXT))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let texts = self.texts.iter().map(|text| format!("{text:?}"));
        let all: Vec<String> = addresses.chain(texts).collect();
        match all.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&all.join(", ")),
        }
    }
}

/// A text that never stood there before.
pub(super) fn fresh() -> String {
    format!("{TEXT}{}", nonce())
}

/// An UPDATE in the making.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Of A and of the marker's TXT; nothing: that there is none.
    states: Held,
    /// Whether it also says that there is an AAAA which is not there.
    states_a_v6: bool,
    adds: Held,
    deletes: Held,
}

impl Change {
    /// One that rests on exactly this.
    pub(super) fn stating(held: &Held) -> Change {
        Change {
            states: held.clone(),
            states_a_v6: false,
            adds: Held::default(),
            deletes: Held::default(),
        }
    }

    pub(super) fn stating_a_v6(self) -> Change {
        Change {
            states_a_v6: true,
            ..self
        }
    }

    pub(super) fn adding(self, adds: &Held) -> Change {
        Change {
            adds: adds.clone(),
            ..self
        }
    }

    pub(super) fn deleting(self, deletes: &Held) -> Change {
        Change {
            deletes: deletes.clone(),
            ..self
        }
    }

    /// From `held` to `wanted`, with nothing that is both deleted and added.
    pub(super) fn between(held: &Held, wanted: &Held) -> Change {
        Change::stating(held)
            .deleting(&difference(held, wanted))
            .adding(&difference(wanted, held))
    }

    pub(super) fn message(&self, scratch: &Scratch<'_>) -> Message {
        let owner = scratch.owner();
        let mut update = Update::of(&scratch.names.zone);
        update.expect(&owner.record, RecordType::A, addresses(&self.states));
        let v6 = self.states_a_v6.then(|| address_data(A_V6.into()));
        update.expect(&owner.record, RecordType::AAAA, v6.into_iter().collect());
        update.expect(&owner.marker, RecordType::TXT, texts(&self.states));
        for data in addresses(&self.deletes) {
            update.delete(&owner.record, data);
        }
        for data in texts(&self.deletes) {
            update.delete(&owner.marker, data);
        }
        for data in addresses(&self.adds) {
            update.add(&owner.record, TTL, data);
        }
        for data in texts(&self.adds) {
            update.add(&owner.marker, TTL, data);
        }
        update.into_message()
    }
}

/// For documentation (RFC 3849); it is stated, and never written.
const A_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

fn addresses(held: &Held) -> Vec<RData> {
    held.addresses.iter().copied().map(address_data).collect()
}

fn texts(held: &Held) -> Vec<RData> {
    let texts = held.texts.iter();
    texts.map(|text| txt_data(vec![text.clone()])).collect()
}

fn difference(from: &Held, without: &Held) -> Held {
    Held {
        addresses: &from.addresses - &without.addresses,
        texts: &from.texts - &without.texts,
    }
}

/// What a server said to an UPDATE, under a signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Done,
    /// A prerequisite does not hold.
    Unfulfilled,
    Other(ResponseCode),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Done => f.write_str("NOERROR"),
            Said::Unfulfilled => f.write_str("that a prerequisite does not hold"),
            Said::Other(code) => write!(f, "{code}"),
        }
    }
}

impl Scratch<'_> {
    /// Sends a change, once.
    ///
    /// # Errors
    /// No answer that decides anything.
    pub(super) async fn send(&self, change: &Change) -> Result<(Vec<u8>, Said), Problem> {
        let (octets, sending) = deliver(self.server(), self.signer, change.message(self)).await;
        Ok((octets, self.said(sending)?))
    }

    fn said(&self, sending: Sending) -> Result<Said, Problem> {
        let answer = match sending {
            Sending::NotSent(error) => return Err(read::problem(&QueryError::Wire(error))),
            Sending::NoAnswer(what) => {
                return Err(Problem {
                    what,
                    cure: format!(
                        "see the server's log; it may still carry the update out for {FUDGE_S} s: \
                         look at the name again then"
                    ),
                    is_transient: true,
                });
            }
            Sending::Answered(Reply::Signed(answer)) if answer.tsig_error.is_none() => answer,
            Sending::Answered(Reply::Signed(answer) | Reply::Unsigned { answer, .. }) => {
                let refused = refusal(&self.declared, &answer);
                return Err(Problem {
                    what: refused.why,
                    cure: refused.hint,
                    is_transient: false,
                });
            }
        };
        let code = answer.code;
        Ok(if code == ResponseCode::NoError {
            Said::Done
        } else if UNFULFILLED.contains(&code) {
            Said::Unfulfilled
        } else {
            Said::Other(code)
        })
    }
}
