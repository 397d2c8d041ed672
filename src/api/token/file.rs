//! The file of tokens: made, listed and revoked here, by whoever may write the state folder.
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::role::Role;
use crate::model::text::Secret;

/// What every token begins with, so that scanners of leaked secrets know one.
const PREFIX: &str = "cleanslate";

/// One token, as it is kept: never itself, only what it hashes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who has it; unique among those that hold.
    pub name: String,
    pub role: Role,
    /// SHA-256 of its 256 random bits, hexadecimal: so much chance needs no slow hash.
    pub hash: String,
    pub created: Timestamp,
    pub by: String,
    /// `None`: never.
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not as it was written: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("a token is called {name} already")]
    Taken { name: String },
    #[error("no token is called {name}")]
    Unknown { name: String },
    #[error("{why}")]
    Name { why: String },
    #[error("the system gives no random numbers: {why}")]
    Random { why: String },
}

/// Where the tokens of a fleet are kept.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

/// The file's text, and the tokens in it.
type Whole = (Vec<u8>, Vec<Entry>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    v: u8,
    tokens: Vec<Entry>,
}

impl TokenFile {
    /// Its name.
    pub const NAME: &'static str = "tokens.json";

    /// In the fleet's folder.
    pub fn of(folder: &Path) -> TokenFile {
        let path = folder.join(TokenFile::NAME);
        TokenFile { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every token there ever was; none where there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or somebody else wrote in it.
    pub fn read(&self) -> Result<Vec<Entry>, TokenError> {
        Ok(self.whole()?.map(|(_, tokens)| tokens).unwrap_or_default())
    }

    /// The file as it is written, and the tokens in it; `None`: there is no file.
    ///
    /// # Errors
    /// As [`TokenFile::read`].
    pub fn whole(&self) -> Result<Option<Whole>, TokenError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
        };
        let kept: Kept = serde_json::from_slice(&text).map_err(|error| TokenError::Damaged {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        Ok(Some((text, kept.tokens)))
    }

    /// Makes a token; it is told this once.
    ///
    /// # Errors
    /// The name is taken or none, or the file cannot be written.
    pub fn create(
        &self,
        name: &str,
        role: Role,
        by: &str,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> Result<Secret, TokenError> {
        check_name(name)?;
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        if holding(&tokens, name).is_some() {
            let name = name.to_owned();
            return Err(TokenError::Taken { name });
        }
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| TokenError::Random {
            why: error.to_string(),
        })?;
        tokens.push(Entry {
            name: name.to_owned(),
            role,
            hash: hash(&bits),
            created: now,
            by: by.to_owned(),
            expires,
            revoked: None,
        });
        self.write(tokens)?;
        let text = BASE32_NOPAD.encode(&bits).to_lowercase();
        Ok(Secret::from(format!("{PREFIX}_{text}")))
    }

    /// From now on it opens nothing.
    ///
    /// # Errors
    /// No token is called so, or the file cannot be written.
    pub fn revoke(&self, name: &str, now: Timestamp) -> Result<(), TokenError> {
        let _lock = self.lock()?;
        let mut tokens = self.read()?;
        let unknown = || TokenError::Unknown {
            name: name.to_owned(),
        };
        let index = holding(&tokens, name).ok_or_else(unknown)?;
        tokens[index].revoked = Some(now);
        self.write(tokens)
    }

    /// Whole or not at all: written beside it, then put in its place.
    fn write(&self, tokens: Vec<Entry>) -> Result<(), TokenError> {
        let kept = Kept { v: 1, tokens };
        let text = serde_json::to_vec_pretty(&kept).expect("texts and times always serialize");
        let new = self.path.with_extension("new");
        let written = private(&new).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        });
        written.map_err(|error| self.failed("write", error))
    }

    /// Two who change it at once do so one after the other.
    fn lock(&self) -> Result<fs::File, TokenError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|error| self.failed("make the folder of", error))?;
        }
        let file = private(&self.path.with_extension("lock"))
            .map_err(|error| self.failed("lock", error))?;
        file.lock().map_err(|error| self.failed("lock", error))?;
        Ok(file)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> TokenError {
        TokenError::File {
            doing,
            path: self.path.clone(),
            source,
        }
    }
}

/// The bits of a token, as it was told; `None`: it is none.
pub(super) fn bits(token: &str) -> Option<Vec<u8>> {
    let text = token.strip_prefix(PREFIX)?.strip_prefix('_')?;
    let bits = BASE32_NOPAD.decode(text.to_uppercase().as_bytes()).ok()?;
    (bits.len() == 32).then_some(bits)
}

pub(super) fn hash(bits: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bits))
}

/// The token of that name that is not revoked.
fn holding(tokens: &[Entry], name: &str) -> Option<usize> {
    let is_it = |entry: &Entry| entry.name == name && entry.revoked.is_none();
    tokens.iter().position(is_it)
}

/// Names stand in the journal and in messages: letters, digits, and what addresses are made of.
fn check_name(name: &str) -> Result<(), TokenError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(is_plain) {
        return Ok(());
    }
    let why = "a token's name is 1 to 64 letters, digits and any of - _ . @".to_owned();
    Err(TokenError::Name { why })
}

fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_told_once_and_only_its_hash_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        assert_eq!(file.read().unwrap(), []);
        let token = file.create("ana", Role::Operator, "root", at(1), None);
        let token = token.unwrap().reveal_text();
        let text = fs::read_to_string(file.path()).unwrap();
        let secret = token.strip_prefix("cleanslate_").unwrap();
        assert_eq!(secret.len(), 52, "256 bits");
        assert!(!text.to_lowercase().contains(secret), "{text}");
        assert!(text.contains(&hash(&bits(&token).unwrap())));
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = file.create("bob", Role::Viewer, "root", at(1), None);
        assert_ne!(other.unwrap().reveal_text(), token);
    }

    #[test]
    fn a_name_is_given_once_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let create = |name: &str| file.create(name, Role::Viewer, "root", at(1), None);
        create("ana").unwrap();
        assert!(matches!(create("ana"), Err(TokenError::Taken { .. })));
        assert!(matches!(
            file.revoke("bob", at(2)),
            Err(TokenError::Unknown { .. })
        ));
        file.revoke("ana", at(2)).unwrap();
        create("ana").unwrap();
        let revoked: Vec<_> = file.read().unwrap().iter().map(|it| it.revoked).collect();
        assert_eq!(revoked, [Some(at(2)), None]);
        for wrong in ["", "a b", "ana\n", &"x".repeat(65), "<b>"] {
            assert!(
                matches!(create(wrong), Err(TokenError::Name { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_file_that_somebody_wrote_in_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        for text in [
            "",
            "{}",
            r#"{"v":1,"tokens":[{"name":"x"}]}"#,
            r#"{"v":1,"tokens":[],"x":1}"#,
        ] {
            fs::write(file.path(), text).unwrap();
            assert!(
                matches!(file.read(), Err(TokenError::Damaged { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn only_what_was_told_has_bits() {
        for text in ["", "cleanslate", "cleanslate_", "cleanslate_aaaa", "x_y"] {
            assert_eq!(bits(text), None, "{text}");
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
