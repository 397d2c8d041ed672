//! `[[notify]]`: who is told what happens.
use std::collections::BTreeSet;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace};
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::{Notify, NotifyFormat};
use crate::model::id::{Channel, SiteName};
use crate::model::notice::Severity;

/// `[[notify]]` as written.
#[derive(Clone, Debug)]
pub(crate) struct NotifyTable {
    pub(crate) name: Spanned<String>,
    url: SecretPlace,
    format: NotifyFormat,
    key: Option<SecretPlace>,
    from: Severity,
    pub(crate) sites: Option<Vec<Spanned<SiteName>>>,
    pub(crate) channels: Option<Vec<Spanned<Channel>>>,
}

const FORMATS: [(&str, NotifyFormat); 2] =
    [("json", NotifyFormat::Json), ("slack", NotifyFormat::Slack)];

const SEVERITIES: [(&str, Severity); 3] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

impl<'a> FromToml<'a> for NotifyTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<NotifyTable> {
        let mut table = Table::from_toml(value, findings)?;
        let name = table.required("name", "\"chat\"", findings);
        let url = table.required("url", "{ file = \"chat.url\" }", findings);
        let format = table.choice("format", &FORMATS, NotifyFormat::Json, findings);
        let key = table.optional("key", findings);
        let from = table.choice("from", &SEVERITIES, Severity::Info, findings);
        let sites = table.optional("sites", findings);
        let channels = table.optional("channels", findings);
        table.finish(findings);
        Some(NotifyTable {
            name: name?,
            url: url?,
            format,
            key,
            from,
            sites,
            channels,
        })
    }
}

impl NotifyTable {
    /// Its secrets read; `None`: one of them is missing or is none.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Option<Notify> {
        let url = reading.secret(&self.url)?;
        let key = self.key.as_ref().map(|key| reading.secret(key));
        let is_url = reqwest::Url::parse(&url.reveal_text())
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            let message = format!("the url of [[notify]] {:?} is none", self.name.get_ref());
            reading
                .findings
                .error(self.name.span(), message)
                .hint("its file holds one line: https://…");
            return None;
        }
        let of = |names: &Vec<Spanned<SiteName>>| -> BTreeSet<SiteName> {
            names.iter().map(|name| name.get_ref().clone()).collect()
        };
        let channels = self.channels.as_ref().map(|channels| {
            let names = channels.iter().map(|name| name.get_ref().clone());
            names.collect::<BTreeSet<Channel>>()
        });
        Some(Notify {
            name: self.name.get_ref().clone(),
            url,
            format: self.format,
            key: match key {
                None => None,
                Some(key) => Some(key?),
            },
            from: self.from,
            sites: self.sites.as_ref().map(of),
            channels,
        })
    }
}
