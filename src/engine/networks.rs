//! The networks of the host's projects: which exist as declared, which are to be made, and which
//! must be remade because their definition changed.
use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{Ipam, IpamConfig as WireIpam, Network as WireNetwork, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::adapter::Errand;
use super::client::{ASK, CHANGE};
use super::fault::Fault;
use super::labels::{self, Labels};
use super::spec_hash;
use super::survey::Listed;
use crate::coordinator::effect::Preparation;
use crate::coordinator::outcome::Problem;
use crate::model::id::{Nonce, ProjectName};
use crate::model::service::{IpamConfig, Network, NetworkMode, Project};

/// Project and key in its Compose file.
pub(super) type NetworkKey = (ProjectName, String);

/// What becomes of a declared network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NetworkPlan {
    /// It is there as declared.
    Use {
        id: String,
    },
    Make,
    /// Its definition changed and nothing hangs on it.
    Remake {
        id: String,
    },
    /// Its definition changed, and containers that will leave hang on it: until they are gone,
    /// containers can be made without it only, as a proof.
    Await,
}

impl Errand<'_> {
    /// What becomes of every network that services to be made hang on. `Ok(Err)`: every reason
    /// why they cannot be had.
    pub(super) async fn plan_networks(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<Result<BTreeMap<NetworkKey, NetworkPlan>, Vec<Problem>>, Fault> {
        let found = self.networks().await?;
        let mut plans = BTreeMap::new();
        let mut problems = Vec::new();
        for (project, key, network) in self.networks_needed() {
            let same_name: Vec<&WireNetwork> = found
                .iter()
                .filter(|one| one.name.as_deref() == Some(network.name.as_str()))
                .collect();
            match self.plan_network(project, network, &same_name, (listed, preparation)) {
                Ok(plan) => {
                    plans.insert((project.name.clone(), key.to_owned()), plan);
                }
                Err(problem) => problems.push(problem),
            }
        }
        Ok(if problems.is_empty() {
            Ok(plans)
        } else {
            Err(problems)
        })
    }

    /// Carries out `plan`: the network's id, and whether this call made it.
    pub(super) async fn make_network(
        &self,
        (project_name, key): &NetworkKey,
        plan: &NetworkPlan,
        preparation: &Preparation,
    ) -> Result<Option<(String, bool)>, Problem> {
        let declared = self
            .context
            .project(project_name.as_str())
            .and_then(|project| Some((project, project.networks.get(key)?)));
        let Some((project, network)) = declared else {
            return Ok(None);
        };
        let problem = |fault: Fault| {
            self.client
                .problem(&format!("make the network {}", network.name), &fault)
        };
        match plan {
            NetworkPlan::Use { id } => return Ok(Some((id.clone(), false))),
            NetworkPlan::Await => return Ok(None),
            NetworkPlan::Make => (),
            NetworkPlan::Remake { id } => {
                self.remove_network(id).await.map_err(problem)?;
            }
        }
        let own = labels::own(self.context, preparation);
        let spec = spec_hash::of_network(network);
        let labels = labels::of_network(own, project, (key, &network.labels), &spec);
        let call = self
            .client
            .docker
            .create_network(create_request(network, labels));
        let made = self.client.ask(CHANGE, call).await.map_err(problem)?;
        self.check_single(network, &made.id).await?;
        Ok(Some((made.id, true)))
    }

    /// Engines before API 1.44 give two networks one name, where somebody else was as fast.
    async fn check_single(&self, network: &Network, made: &str) -> Result<(), Problem> {
        let doing = format!("make the network {}", network.name);
        let problem = |fault: Fault| self.client.problem(&doing, &fault);
        let found = self.networks().await.map_err(problem)?;
        let is_other = |one: &&WireNetwork| {
            one.name.as_deref() == Some(&network.name) && one.id.as_deref() != Some(made)
        };
        let Some(other) = found.iter().find(is_other) else {
            return Ok(());
        };
        self.remove_network(made).await.map_err(problem)?;
        let other = other.id.as_deref().unwrap_or_default();
        Err(self.refuse(
            &format!(
                "somebody else made the network {} at the same time: {other}",
                network.name
            ),
            format!("see whose it is: docker network inspect {other}"),
        ))
    }

    /// Every network of the engine.
    pub(super) async fn networks(&self) -> Result<Vec<WireNetwork>, Fault> {
        let call = self
            .client
            .docker
            .list_networks(None::<ListNetworksOptions>);
        self.client.ask(ASK, call).await
    }

    /// Removes a network by id; one that is gone is fine.
    pub(super) async fn remove_network(&self, id: &str) -> Result<(), Fault> {
        let call = self.client.docker.remove_network(id);
        match self.client.ask(CHANGE, call).await {
            Err(fault) if fault.is_gone() => Ok(()),
            other => other,
        }
    }

    /// Removes the networks that the hold made and that no container hangs on.
    pub(super) async fn remove_networks_of(&self, hold: &Nonce) -> Result<(), Fault> {
        let found = self.networks().await?;
        let listed = self.client.survey().await?;
        for network in found {
            let labels: Labels = network.labels.unwrap_or_default().into_iter().collect();
            let is_ours = labels.get(labels::FLEET).map(String::as_str)
                == Some(self.context.fleet.as_str())
                && labels.get(labels::HOLD).map(String::as_str) == Some(hold.as_str());
            let name = network.name.unwrap_or_default();
            let id = network.id.unwrap_or_default();
            if is_ours && !listed.iter().any(|container| container.is_on(&name, &id)) {
                self.remove_network(&id).await?;
            }
        }
        Ok(())
    }

    fn networks_needed(&self) -> Vec<(&Project, &str, &Network)> {
        let mut seen = BTreeSet::new();
        let mut needed = Vec::new();
        for (project, service) in self.context.recreated() {
            if service.container.network_mode != NetworkMode::Project {
                continue;
            }
            for attachment in &service.container.networks {
                let key = attachment.network.as_str();
                if let Some(network) = project.networks.get(key)
                    && seen.insert((&project.name, key))
                {
                    needed.push((project, key, network));
                }
            }
        }
        needed
    }

    fn plan_network(
        &self,
        project: &Project,
        network: &Network,
        same_name: &[&WireNetwork],
        (listed, preparation): (&[Listed], &Preparation),
    ) -> Result<NetworkPlan, Problem> {
        let name = &network.name;
        let found = match same_name {
            [] if network.is_external => {
                return Err(self.refuse(
                    &format!("the external network {name} does not exist"),
                    format!("docker network create {name}"),
                ));
            }
            [] => return Ok(NetworkPlan::Make),
            [one] => one,
            many => {
                let ids: Vec<&str> = many.iter().filter_map(|one| one.id.as_deref()).collect();
                return Err(self.refuse(
                    &format!(
                        "{} networks are named {name}: {}",
                        many.len(),
                        ids.join(", ")
                    ),
                    "remove all but one by id: docker network rm ID",
                ));
            }
        };
        let id = found.id.clone().unwrap_or_default();
        if network.is_external {
            return Ok(NetworkPlan::Use { id });
        }
        self.check_owner(project, name, found)?;
        if is_as_declared(network, found) {
            return Ok(NetworkPlan::Use { id });
        }
        let on_it: Vec<&Listed> = listed
            .iter()
            .filter(|container| container.is_on(name, &id))
            .collect();
        let stays = on_it
            .iter()
            .find(|container| !preparation.leaving.contains(&container.id));
        match stays {
            Some(container) => Err(self.refuse(
                &format!(
                    "the definition of network {name} changed, but {} stays on it",
                    container.describe()
                ),
                format!(
                    "take the change back, or have that container leave the network; a kept \
                     service is recreated by: cleanslate rebuild {} --kept",
                    self.context.site
                ),
            )),
            None if on_it.is_empty() => Ok(NetworkPlan::Remake { id }),
            None => Ok(NetworkPlan::Await),
        }
    }

    fn check_owner(
        &self,
        project: &Project,
        name: &str,
        found: &WireNetwork,
    ) -> Result<(), Problem> {
        let labels = found.labels.as_ref();
        let owner = labels.and_then(|labels| labels.get(labels::PROJECT));
        if owner.map(String::as_str) == Some(project.name.as_str()) {
            return Ok(());
        }
        let whose = match owner {
            Some(owner) => format!("belongs to project {owner}"),
            None => "was made by hand".to_owned(),
        };
        Err(self.refuse(
            &format!(
                "the network {name}, which project {} would make, is there and {whose}",
                project.name
            ),
            format!("declare it `external: true`, or remove it: docker network rm {name}"),
        ))
    }
}

