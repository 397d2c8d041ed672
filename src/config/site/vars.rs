//! `vars` and `env_file`: what a Compose file's `${VAR}` forms become.
use std::collections::BTreeMap;
use std::str::FromStr;

use super::super::compose::Variable;
use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace};
use super::super::table::{FromToml, Named, Value};
use crate::model::text::Secret;

/// The variables that cleanslate sets itself.
pub(crate) const BUILT_IN: [&str; 3] = ["SITE", "CHANNEL", "HOST"];

/// `vars = { … }` as written.
pub(crate) type Vars = Named<VarName, VarValue>;

/// Variables with their values.
pub(crate) type Values = BTreeMap<String, Variable>;

/// A variable that a user may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VarName(String);

/// Why a text is no variable of the user's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VarNameError {
    #[error("{0:?} is no variable name: use A-Z, a-z, 0-9 and _, no digit first")]
    Characters(String),
    #[error("{0} is set by cleanslate itself, for every host")]
    Taken(String),
}

impl FromStr for VarName {
    type Err = VarNameError;
    fn from_str(text: &str) -> Result<VarName, VarNameError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts_badly = text.starts_with(|c: char| c.is_ascii_digit());
        if text.is_empty() || starts_badly || !text.chars().all(fits) {
            return Err(VarNameError::Characters(text.to_owned()));
        }
        if BUILT_IN.contains(&text) {
            return Err(VarNameError::Taken(text.to_owned()));
        }
        Ok(VarName(text.to_owned()))
    }
}

/// The value of a variable as written.
#[derive(Clone, Debug)]
pub(crate) enum VarValue {
    Text(Secret),
    Secret(SecretPlace),
}

impl<'a> FromToml<'a> for VarValue {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<VarValue> {
        if let Some(text) = value.toml.as_str() {
            warn_of_inline_secret(&value, findings);
            return Some(VarValue::Text(Secret::from(text)));
        }
        if value.toml.is_table() {
            return SecretPlace::from_toml(value, findings).map(VarValue::Secret);
        }
        value
            .wrong_kind("a string, { file = \"…\" } or { env = \"…\" }", findings)
            .hint("put the value in quotes");
        None
    }
}

/// The values of `vars`; secrets are read.
pub(crate) fn values_of(vars: &Vars, reading: &mut Reading<'_>) -> Values {
    let mut values = Values::new();
    for (name, written) in &vars.0 {
        let value = match written {
            VarValue::Text(text) => Some(text.clone()),
            VarValue::Secret(place) => reading.secret(place),
        };
        if let Some(value) = value {
            let is_secret = matches!(written, VarValue::Secret(_));
            let variable = Variable { value, is_secret };
            values.insert(name.get_ref().0.clone(), variable);
        }
    }
    values
}

/// A variable that is no secret: it may become part of an image reference, too.
pub(crate) fn plain(value: impl Into<Secret>) -> Variable {
    Variable {
        value: value.into(),
        is_secret: false,
    }
}

fn warn_of_inline_secret(value: &Value<'_>, findings: &mut Findings) {
    let name = value.name.to_ascii_uppercase();
    let ends = [
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "PRIVATE_KEY",
        "API_KEY",
    ];
    if ends.iter().any(|end| name.ends_with(end)) && value.toml.as_str() != Some("") {
        findings.hide(value.span.clone());
        findings
            .warning(
                value.span.clone(),
                format!("{} looks like a secret", value.name),
            )
            .label("not shown")
            .hint("keep it out of this file: { file = \"path\" } or { env = \"VARIABLE\" }");
    }
}
