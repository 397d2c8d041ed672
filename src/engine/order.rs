//! One container to be made: from its declaration to what the engine answered.
use std::collections::BTreeMap;

use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::adapter::Errand;
use super::body::{Blueprint, Names, Place, create_body, endpoint};
use super::client::CHANGE;
use super::fault::Fault;
use super::labels;
use super::make::Ledger;
use super::networks::NetworkKey;
use super::prepare::Ground;
use super::spec_hash;
use super::survey::Listed;
use super::volumes::names;
use crate::coordinator::effect::{Made, Preparation};
use crate::coordinator::outcome::Problem;
use crate::model::id::{ContainerId, ProjectName, ServiceName};
use crate::model::inventory::Role;
use crate::model::service::{Attachment, NetworkMode, Project, Service, SharedVolumes};

/// Project and name of a service.
pub(super) type ServiceKey = (ProjectName, ServiceName);

/// What became of one container: it may be there and yet not as ordered.
pub(super) struct Attempt {
    pub(super) made: Option<Made>,
    pub(super) problem: Option<Problem>,
}

/// One container to be made.
pub(super) struct Order<'a> {
    pub(super) preparation: &'a Preparation,
    pub(super) ground: &'a Ground,
    pub(super) networks: &'a BTreeMap<NetworkKey, String>,
    pub(super) project: &'a Project,
    pub(super) service: &'a Service,
    pub(super) number: u32,
}

impl Errand<'_> {
    /// `ledger`: those made before, of which some share a namespace with it.
    pub(super) async fn make_container(&self, order: &Order<'_>, ledger: &Ledger) -> Attempt {
        let name = order
            .service
            .container_name(&order.project.name, order.number);
        let id = match self.create(order, &name, ledger).await {
            Ok(id) => id,
            Err(problem) => return Attempt::failed(problem),
        };
        let made = Made {
            id,
            project: order.project.name.clone(),
            service: order.service.name.clone(),
            number: order.number,
            name,
        };
        Attempt {
            problem: self.complete(order, &made).await.err(),
            made: Some(made),
        }
    }

    async fn create(
        &self,
        order: &Order<'_>,
        name: &str,
        ledger: &Ledger,
    ) -> Result<ContainerId, Problem> {
        let doing = format!("create container {name}");
        let problem = |fault: Fault| self.client.problem(&doing, &fault);
        let body = create_body(self.blueprint(order, name, ledger)?);
        let temporary = format!("{name}.new-{}", order.preparation.epoch);
        let platform = order.service.container.platform.as_deref();
        let options = CreateContainerOptionsBuilder::default()
            .name(&temporary)
            .platform(platform.unwrap_or_default())
            .build();
        let call = self.client.docker.create_container(Some(options), body);
        let id = self.client.ask(CHANGE, call).await.map_err(problem)?.id;
        id.parse().map_err(|error| {
            problem(Fault::Cut {
                why: format!("it answered the id {id:?}: {error}"),
            })
        })
    }

    /// What a creation cannot take: further networks, and files.
    async fn complete(&self, order: &Order<'_>, made: &Made) -> Result<(), Problem> {
        let doing = format!("create container {}", made.name);
        let connected = self.connect_further(order, &made.name, &made.id).await;
        connected.map_err(|fault| self.client.problem(&doing, &fault))?;
        let doing = format!("copy the files of container {} in", made.name);
        let copied = self.copy_files(&made.id, &order.service.container).await;
        copied.map_err(|fault| self.client.problem(&doing, &fault))
    }

    fn blueprint<'o>(
        &self,
        order: &Order<'o>,
        name: &str,
        ledger: &Ledger,
    ) -> Result<Blueprint<'o>, Problem> {
        let (project, service) = (order.project, order.service);
        let key = (project.name.clone(), service.name.clone());
        let image_id = order
            .ground
            .images
            .get(&key)
            .map(String::as_str)
            .unwrap_or_default();
        let digest = order.preparation.pins.get(&service.image);
        let digest = digest.ok_or_else(|| self.unpinned(&service.image))?;
        let spec = spec_hash::of_service(&self.context.spec_key, project, service);
        let namespaces = &service.container.namespaces;
        Ok(Blueprint {
            service,
            image: service.image.pinned(digest),
            labels: labels::of_container(
                self.context,
                order.preparation,
                (project, service, order.number),
                (image_id, &spec),
            ),
            volumes: names(project),
            network: self.place(order, name, ledger)?,
            pid: self.namespace(order, namespaces.pid.as_deref(), ledger)?,
            ipc: self.namespace(order, namespaces.ipc.as_deref(), ledger)?,
            volumes_from: self.volumes_from(order, ledger)?,
        })
    }

    fn place(&self, order: &Order<'_>, name: &str, ledger: &Ledger) -> Result<Place, Problem> {
        let mode = match &order.service.container.network_mode {
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Bridge => "bridge".to_owned(),
            NetworkMode::Container(other) => format!("container:{other}"),
            NetworkMode::Service(other) => {
                format!(
                    "container:{}",
                    self.container_of(order, other.as_str(), ledger)?
                )
            }
            NetworkMode::Project => {
                let first = order.attachments().next();
                return Ok(match first {
                    // Every network it hangs on must be remade first: this is a proof.
                    None => Place::Mode("none".to_owned()),
                    Some((id, attachment)) => Place::Network {
                        id: id.to_owned(),
                        endpoint: Box::new(endpoint(
                            attachment,
                            &Names {
                                own: [order.service.name.as_str(), name],
                                links: &order.links(),
                                mac_address: order.service.container.mac_address.as_deref(),
                            },
                        )),
                    },
                });
            }
        };
        Ok(Place::Mode(mode))
    }

    /// As the engine takes it: a service is named by its container.
    fn namespace(
        &self,
        order: &Order<'_>,
        namespace: Option<&str>,
        ledger: &Ledger,
    ) -> Result<Option<String>, Problem> {
        let Some(namespace) = namespace else {
            return Ok(None);
        };
        Ok(Some(match namespace.strip_prefix("service:") {
            Some(other) => format!("container:{}", self.container_of(order, other, ledger)?),
            None => namespace.to_owned(),
        }))
    }

    fn volumes_from(&self, order: &Order<'_>, ledger: &Ledger) -> Result<Vec<String>, Problem> {
        let shared = &order.service.container.volumes_from;
        let one = |shared: &SharedVolumes| {
            let (container, is_read_only) = match shared {
                SharedVolumes::OfContainer {
                    container,
                    is_read_only,
                } => (container.clone(), *is_read_only),
                SharedVolumes::OfService {
                    service,
                    is_read_only,
                } => {
                    let of = self.container_of(order, service.as_str(), ledger)?;
                    (of, *is_read_only)
                }
            };
            let mode = if is_read_only { "ro" } else { "rw" };
            Ok(format!("{container}:{mode}"))
        };
        shared.iter().map(one).collect()
    }

    /// The first container of another service of the project: made by this request, or kept.
    fn container_of(
        &self,
        order: &Order<'_>,
        service: &str,
        ledger: &Ledger,
    ) -> Result<String, Problem> {
        let project = &order.project.name;
        let made = ledger
            .containers
            .iter()
            .find(|made| made.project == *project && made.service.as_str() == service);
        let is_kept = |container: &&Listed| {
            container.project() == project.as_str()
                && container.label(labels::SERVICE) == service
                && self.role(container) == Role::Kept
        };
        let kept = || {
            order
                .ground
                .listed
                .iter()
                .find(is_kept)
                .map(|kept| &kept.id)
        };
        let id = made.map(|made| &made.id).or_else(kept);
        id.map(ToString::to_string).ok_or_else(|| {
            self.refuse(
                &format!(
                    "service {} of project {project} shares namespaces or volumes with service \
                     {service}, which has no container",
                    order.service.name
                ),
                format!(
                    "have {} depend on {service} in the Compose file",
                    order.service.name
                ),
            )
        })
    }

    /// Engines before API 1.44 take one network at a creation; all take the others afterwards.
    async fn connect_further(
        &self,
        order: &Order<'_>,
        name: &str,
        id: &ContainerId,
    ) -> Result<(), Fault> {
        if order.service.container.network_mode != NetworkMode::Project {
            return Ok(());
        }
        let links = order.links();
        let names = Names {
            own: [order.service.name.as_str(), name],
            links: &links,
            mac_address: None,
        };
        for (network, attachment) in order.attachments().skip(1) {
            let request = NetworkConnectRequest {
                container: id.to_string(),
                endpoint_config: Some(endpoint(attachment, &names)),
            };
            let call = self.client.docker.connect_network(network, request);
            self.client.ask(CHANGE, call).await?;
        }
        Ok(())
    }
}

