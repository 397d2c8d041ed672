//! `[project.NAME]`, and the order in which projects start.
use std::collections::BTreeMap;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{FromToml, Table, Value};
use super::fleet::ComposeFiles;
use crate::model::id::ProjectName;
use crate::model::service::Keep;

/// `[project.NAME]` as written.
#[derive(Clone, Debug)]
pub(crate) struct ProjectTable {
    pub(crate) compose: ComposeFiles,
    pub(crate) after: Vec<Spanned<ProjectName>>,
    /// `recreate = "keep"`.
    pub(crate) keep: Keep,
}

impl<'a> FromToml<'a> for ProjectTable {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<ProjectTable> {
        let mut table = Table::from_toml(value, findings)?;
        let compose = table.required("compose", "\"compose.yaml\"", findings);
        let after = table.optional("after", findings);
        let words = [("always", Keep::No), ("keep", Keep::Yes)];
        let keep = table.choice("recreate", &words, Keep::No, findings);
        table.finish(findings);
        Some(ProjectTable {
            compose: compose?,
            after: after.unwrap_or_default(),
            keep,
        })
    }
}

/// The projects in the order in which they start: each stands behind those it is `after`.
pub(crate) fn start_order(
    projects: &BTreeMap<ProjectName, ProjectTable>,
    findings: &mut Findings,
) -> Vec<ProjectName> {
    let mut order: Vec<ProjectName> = Vec::new();
    loop {
        let can_start = |(name, table): &(&ProjectName, &ProjectTable)| {
            let waits = |after: &Spanned<ProjectName>| {
                projects.contains_key(after.get_ref()) && !order.contains(after.get_ref())
            };
            !order.contains(name) && !table.after.iter().any(waits)
        };
        match projects.iter().find(can_start) {
            Some((name, _)) => order.push(name.clone()),
            None => break,
        }
    }
    report_bad_after(projects, &order, findings);
    order
}

fn report_bad_after(
    projects: &BTreeMap<ProjectName, ProjectTable>,
    order: &[ProjectName],
    findings: &mut Findings,
) {
    for (name, table) in projects {
        for after in &table.after {
            let known = projects.keys().map(ProjectName::as_str);
            if !projects.contains_key(after.get_ref()) {
                let message = format!("there is no project {}", after.get_ref());
                findings
                    .error(after.span(), message)
                    .nearest(after.get_ref().as_str(), known);
            } else if !order.contains(name) && !order.contains(after.get_ref()) {
                let message = format!("{name} and {} wait for each other", after.get_ref());
                findings
                    .error(after.span(), message)
                    .label("part of a circle: nothing of it could start");
            }
        }
    }
}
