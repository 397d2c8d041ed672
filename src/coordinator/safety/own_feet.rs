//! A visit never stops what it stands on.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::coordinator::outcome::Problem;
use crate::model::fleet::{EngineAddress, Fleet, Host};
use crate::model::id::{HostName, ProjectName, ServiceName, SiteName};
use crate::model::inventory::{Container, Role};
use crate::model::playbook::Strays;
use crate::model::service::{Port, PublishedPort};

/// What a visit stands on, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feet {
    /// The servers that must agree, by configuration or by the zone's NS records.
    pub servers: Result<BTreeSet<SocketAddr>, Problem>,
    /// Where each registry of the fleet's images answers. One whose name has no address is
    /// missing: nothing is pulled from there either.
    pub registries: BTreeMap<String, BTreeSet<SocketAddr>>,
    /// The container that this process runs in, where an engine of the fleet has it among its
    /// projects'.
    pub own: Vec<OwnContainer>,
}

/// The coordinator's own container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnContainer {
    pub site: SiteName,
    pub host: HostName,
    pub container: Container,
}

impl Default for Feet {
    fn default() -> Feet {
        Feet {
            servers: Ok(BTreeSet::new()),
            registries: BTreeMap::new(),
            own: Vec::new(),
        }
    }
}

/// **own feet**: compares the addresses of primary, name servers and registries with the hosts
/// and published ports of the site's projects, and what goes there with the coordinator's own
/// container; kept services are not stopped and may match.
///
/// Returns every service that the visit would stop under its own feet, and why it cannot be told.
pub fn own_feet(fleet: &Fleet, site: &SiteName, feet: &Feet, strays: Strays) -> Vec<Problem> {
    let Some(declared) = fleet.sites.get(site) else {
        return Vec::new();
    };
    let mut problems: Vec<Problem> = feet.servers.as_ref().err().cloned().into_iter().collect();
    let needed = needed(fleet, feet);
    let addresses = fleet.all_addresses(site);
    for host in &declared.hosts {
        let here = addresses_of(host, &addresses);
        let stopped = host.projects.iter().flat_map(|project| {
            let services = project.services.iter().filter(|service| !service.is_kept());
            services.map(move |service| (project, service))
        });
        for (project, service) in stopped {
            let stands_on = |(_, ip, port): &&(String, IpAddr, u16)| {
                let ports = &service.container.ports;
                ports
                    .iter()
                    .any(|published| publishes(published, *port, *ip, &here))
            };
            for (what, _, _) in needed.iter().filter(stands_on) {
                problems.push(refused(&project.name, &service.name, &host.name, what));
            }
        }
        let own = feet.own.iter();
        let own = own.filter(|own| own.site == *site && own.host == host.name);
        for OwnContainer { container, .. } in own.filter(|own| goes(own, host, strays)) {
            let what = format!("the coordinator itself ({})", container.name);
            problems.push(refused(
                &container.project,
                &container.service,
                &host.name,
                &what,
            ));
        }
    }
    problems
}

fn refused(project: &ProjectName, service: &ServiceName, host: &HostName, what: &str) -> Problem {
    Problem {
        what: format!("own feet: {project}/{service} on {host} is {what}, which this visit needs"),
        cure: "keep that service: `x-cleanslate: { recreate: keep }`, or move it out of this site"
            .to_owned(),
        is_transient: false,
    }
}

/// Whether a visit stops this container. What it is follows from what is declared: the inventory
/// does not know that the keeping was lifted.
fn goes(own: &OwnContainer, host: &Host, strays: Strays) -> bool {
    let container = &own.container;
    let mut projects = host.projects.iter();
    let project = projects.find(|project| project.name == container.project);
    match container.role {
        Role::Stray => strays == Strays::Remove,
        Role::Recreated | Role::Kept => {
            let service = project.and_then(|project| project.service(&container.service));
            service.is_none_or(|service| !service.is_kept())
        }
    }
}

/// What a visit asks, by name, address and port.
fn needed(fleet: &Fleet, feet: &Feet) -> BTreeSet<(String, IpAddr, u16)> {
    let primary = ("the DNS primary".to_owned(), fleet.dns.server);
    let servers = feet.servers.iter().flatten();
    let servers = servers.filter(|server| **server != fleet.dns.server);
    let servers = servers.map(|server| (format!("the name server {server}"), *server));
    let registries = feet.registries.iter().flat_map(|(registry, addresses)| {
        let what = format!("the registry {registry}");
        addresses
            .iter()
            .map(move |address| (what.clone(), *address))
    });
    let all = std::iter::once(primary).chain(servers).chain(registries);
    all.map(|(what, address)| (what, address.ip(), address.port()))
        .collect()
}

