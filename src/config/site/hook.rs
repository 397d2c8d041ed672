//! `[[hook]]`: whom a rotation asks, or tells, at its turning points.
use std::time::Duration;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::reading::{Reading, SecretPlace};
use super::super::table::{FromToml, Table, Value};
use crate::model::hook::{Call, Cue, Gate, Hook, HookFailure, On, Terms};
use crate::model::id::{HookName, SiteName};

/// `[[hook]]` as written.
#[derive(Clone, Debug)]
pub(crate) struct HookTable {
    pub(crate) name: Spanned<HookName>,
    pub(crate) sites: Option<Vec<Spanned<SiteName>>>,
    on: On,
    call: CallTable,
    within: Duration,
    peers: bool,
}

#[derive(Clone, Debug)]
enum CallTable {
    Command(Vec<String>),
    Http {
        url: String,
        key: Option<SecretPlace>,
    },
}

/// As long as most people would wait at a prompt.
const WITHIN: Duration = Duration::from_secs(30);

/// A site that may not leave for so long is for a person.
const DEFER_AT_MOST: Duration = Duration::from_secs(30 * 60);

const FAILURES: [(&str, HookFailure); 2] =
    [("halt", HookFailure::Halt), ("go_on", HookFailure::GoOn)];

impl<'a> FromToml<'a> for HookTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<HookTable> {
        let mut table = Table::from_toml(value, findings)?;
        let name = table.required("name", "\"make-room\"", findings);
        let on = read_on(&mut table, findings);
        let call = read_call(&mut table, findings);
        let within: Option<Spanned<Duration>> = table.optional("within", findings);
        if let Some(zero) = within.as_ref().filter(|within| within.get_ref().is_zero()) {
            findings
                .error(zero.span(), "no call is over at once")
                .hint("write within = \"30s\"");
        }
        let sites = table.optional("sites", findings);
        let peers = table.optional("peers", findings).unwrap_or(false);
        if let Some(call) = &call {
            check_fields(&table, call, peers, findings);
        }
        table.finish(findings);
        Some(HookTable {
            name: name?,
            sites,
            on: on?,
            call: call?,
            within: within.map_or(WITHIN, Spanned::into_inner),
            peers,
        })
    }
}

/// The turning point, and the terms that only gates have.
fn read_on(table: &mut Table<'_>, findings: &mut Findings) -> Option<On> {
    let on: Option<Spanned<String>> = table.required("on", "\"before_withdraw\"", findings);
    let spans = ["failure", "defer_at_most"].map(|key| (key, table.span_of(key)));
    let failure = table.choice("failure", &FAILURES, HookFailure::Halt, findings);
    let defer_at_most = table.optional("defer_at_most", findings);
    let on = on?;
    let terms = Terms {
        failure,
        defer_at_most: defer_at_most.unwrap_or(DEFER_AT_MOST),
    };
    let gates = Gate::ALL.map(|gate| On::Gate(gate, terms));
    let cues = Cue::ALL.map(On::Cue);
    let mut all = gates.into_iter().chain(cues);
    let Some(found) = all.find(|known| known.as_str() == on.get_ref()) else {
        let names: Vec<&str> = gates.into_iter().chain(cues).map(On::as_str).collect();
        let message = format!("nothing of a rotation is called {:?}", on.get_ref());
        findings
            .error(on.span(), message)
            .hint(format!("use one of: {}", names.join(", ")))
            .nearest(on.get_ref(), names);
        return None;
    };
    if let On::Cue(cue) = found {
        for (key, span) in spans {
            if let Some(span) = span {
                let message = format!("nothing waits for a hook on {}", cue.as_str());
                let gates = Gate::ALL.map(Gate::as_str).join(", ");
                findings
                    .error(span, message)
                    .hint(format!("{key} is for {gates}: leave it out"));
            }
        }
    }
    Some(found)
}

fn read_call(table: &mut Table<'_>, findings: &mut Findings) -> Option<CallTable> {
    let span = table.span.clone();
    let key_span = table.span_of("key");
    let (has_command, has_http) = (table.has("command"), table.has("http"));
    let command: Option<Spanned<Vec<String>>> = table.optional("command", findings);
    let http: Option<Spanned<String>> = table.optional("http", findings);
    let key = table.optional("key", findings);
    let example = "command = [\"/etc/cleanslate/make-room\", \"{site}\"]";
    match (has_command, has_http) {
        (true, true) | (false, false) => {
            findings
                .error(span, "a hook has one of command and http")
                .hint(format!("{example}, or http = \"https://…\""));
            None
        }
        (true, false) => {
            if let Some(key_span) = key_span {
                findings
                    .error(key_span, "key signs what is posted, this hook is a command")
                    .hint("leave key out: a command is run, and knows by whom");
            }
            let command = command?;
            if command.get_ref().first().is_none_or(String::is_empty) {
                findings
                    .error(command.span(), "the command is empty")
                    .hint(format!("write {example}"));
            }
            Some(CallTable::Command(command.into_inner()))
        }
        (false, true) => {
            let url = http?;
            let parsed = reqwest::Url::parse(&filled(url.get_ref())).ok();
            let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none_or(|url| !url.has_host()) {
                findings
                    .error(url.span(), format!("{:?} is no URL", url.get_ref()))
                    .label("expected one like \"https://ops.example.com/make-room\"");
                return None;
            }
            let url = url.into_inner();
            Some(CallTable::Http { url, key })
        }
    }
}

/// As a URL with its fields filled in would read.
fn filled(url: &str) -> String {
    url.replace("{site}", "a").replace("{peer}", "b")
}

/// A field that nothing fills in would be sent as it is written.
fn check_fields(table: &Table<'_>, call: &CallTable, peers: bool, findings: &mut Findings) {
    let (texts, key): (Vec<&String>, &str) = match call {
        CallTable::Command(words) => (words.iter().collect(), "command"),
        CallTable::Http { url, .. } => (vec![url], "http"),
    };
    let names_a_peer = texts.iter().any(|text| text.contains("{peer}"));
    if names_a_peer && !peers {
        findings
            .error(table.span_of(key), "{peer} is filled in where peers = true")
            .hint("write peers = true: the hook is then called once for each other site");
    }
}

impl HookTable {
    /// Its key read; `None`: it is missing.
    pub(crate) fn resolve(&self, reading: &mut Reading<'_>) -> Option<Hook> {
        let call = match &self.call {
            CallTable::Command(words) => Call::Command(words.clone()),
            CallTable::Http { url, key } => Call::Http {
                url: url.clone(),
                key: match key {
                    None => None,
                    Some(key) => Some(reading.secret(key)?),
                },
            },
        };
        let sites = self.sites.as_ref().map(|sites| {
            let names = sites.iter().map(|site| site.get_ref().clone());
            names.collect()
        });
        Some(Hook {
            name: self.name.get_ref().clone(),
            on: self.on,
            call,
            within: self.within,
            sites,
            peers: self.peers,
        })
    }
}
