//! `pin` of a site: services at digests of their own, until a day.
use std::ops::Range;

use jiff::civil::Date;
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value, parse_name};
use crate::model::id::ServiceName;
use crate::model::image::Digest;
use crate::model::pin::SitePin;

/// The one key that names no service.
const UNTIL: &str = "until";

/// `pin` as written.
#[derive(Clone, Debug)]
pub(crate) struct PinTable {
    pub(crate) span: Range<usize>,
    pub(crate) services: Vec<(Spanned<ServiceName>, Digest)>,
    until: Date,
}

impl PinTable {
    pub(crate) fn resolve(&self) -> SitePin {
        let services = self.services.iter();
        let services = services.map(|(name, digest)| (name.get_ref().clone(), digest.clone()));
        SitePin {
            services: services.collect(),
            until: self.until,
        }
    }
}

impl<'a> FromToml<'a> for PinTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<PinTable> {
        let table = Table::from_toml(value, findings)?;
        let span = table.span.clone();
        if !table.has(UNTIL) {
            findings
                .error(span.clone(), format!("{} lacks \"until\"", table.name))
                .hint("add until = \"2026-12-01\", its last day: then it ends by itself");
        }
        let (mut until, mut services) = (None, Vec::new());
        for (key, value) in table.named() {
            if *key.get_ref() == UNTIL {
                until = read_until(value, findings);
                continue;
            }
            let name = parse_name(key.get_ref(), key.span(), findings);
            let digest = Digest::from_toml(value, findings);
            services.push(name.zip(digest).map(|(name, digest)| {
                let name: Spanned<ServiceName> = Spanned::new(key.span(), name);
                (name, digest)
            }));
        }
        Some(PinTable {
            span,
            services: services.into_iter().collect::<Option<_>>()?,
            until: until?,
        })
    }
}

fn read_until(value: Value<'_>, findings: &mut Findings) -> Option<Date> {
    let text = value.toml.as_str();
    if text.is_some_and(|text| text.parse::<Digest>().is_ok()) {
        findings
            .error(value.span, format!("{} is its last day", value.name))
            .label("a digest")
            .hint("a service called \"until\" cannot be pinned: call it something else");
        return None;
    }
    Date::from_toml(value, findings)
}
