//! Sites and hosts, with what each host runs.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_spanned::Spanned;

use super::super::compose::{Request, read};
use super::super::diagnostic::{Diagnostic, Findings};
use super::super::reading::{Reading, quoted};
use super::super::site::SiteFile;
use super::super::site::env_file::read_env_file;
use super::super::site::fleet::ComposeFiles;
use super::super::site::pin::PinTable;
use super::super::site::project::{ProjectTable, start_order};
use super::super::site::sites::{HostTable, SiteTable};
use super::super::site::vars::{Values, plain, values_of};
use super::names::check_channel;
use crate::model::fleet::{Host, Site};
use crate::model::id::{Channel, ProjectName, SiteName};
use crate::model::service::{Keep, Project};

/// What every host's projects are made of.
pub(super) struct Hosts<'f> {
    file: &'f SiteFile,
    declared: Vec<Declared<'f>>,
    fleet_vars: Values,
}

/// A project of the file; the short form's has no name of its own.
struct Declared<'f> {
    name: Option<ProjectName>,
    compose: &'f ComposeFiles,
    after: Vec<ProjectName>,
    keep: Keep,
}

impl<'f> Hosts<'f> {
    /// Finds the projects, in the order in which they start.
    pub(super) fn new(file: &'f SiteFile, reading: &mut Reading<'_>) -> Hosts<'f> {
        Hosts {
            file,
            declared: declared_projects(file, &mut reading.findings)
                .into_iter()
                .filter(|declared| is_there(declared.compose, reading))
                .collect(),
            fleet_vars: values_of(&file.fleet.vars, reading),
        }
    }

    /// Every site with its hosts. What was found in Compose files is added to `elsewhere`.
    pub(super) fn resolve(
        &self,
        reading: &mut Reading<'_>,
        elsewhere: &mut Vec<Diagnostic>,
    ) -> BTreeMap<SiteName, Site> {
        let mut sites = BTreeMap::new();
        for (name, table) in &self.file.sites.0 {
            let site = self.site(name.get_ref(), table, reading, elsewhere);
            sites.insert(name.get_ref().clone(), site);
        }
        sites
    }

    fn site(
        &self,
        name: &SiteName,
        table: &SiteTable,
        reading: &mut Reading<'_>,
        elsewhere: &mut Vec<Diagnostic>,
    ) -> Site {
        let channel = self.channel(table.channel.as_ref(), None, &mut reading.findings);
        let mut values = match &table.env_file {
            Some(written) => read_env_file(written, reading),
            None => Values::new(),
        };
        values.extend(self.fleet_vars.clone());
        values.extend(values_of(&table.vars, reading));
        values.insert("SITE".to_owned(), plain(name.as_str()));
        let hosts = table.hosts.iter();
        Site {
            name: name.clone(),
            in_floor: table.in_floor,
            quiet: table.quiet.clone(),
            pin: table.pin.as_ref().map(PinTable::resolve),
            addresses: table
                .addresses
                .iter()
                .map(|address| *address.get_ref())
                .collect(),
            hosts: hosts
                .map(|host| self.host(host, &channel, values.clone(), reading, elsewhere))
                .collect(),
            channel,
        }
    }

    fn host(
        &self,
        table: &HostTable,
        of_site: &Channel,
        mut values: Values,
        reading: &mut Reading<'_>,
        elsewhere: &mut Vec<Diagnostic>,
    ) -> Host {
        let channel = self.channel(table.channel.as_ref(), Some(of_site), &mut reading.findings);
        values.extend(values_of(&table.vars, reading));
        values.insert("CHANNEL".to_owned(), plain(channel.as_str()));
        values.insert("HOST".to_owned(), plain(table.name.get_ref().as_str()));
        self.check_projects(table, &mut reading.findings);
        let runs = |declared: &&Declared<'_>| runs(table, declared);
        let mut projects: Vec<Project> = Vec::new();
        for declared in self.declared.iter().filter(runs) {
            let request = self.request(declared, values.clone(), reading);
            let (project, diagnostics) = read(&request, reading.sources);
            elsewhere.extend(diagnostics);
            projects.extend(project);
        }
        Host {
            name: table.name.get_ref().clone(),
            engine: table.engine.get_ref().clone(),
            channel,
            address: table.address.as_ref().map(|address| *address.get_ref()),
            projects,
        }
    }

    fn request(
        &self,
        declared: &Declared<'_>,
        variables: Values,
        reading: &Reading<'_>,
    ) -> Request {
        Request {
            files: paths(declared.compose, reading),
            name: declared.name.clone(),
            fallback_name: ProjectName::from(&self.file.fleet.name),
            variables,
            after: declared.after.iter().cloned().collect(),
            keep: declared.keep,
        }
    }

    /// The channel that holds: the one written, else the one above, else the fleet's last.
    fn channel(
        &self,
        written: Option<&Spanned<Channel>>,
        above: Option<&Channel>,
        findings: &mut Findings,
    ) -> Channel {
        if let Some(written) = written {
            check_channel(written, self.file, findings);
            return written.get_ref().clone();
        }
        let last = || self.file.fleet.channels[self.file.fleet.channels.len() - 1].clone();
        above.cloned().unwrap_or_else(last)
    }

    fn check_projects(&self, host: &HostTable, findings: &mut Findings) {
        let named = || {
            self.declared
                .iter()
                .filter_map(|declared| declared.name.as_ref())
        };
        for project in host.projects.iter().flatten() {
            if named().any(|name| name == project.get_ref()) {
                continue;
            }
            let finding = findings.error(
                project.span(),
                format!("there is no project {}", project.get_ref()),
            );
            if named().next().is_none() {
                finding.hint("[fleet].compose is one project, on every host: write [project.NAME]");
            } else {
                finding.nearest(project.get_ref().as_str(), named().map(ProjectName::as_str));
            }
        }
        if host.projects.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("the host {} runs no project", host.name.get_ref());
            findings
                .error(host.name.span(), message)
                .hint("leave projects out to run all");
        }
    }
}

