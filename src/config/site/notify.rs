//! `[[notify]]`: who is told what happens.
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace};
use super::super::table::{FromToml, Table, Value};
use crate::model::fleet::{Notify, NotifyFormat};
use crate::model::id::{Channel, SiteName};
use crate::model::notice::Severity;
use crate::model::template::{Field, Template, TemplateError};
use crate::model::text::Secret;

/// `[[notify]]` as written.
#[derive(Clone, Debug)]
pub(crate) struct NotifyTable {
    pub(crate) name: Spanned<String>,
    url: Option<SecretPlace>,
    format: FormatTable,
    key: Option<SecretPlace>,
    from: Severity,
    pub(crate) sites: Option<Vec<Spanned<SiteName>>>,
    pub(crate) channels: Option<Vec<Spanned<Channel>>>,
    waiting: Duration,
    template: Option<Template>,
    audit: Option<bool>,
}

/// A format with what only it needs.
#[derive(Clone, Debug)]
enum FormatTable {
    Json,
    Slack,
    SlackApi { token: SecretPlace, channel: String },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Slack,
    SlackApi,
}

const FORMATS: [(&str, Format); 3] = [
    ("json", Format::Json),
    ("slack", Format::Slack),
    ("slack_api", Format::SlackApi),
];

const SEVERITIES: [(&str, Severity); 3] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

/// Drains and soaks are over by then, as a rule.
const WAITING: Duration = Duration::from_secs(15 * 60);

/// Where bots post, unless a `url` says otherwise.
const SLACK_API: &str = "https://slack.com/api/chat.postMessage";

impl<'a> FromToml<'a> for NotifyTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<NotifyTable> {
        let mut table = Table::from_toml(value, findings)?;
        let name = table.required("name", "\"chat\"", findings);
        let format = table.choice("format", &FORMATS, Format::Json, findings);
        let url = if format == Format::SlackApi {
            table.optional("url", findings).map(Some).or(Some(None))
        } else {
            let url = table.required("url", "{ file = \"chat.url\" }", findings);
            url.map(Some)
        };
        let format = read_format(&mut table, format, findings);
        let key = table.optional("key", findings);
        let from = table.choice("from", &SEVERITIES, Severity::Info, findings);
        let sites = table.optional("sites", findings);
        let channels = table.optional("channels", findings);
        let waiting = table.optional("waiting", findings);
        let template = table.optional("template", findings);
        let template = template.map(|written| read_template(&written, findings));
        let audit = table.optional("audit", findings);
        table.finish(findings);
        Some(NotifyTable {
            name: name?,
            url: url?,
            format: format?,
            key,
            from,
            sites,
            channels,
            waiting: waiting.unwrap_or(WAITING),
            template: template.flatten(),
            audit,
        })
    }
}

/// A bot's keys, and nobody else's.
fn read_format(
    table: &mut Table<'_>,
    format: Format,
    findings: &mut Findings,
) -> Option<FormatTable> {
    let of_others = match format {
        Format::SlackApi => {
            let token = table.required("token", "{ file = \"slack.token\" }", findings);
            let channel = table.required("channel", "\"#nights\"", findings);
            let (token, channel) = (token?, channel?);
            return Some(FormatTable::SlackApi { token, channel });
        }
        Format::Json => FormatTable::Json,
        Format::Slack => FormatTable::Slack,
    };
    for key in ["token", "channel"] {
        let span: Option<Range<usize>> = table.span_of(key);
        table.optional::<Value<'_>>(key, findings);
        if let Some(span) = span {
            findings
                .error(span, format!("{key} is for format = \"slack_api\""))
                .hint("a webhook's url says where it posts: leave it out");
        }
    }
    Some(of_others)
}

fn read_template(written: &Spanned<String>, findings: &mut Findings) -> Option<Template> {
    let error = match Template::parse(written.get_ref()) {
        Ok(template) => return Some(template),
        Err(error) => error,
    };
    let names = Field::ALL.map(Field::name);
    let finding = findings.error(written.span(), format!("the template {error}"));
    match error {
        TemplateError::Unknown { name } => {
            finding
                .hint(format!("its fields are {}", names.join(", ")))
                .nearest(&name, names);
        }
        TemplateError::Brace => {
            finding.hint("fields are written {site}; a brace itself is doubled: {{");
        }
        TemplateError::Mute => {
            finding.hint("add {text}");
        }
    }
    None
}

/// Whether others on the way can read what is sent there.
fn is_overheard(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    let is_here = address.is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == "http" && !is_here && host != "localhost"
}

impl NotifyTable {
    /// Its secrets read; `None`: one of them is missing or is none.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Option<Notify> {
        let url = match &self.url {
            Some(url) => reading.secret(url)?,
            None => Secret::from(SLACK_API),
        };
        let key = self.key.as_ref().map(|key| reading.secret(key));
        let parsed = reqwest::Url::parse(&url.reveal_text()).ok();
        let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(parsed) = parsed.filter(reqwest::Url::has_host) else {
            let message = format!("the url of [[notify]] {:?} is none", self.name.get_ref());
            reading
                .findings
                .error(self.name.span(), message)
                .hint("its file holds one line: https://…");
            return None;
        };
        if matches!(self.format, FormatTable::SlackApi { .. }) && is_overheard(&parsed) {
            let message = format!("the url of [[notify]] {:?} is http", self.name.get_ref());
            reading
                .findings
                .error(self.name.span(), message)
                .hint("a bot's token goes along: write https://…, or leave url out for Slack's");
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
            format: self.format(reading)?,
            key: match key {
                None => None,
                Some(key) => Some(key?),
            },
            from: self.from,
            sites: self.sites.as_ref().map(of),
            channels,
            waiting: self.waiting,
            template: self.template.clone(),
            audit: self.audit.unwrap_or(false),
        })
    }

    fn format(&self, reading: &mut Reading<'_>) -> Option<NotifyFormat> {
        Some(match &self.format {
            FormatTable::Json => NotifyFormat::Json,
            FormatTable::Slack => NotifyFormat::Slack,
            FormatTable::SlackApi { token, channel } => NotifyFormat::SlackApi {
                token: reading.secret(token)?,
                channel: channel.clone(),
            },
        })
    }
}
