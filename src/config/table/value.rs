//! One TOML value, and what it may be read as.
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use serde_spanned::Spanned;
use toml::de::DeValue;

use super::super::diagnostic::{Diagnostic, Findings};
use super::reader::Table;
use super::units::{parse_bytes, parse_duration, parse_share};
use crate::model::id::{Channel, FleetName, HookName, HostName, ProjectName, SiteName};
use crate::model::image::Digest;
use crate::model::rrset::RecordName;

/// A value with its place and its full name, `[dns].server`.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) toml: &'a DeValue<'a>,
}

/// What a TOML value can be read as. A value that does not fit is reported, once, with what it
/// should look like.
pub(crate) trait FromToml<'a>: Sized {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Self>;
}

impl<'a> Value<'a> {
    /// Reports that the value is of the wrong kind; `expected` reads on after "expected".
    pub(crate) fn wrong_kind<'f>(
        &self,
        expected: &str,
        findings: &'f mut Findings,
    ) -> &'f mut Diagnostic {
        let found = kind(self.toml);
        findings
            .error(self.span.clone(), format!("{} is {found}", self.name))
            .label(format!("expected {expected}"))
    }

    fn text(&self, expected: &str, findings: &mut Findings) -> Option<&'a str> {
        let text = self.toml.as_str();
        if text.is_none() {
            self.wrong_kind(expected, findings);
        }
        text
    }

    /// A string in a notation of its own. `parse` says what is wrong with it.
    fn notation<T>(
        &self,
        expected: &str,
        parse: fn(&str) -> Result<T, String>,
        findings: &mut Findings,
    ) -> Option<T> {
        let text = self.text(expected, findings)?;
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(why) => {
                findings
                    .error(self.span.clone(), format!("{text:?} {why}"))
                    .label(format!("expected {expected}"));
                None
            }
        }
    }

    /// The elements of a list.
    fn elements(&self, expected: &str, findings: &mut Findings) -> Option<Vec<Value<'a>>> {
        let Some(array) = self.toml.as_array() else {
            self.wrong_kind(expected, findings);
            return None;
        };
        let element = |(at, element): (usize, &'a Spanned<DeValue<'a>>)| Value {
            name: format!("{}[{at}]", self.name),
            span: element.span(),
            toml: element.get_ref(),
        };
        Some(array.iter().enumerate().map(element).collect())
    }
}

impl<'a> FromToml<'a> for Value<'a> {
    fn from_toml(value: Value<'a>, _: &mut Findings) -> Option<Value<'a>> {
        Some(value)
    }
}

impl<'a> FromToml<'a> for Table<'a> {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Table<'a>> {
        let Some(entries) = value.toml.as_table() else {
            value.wrong_kind("a table", findings);
            return None;
        };
        Some(Table::new(value.name, value.span, entries))
    }
}

impl<'a, T: FromToml<'a>> FromToml<'a> for Spanned<T> {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Spanned<T>> {
        let span = value.span.clone();
        Some(Spanned::new(span, T::from_toml(value, findings)?))
    }
}

/// All elements are read, so that each bad one is reported; one bad one spoils the list.
impl<'a, T: FromToml<'a>> FromToml<'a> for Vec<T> {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Vec<T>> {
        let elements = value.elements("a list", findings)?;
        let read: Vec<Option<T>> = elements
            .into_iter()
            .map(|element| T::from_toml(element, findings))
            .collect();
        read.into_iter().collect()
    }
}

/// A table whose keys are names of the user's choice, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Named<K, T>(pub(crate) Vec<(Spanned<K>, T)>);

impl<K, T> Default for Named<K, T> {
    fn default() -> Named<K, T> {
        Named(Vec::new())
    }
}

impl<'a, K, T> FromToml<'a> for Named<K, T>
where
    K: FromStr<Err: Display>,
    T: FromToml<'a>,
{
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Named<K, T>> {
        let entries = Table::from_toml(value, findings)?.named();
        let read: Vec<Option<(Spanned<K>, T)>> = entries
            .into_iter()
            .map(|(key, value)| {
                let name = parse_name(key.get_ref(), key.span(), findings);
                let value = T::from_toml(value, findings);
                Some((Spanned::new(key.span(), name?), value?))
            })
            .collect();
        Some(Named(read.into_iter().collect::<Option<_>>()?))
    }
}