fn runs(host: &HostTable, declared: &Declared<'_>) -> bool {
    match (&host.projects, &declared.name) {
        (None, _) => true,
        (Some(listed), Some(name)) => listed.iter().any(|project| project.get_ref() == name),
        (Some(_), None) => false,
    }
}

fn declared_projects<'f>(file: &'f SiteFile, findings: &mut Findings) -> Vec<Declared<'f>> {
    let order = start_order(&file.projects_by_name(), findings);
    match (&file.fleet.compose, order.is_empty()) {
        (Some(compose), true) => vec![Declared {
            name: None,
            compose,
            after: Vec::new(),
            keep: Keep::No,
        }],
        (Some(files), false) => {
            findings
                .error(files.span(), "the fleet has both compose and [project]")
                .hint("move it into a [project.NAME] of its own");
            Vec::new()
        }
        (None, true) if file.projects.0.is_empty() => {
            findings
                .error(file.fleet.span.clone(), "nothing says what the sites run")
                .hint("add compose = \"compose.yaml\"");
            Vec::new()
        }
        (None, true | false) => order
            .iter()
            .filter_map(|name| declared(name, file))
            .collect(),
    }
}

fn paths(ComposeFiles(files): &ComposeFiles, reading: &Reading<'_>) -> Vec<PathBuf> {
    let paths = files.iter().map(|file| reading.path(file.get_ref()));
    paths.collect()
}

/// Whether all Compose files can be read; said where `site.toml` names them, once.
fn is_there(ComposeFiles(files): &ComposeFiles, reading: &mut Reading<'_>) -> bool {
    let mut is_there = true;
    for file in files {
        let path = reading.path(file.get_ref());
        if let Err(error) = reading.sources.read_text(&path) {
            let message = format!("cannot read {}: {error}", quoted(&path));
            reading.findings.error(file.span(), message);
            is_there = false;
        }
    }
    is_there
}

fn declared<'f>(name: &ProjectName, file: &'f SiteFile) -> Option<Declared<'f>> {
    let (_, table): &(_, ProjectTable) = file
        .projects
        .0
        .iter()
        .find(|(project, _)| project.get_ref() == name)?;
    Some(Declared {
        name: Some(name.clone()),
        compose: &table.compose,
        after: table
            .after
            .iter()
            .map(|after| after.get_ref().clone())
            .collect(),
        keep: table.keep,
    })
}
