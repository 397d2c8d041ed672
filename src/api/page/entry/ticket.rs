//! What the browser of somebody who signed in keeps: 256 random bits, in a cookie.
use axum::http::{HeaderMap, header};
use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whoever has it is signed in. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::api) struct Ticket([u8; 32]);

/// Where nobody on the way can read it, a browser takes it from nobody but this very host.
const ENCRYPTED: &str = "__Host-cleanslate";
const IN_THE_CLEAR: &str = "cleanslate";

impl Ticket {
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn draw() -> Result<Ticket, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Ticket(bits))
    }

    /// What came with a request.
    pub(in crate::api) fn read(headers: &HeaderMap, is_encrypted: bool) -> Option<Ticket> {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';'));
        let value = pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == name_of(is_encrypted)).then_some(value)
        })?;
        let bits = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
        bits.try_into().ok().map(Ticket)
    }

    /// `Set-Cookie`: no script reads it, and it comes with no request that another site causes.
    pub(super) fn cookie(&self, is_encrypted: bool, lasts: SignedDuration) -> String {
        set(is_encrypted, &BASE64URL_NOPAD.encode(&self.0), lasts)
    }

    /// What is kept of it here.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// What goes with every form: who wrote it has read a page of ours.
    pub(in crate::api) fn form(&self) -> String {
        let mut hash = Sha256::new();
        hash.update("form");
        hash.update(self.0);
        BASE64URL_NOPAD.encode(&hash.finalize())
    }
}

/// `Set-Cookie` that makes a browser forget it.
pub(super) fn forget(is_encrypted: bool) -> String {
    set(is_encrypted, "", SignedDuration::ZERO)
}

/// Whether that came with a form of this page.
pub(in crate::api::page) fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn set(is_encrypted: bool, value: &str, lasts: SignedDuration) -> String {
    let secure = if is_encrypted { "; Secure" } else { "" };
    let (name, seconds) = (name_of(is_encrypted), lasts.as_secs());
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

fn name_of(is_encrypted: bool) -> &'static str {
    match is_encrypted {
        true => ENCRYPTED,
        false => IN_THE_CLEAR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_keeps_it_out_of_the_reach_of_scripts_and_of_other_sites() {
        let ticket = Ticket::draw().unwrap();
        let cookie = ticket.cookie(true, SignedDuration::from_hours(1));
        let (pair, rest) = cookie.split_once(';').unwrap();
        assert_eq!(
            rest,
            " Path=/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure"
        );
        assert!(
            !ticket
                .cookie(false, SignedDuration::ZERO)
                .contains("Secure")
        );
        let headers = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, text.parse().unwrap());
            headers
        };
        let sent = headers(&format!("other=1; {pair}"));
        assert!(Ticket::read(&sent, true) == Some(ticket));
        // Who can write a cookie in the clear has not written this one.
        assert!(Ticket::read(&sent, false).is_none());
        for wrong in ["", "__Host-cleanslate=", "__Host-cleanslate=YWJj", "x"] {
            assert!(Ticket::read(&headers(wrong), true).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_goes_with_forms_tells_nothing_of_the_ticket_and_differs() {
        let [one, other] = [0, 1].map(|_| Ticket::draw().unwrap());
        assert_ne!(one.form(), other.form());
        assert_ne!(one.form(), BASE64URL_NOPAD.encode(&one.hash()));
        assert!(is_same(&one.form(), &one.form()) && !is_same(&one.form(), &other.form()));
        assert!(!is_same("", &one.form()));
    }
}
