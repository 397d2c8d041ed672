//! What one update came to, and whether that is as it must be.
use super::change::{Held, Said};
use super::ground::Seen;
use crate::coordinator::outcome::Problem;

/// What one update came to.
pub(super) struct Tried {
    pub(super) before: Seen,
    pub(super) said: Said,
    pub(super) after: Seen,
    pub(super) octets: Vec<u8>,
}

/// Whether it was carried out, and shows `wanted`.
pub(super) fn is_done(tried: &Tried, wanted: &Held) -> Result<String, Problem> {
    let Tried { said, after, .. } = tried;
    if *said != Said::Done {
        return Err(differs(format!(
            "the server says {said}, though all that was stated holds; there is {}",
            after.held
        )));
    }
    match after.held == *wanted {
        true => Ok("NOERROR, and it shows".to_owned()),
        false => Err(differs(format!(
            "the server says NOERROR, and there is {} where {wanted} is due",
            after.held
        ))),
    }
}

/// Whether it was refused for what it stated, and changed nothing.
pub(super) fn is_refused(tried: &Tried) -> Result<String, Problem> {
    let Tried {
        before,
        said,
        after,
        ..
    } = tried;
    if after.held != before.held {
        return Err(differs(format!(
            "the server says {said}, and made {} of {}",
            after.held, before.held
        )));
    }
    match said {
        Said::Unfulfilled => Ok("not carried out, nothing changed".to_owned()),
        Said::Done | Said::Other(_) => Err(differs(format!(
            "the server says {said} to what it does not carry out"
        ))),
    }
}

/// What no rotation may rest on.
pub(super) fn differs(what: String) -> Problem {
    Problem {
        what,
        cure:
            "let no rotation run against this server: use a primary that keeps RFC 2136 sections \
               3.2 to 3.5 (BIND, Knot and PowerDNS do), and see what stands between it and here"
                .to_owned(),
        is_transient: false,
    }
}
