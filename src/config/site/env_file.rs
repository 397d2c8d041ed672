//! `env_file`: a site's variables in a dotenv file, read as those of Compose services are.
use serde_spanned::Spanned;

use super::super::compose::dotenv::{self, DotenvError, DotenvReason, Line};
use super::super::reading::{Reading, quoted};
use super::vars::{BUILT_IN, Values, plain};

/// The values of the file. What it says wrong is told by line, where `site.toml` names it; never
/// with the line itself, which may hold a secret.
pub(crate) fn read_env_file(written: &Spanned<String>, reading: &mut Reading<'_>) -> Values {
    let path = reading.path(written.get_ref());
    let text = match reading.sources.read_text(&path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {}: {error}", quoted(&path));
            reading.findings.error(written.span(), message);
            return Values::new();
        }
    };
    let mut values = Values::new();
    let mut wrong = Vec::new();
    // Only the lines above: what variables of site.toml say wins over the file as a whole.
    match dotenv::parse(&text, &|_| None) {
        Ok(lines) => {
            for (at, line) in lines.into_iter().enumerate() {
                match checked(line, at + 1) {
                    Ok((name, value)) => drop(values.insert(name, plain(value))),
                    Err(why) => wrong.push(why),
                }
            }
        }
        Err(errors) => wrong.extend(errors.iter().map(|error| describe(error, &text))),
    }
    for why in wrong {
        let message = format!("{}: {why}", quoted(&path));
        reading.findings.error(written.span(), message);
    }
    values
}

/// A name without a value may be the second line of a secret: it is told by its number.
fn checked(line: Line, number: usize) -> Result<(String, String), String> {
    let Line { name, value } = line;
    if BUILT_IN.contains(&name.as_str()) {
        return Err(format!(
            "{name} is set by cleanslate itself, for every host"
        ));
    }
    match value {
        Some(value) => Ok((name, value)),
        None => Err(format!(
            "variable {number} has no value, and the environment of whoever starts cleanslate is \
             not asked"
        )),
    }
}

fn describe(error: &DotenvError, text: &str) -> String {
    let before = text.get(..error.span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let why = match &error.reason {
        DotenvReason::NoName => "is no NAME=VALUE",
        DotenvReason::Unclosed => "opens a quote that is never closed",
        DotenvReason::Variable(_) => {
            "holds a $ form that the lines above do not fill in; single quotes keep a value as it is"
        }
    };
    format!("line {line} {why}")
}
