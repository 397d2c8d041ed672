//! Host ports: each can be published once. Within a project the Compose reader sees to it; here
//! projects are held against each other.
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::diagnostic::{Diagnostic, Severity};
use crate::model::fleet::{EngineAddress, Fleet};
use crate::model::id::{ProjectName, ServiceName};
use crate::model::service::{NetworkMode, Port, Project, Protocol, PublishedPort, Service};

/// A fixed port that a service publishes.
struct Publication<'f> {
    project: &'f ProjectName,
    service: &'f ServiceName,
    host_ip: Option<IpAddr>,
}

/// Finds ports that two projects of one engine would fight for.
pub(super) fn check(fleet: &Fleet, findings: &mut Vec<Diagnostic>) {
    let mut engines: BTreeMap<&EngineAddress, BTreeMap<(u16, Protocol), Vec<Publication<'_>>>> =
        BTreeMap::new();
    for host in fleet.sites.values().flat_map(|site| &site.hosts) {
        let taken = engines.entry(&host.engine).or_default();
        for project in &host.projects {
            for service in &project.services {
                check_service(project, service, taken, findings);
            }
        }
    }
}

fn check_service<'f>(
    project: &'f Project,
    service: &'f Service,
    taken: &mut BTreeMap<(u16, Protocol), Vec<Publication<'f>>>,
    findings: &mut Vec<Diagnostic>,
) {
    if service.container.network_mode == NetworkMode::Host {
        return;
    }
    for (number, port) in fixed(&service.container.ports) {
        let publication = Publication {
            project: &project.name,
            service: &service.name,
            host_ip: port.host_ip,
        };
        let others = taken.entry((number, port.protocol)).or_default();
        if let Some(other) = others
            .iter()
            .find(|other| overlaps(other.host_ip, port.host_ip))
        {
            let message = format!(
                "{}/{} and {}/{} both publish port {number} of a host",
                other.project, other.service, project.name, service.name
            );
            findings.push(error(
                project,
                message,
                "give one of them another port".to_owned(),
            ));
        }
        others.push(publication);
    }
}

fn fixed(ports: &[Port]) -> impl Iterator<Item = (u16, &Port)> {
    ports.iter().filter_map(|port| match port.published {
        Some(PublishedPort::Fixed(number)) => Some((number, port)),
        Some(PublishedPort::Range(..)) | None => None,
    })
}

/// Whether two bindings of one port collide: the same address, or one that means all.
fn overlaps(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one == other
                || one.is_ipv4() == other.is_ipv4()
                    && (one.is_unspecified() || other.is_unspecified())
        }
        (None, _) | (_, None) => true,
    }
}

fn error(project: &Project, message: String, hint: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        path: project.config_files.first().cloned().unwrap_or_default(),
        span: None,
        message,
        label: None,
        hint: Some(hint),
    }
}
