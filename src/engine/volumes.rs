//! Named volumes: made where they are missing, wiped only when the playbook says so.
use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{Volume as WireVolume, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptions;
use futures_util::future::join_all;

use super::adapter::Errand;
use super::client::{ASK, CHANGE, absent_is_none};
use super::fault::Fault;
use super::labels::{self, Labels};
use super::survey::Listed;
use crate::coordinator::effect::Preparation;
use crate::coordinator::outcome::Problem;
use crate::model::id::ProjectName;
use crate::model::playbook::Volumes;
use crate::model::service::{Keep, MountSource, Project, Service, Volume};

/// Project and key in its Compose file.
pub(super) type VolumeKey = (ProjectName, String);

/// What becomes of a declared volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VolumePlan {
    Use,
    Make,
    /// It is there and will be wiped with the containers that leave: until then containers can be
    /// made as a proof only, as a volume that any container mounts cannot be removed.
    Wipe,
}

impl Errand<'_> {
    /// What becomes of every volume that services to be made mount.
    pub(super) async fn plan_volumes(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<Result<BTreeMap<VolumeKey, VolumePlan>, Vec<Problem>>, Fault> {
        let needed = self.volumes_needed();
        let looks = needed
            .iter()
            .map(|(_, _, volume)| self.volume(&volume.name));
        let mut plans = BTreeMap::new();
        let mut problems = Vec::new();
        for ((project, key, volume), found) in needed.iter().zip(join_all(looks).await) {
            match self.plan_volume(project, volume, found?.as_ref(), (listed, preparation)) {
                Ok(plan) => {
                    plans.insert((project.name.clone(), (*key).to_owned()), plan);
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

    /// Makes a volume that is missing; its name on the engine.
    pub(super) async fn make_volume(
        &self,
        (project_name, key): &VolumeKey,
        preparation: &Preparation,
    ) -> Result<Option<String>, Problem> {
        let declared = self
            .context
            .project(project_name.as_str())
            .and_then(|project| Some((project, project.volumes.get(key)?)));
        let Some((project, volume)) = declared else {
            return Ok(None);
        };
        let own = labels::own(self.context, preparation);
        let labels = labels::of_volume(own, project, (key, &volume.labels));
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: volume.driver.clone(),
            driver_opts: Some(volume.driver_opts.clone().into_iter().collect()),
            labels: Some(labels.into_iter().collect()),
            cluster_volume_spec: None,
        };
        let call = self.client.docker.create_volume(request);
        match self.client.ask(CHANGE, call).await {
            Ok(_) => Ok(Some(volume.name.clone())),
            Err(fault) => {
                let doing = format!("make the volume {}", volume.name);
                Err(self.client.problem(&doing, &fault))
            }
        }
    }

    /// Removes a named volume; one that is gone is fine.
    pub(super) async fn remove_volume(&self, name: &str) -> Result<(), Fault> {
        let call = self
            .client
            .docker
            .remove_volume(name, None::<RemoveVolumeOptions>);
        match self.client.ask(CHANGE, call).await {
            Err(fault) if fault.is_gone() => Ok(()),
            other => other,
        }
    }

    /// Declared volumes of this host, external ones and those of kept services apart: name and
    /// project.
    pub(super) fn wipeable(&self) -> BTreeMap<&str, &Project> {
        let kept: BTreeSet<&str> = self.volumes_of(|service| service.keep != Keep::No);
        let projects = self.context.host.projects.iter();
        projects
            .flat_map(|project| {
                let own = project
                    .volumes
                    .values()
                    .filter(|volume| !volume.is_external);
                own.map(move |volume| (volume.name.as_str(), project))
            })
            .filter(|(name, _)| !kept.contains(name))
            .collect()
    }

    async fn volume(&self, name: &str) -> Result<Option<WireVolume>, Fault> {
        let call = self.client.docker.inspect_volume(name);
        absent_is_none(self.client.ask(ASK, call).await)
    }

    fn volumes_needed(&self) -> Vec<(&Project, &str, &Volume)> {
        let mut seen = BTreeSet::new();
        let mut needed = Vec::new();
        for (project, service) in self.context.recreated() {
            for key in volume_keys(service) {
                if let Some(volume) = project.volumes.get(key)
                    && seen.insert((&project.name, key))
                {
                    needed.push((project, key, volume));
                }
            }
        }
        needed
    }

    fn volumes_of(&self, wanted: impl Fn(&Service) -> bool) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for project in &self.context.host.projects {
            for service in project.services.iter().filter(|service| wanted(service)) {
                let volumes = volume_keys(service).filter_map(|key| project.volumes.get(key));
                names.extend(volumes.map(|volume| volume.name.as_str()));
            }
        }
        names
    }

    fn plan_volume(
        &self,
        project: &Project,
        volume: &Volume,
        found: Option<&WireVolume>,
        (listed, preparation): (&[Listed], &Preparation),
    ) -> Result<VolumePlan, Problem> {
        let name = &volume.name;
        let Some(found) = found else {
            return if volume.is_external {
                Err(self.refuse(
                    &format!("the external volume {name} does not exist"),
                    format!("docker volume create {name}"),
                ))
            } else {
                Ok(VolumePlan::Make)
            };
        };
        if volume.is_external {
            return Ok(VolumePlan::Use);
        }
        let owner = found.labels.get(labels::PROJECT);
        if let Some(owner) = owner.filter(|owner| *owner != project.name.as_str()) {
            return Err(self.refuse(
                &format!("the volume {name} belongs to project {owner}"),
                "declare it `external: true`, or give ours another name",
            ));
        }
        self.check_holder(name, listed, preparation)?;
        let labels: Labels = found.labels.clone().into_iter().collect();
        let is_fresh = labels::is_of(&labels, self.context, preparation);
        let is_wiped = self.wipeable().contains_key(name.as_str());
        if preparation.volumes == Volumes::Wipe && is_wiped && !is_fresh {
            return self.check_wipe(name, listed, preparation);
        }
        self.check_definition(volume, found)?;
        Ok(VolumePlan::Use)
    }

    /// Two that write one volume is what no visit may bring about.
    fn check_holder(
        &self,
        name: &str,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<(), Problem> {
        let writes = |container: &&Listed| {
            let mounts = container.volumes.iter();
            let is_leaving = preparation.leaving.contains(&container.id);
            container.stage == super::survey::Stage::Running
                && !is_leaving
                && self.role(container) != crate::model::inventory::Role::Kept
                && mounts
                    .into_iter()
                    .any(|volume| volume.name == name && volume.is_writable)
        };
        match listed.iter().find(writes) {
            None => Ok(()),
            Some(holder) => Err(self.refuse(
                &format!(
                    "the volume {name} is held by {}, which this visit does not remove",
                    holder.describe()
                ),
                format!(
                    "stop it (docker stop {}), let it mount the volume read-only, or declare the \
                     volume `external: true`",
                    holder.name
                ),
            )),
        }
    }

    fn check_wipe(
        &self,
        name: &str,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<VolumePlan, Problem> {
        let mounts = |container: &&Listed| {
            container.volumes.iter().any(|volume| volume.name == name)
                && !preparation.leaving.contains(&container.id)
        };
        match listed.iter().find(mounts) {
            None => Ok(VolumePlan::Wipe),
            Some(holder) => Err(self.refuse(
                &format!(
                    "the volume {name} is to be wiped, but {} mounts it and stays",
                    holder.describe()
                ),
                format!(
                    "remove it (docker rm {}), or say [recreate] volumes = \"keep\"",
                    holder.name
                ),
            )),
        }
    }

    fn check_definition(&self, volume: &Volume, found: &WireVolume) -> Result<(), Problem> {
        let driver = volume.driver.as_deref().unwrap_or(&found.driver);
        let options: BTreeMap<String, String> = found.options.clone().into_iter().collect();
        if driver == found.driver && options == volume.driver_opts {
            return Ok(());
        }
        Err(self.refuse(
            &format!(
                "the definition of volume {} changed: it is there with driver {} and options \
                 {options:?}, the Compose file says driver {driver} and options {:?}",
                volume.name, found.driver, volume.driver_opts
            ),
            "move its data to a volume of another name, take the change back, or say [recreate] \
             volumes = \"wipe\" for one rotation",
        ))
    }
}

/// The keys of the named volumes that a service mounts.
fn volume_keys(service: &Service) -> impl Iterator<Item = &str> {
    let mounts = service.container.mounts.iter();
    mounts.filter_map(|mount| match &mount.source {
        MountSource::Volume { key, .. } => Some(key.as_str()),
        MountSource::Bind { .. } | MountSource::Anonymous => None,
    })
}

/// The names on the engine of a project's volumes, by key.
pub(super) fn names(project: &Project) -> BTreeMap<String, String> {
    let one = |(key, volume): (&String, &Volume)| (key.clone(), volume.name.clone());
    project.volumes.iter().map(one).collect()
}
