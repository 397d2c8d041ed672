//! Who signed in. Kept in memory: a coordinator that starts anew knows nobody.
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::ticket::Ticket;
use crate::api::token::{Entry, Keys};

/// Whoever signed in does so again after a night.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// So many are kept; the one that ends first goes first.
const KEPT: usize = 1024;

/// The sessions, by what their tickets hash to.
#[derive(Debug, Default)]
pub(in crate::api) struct Sessions {
    open: Mutex<BTreeMap<[u8; 32], Session>>,
    /// What goes with the forms of those who come by the control socket.
    of_socket: OnceLock<String>,
}

#[derive(Debug)]
struct Session {
    /// What the token hashes to: it is asked for each time, so that a session never outlives it.
    token: String,
    ends: Timestamp,
}

impl Sessions {
    /// Whoever has this token has signed in; how long that lasts.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn begin(
        &self,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<(Ticket, SignedDuration), getrandom::Error> {
        let ticket = Ticket::draw()?;
        let longest = now.saturating_add(LASTS).unwrap_or(now);
        let ends = entry
            .expires
            .map_or(longest, |expires| expires.min(longest));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.ends > now);
        if open.len() >= KEPT {
            let first = open.iter().min_by_key(|(_, session)| session.ends);
            let first = first.map(|(hash, _)| *hash);
            first.and_then(|hash| open.remove(&hash));
        }
        let token = entry.hash.clone();
        open.insert(ticket.hash(), Session { token, ends });
        Ok((ticket, ends.duration_since(now)))
    }

    /// Whose ticket this is, as long as their token opens.
    pub(in crate::api) fn of(&self, ticket: &Ticket, keys: &Keys, now: Timestamp) -> Option<Entry> {
        let hash = ticket.hash();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get(&hash)?;
        let entry = keys.open_hashed(&session.token, now).ok();
        let entry = entry.filter(|_| now < session.ends);
        if entry.is_none() {
            open.remove(&hash);
        }
        entry
    }

    /// What goes with the forms of those who come by the control socket: one for all of them, for
    /// as long as the process lives.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn form_of_socket(&self) -> Result<String, getrandom::Error> {
        if let Some(form) = self.of_socket.get() {
            return Ok(form.clone());
        }
        let drawn = Ticket::draw()?.form();
        Ok(self.of_socket.get_or_init(|| drawn).clone())
    }

    /// It opens nothing any more.
    pub(super) fn end(&self, ticket: &Ticket) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&ticket.hash());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::token::{Role, TokenFile};

    #[test]
    fn a_session_lasts_a_night_and_never_longer_than_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let keys = Keys::new(file.clone());
        let sessions = Sessions::default();
        let begin = |name: &str, expires| {
            let token = file.create(name, Role::Operator, "root", at(0), expires);
            let entry = keys.open(&token.unwrap().reveal_text(), at(1)).unwrap();
            sessions.begin(&entry, at(1)).unwrap()
        };
        let (ana, lasts) = begin("ana", None);
        assert_eq!(lasts, LASTS);
        let (bob, lasts) = begin("bob", Some(at(3600)));
        assert_eq!(lasts.as_secs(), 3599);
        let name = |ticket: &Ticket, second| {
            let entry = sessions.of(ticket, &keys, at(second));
            entry.map(|entry| entry.name)
        };
        assert_eq!(name(&bob, 3599).as_deref(), Some("bob"));
        assert_eq!(name(&bob, 3600), None);
        assert_eq!(name(&bob, 2), None, "what has ended stays so");
        assert_eq!(name(&ana, 12 * 3600).as_deref(), Some("ana"));
        assert_eq!(name(&ana, 12 * 3600 + 1), None);
        assert_eq!(name(&Ticket::draw().unwrap(), 2), None);
    }

    #[test]
    fn a_session_ends_with_its_token_and_when_its_owner_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let keys = Keys::new(file.clone());
        let sessions = Sessions::default();
        let token = file.create("ana", Role::Operator, "root", at(0), None);
        let entry = keys.open(&token.unwrap().reveal_text(), at(1)).unwrap();
        let [one, other] = [0, 1].map(|_| sessions.begin(&entry, at(1)).unwrap().0);
        sessions.end(&one);
        assert!(sessions.of(&one, &keys, at(2)).is_none());
        assert!(sessions.of(&other, &keys, at(2)).is_some());
        file.revoke("ana", at(3)).unwrap();
        // Another token of that name is another token.
        file.create("ana", Role::Admin, "root", at(3), None)
            .unwrap();
        assert!(sessions.of(&other, &keys, at(4)).is_none());
    }

    #[test]
    fn the_one_that_ends_first_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let keys = Keys::new(file.clone());
        let sessions = Sessions::default();
        let token = file.create("ana", Role::Operator, "root", at(0), None);
        let entry = keys.open(&token.unwrap().reveal_text(), at(1)).unwrap();
        let (first, _) = sessions.begin(&entry, at(0)).unwrap();
        let (second, _) = sessions.begin(&entry, at(1)).unwrap();
        for _ in 2..=KEPT {
            sessions.begin(&entry, at(2)).unwrap();
        }
        assert!(sessions.of(&first, &keys, at(3)).is_none());
        assert!(sessions.of(&second, &keys, at(3)).is_some());
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
