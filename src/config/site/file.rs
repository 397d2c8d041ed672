//! The whole of `site.toml`.
use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Named, Table, Value};
use super::api::ApiTable;
use super::channel::ChannelTable;
use super::dns::DnsTable;
use super::fleet::FleetTable;
use super::hook::HookTable;
use super::notify::NotifyTable;
use super::probe::ProbeTable;
use super::project::ProjectTable;
use super::registry::{RegistryHost, RegistryTable};
use super::sites::SiteTable;
use crate::model::fleet::{Freeze, Traces};
use crate::model::id::{Channel, ProjectName, SiteName};
use crate::model::release::Terms;

/// `site.toml` as written, every table well-formed by itself.
#[derive(Clone, Debug)]
pub(crate) struct SiteFile {
    pub(crate) fleet: FleetTable,
    pub(crate) dns: DnsTable,
    pub(crate) registries: Named<RegistryHost, RegistryTable>,
    pub(crate) probes: Vec<ProbeTable>,
    pub(crate) freezes: Vec<Freeze>,
    pub(crate) notifies: Vec<NotifyTable>,
    pub(crate) hooks: Vec<HookTable>,
    pub(crate) api: Option<ApiTable>,
    pub(crate) channels: Named<Channel, ChannelTable>,
    pub(crate) release: Terms,
    pub(crate) release_span: Option<Range<usize>>,
    pub(crate) traces: Option<Traces>,
    pub(crate) measures_traffic: bool,
    pub(crate) projects: Named<ProjectName, ProjectTable>,
    pub(crate) sites: Named<SiteName, SiteTable>,
}

impl SiteFile {
    /// Reads every table, so that the mistakes of all are found at once.
    pub(crate) fn read(mut root: Table<'_>, findings: &mut Findings) -> Option<SiteFile> {
        let fleet = root.required("fleet", "[fleet] with name = \"edge\"", findings);
        let dns = root.required(
            "dns",
            "[dns] with server, zone, records, ttl and key",
            findings,
        );
        let registries = root.optional("registry", findings);
        let probes = root.optional::<Tables<ProbeTable>>("probe", findings);
        let freezes = root.optional::<Tables<Freeze>>("freeze", findings);
        let notifies = root.optional::<Tables<NotifyTable>>("notify", findings);
        let hooks = root.optional::<Tables<HookTable>>("hook", findings);
        let api = root.optional("api", findings);
        let channels = root.optional("channel", findings);
        let release = root.optional("release", findings);
        let release_span = root.span_of("release");
        let traces = root.optional("traces", findings);
        let traffic = root.optional::<TrafficTable>("traffic", findings);
        let projects = root.optional("project", findings);
        let sites = root.required("site", "[site.NAME] for each site", findings);
        root.finish(findings);
        Some(SiteFile {
            fleet: fleet?,
            dns: dns?,
            registries: registries.unwrap_or_default(),
            probes: probes.map(|probes| probes.0).unwrap_or_default(),
            freezes: freezes.map(|freezes| freezes.0).unwrap_or_default(),
            notifies: notifies.map(|notifies| notifies.0).unwrap_or_default(),
            hooks: hooks.map(|hooks| hooks.0).unwrap_or_default(),
            api,
            channels: channels.unwrap_or_default(),
            release: release.unwrap_or_default(),
            release_span,
            traces,
            measures_traffic: traffic.is_some_and(|traffic| traffic.engine),
            projects: projects.unwrap_or_default(),
            sites: sites?,
        })
    }

    /// The projects by name.
    pub(crate) fn projects_by_name(&self) -> BTreeMap<ProjectName, ProjectTable> {
        let entry = |(name, table): &(Spanned<ProjectName>, ProjectTable)| {
            (name.get_ref().clone(), table.clone())
        };
        self.projects.0.iter().map(entry).collect()
    }
}

/// `[[probe]]`, which is easily written `[probe]`.
struct Tables<T>(Vec<T>);

impl<'a, T: FromToml<'a>> FromToml<'a> for Tables<T> {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Tables<T>> {
        if value.toml.is_table() {
            let name = value.name.trim_matches(['[', ']']);
            let (what, cure) = (
                format!("[[{name}]] is a list"),
                format!("write [[{name}]], with two brackets"),
            );
            findings.error(value.span, what).hint(cure);
            return None;
        }
        Vec::from_toml(value, findings).map(Tables)
    }
}

/// `[traffic]` as written.
struct TrafficTable {
    engine: bool,
}

impl<'a> FromToml<'a> for TrafficTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<TrafficTable> {
        let mut table = Table::from_toml(value, findings)?;
        let engine = table.required("engine", "true", findings);
        table.finish(findings);
        Some(TrafficTable { engine: engine? })
    }
}