impl Attempt {
    fn failed(problem: Problem) -> Attempt {
        Attempt {
            made: None,
            problem: Some(problem),
        }
    }
}

impl Order<'_> {
    pub(super) fn key(&self) -> ServiceKey {
        (self.project.name.clone(), self.service.name.clone())
    }

    /// Whether it needs the id of another service's container.
    pub(super) fn shares(&self) -> bool {
        let container = &self.service.container;
        let namespaces = [&container.namespaces.pid, &container.namespaces.ipc];
        let is_of_service = |shared: &SharedVolumes| match shared {
            SharedVolumes::OfService { .. } => true,
            SharedVolumes::OfContainer { .. } => false,
        };
        matches!(container.network_mode, NetworkMode::Service(_))
            || namespaces
                .into_iter()
                .flatten()
                .any(|namespace| namespace.starts_with("service:"))
            || container.volumes_from.iter().any(is_of_service)
    }

    /// `NAME:ALIAS` of every container that it links to. A service is known by its alias, and, as in
    /// Compose, by its containers' names, too.
    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for link in &self.service.container.links {
            let Some(other) = self.project.service(&link.to) else {
                continue;
            };
            for number in 1..=other.replicas {
                let name = other.container_name(&self.project.name, number);
                let aliases = [
                    link.alias.clone(),
                    format!("{}-{number}", link.to),
                    format!("{}-{}-{number}", self.project.name, link.to),
                ];
                links.extend(aliases.map(|alias| format!("{name}:{alias}")));
            }
        }
        links.sort();
        links.dedup();
        let external = &self.service.container.external_links;
        links.extend(
            external
                .iter()
                .map(|link| format!("{}:{}", link.container, link.alias)),
        );
        links
    }

    /// The networks that it can be attached to, with their ids.
    fn attachments(&self) -> impl Iterator<Item = (&str, &Attachment)> {
        let all = self.service.container.networks.iter();
        all.filter_map(|attachment| {
            let key = (self.project.name.clone(), attachment.network.clone());
            Some((self.networks.get(&key)?.as_str(), attachment))
        })
    }
}
