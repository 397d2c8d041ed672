//! Labels: Docker Compose's own, so that `docker compose ps` shows our containers, and ours, which
//! say who made a container and from what.
use std::collections::BTreeMap;

use super::adapter::HostContext;
use crate::coordinator::effect::Preparation;
use crate::model::id::{Epoch, ServiceName};
use crate::model::inventory::Mark;
use crate::model::service::{Condition, Dependency, Project, Service};

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
pub(super) const ONE_OFF: &str = "com.docker.compose.oneoff";
const CONFIG_HASH: &str = "com.docker.compose.config-hash";
const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const COMPOSE_VERSION: &str = "com.docker.compose.version";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";
const IMAGE: &str = "com.docker.compose.image";
const NETWORK: &str = "com.docker.compose.network";
const VOLUME: &str = "com.docker.compose.volume";

pub(super) const EPOCH: &str = "cleanslate.epoch";
pub(super) const HOLD: &str = "cleanslate.hold";
pub(super) const FLEET: &str = "cleanslate.fleet";
const SITE: &str = "cleanslate.site";
pub(super) const ROTATION: &str = "cleanslate.rotation";
pub(super) const SPEC: &str = "cleanslate.spec";

/// The Compose release whose labels these are. Old versions of docker-compose compare it as a
/// number, so it cannot name us.
const LABELS_AS_OF: &str = "2.29.0";

pub(super) type Labels = BTreeMap<String, String>;

/// Who made it: on everything that a visit makes.
pub(super) fn own(context: &HostContext, preparation: &Preparation) -> Labels {
    labels([
        (EPOCH, preparation.epoch.to_string()),
        (HOLD, preparation.hold.to_string()),
        (FLEET, context.fleet.to_string()),
        (SITE, context.site.to_string()),
        (ROTATION, preparation.rotation.to_string()),
    ])
}

/// Every label of a container: those of the Compose file, Compose's, and ours.
pub(super) fn of_container(
    context: &HostContext,
    preparation: &Preparation,
    (project, service, number): (&Project, &Service, u32),
    (image_id, spec): (&str, &str),
) -> Labels {
    let mut all = service.container.labels.clone();
    all.extend(labels([
        (PROJECT, project.name.to_string()),
        (SERVICE, service.name.to_string()),
        (NUMBER, number.to_string()),
        (ONE_OFF, "False".to_owned()),
        (CONFIG_HASH, spec.to_owned()),
        (CONFIG_FILES, config_files(project)),
        (WORKING_DIR, project.working_dir.display().to_string()),
        (COMPOSE_VERSION, LABELS_AS_OF.to_owned()),
        (DEPENDS_ON, depends_on(&service.depends_on)),
        (IMAGE, image_id.to_owned()),
        (SPEC, spec.to_owned()),
    ]));
    all.extend(own(context, preparation));
    all
}

/// Every label of a network that we make. `key`: its name in the Compose file.
pub(super) fn of_network(
    own: Labels,
    project: &Project,
    (key, declared): (&str, &Labels),
    spec: &str,
) -> Labels {
    let mut all = declared.clone();
    all.extend(labels([
        (PROJECT, project.name.to_string()),
        (NETWORK, key.to_owned()),
        (COMPOSE_VERSION, LABELS_AS_OF.to_owned()),
        (SPEC, spec.to_owned()),
    ]));
    all.extend(own);
    all
}

/// Every label of a volume that we make. `key`: its name in the Compose file.
pub(super) fn of_volume(
    own: Labels,
    project: &Project,
    (key, declared): (&str, &Labels),
) -> Labels {
    let mut all = declared.clone();
    all.extend(labels([
        (PROJECT, project.name.to_string()),
        (VOLUME, key.to_owned()),
        (COMPOSE_VERSION, LABELS_AS_OF.to_owned()),
    ]));
    all.extend(own);
    all
}

/// Who made it; `None` where a label is missing or was written by nobody of us.
pub(super) fn mark(labels: &Labels) -> Option<Mark> {
    Some(Mark {
        epoch: Epoch(labels.get(EPOCH)?.parse().ok()?),
        hold: labels.get(HOLD)?.parse().ok()?,
        fleet: labels.get(FLEET)?.parse().ok()?,
        site: labels.get(SITE)?.parse().ok()?,
    })
}

/// Whether this very hold made it.
pub(super) fn is_of(labels: &Labels, context: &HostContext, preparation: &Preparation) -> bool {
    mark(labels).is_some_and(|mark| {
        mark.fleet == context.fleet
            && mark.site == context.site
            && mark.epoch == preparation.epoch
            && mark.hold == preparation.hold
    })
}

fn labels<const N: usize>(pairs: [(&str, String); N]) -> Labels {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn config_files(project: &Project) -> String {
    let files = project.config_files.iter();
    let texts: Vec<String> = files.map(|file| file.display().to_string()).collect();
    texts.join(",")
}

/// As Compose writes it: `SERVICE:CONDITION:RESTART`, by commas.
fn depends_on(dependencies: &BTreeMap<ServiceName, Dependency>) -> String {
    let one = |(service, dependency): (&ServiceName, &Dependency)| {
        let condition = match dependency.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::CompletedSuccessfully => "service_completed_successfully",
        };
        format!("{service}:{condition}:{}", dependency.restart)
    };
    let texts: Vec<String> = dependencies.iter().map(one).collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_needs_all_four_labels() {
        let mut all = labels([
            (EPOCH, "7".to_owned()),
            (HOLD, "ABCD".to_owned()),
            (FLEET, "edge".to_owned()),
            (SITE, "fra".to_owned()),
        ]);
        let mark_seen = mark(&all).unwrap();
        assert_eq!(mark_seen.epoch, Epoch(7));
        assert_eq!(mark_seen.site.as_str(), "fra");
        all.insert(EPOCH.to_owned(), "seven".to_owned());
        assert_eq!(mark(&all), None);
        all.remove(EPOCH);
        assert_eq!(mark(&all), None);
    }

    #[test]
    fn dependencies_are_written_as_compose_writes_them() {
        let dependency = |condition, restart| Dependency {
            condition,
            is_required: true,
            restart,
        };
        let dependencies = BTreeMap::from([
            ("db".parse().unwrap(), dependency(Condition::Healthy, true)),
            (
                "cache".parse().unwrap(),
                dependency(Condition::Started, false),
            ),
        ]);
        assert_eq!(
            depends_on(&dependencies),
            "cache:service_started:false,db:service_healthy:true"
        );
    }
}
