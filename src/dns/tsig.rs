//! Signs UPDATEs and checks the signatures of their answers (RFC 8945).
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TSIG;
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError};
use hickory_proto::rr::{Record, TSigVerifier, TSigner};

use super::wire::{WireError, encode, name};
use crate::model::fleet;

/// How far the clocks of server and coordinator may lie apart, in seconds; also how long an
/// UPDATE that was held up may still be applied. Servers keep no memory of what they have seen,
/// so it is small: 300, the usual value, would leave five minutes for a late or replayed one.
pub(super) const FUDGE_S: u16 = 20;

/// Signs with the fleet's key.
pub(super) struct Signer(TSigner);

/// A signed message, and what checks its answer.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    id: u16,
    /// By our clock, in seconds since 1970.
    at_s: u64,
    verifier: TSigVerifier,
}

/// An answer to a signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The server holds the key, and this is its answer to this very request.
    Signed(Answer),
    /// Anyone on the way may have written it: good for a diagnosis, never for a decision.
    Unsigned { answer: Answer, why: String },
}

/// The codes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) tsig_error: Option<TsigError>,
    pub(super) clocks: Option<Clocks>,
}

/// What two clocks showed at about the same time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    pub ours_s: u64,
    pub server_s: u64,
}

impl Clocks {
    /// How far the server's clock is ahead of ours; negative where it is behind.
    pub fn server_ahead_s(self) -> i64 {
        let (ours, server) = (i128::from(self.ours_s), i128::from(self.server_s));
        i64::try_from(server - ours).unwrap_or(i64::MAX)
    }
}

impl Signer {
    pub(super) fn new(key: &fleet::TsigKey) -> Result<Signer, WireError> {
        let algorithm = match key.algorithm {
            fleet::TsigAlgorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            fleet::TsigAlgorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            fleet::TsigAlgorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let secret = key.secret.reveal().to_vec();
        let signer = TSigner::new(secret, algorithm, name(key.name.as_str())?, FUDGE_S);
        let signer = signer.map_err(|error| WireError::Unwritable {
            why: format!("the TSIG key {} cannot sign: {error}", key.name),
        })?;
        Ok(Signer(signer))
    }

    /// Signs at the time `at_s` (seconds since 1970) and encodes.
    ///
    /// # Errors
    /// [`WireError::Unwritable`] where the message is too long.
    pub(super) fn sign(&self, mut message: Message, at_s: u64) -> Result<Signed, WireError> {
        let unwritable = |why: String| WireError::Unwritable { why };
        encode(&message)?;
        let verifier = message
            .finalize(&self.0, at_s)
            .map_err(|error| unwritable(error.to_string()))?
            .ok_or_else(|| unwritable("it was not signed".to_owned()))?;
        Ok(Signed {
            bytes: encode(&message)?,
            id: message.id,
            at_s,
            verifier,
        })
    }
}

impl Signed {
    /// Checks key, algorithm, MAC over request and answer, time and id. `parsed` is `bytes`.
    pub(super) fn check(mut self, bytes: &[u8], parsed: &Message) -> Reply {
        let is_of_no_time = |record: &Record<TSIG>| record.data.time < u64::from(record.data.fudge);
        if parsed.signature().is_some_and(is_of_no_time) {
            // The library subtracts one from the other.
            return Reply::Unsigned {
                answer: answer(parsed, self.at_s),
                why: "its signature is of 1970".to_owned(),
            };
        }
        let error = match self.verifier.verify(bytes) {
            Ok(_) if parsed.id == self.id => return Reply::Signed(answer(parsed, self.at_s)),
            Ok(_) => "its id is not ours".to_owned(),
            Err(_) if parsed.signature().is_none() => "it is not signed".to_owned(),
            Err(error) => format!("its signature does not hold: {error}"),
        };
        Reply::Unsigned {
            answer: answer(parsed, self.at_s),
            why: error,
        }
    }
}

fn answer(parsed: &Message, ours_s: u64) -> Answer {
    let tsig = parsed.signature().map(|record| &record.data);
    Answer {
        code: parsed.response_code,
        tsig_error: tsig.and_then(|tsig| tsig.error),
        clocks: tsig.map(|tsig| Clocks {
            ours_s,
            server_s: server_time(tsig),
        }),
    }
}

/// With BADTIME the server repeats our time, so that we can verify, and puts its own into *other
/// data*, as 48 bits (RFC 8945 section 5.2.3).
fn server_time(tsig: &TSIG) -> u64 {
    match (tsig.error, <[u8; 6]>::try_from(tsig.other.as_slice())) {
        (Some(TsigError::BadTime), Ok([a, b, c, d, e, f])) => {
            u64::from_be_bytes([0, 0, a, b, c, d, e, f])
        }
        (_, Ok(_) | Err(_)) => tsig.time,
    }
}

/// The wall clock, in seconds since 1970. A signature needs it; no decision rests on it.
#[expect(
    clippy::disallowed_methods,
    reason = "the time of signing is when the message leaves, not when it was decided on"
)]
pub(super) fn unix_s() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::fuzzing;
    use crate::dns::read::Names;

    #[test]
    fn skew_is_counted_from_our_clock() {
        let clocks = Clocks {
            ours_s: 1_000,
            server_s: 940,
        };
        assert_eq!(clocks.server_ahead_s(), -60);
    }

    /// Of all that is wrong with it, this must be seen before the library looks at the time.
    #[test]
    fn a_signature_of_1970_is_none() {
        let reply_of = |clock: u64| {
            let declared = fuzzing::declared();
            let signer = Signer::new(&declared.key).unwrap();
            let names = Names::of(&declared).unwrap();
            let request = signer.sign(fuzzing::an_update(&names), 30).unwrap();
            let mut answer = clock.to_be_bytes()[2..].to_vec();
            answer.extend([0, 0x6c, 0x65, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let frame = fuzzing::signed(&request.bytes, &answer).unwrap();
            let parsed = Message::from_vec(&frame[2..]).unwrap();
            request.check(&frame[2..], &parsed)
        };
        assert!(matches!(reply_of(40), Reply::Signed(_)));
        let Reply::Unsigned { why, .. } = reply_of(5) else {
            panic!("a signature of 1970 was taken");
        };
        assert_eq!(why, "its signature is of 1970");
    }
}