/// Ours say what they were made from. Those of Docker Compose are compared by what they are; what
/// the file does not say is the engine's choice, and is left to it.
fn is_as_declared(network: &Network, found: &WireNetwork) -> bool {
    let labels = found.labels.as_ref();
    if let Some(spec) = labels.and_then(|labels| labels.get(labels::SPEC)) {
        return *spec == spec_hash::of_network(network);
    }
    let driver = network.driver.as_deref().unwrap_or("bridge");
    let options: Labels = found
        .options
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let labels: Labels = found
        .labels
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    found.driver.as_deref() == Some(driver)
        && found.internal.unwrap_or(false) == network.is_internal
        && found.enable_ipv6.unwrap_or(false) == network.enable_ipv6
        && (found.attachable.unwrap_or(false) || !network.is_attachable)
        && holds(&options, &network.driver_opts)
        && holds(&labels, &network.labels)
        && has_ranges(network, found)
}

fn holds(actual: &Labels, wanted: &Labels) -> bool {
    wanted
        .iter()
        .all(|(key, value)| actual.get(key) == Some(value))
}

fn has_ranges(network: &Network, found: &WireNetwork) -> bool {
    let ranges = found.ipam.as_ref().and_then(|ipam| ipam.config.as_deref());
    let agrees =
        |wanted: &Option<String>, actual: &Option<String>| wanted.is_none() || wanted == actual;
    network.ipam.iter().all(|wanted| {
        ranges.unwrap_or_default().iter().any(|actual| {
            agrees(&wanted.subnet, &actual.subnet)
                && agrees(&wanted.gateway, &actual.gateway)
                && agrees(&wanted.ip_range, &actual.ip_range)
        })
    })
}

fn create_request(network: &Network, labels: Labels) -> NetworkCreateRequest {
    let range = |range: &IpamConfig| WireIpam {
        subnet: range.subnet.clone(),
        gateway: range.gateway.clone(),
        ip_range: range.ip_range.clone(),
        auxiliary_addresses: (!range.aux_addresses.is_empty())
            .then(|| range.aux_addresses.clone().into_iter().collect()),
    };
    let ipam = Ipam {
        driver: network.ipam_driver.clone(),
        config: (!network.ipam.is_empty()).then(|| network.ipam.iter().map(range).collect()),
        options: (!network.ipam_options.is_empty())
            .then(|| network.ipam_options.clone().into_iter().collect()),
    };
    let ipam = (ipam != Ipam::default()).then_some(ipam);
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: network.driver.clone(),
        options: Some(network.driver_opts.clone().into_iter().collect()),
        internal: Some(network.is_internal),
        attachable: Some(network.is_attachable),
        enable_ipv6: Some(network.enable_ipv6),
        enable_ipv4: network.enable_ipv4,
        ipam,
        labels: Some(labels.into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}
