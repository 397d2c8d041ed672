//! `[fleet]`.
use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use super::vars::Vars;
use crate::model::id::{Channel, FleetName};

/// `[fleet]` as written.
#[derive(Clone, Debug)]
pub(crate) struct FleetTable {
    pub(crate) span: std::ops::Range<usize>,
    pub(crate) name: FleetName,
    /// Short form of one `[project]`.
    pub(crate) compose: Option<ComposeFile>,
    pub(crate) playbooks: Option<Spanned<String>>,
    pub(crate) min_in_service: Option<Spanned<u32>>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) vars: Vars,
}

/// The Compose file of a project; a list of one is the same.
#[derive(Clone, Debug)]
pub(crate) struct ComposeFile(pub(crate) Spanned<String>);

impl<'a> FromToml<'a> for FleetTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<FleetTable> {
        let mut table = Table::from_toml(value, findings)?;
        let span = table.span.clone();
        let name = table.required("name", "\"edge\"", findings);
        let compose = table.optional("compose", findings);
        let playbooks = table.optional("playbooks", findings);
        let min_in_service = table.optional("min_in_service", findings);
        let channels = read_channels(&mut table, findings);
        let vars = table.optional("vars", findings).unwrap_or_default();
        table.finish(findings);
        Some(FleetTable {
            span,
            name: name?,
            compose,
            playbooks,
            min_in_service,
            channels: channels?,
            vars,
        })
    }
}

impl<'a> FromToml<'a> for ComposeFile {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ComposeFile> {
        if value.toml.is_str() {
            return Spanned::from_toml(value, findings).map(ComposeFile);
        }
        if !value.toml.is_array() {
            value.wrong_kind("a file, like \"compose.yaml\"", findings);
            return None;
        }
        let span = value.span.clone();
        let mut files: Vec<Spanned<String>> = Vec::from_toml(value, findings)?;
        match (files.pop(), files.is_empty()) {
            (Some(file), true) => Some(ComposeFile(file)),
            (None, _) => {
                findings
                    .error(span, "no Compose file is named")
                    .hint("write compose = \"compose.yaml\"");
                None
            }
            (Some(_), false) => {
                findings.error(span, "a project is read from one Compose file").hint(
                    "merge them with `docker compose -f A -f B config --no-interpolate`, or make \
                     each a [project.NAME]",
                );
                None
            }
        }
    }
}

/// A fleet that names no channel has one, `master`.
fn read_channels(table: &mut Table<'_>, findings: &mut Findings) -> Option<Vec<Channel>> {
    if !table.has("channels") {
        table.optional::<Vec<Channel>>("channels", findings);
        return "master".parse().ok().map(|master| vec![master]);
    }
    let written: Spanned<Vec<Spanned<Channel>>> = table.optional("channels", findings)?;
    if written.get_ref().is_empty() {
        findings
            .error(written.span(), "a fleet has at least one channel")
            .hint("write channels = [\"master\"], or leave the key out");
        return None;
    }
    let mut channels: Vec<Channel> = Vec::new();
    for channel in written.into_inner() {
        if channels.contains(channel.get_ref()) {
            let message = format!("the channel {} stands here twice", channel.get_ref());
            findings.error(channel.span(), message);
            return None;
        }
        channels.push(channel.into_inner());
    }
    Some(channels)
}
