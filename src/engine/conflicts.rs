//! Ports and names that a visit needs and that somebody else holds.
//!
//! The engine knows its containers only: a port held by a process outside of them shows at the
//! start, not here.
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::adapter::Errand;
use super::body::protocol_name;
use super::labels;
use super::survey::{HeldPort, Listed, Stage};
use crate::coordinator::effect::Preparation;
use crate::coordinator::outcome::Problem;
use crate::model::id::ProjectName;
use crate::model::service::{NetworkMode, Port, Protocol, PublishedPort, Service};

impl Errand<'_> {
    /// Every port, by the service that needs it, that somebody holds who stays.
    pub(super) fn port_problems(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Vec<Problem> {
        let stays = |container: &&Listed| {
            container.stage == Stage::Running && !preparation.leaving.contains(&container.id)
        };
        let mut claims: Vec<Claim> = listed.iter().filter(stays).flat_map(Claim::held).collect();
        let mut problems = Vec::new();
        for (project, service) in self.context.recreated() {
            if service.container.network_mode == NetworkMode::Host {
                continue;
            }
            for number in 1..=service.replicas {
                let name = service.container_name(&project.name, number);
                for port in &service.container.ports {
                    match wanted(port, &claims) {
                        Wanted::Free(taken) => claims.extend(taken.map(|port| Claim {
                            by: format!("container {name}, which this visit makes too"),
                            port,
                        })),
                        Wanted::Held(by) => {
                            problems.push(self.port_problem(&project.name, service, port, &by));
                        }
                    }
                }
            }
        }
        problems.dedup();
        problems
    }

    /// Every container name that somebody holds who stays.
    pub(super) fn name_problems(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Vec<Problem> {
        let stays = listed
            .iter()
            .filter(|container| !preparation.leaving.contains(&container.id));
        let holders: BTreeMap<&str, &Listed> = stays
            .map(|container| (container.name.as_str(), container))
            .collect();
        let mut problems = Vec::new();
        for (project, service) in self.context.recreated() {
            for number in 1..=service.replicas {
                let name = service.container_name(&project.name, number);
                if let Some(holder) = holders.get(name.as_str()) {
                    problems.push(self.refuse(
                        &format!(
                            "the name {name}, for service {} of project {}, is held by {}",
                            service.name,
                            project.name,
                            holder.describe()
                        ),
                        format!("remove or rename it: docker rename {name} NEW"),
                    ));
                }
            }
        }
        problems
    }

    /// Who met a container of a higher epoch, or of the same epoch and another hold, has been
    /// superseded.
    pub(super) fn fence(&self, listed: &[Listed], preparation: &Preparation) -> Option<Problem> {
        let later = listed.iter().find_map(|container| {
            let mark = labels::mark(&container.labels)?;
            let is_later = mark.epoch > preparation.epoch
                || (mark.epoch == preparation.epoch && mark.hold != preparation.hold);
            (mark.fleet == self.context.fleet && is_later).then_some((container, mark))
        })?;
        let (container, mark) = later;
        Some(self.refuse(
            &format!(
                "{} was made in epoch {} of hold {}; this is epoch {} of hold {}",
                container.describe(),
                mark.epoch,
                mark.hold,
                preparation.epoch,
                preparation.hold
            ),
            "another coordinator has taken over: look at cleanslate status there",
        ))
    }

    fn port_problem(
        &self,
        project: &ProjectName,
        service: &Service,
        port: &Port,
        by: &str,
    ) -> Problem {
        let ip = port.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
        let published = match port.published {
            None => String::new(),
            Some(PublishedPort::Fixed(port)) => port.to_string(),
            Some(PublishedPort::Range(first, last)) => format!("{first}-{last}"),
        };
        self.refuse(
            &format!(
                "port {ip}{published}/{}, for service {} of project {project}, is held by {by}",
                protocol_name(port.protocol),
                service.name
            ),
            "stop what holds it, or publish another port",
        )
    }
}

/// A port of the host and who holds it.
struct Claim {
    by: String,
    port: HeldPort,
}

impl Claim {
    fn held(container: &Listed) -> impl Iterator<Item = Claim> {
        let claim = |port: &HeldPort| Claim {
            by: container.describe(),
            port: *port,
        };
        container.ports.iter().map(claim)
    }
}

enum Wanted {
    /// Nobody holds it; the fixed port that is taken by that.
    Free(Option<HeldPort>),
    Held(String),
}

/// Of a range the engine takes whichever port is free, so only a range without one is held.
fn wanted(port: &Port, claims: &[Claim]) -> Wanted {
    let ip = port.host_ip.filter(|ip| !ip.is_unspecified());
    let holder = |number: u16| {
        let held = claims
            .iter()
            .find(|claim| overlaps(claim.port, (ip, number, port.protocol)));
        held.map(|claim| claim.by.clone())
    };
    match port.published {
        None => Wanted::Free(None),
        Some(PublishedPort::Fixed(number)) => match holder(number) {
            Some(by) => Wanted::Held(by),
            None => Wanted::Free(Some(HeldPort {
                ip,
                port: number,
                protocol: port.protocol,
            })),
        },
        Some(PublishedPort::Range(first, last)) => {
            let holders: Vec<Option<String>> = (first..=last).map(holder).collect();
            match holders.into_iter().collect::<Option<Vec<String>>>() {
                Some(all) => Wanted::Held(all.join(", ")),
                None => Wanted::Free(None),
            }
        }
    }
}

/// A port on every address is the same as that port on any of them.
fn overlaps(held: HeldPort, (ip, port, protocol): (Option<IpAddr>, u16, Protocol)) -> bool {
    let addresses_meet = match (held.ip, ip) {
        (Some(held), Some(wanted)) => held == wanted,
        (None, Some(_) | None) | (Some(_), None) => true,
    };
    held.port == port && held.protocol == protocol && addresses_meet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(ip: Option<&str>, port: u16) -> Claim {
        Claim {
            by: format!("holder of {port}"),
            port: HeldPort {
                ip: ip.map(|ip| ip.parse().unwrap()),
                port,
                protocol: Protocol::Tcp,
            },
        }
    }

    fn is_held(claims: &[Claim], ip: Option<&str>, published: PublishedPort) -> bool {
        let port = Port {
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            published: Some(published),
            target: 80,
            protocol: Protocol::Tcp,
        };
        matches!(wanted(&port, claims), Wanted::Held(_))
    }

    #[test]
    fn a_port_on_every_address_meets_that_port_on_any() {
        let everywhere = [claim(None, 80)];
        let local = [claim(Some("127.0.0.1"), 80)];
        assert!(is_held(
            &everywhere,
            Some("10.0.0.1"),
            PublishedPort::Fixed(80)
        ));
        assert!(is_held(&local, None, PublishedPort::Fixed(80)));
        assert!(is_held(&local, Some("0.0.0.0"), PublishedPort::Fixed(80)));
        assert!(is_held(&local, Some("127.0.0.1"), PublishedPort::Fixed(80)));
        assert!(!is_held(
            &local,
            Some("127.0.0.2"),
            PublishedPort::Fixed(80)
        ));
        assert!(!is_held(&everywhere, None, PublishedPort::Fixed(81)));
    }

    #[test]
    fn a_range_is_held_only_as_a_whole() {
        let claims = [claim(None, 8000), claim(None, 8001)];
        assert!(is_held(&claims, None, PublishedPort::Range(8000, 8001)));
        assert!(!is_held(&claims, None, PublishedPort::Range(8000, 8002)));
    }
}
