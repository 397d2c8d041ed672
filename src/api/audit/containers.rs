//! Containers, and the images they were made from.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::coordinator::effect::Made;
use crate::coordinator::state::{Rotation, Stage, Visit};
use crate::model::fleet::Fleet;
use crate::model::id::{ContainerId, HostName, SiteName};
use crate::model::image::Digest;
use crate::model::inventory::Inventory;

/// A container, as the audit names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: ContainerId,
    /// As far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    /// Of the image it was made from.
    pub digests: Vec<Digest>,
}

/// Those that were made, on the digests that the visit goes by.
pub(super) fn made(
    fleet: &Fleet,
    rotation: &Rotation,
    (site, host): (&SiteName, &HostName),
    made: &[Made],
) -> Vec<Container> {
    let pins = rotation.pins_for(site);
    let declared = fleet.sites.get(site).and_then(|site| site.host(host));
    let digest = |made: &Made| {
        let mut projects = declared?.projects.iter();
        let project = projects.find(|project| project.name == made.project)?;
        pins.get(&project.service(&made.service)?.image).cloned()
    };
    let container = |made: &Made| Container {
        id: made.id.clone(),
        name: Some(made.name.clone()),
        digests: digest(made).into_iter().collect(),
    };
    made.iter().map(container).collect()
}

/// Those that are to go, as the last look saw them.
pub(super) fn leaving(
    visit: Option<&Visit>,
    containers: &BTreeMap<HostName, Vec<ContainerId>>,
) -> BTreeMap<HostName, Vec<Container>> {
    let known = visit.and_then(|visit| inventories(&visit.stage));
    let container = |host: &HostName, id: &ContainerId| {
        let inventory = known.and_then(|known| known.get(host));
        let mut seen = inventory.into_iter().flat_map(|seen| &seen.containers);
        let seen = seen.find(|seen| seen.id == *id);
        Container {
            id: id.clone(),
            name: seen.map(|seen| seen.name.clone()),
            digests: seen.map_or(Vec::new(), |seen| seen.digests.clone()),
        }
    };
    let of_host = |(host, ids): (&HostName, &Vec<ContainerId>)| {
        let containers = ids.iter().map(|id| container(host, id)).collect();
        (host.clone(), containers)
    };
    let are_some = |(_, ids): &(&HostName, &Vec<ContainerId>)| !ids.is_empty();
    containers.iter().filter(are_some).map(of_host).collect()
}

fn inventories(stage: &Stage) -> Option<&BTreeMap<HostName, Arc<Inventory>>> {
    if let Stage::Dirtying { inventories } | Stage::Clearing { inventories, .. } = stage {
        return Some(inventories);
    }
    None
}

/// Those that are only known by their ids.
pub(super) fn named(ids: &[ContainerId]) -> Vec<Container> {
    let container = |id: &ContainerId| Container {
        id: id.clone(),
        name: None,
        digests: Vec::new(),
    };
    ids.iter().map(container).collect()
}
