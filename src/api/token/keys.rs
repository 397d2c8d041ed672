//! Whether a token opens: the side of whoever is asked.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq;

use super::file::{Entry, TokenFile, bits, hash};

/// When tokens were last used is written down no more often: it is for people who tidy up.
const NOTE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Why a token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this token is not known")]
    Unknown,
    #[error("the token of {name} was revoked")]
    Revoked { name: String },
    #[error("the token of {name} has expired")]
    Expired { name: String },
    /// Nobody is let in by a file that cannot be trusted.
    #[error("tokens cannot be read")]
    Unreadable,
}

/// The tokens of a fleet, read anew whenever their file has changed.
#[derive(Debug)]
pub struct Keys {
    file: TokenFile,
    /// Held for moments, never across a wait.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The file that was read; `None`: there was none.
    seen: Option<(SystemTime, u64)>,
    tokens: Vec<Entry>,
    used: BTreeMap<String, Timestamp>,
    noted: Option<Timestamp>,
}

impl Keys {
    pub fn new(file: TokenFile) -> Keys {
        let known = Known {
            used: last_used(&file),
            ..Known::default()
        };
        Keys {
            file,
            known: Mutex::new(known),
        }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`Denied`], which tells nothing of tokens that whoever asks does not have.
    pub fn open(&self, token: &str, now: Timestamp) -> Result<Entry, Denied> {
        let hashed = hash(&bits(token).ok_or(Denied::Unknown)?);
        self.open_hashed(&hashed, now)
    }

    /// Whose token this was, from what it hashes to: asked again for whoever signed in with it.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn open_hashed(&self, hashed: &str, now: Timestamp) -> Result<Entry, Denied> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.refresh(&self.file)?;
        // Every one is compared, each in the same time: nothing is learned from how long it took.
        let mut found = None;
        for entry in &known.tokens {
            if bool::from(entry.hash.as_bytes().ct_eq(hashed.as_bytes())) {
                found = Some(entry.clone());
            }
        }
        let entry = found.ok_or(Denied::Unknown)?;
        let name = entry.name.clone();
        if entry.revoked.is_some() {
            return Err(Denied::Revoked { name });
        }
        if entry.expires.is_some_and(|expires| expires <= now) {
            return Err(Denied::Expired { name });
        }
        known.note_use(&self.file, name, now);
        Ok(entry)
    }
}

impl Known {
    fn refresh(&mut self, file: &TokenFile) -> Result<(), Denied> {
        let metadata = fs::metadata(file.path()).ok();
        let seen = metadata.and_then(|it| Some((it.modified().ok()?, it.len())));
        if seen == self.seen {
            return Ok(());
        }
        self.tokens = file.read().map_err(|error| {
            tracing::warn!(%error, "tokens cannot be read: nobody is let in");
            Denied::Unreadable
        })?;
        self.seen = seen;
        Ok(())
    }

    fn note_use(&mut self, file: &TokenFile, name: String, now: Timestamp) {
        self.used.insert(name, now);
        let is_due = self
            .noted
            .is_none_or(|noted| now.duration_since(noted) >= NOTE_EVERY);
        if is_due {
            self.noted = Some(now);
            let text = serde_json::to_vec(&self.used).unwrap_or_default();
            if let Err(error) = fs::write(uses(file), text) {
                tracing::debug!(%error, "the last use of a token was not written down");
            }
        }
    }
}

/// When each token was last used, as far as it was written down.
pub fn last_used(file: &TokenFile) -> BTreeMap<String, Timestamp> {
    let text = fs::read(uses(file)).ok();
    let used = text.and_then(|text| serde_json::from_slice(&text).ok());
    used.unwrap_or_default()
}

fn uses(file: &TokenFile) -> PathBuf {
    file.path().with_file_name("tokens.used.json")
}

#[cfg(test)]
mod tests {
    use super::super::role::Role;
    use super::*;

    #[test]
    fn what_was_made_opens_until_it_expires_or_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let keys = Keys::new(file.clone());
        let made = |name: &str, expires| {
            let token = file.create(name, Role::Operator, "root", at(1), expires);
            token.unwrap().reveal_text()
        };
        assert_eq!(keys.open("cleanslate_x", at(2)), Err(Denied::Unknown));
        let ana = made("ana", None);
        let bob = made("bob", Some(at(10)));
        let entry = keys.open(&ana, at(2)).unwrap();
        assert_eq!((entry.name.as_str(), entry.role), ("ana", Role::Operator));
        assert_eq!(keys.open(&bob, at(9)).unwrap().name, "bob");
        let name = "bob".to_owned();
        assert_eq!(keys.open(&bob, at(10)), Err(Denied::Expired { name }));
        file.revoke("ana", at(11)).unwrap();
        let name = "ana".to_owned();
        assert_eq!(keys.open(&ana, at(12)), Err(Denied::Revoked { name }));
        let (prefix, bits) = bob.split_at("cleanslate_".len());
        let first = if bits.starts_with('a') { 'b' } else { 'a' };
        let other = format!("{prefix}{first}{}", &bits[1..]);
        assert_eq!(keys.open(&other, at(2)), Err(Denied::Unknown));
    }

    #[test]
    fn nobody_is_let_in_by_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let token = file.create("ana", Role::Admin, "root", at(1), None);
        let token = token.unwrap().reveal_text();
        let keys = Keys::new(file.clone());
        assert!(keys.open(&token, at(2)).is_ok());
        fs::write(file.path(), "{").unwrap();
        assert_eq!(keys.open(&token, at(2)), Err(Denied::Unreadable));
    }

    #[test]
    fn the_last_use_is_written_down_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let token = file.create("ana", Role::Admin, "root", at(1), None);
        let token = token.unwrap().reveal_text();
        let keys = Keys::new(file.clone());
        let mut written = Vec::new();
        for second in [100, 130, 160] {
            keys.open(&token, at(second)).unwrap();
            written.push(last_used(&file)["ana"]);
        }
        assert_eq!(written, [at(100), at(100), at(160)]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
