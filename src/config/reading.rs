//! What the readers of one file share: its findings, where other files come from, and secrets.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;

use super::diagnostic::Findings;
use super::sources::Sources;
use super::table::{FromToml, Table, Value};
use crate::model::text::Secret;

/// One file that is being read.
pub(crate) struct Reading<'s> {
    pub(crate) findings: Findings,
    pub(crate) sources: &'s mut Sources,
    /// For `{ env = "…" }`.
    pub(crate) environment: &'s BTreeMap<String, Secret>,
    /// Relative paths are relative to it.
    pub(crate) folder: PathBuf,
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    File(Spanned<PathBuf>),
    Env(Spanned<String>),
}

impl Reading<'_> {
    /// A path as the file means it.
    pub(crate) fn path(&self, written: impl AsRef<Path>) -> PathBuf {
        self.folder.join(written)
    }

    /// The secret, without the line end that editors leave; nothing but its place is ever said.
    pub(crate) fn secret(&mut self, place: &SecretPlace) -> Option<Secret> {
        let (secret, span, from) = match place {
            SecretPlace::File(written) => {
                let path = self.path(written.get_ref());
                (
                    self.secret_file(&path, written)?,
                    written.span(),
                    quoted(&path),
                )
            }
            SecretPlace::Env(name) => {
                let from = format!("the variable {}", name.get_ref());
                (self.secret_variable(name)?, name.span(), from)
            }
        };
        if secret.reveal().is_empty() {
            let message = format!("the secret is empty: {from}");
            self.findings.error(span, message);
        }
        Some(secret)
    }

    fn secret_file(&mut self, path: &Path, written: &Spanned<PathBuf>) -> Option<Secret> {
        match self.sources.read_secret(path) {
            Ok(secret) => Some(without_line_end(&secret)),
            Err(error) => {
                let message = format!("cannot read the secret {}: {error}", quoted(path));
                self.findings.error(written.span(), message);
                None
            }
        }
    }

    fn secret_variable(&mut self, name: &Spanned<String>) -> Option<Secret> {
        let secret = self.environment.get(name.get_ref()).cloned();
        if secret.is_none() {
            let message = format!("the variable {} is not set", name.get_ref());
            self.findings
                .error(name.span(), message)
                .hint("set it where cleanslate runs, or use { file = \"…\" }");
        }
        secret
    }
}

/// `{ file = "…" }` or `{ env = "…" }`.
impl<'a> FromToml<'a> for SecretPlace {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<SecretPlace> {
        if !value.toml.is_table() {
            findings.hide(value.span.clone());
            findings
                .error(
                    value.span,
                    format!("{} stands in the file itself", value.name),
                )
                .label("a secret, not shown")
                .hint("secrets are written { file = \"path\" } or { env = \"VARIABLE\" }");
            return None;
        }
        let mut table = Table::from_toml(value, findings)?;
        let (name, span) = (table.name.clone(), table.span.clone());
        let file: Option<Spanned<String>> = table.optional("file", findings);
        let env: Option<Spanned<String>> = table.optional("env", findings);
        let both_or_none = table.has("file") == table.has("env");
        table.finish(findings);
        if both_or_none {
            findings
                .error(span, format!("{name} needs one of file and env"))
                .hint("write { file = \"path\" } or { env = \"VARIABLE\" }");
            return None;
        }
        let in_file = file.map(|file| {
            let span = file.span();
            SecretPlace::File(Spanned::new(span, file.into_inner().into()))
        });
        in_file.or(env.map(SecretPlace::Env))
    }
}

/// A path in quotes, safe to show.
pub(crate) fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

fn without_line_end(secret: &Secret) -> Secret {
    let bytes = secret.reveal();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    Secret::new(bytes)
}
