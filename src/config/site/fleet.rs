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
    pub(crate) compose: Option<ComposeFiles>,
    pub(crate) playbooks: Option<Spanned<String>>,
    pub(crate) min_in_service: Option<Spanned<u32>>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) vars: Vars,
}

/// The Compose files of a project, each merged over those before it; one alone is a list of one.
#[derive(Clone, Debug)]
pub(crate) struct ComposeFiles(pub(crate) Vec<Spanned<String>>);

impl ComposeFiles {
    /// Where they are named.
    pub(crate) fn span(&self) -> std::ops::Range<usize> {
        let ends = self.0.first().zip(self.0.last());
        ends.map(|(first, last)| first.span().start..last.span().end)
            .unwrap_or_default()
    }
}

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

impl<'a> FromToml<'a> for ComposeFiles {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ComposeFiles> {
        if value.toml.is_str() {
            return Spanned::from_toml(value, findings).map(|file| ComposeFiles(vec![file]));
        }
        if !value.toml.is_array() {
            value.wrong_kind(
                "a file, like \"compose.yaml\", or a list of files",
                findings,
            );
            return None;
        }
        let span = value.span.clone();
        let files: Vec<Spanned<String>> = Vec::from_toml(value, findings)?;
        if files.is_empty() {
            findings
                .error(span, "no Compose file is named")
                .hint("write compose = \"compose.yaml\"");
            return None;
        }
        for (at, file) in files.iter().enumerate() {
            if files[..at]
                .iter()
                .any(|other| other.get_ref() == file.get_ref())
            {
                let message = format!("{:?} is named twice", file.get_ref());
                findings.error(file.span(), message);
            }
        }
        Some(ComposeFiles(files))
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
