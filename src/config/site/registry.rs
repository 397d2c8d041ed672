//! `[registry."HOST"]`.
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace};
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::Registry;

/// `[registry."HOST"]` as written.
#[derive(Clone, Debug)]
pub(crate) struct RegistryTable {
    username: Option<String>,
    password: Option<SecretPlace>,
    is_insecure: bool,
}

/// A registry as image references name it: `HOST` or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryHost(pub(crate) String);

/// Why a text is no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryHostError {
    #[error("{0:?} is an URL; a registry is named as in image references: HOST or HOST:PORT")]
    Url(String),
    #[error("{0:?} is no registry: HOST or HOST:PORT, as in image references")]
    Other(String),
}

impl std::str::FromStr for RegistryHost {
    type Err = RegistryHostError;
    fn from_str(text: &str) -> Result<RegistryHost, RegistryHostError> {
        if text.contains("://") {
            return Err(RegistryHostError::Url(text.to_owned()));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if text.is_empty() || !text.chars().all(fits) {
            return Err(RegistryHostError::Other(text.to_owned()));
        }
        Ok(RegistryHost(text.to_owned()))
    }
}

impl<'a> FromToml<'a> for RegistryTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<RegistryTable> {
        let mut table = Table::from_toml(value, findings)?;
        let (name, span) = (table.name.clone(), table.span.clone());
        let has_half = table.has("username") != table.has("password");
        let username: Option<Spanned<String>> = table.optional("username", findings);
        let password = table.optional("password", findings);
        let is_insecure = table.optional("insecure", findings).unwrap_or(false);
        table.finish(findings);
        if has_half {
            findings
                .error(
                    span,
                    format!("{name} needs both username and password, or neither"),
                )
                .hint("password = { env = \"REGISTRY_PASSWORD\" }");
        }
        Some(RegistryTable {
            username: username.map(Spanned::into_inner),
            password,
            is_insecure,
        })
    }
}

impl RegistryTable {
    /// The registry, its password read.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Registry {
        let password = self
            .password
            .as_ref()
            .and_then(|place| reading.secret(place));
        Registry {
            credentials: self.username.clone().zip(password),
            is_insecure: self.is_insecure,
        }
    }
}
