//! Tokens that were made, revoked or edited, for the audit: whoever owns the store notices it on
//! their file, which has no owner.
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::audit;
use crate::api::audit::What;
use crate::api::token::{Entry, TokenFile};
use crate::store::{By, Store, StoreError};

/// The tokens as they were when the file was last looked at.
#[derive(Debug)]
pub(super) struct Watched {
    file: TokenFile,
    /// When the file was written, and how long it is.
    seen: Option<(SystemTime, u64)>,
    tokens: Vec<Entry>,
}

impl Watched {
    /// From what is there, which is told already.
    pub(super) fn in_folder(folder: &Path) -> Watched {
        let mut watched = Watched::nothing_of(folder);
        drop(watched.changes());
        watched
    }

    /// From nothing: whatever is there is to be told.
    pub(super) fn nothing_of(folder: &Path) -> Watched {
        Watched {
            seen: None,
            tokens: Vec::new(),
            file: TokenFile::of(folder),
        }
    }

    /// Tells the audit what has changed since.
    ///
    /// # Errors
    /// Failures to write.
    pub(super) fn tell(&mut self, store: &mut Store, now: Timestamp) -> Result<(), StoreError> {
        let changes = self.changes();
        if changes.is_empty() {
            return Ok(());
        }
        let entry = |what| audit::entry(By::itself(), now, what);
        let entries: Vec<_> = changes.iter().map(entry).collect();
        store.audit(&entries)
    }

    fn changes(&mut self) -> Vec<What> {
        let metadata = fs::metadata(self.file.path()).ok();
        let seen = metadata.and_then(|it| Some((it.modified().ok()?, it.len())));
        if seen == self.seen {
            return Vec::new();
        }
        self.seen = seen;
        match self.file.read() {
            Ok(tokens) => {
                let before = std::mem::replace(&mut self.tokens, tokens);
                changes(&before, &self.tokens)
            }
            // Nobody is let in by it either.
            Err(error) => {
                tracing::warn!(%error, "tokens cannot be read: the audit is told when they can");
                Vec::new()
            }
        }
    }
}

/// What was done to the tokens of a fleet. Never their secrets: they are not there.
pub fn changes(before: &[Entry], after: &[Entry]) -> Vec<What> {
    let known = |entry: &Entry| before.iter().find(|other| other.hash == entry.hash);
    let is_gone = |entry: &&Entry| !after.iter().any(|other| other.hash == entry.hash);
    let mut told = Vec::new();
    let mut edited: Vec<String> = Vec::new();
    for entry in after {
        let (name, role) = (entry.name.clone(), entry.role);
        match known(entry) {
            Some(same) if same == entry => {}
            Some(Entry { revoked: None, .. }) if entry.revoked.is_some() => {
                told.push(What::TokenRevoked { name, role });
            }
            Some(_) => edited.push(name),
            None => told.push(What::TokenCreated {
                name,
                role,
                expires: entry.expires,
                by: entry.by.clone(),
            }),
        }
    }
    edited.extend(before.iter().filter(is_gone).map(|it| it.name.clone()));
    if !edited.is_empty() {
        told.push(What::TokensEdited { names: edited });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::token::Role;
    use crate::store::{Audited, Occupant};

    #[test]
    fn whoever_owns_the_store_tells_of_tokens_that_others_make_revoke_and_edit() {
        let dir = tempfile::tempdir().unwrap();
        let by = Occupant {
            pid: 1,
            user: "ops".to_owned(),
            command: "cleanslate test".to_owned(),
            since: at(0),
        };
        let mut store = Store::open(dir.path(), &"edge".parse().unwrap(), &by).unwrap();
        let file = TokenFile::of(&dir.path().join("edge"));
        drop(
            file.create("old", Role::Viewer, "root", at(1), None)
                .unwrap(),
        );
        let mut watched = Watched::in_folder(&dir.path().join("edge"));
        let secret = file.create("ana", Role::Operator, "root", at(2), Some(at(99)));
        let secret = secret.unwrap().reveal_text();
        watched.tell(&mut store, at(3)).unwrap();
        watched.tell(&mut store, at(4)).unwrap();
        file.revoke("old", at(5)).unwrap();
        watched.tell(&mut store, at(6)).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), text.replace("operator", "admin")).unwrap();
        watched.tell(&mut store, at(7)).unwrap();
        fs::remove_file(file.path()).unwrap();
        watched.tell(&mut store, at(8)).unwrap();

        let mut told = Vec::new();
        let tell = |it: Audited| told.push((it.entry.kind, it.entry.body));
        store.audited(tell).unwrap();
        let bodies: Vec<&str> = told.iter().map(|(_, body)| body.as_str()).collect();
        assert!(!format!("{bodies:?}").contains(&secret["cleanslate_".len()..]));
        let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
        let edited = "tokens_edited";
        assert_eq!(kinds, ["token_created", "token_revoked", edited, edited]);
        let made: serde_json::Value = serde_json::from_str(bodies[0]).unwrap();
        let expected = serde_json::json!({
            "name": "ana", "role": "operator", "expires": at(99), "by": "root",
        });
        assert_eq!(made, expected);
        assert_eq!(bodies[2], r#"{"names":["ana"]}"#);
        assert_eq!(bodies[3], r#"{"names":["old","ana"]}"#);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }
}
