//! `Watch`: ends only when a container does what it must not.
use std::collections::BTreeMap;

use bollard::models::ContainerInspectResponse;
use futures_util::future::join_all;

use super::adapter::Errand;
use super::fault::Fault;
use super::health::{Feed, Happening, Heard};
use super::inventory::state;
use super::labels;
use super::launch::is_one_shot;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::ContainerId;
use crate::model::inventory::{ContainerState, Health};

impl Errand<'_> {
    /// Ends only with what must not happen.
    pub(super) async fn watch(&self, containers: &[ContainerId]) -> EngineOutcome {
        match self.breach(containers).await {
            Ok(problem) => EngineOutcome::Breach { problem },
            Err(fault) => EngineOutcome::Breach {
                problem: self.client.problem("watch the containers", &fault),
            },
        }
    }

    async fn breach(&self, containers: &[ContainerId]) -> Result<Problem, Fault> {
        let mut feed = Feed::open(self.client, containers).await?;
        let mut restarts = BTreeMap::new();
        loop {
            // After each subscription one look; what follows comes as events.
            if let Some(problem) = self.look_for_breach(containers, &mut restarts).await? {
                return Ok(problem);
            }
            loop {
                match feed.next().await {
                    Heard::Event(id, happening) => {
                        if let Some(what) = breach_in(&happening) {
                            return Ok(self.breach_of(&id, &what).await);
                        }
                    }
                    Heard::Resubscribed => break,
                    Heard::Lost(fault) => return Err(fault),
                }
            }
        }
    }

    /// `restarts`: as first seen, by container.
    async fn look_for_breach(
        &self,
        containers: &[ContainerId],
        restarts: &mut BTreeMap<ContainerId, i64>,
    ) -> Result<Option<Problem>, Fault> {
        let looks = join_all(containers.iter().map(|id| self.client.inspect(id))).await;
        for (id, seen) in containers.iter().zip(looks) {
            let Some(seen) = seen? else {
                return Ok(Some(self.breach_of(id, "is gone").await));
            };
            let count = seen.restart_count.unwrap_or(0);
            let first = *restarts.entry(id.clone()).or_insert(count);
            let what = match state(seen.state.as_ref()) {
                ContainerState::Running {
                    health: Health::Unhealthy,
                    ..
                } => "is unhealthy".to_owned(),
                ContainerState::Running { .. } if count > first => "was restarted".to_owned(),
                ContainerState::Running { .. } => continue,
                ContainerState::Exited { code: 0, .. } if self.has_completed(&seen) => continue,
                ContainerState::Exited { code, .. } => format!("exited with code {code}"),
                ContainerState::Restarting => "restarts".to_owned(),
                ContainerState::Paused => "is paused".to_owned(),
                ContainerState::Created => "was never started".to_owned(),
                ContainerState::Dead => "is dead".to_owned(),
            };
            return Ok(Some(self.breach_of(id, &what).await));
        }
        Ok(None)
    }

    /// Whether its service is a one-shot one.
    fn has_completed(&self, seen: &ContainerInspectResponse) -> bool {
        let own = seen
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        let label = |key: &str| own.and_then(|own| own.get(key)).map(String::as_str);
        let project = self
            .context
            .project(label(labels::PROJECT).unwrap_or_default());
        let service = label(labels::SERVICE).and_then(|name| name.parse().ok());
        project
            .zip(service)
            .is_some_and(|(project, service)| is_one_shot(project, &service))
    }

    async fn breach_of(&self, id: &ContainerId, what: &str) -> Problem {
        let seen = self.client.inspect(id).await.ok().flatten();
        let name = seen.and_then(|seen| seen.name).unwrap_or_default();
        Problem {
            what: format!(
                "{}: container {} ({}) {what}{}",
                self.client.host,
                name.trim_start_matches('/'),
                id.short(),
                self.quote(id).await
            ),
            cure: format!("see why: docker logs {}", id.short()),
            is_transient: false,
        }
    }
}

fn breach_in(happening: &Happening) -> Option<String> {
    match happening {
        Happening::Died { code } => Some(format!("exited with code {code}")),
        Happening::OutOfMemory => Some("ran out of memory".to_owned()),
        Happening::Unhealthy => Some("turned unhealthy".to_owned()),
        Happening::Healthy => None,
    }
}