impl<'a> FromToml<'a> for String {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<String> {
        value.text("a string", findings).map(str::to_owned)
    }
}

impl<'a> FromToml<'a> for bool {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<bool> {
        let read = value.toml.as_bool();
        if read.is_none() {
            value.wrong_kind("true or false", findings);
        }
        read
    }
}

impl<'a> FromToml<'a> for u32 {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<u32> {
        let Some(integer) = value.toml.as_integer() else {
            value.wrong_kind("a whole number", findings);
            return None;
        };
        let read = u32::from_str_radix(integer.as_str(), integer.radix());
        if read.is_err() {
            findings
                .error(value.span, format!("{} is out of range", value.name))
                .label("expected a whole number from 0 to 4294967295");
        }
        read.ok()
    }
}

impl<'a> FromToml<'a> for f64 {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<f64> {
        let digits = match value.toml {
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str()),
            DeValue::Float(float) => Some(float.as_str()),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        let number = digits.and_then(|digits| digits.parse::<f64>().ok());
        match number.filter(|number| number.is_finite() && *number >= 0.0) {
            Some(number) => Some(number),
            None => {
                value.wrong_kind("a number not below 0", findings);
                None
            }
        }
    }
}

impl<'a> FromToml<'a> for Duration {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Duration> {
        if let Some(number) = value.toml.as_integer() {
            let number = number.as_str();
            findings
                .error(value.span, format!("{} lacks its unit", value.name))
                .label("expected a duration, like \"30s\" or \"5m\"")
                .hint(format!(
                    "write \"{number}s\" for seconds, \"{number}m\" for minutes"
                ));
            return None;
        }
        value.notation(
            "a duration, like \"30s\", \"5m\" or \"1h30m\"",
            parse_duration,
            findings,
        )
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl<'a> FromToml<'a> for Bytes {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Bytes> {
        value
            .notation("a size, like \"1MiB\" or \"64KiB\"", parse_bytes, findings)
            .map(Bytes)
    }
}

/// A share of something, from 0 to 1; written in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl<'a> FromToml<'a> for Share {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Share> {
        value
            .notation("a share in percent, like \"5%\"", parse_share, findings)
            .map(Share)
    }
}

impl<'a> FromToml<'a> for IpAddr {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<IpAddr> {
        let parse = |text: &str| text.parse().map_err(|_| "is no IP address".to_owned());
        value.notation(
            "an address, like \"192.0.2.10\" or \"2001:db8::1\"",
            parse,
            findings,
        )
    }
}

/// Quoted or not: TOML has dates of its own.
impl<'a> FromToml<'a> for jiff::civil::Date {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<jiff::civil::Date> {
        if let DeValue::Datetime(written) = value.toml
            && written.time.is_none()
            && let Ok(date) = written.to_string().parse()
        {
            return Some(date);
        }
        let parse = |text: &str| text.parse().map_err(|_| "is no date".to_owned());
        value.notation("a date, like \"2026-12-20\"", parse, findings)
    }
}

impl<'a> FromToml<'a> for jiff::civil::Time {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<jiff::civil::Time> {
        let parse = |text: &str| text.parse().map_err(|_| "is no time of day".to_owned());
        value.notation("a time of day, like \"06:00\"", parse, findings)
    }
}

macro_rules! from_name {
    ($($type:ty: $expected:literal),* $(,)?) => { $(
        impl<'a> FromToml<'a> for $type {
            fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<$type> {
                let text = value.text($expected, findings)?;
                parse_name(text, value.span, findings)
            }
        }
    )* };
}

from_name! {
    FleetName: "a fleet's name",
    SiteName: "a site's name",
    HookName: "a hook's name",
    HostName: "a host's name",
    ProjectName: "a project's name",
    Channel: "a channel: an image tag",
    RecordName: "a domain name, like \"www.example.com.\"",
    Digest: "a digest: sha256: and 64 hex digits",
}

pub(crate) fn parse_name<T>(text: &str, span: Range<usize>, findings: &mut Findings) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            findings.error(span, error.to_string());
            None
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