/// Where the ports are that a host publishes; an engine behind a local socket publishes them on
/// this machine.
fn addresses_of(host: &Host, of_site: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let mut here = of_site.clone();
    match &host.engine {
        EngineAddress::Tcp(engine) => {
            here.insert(engine.ip());
        }
        EngineAddress::Unix(_) => {
            here.extend([
                IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::from(Ipv6Addr::LOCALHOST),
            ]);
        }
    }
    here
}

fn publishes(port: &Port, wanted: u16, at: IpAddr, here: &BTreeSet<IpAddr>) -> bool {
    let is_there = match port.host_ip {
        Some(ip) if !ip.is_unspecified() => ip == at,
        Some(_) | None => here.contains(&at),
    };
    let is_wanted = match port.published {
        Some(PublishedPort::Fixed(port)) => port == wanted,
        Some(PublishedPort::Range(from, to)) => (from..=to).contains(&wanted),
        None => false,
    };
    is_there && is_wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{World, fleet, playbook, problem, site};
    use crate::model::service::{Keep, Protocol};

    #[test]
    fn a_name_server_that_the_zone_names_is_not_stopped() {
        let fleet = publishing(53);
        let servers = ["10.0.0.53:53", "192.0.2.1:53", "192.0.2.2:53"];
        let feet = Feet {
            servers: Ok(servers.map(|server| server.parse().unwrap()).into()),
            ..Feet::default()
        };
        let of = |name: &str| whats(&fleet, name, &feet);
        let stands_on = |host: &str, server: &str| {
            format!(
                "own feet: edge/web on {host} is the name server {server}, which this visit needs"
            )
        };
        assert_eq!(of("fra"), [stands_on("fra1", "192.0.2.1:53")]);
        assert_eq!(of("nyc"), [stands_on("nyc1", "192.0.2.2:53")]);
        assert_eq!(of("sin"), [""; 0]);
        assert_eq!(whats(&publishing(54), "fra", &feet), [""; 0]);
    }

    #[test]
    fn name_servers_that_are_not_known_cannot_be_compared() {
        let feet = Feet {
            servers: Err(problem("no NS record")),
            ..Feet::default()
        };
        assert_eq!(whats(&fleet(), "fra", &feet), ["no NS record"]);
    }

    #[test]
    fn a_registry_is_not_stopped_by_whichever_name_it_is_called() {
        let addresses = ["198.51.100.9:5000", "192.0.2.3:5000"];
        let addresses = addresses.map(|address| address.parse().unwrap()).into();
        let feet = Feet {
            registries: BTreeMap::from([("registry.test:5000".to_owned(), addresses)]),
            ..Feet::default()
        };
        let fleet = publishing(5000);
        assert_eq!(
            whats(&fleet, "sin", &feet),
            [
                "own feet: edge/web on sin1 is the registry registry.test:5000, which this visit \
                 needs"
            ]
        );
        assert_eq!(whats(&fleet, "fra", &feet), [""; 0]);
    }

    #[test]
    fn the_coordinators_own_container_is_not_stopped_unless_it_is_kept() {
        let mut fleet = fleet();
        let world = World::of(fleet.clone(), playbook());
        let host: HostName = "nyc1".parse().unwrap();
        let own = |role| {
            let mut container = world.engines[&host][0].clone();
            container.role = role;
            Feet {
                own: vec![OwnContainer {
                    site: site("nyc"),
                    host: host.clone(),
                    container,
                }],
                ..Feet::default()
            }
        };
        let refused = "own feet: edge/web on nyc1 is the coordinator itself (edge-web-1), which \
                       this visit needs";
        assert_eq!(whats(&fleet, "nyc", &own(Role::Recreated)), [refused]);
        assert_eq!(whats(&fleet, "fra", &own(Role::Recreated)), [""; 0]);
        assert_eq!(whats(&fleet, "nyc", &own(Role::Stray)), [""; 0]);
        let removed = own_feet(&fleet, &site("nyc"), &own(Role::Stray), Strays::Remove);
        assert_eq!(removed.len(), 1);
        let of_nyc = &mut fleet.sites.get_mut(&site("nyc")).unwrap().hosts[0];
        of_nyc.projects[0].services[0].keep = Keep::Yes;
        assert_eq!(whats(&fleet, "nyc", &own(Role::Kept)), [""; 0]);
        let lifted = fleet.with_kept_lifted(&site("nyc"));
        assert_eq!(whats(&lifted, "nyc", &own(Role::Kept)), [refused]);
    }

    fn whats(fleet: &Fleet, name: &str, feet: &Feet) -> Vec<String> {
        let problems = own_feet(fleet, &site(name), feet, Strays::Report);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    /// Every site's web service publishes this port.
    fn publishing(port: u16) -> Fleet {
        let mut fleet = fleet();
        for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
            host.projects[0].services[0].container.ports = vec![Port {
                host_ip: None,
                published: Some(PublishedPort::Fixed(port)),
                target: 80,
                protocol: Protocol::Tcp,
            }];
        }
        fleet
    }
}
