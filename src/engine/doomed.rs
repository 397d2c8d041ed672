//! A container that is to go, as it was seen before: when its turn comes, and how long it has.
use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, RestartPolicyNameEnum};
use futures_util::future::join_all;

use super::adapter::Errand;
use super::labels;
use crate::coordinator::outcome::Problem;
use crate::model::id::{ContainerId, ServiceName};
use crate::model::service::{NetworkMode, Project, Service};

/// Docker's own, where neither the Compose file nor the container says how long.
const GRACE: Duration = Duration::from_secs(10);

/// A container to be cleared, as it was seen before.
pub(super) struct Doomed<'a> {
    pub(super) id: &'a ContainerId,
    pub(super) seen: ContainerInspectResponse,
    /// Stages are cleared from the highest down: strays, then services by depth.
    pub(super) stage: usize,
    pub(super) grace: Duration,
    /// Its service as it is declared now.
    pub(super) declared: Option<&'a Service>,
}

impl Errand<'_> {
    /// Those that are still there.
    pub(super) async fn doomed<'c>(
        &'c self,
        containers: &'c [ContainerId],
    ) -> Result<Vec<Doomed<'c>>, Problem> {
        let looks = join_all(containers.iter().map(|id| self.client.inspect(id))).await;
        let mut doomed = Vec::new();
        for (id, look) in containers.iter().zip(looks) {
            let look = look.map_err(|fault| {
                let doing = format!("look at container {} before its removal", id.short());
                self.client.problem(&doing, &fault)
            })?;
            if let Some(seen) = look {
                doomed.push(self.doom(id, seen));
            }
        }
        Ok(doomed)
    }

    fn doom<'c>(&'c self, id: &'c ContainerId, seen: ContainerInspectResponse) -> Doomed<'c> {
        let config = seen.config.as_ref();
        let own = config.and_then(|config| config.labels.as_ref());
        let label = |key: &str| {
            let value = own.and_then(|own| own.get(key));
            value.map(String::as_str).unwrap_or_default()
        };
        let (project, service) = (label(labels::PROJECT), label(labels::SERVICE));
        let declared = self.context.service(project, service);
        let declared_grace = declared.and_then(|declared| declared.container.stop_grace_period);
        let own_grace = config
            .and_then(|config| config.stop_timeout)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        let depth = self.context.project(project).map(depths);
        let depth = depth.and_then(|depths| {
            let mut named = depths.into_iter();
            named.find(|(name, _)| name.as_str() == service)
        });
        Doomed {
            id,
            stage: depth.map_or(usize::MAX, |(_, depth)| depth),
            grace: declared_grace.or(own_grace).unwrap_or(GRACE),
            declared,
            seen,
        }
    }
}

impl Doomed<'_> {
    pub(super) fn name(&self) -> String {
        let name = self.seen.name.as_deref().unwrap_or_default();
        name.trim_start_matches('/').to_owned()
    }

    /// Unless it is known that the engine never starts it again.
    pub(super) fn may_restart(&self) -> bool {
        let config = self.seen.host_config.as_ref();
        let policy = config.and_then(|config| config.restart_policy.as_ref());
        let name = policy.and_then(|policy| policy.name);
        !matches!(
            name,
            Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY)
        )
    }

    pub(super) fn project(&self) -> String {
        let config = self.seen.config.as_ref();
        let own = config.and_then(|config| config.labels.as_ref());
        own.and_then(|own| own.get(labels::PROJECT))
            .cloned()
            .unwrap_or_default()
    }
}

/// How many others each service waits for, one after another, before it starts.
fn depths(project: &Project) -> BTreeMap<&ServiceName, usize> {
    let mut depths: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    // Services stand after those they wait for.
    for service in &project.services {
        let shared = match &service.container.network_mode {
            NetworkMode::Service(other) => Some(other),
            NetworkMode::Project
            | NetworkMode::Host
            | NetworkMode::None
            | NetworkMode::Bridge
            | NetworkMode::Container(_) => None,
        };
        let before = service.depends_on.keys().chain(shared);
        let deepest = before.filter_map(|other| depths.get(other)).max();
        let depth = deepest.map_or(0, |depth| depth + 1);
        depths.insert(&service.name, depth);
    }
    depths
}
