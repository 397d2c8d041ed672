//! `Prepare`: the new containers are made, not started, under temporary names.
use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join3};

use super::adapter::Errand;
use super::fault::Fault;
use super::labels;
use super::make::Ledger;
use super::networks::{NetworkKey, NetworkPlan};
use super::survey::{Listed, Stage};
use super::volumes::{VolumeKey, VolumePlan};
use crate::coordinator::effect::Preparation;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::{ProjectName, ServiceName};

/// Everything that was settled before the first thing was made.
pub(super) struct Ground {
    pub(super) listed: Vec<Listed>,
    pub(super) networks: BTreeMap<NetworkKey, NetworkPlan>,
    pub(super) volumes: BTreeMap<VolumeKey, VolumePlan>,
    /// Image ids, by project and service.
    pub(super) images: BTreeMap<(ProjectName, ServiceName), String>,
}

type Surroundings = (
    BTreeMap<NetworkKey, NetworkPlan>,
    BTreeMap<VolumeKey, VolumePlan>,
);

impl Errand<'_> {
    pub(super) async fn prepare(&self, preparation: &Preparation) -> EngineOutcome {
        let ground = match self.ground(preparation).await {
            Ok(Ok(ground)) => ground,
            Ok(Err(problems)) => return EngineOutcome::Unready(problems),
            Err(fault) => {
                let problem = self.client.problem("prepare the new containers", &fault);
                return EngineOutcome::Failed(problem);
            }
        };
        let is_proof = ground.is_proof();
        let mut ledger = Ledger::default();
        let mut problems = self.make(preparation, &ground, &mut ledger).await;
        if !is_proof && problems.is_empty() {
            return EngineOutcome::Prepared {
                containers: ledger.containers,
                is_proof,
            };
        }
        problems.extend(self.take_back(preparation, &ledger).await);
        if problems.is_empty() {
            EngineOutcome::Prepared {
                containers: Vec::new(),
                is_proof,
            }
        } else {
            EngineOutcome::Unready(problems)
        }
    }

    /// Looks at everything, and touches nothing but what an earlier asking of this very request
    /// left behind. `Ok(Err)`: every reason why nothing is made.
    async fn ground(
        &self,
        preparation: &Preparation,
    ) -> Result<Result<Ground, Vec<Problem>>, Fault> {
        let listed = self.client.survey().await?;
        if let Some(superseded) = self.fence(&listed, preparation) {
            return Ok(Err(vec![superseded]));
        }
        let listed = self.sweep(listed, preparation).await?;
        let surroundings = self.surroundings(&listed, preparation);
        let (surroundings, images) =
            try_join(surroundings, self.images_needed(preparation)).await?;
        let mut problems = Vec::new();
        let (networks, volumes) = or_note(surroundings, &mut problems);
        let images = or_note(images, &mut problems);
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        Ok(Ok(Ground {
            listed,
            networks,
            volumes,
            images,
        }))
    }

    /// Every reason why nothing could be made, found without making anything. An image that is not
    /// there yet is none: it is pulled first.
    pub(super) async fn obstacles(&self, preparation: &Preparation) -> Vec<Problem> {
        let found = async {
            let listed = self.client.survey().await?;
            if let Some(superseded) = self.fence(&listed, preparation) {
                return Ok(vec![superseded]);
            }
            let surroundings = self.surroundings(&listed, preparation).await?;
            Ok(surroundings.err().unwrap_or_default())
        };
        found.await.unwrap_or_else(|fault: Fault| {
            vec![self.client.problem("look for what is in the way", &fault)]
        })
    }

    /// What the new containers need and somebody may hold: ports, names, files, networks, mounts.
    async fn surroundings(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<Result<Surroundings, Vec<Problem>>, Fault> {
        let mut problems = self.port_problems(listed, preparation);
        problems.extend(self.name_problems(listed, preparation));
        problems.extend(self.version_problems());
        problems.extend(self.file_problems());
        let (networks, volumes, unnamed) = try_join3(
            self.plan_networks(listed, preparation),
            self.plan_volumes(listed, preparation),
            self.unnamed_data(listed, preparation),
        )
        .await?;
        problems.extend(unnamed);
        let networks = or_note(networks, &mut problems);
        let volumes = or_note(volumes, &mut problems);
        Ok(if problems.is_empty() {
            Ok((networks, volumes))
        } else {
            Err(problems)
        })
    }

    /// Removes what an earlier asking of this request made whose answer was lost. What remains.
    pub(super) async fn sweep(
        &self,
        listed: Vec<Listed>,
        preparation: &Preparation,
    ) -> Result<Vec<Listed>, Fault> {
        let is_left = |container: &Listed| {
            container.stage == Stage::Created
                && labels::is_of(&container.labels, self.context, preparation)
        };
        let (left, others): (Vec<Listed>, Vec<Listed>) = listed.into_iter().partition(is_left);
        for container in &left {
            self.client.remove(&container.id, false, true).await?;
        }
        Ok(others)
    }

    /// The image id of every service to be made, from its pinned digest on this host.
    async fn images_needed(
        &self,
        preparation: &Preparation,
    ) -> Result<Result<BTreeMap<(ProjectName, ServiceName), String>, Vec<Problem>>, Fault> {
        let mut ids = BTreeMap::new();
        let mut problems = Vec::new();
        for (project, service) in self.context.recreated() {
            let Some(digest) = preparation.pins.get(&service.image) else {
                problems.push(self.unpinned(&service.image));
                continue;
            };
            match self.client.image(&service.image.pinned(digest)).await? {
                Some(image) => {
                    let key = (project.name.clone(), service.name.clone());
                    ids.insert(key, image.id.unwrap_or_default());
                }
                None => problems.push(self.refuse(
                    &format!(
                        "the image {} is not on the host",
                        service.image.pinned(digest)
                    ),
                    format!("cleanslate pull --site {}", self.context.site),
                )),
            }
        }
        problems.sort();
        problems.dedup();
        Ok(if problems.is_empty() {
            Ok(ids)
        } else {
            Err(problems)
        })
    }
}

impl Ground {
    fn is_proof(&self) -> bool {
        self.networks
            .values()
            .any(|plan| *plan == NetworkPlan::Await)
            || self.volumes.values().any(|plan| *plan == VolumePlan::Wipe)
    }
}

fn or_note<T: Default>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> T {
    result.unwrap_or_else(|more| {
        problems.extend(more);
        T::default()
    })
}
