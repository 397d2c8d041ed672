//! `Watch`: ends only when a container does what it must not.
use std::collections::BTreeMap;
use std::pin::pin;

use bollard::models::ContainerInspectResponse;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::adapter::Errand;
use super::fault::Fault;
use super::health::{Feed, Happening, Heard};
use super::inventory::state;
use super::labels;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::ContainerId;
use crate::model::inventory::{ContainerState, Health};

impl Errand<'_> {
    /// Ends only with what must not happen.
    pub(super) async fn watch(&self, containers: &[ContainerId]) -> EngineOutcome {
        match Box::pin(self.breach(containers)).await {
            Ok(problem) => EngineOutcome::Breach { problem },
            Err(fault) => EngineOutcome::Breach {
                problem: self.client.problem("watch the containers", &fault),
            },
        }
    }

    async fn breach(&self, containers: &[ContainerId]) -> Result<Problem, Fault> {
        let mut feed = Feed::open(self.client, containers).await?;
        let mut started = BTreeMap::new();
        loop {
            let heard = self.breach_heard(&mut feed, containers, &mut started);
            if let Some(problem) = Box::pin(heard).await? {
                return Ok(problem);
            }
        }
    }

    /// What one subscription brings until it ends; `None`: there is a new one. One look tells what
    /// was before it. The subscription is begun beside the look, not after it: engines remember a
    /// few hundred events only, which on a busy one is seconds.
    async fn breach_heard(
        &self,
        feed: &mut Feed<'_>,
        containers: &[ContainerId],
        started: &mut BTreeMap<ContainerId, Option<Timestamp>>,
    ) -> Result<Option<Problem>, Fault> {
        let mut look = pin!(self.look_for_breach(containers, started));
        let mut has_looked = false;
        loop {
            tokio::select! {
                seen = &mut look, if !has_looked => match seen? {
                    Some(problem) => return Ok(Some(problem)),
                    None => has_looked = true,
                },
                heard = feed.next() => match heard {
                    Heard::Event(id, happening) => {
                        if let Some(what) = breach_in(&happening) {
                            return Ok(Some(self.breach_of(&id, &what).await));
                        }
                    }
                    Heard::Resubscribed => return Ok(None),
                    Heard::Lost(fault) => return Err(fault),
                },
            }
        }
    }

    /// `started`: when each was started, as first seen.
    async fn look_for_breach(
        &self,
        containers: &[ContainerId],
        started: &mut BTreeMap<ContainerId, Option<Timestamp>>,
    ) -> Result<Option<Problem>, Fault> {
        let looks = join_all(containers.iter().map(|id| self.client.inspect(id))).await;
        for (id, seen) in containers.iter().zip(looks) {
            let Some(seen) = seen? else {
                return Ok(Some(self.breach_of(id, "is gone").await));
            };
            let what = match state(seen.state.as_ref()) {
                ContainerState::Running {
                    health: Health::Unhealthy,
                    ..
                } => "is unhealthy".to_owned(),
                ContainerState::Running { since, .. } => {
                    if *started.entry(id.clone()).or_insert(since) == since {
                        continue;
                    }
                    "was restarted".to_owned()
                }
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
            .is_some_and(|(project, service)| project.is_one_shot(&service))
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
