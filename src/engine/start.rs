//! `Start`: containers take their names and start in `depends_on` order; each is
//! waited for until it is healthy, has completed, or has failed.
use std::sync::mpsc;

use bollard::models::HealthConfig;
use bollard::query_parameters::{RenameContainerOptionsBuilder, StartContainerOptions};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::adapter::{Errand, Progress};
use super::client::CHANGE;
use super::fault::Fault;
use super::health::{Feed, Heard};
use super::hooks::{HookRuns, Hooked};
use super::inventory::state;
use super::launch::{Launch, Launches};
use crate::coordinator::effect::Made;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::ContainerId;
use crate::model::lifecycle::HookPhase;

/// How much of a log a failure quotes.
const QUOTED_LINES: u64 = 10;
const QUOTED_BYTES: usize = 4096;

impl Errand<'_> {
    pub(super) async fn start(&self, containers: &[Made]) -> EngineOutcome {
        let (runs, told) = mpsc::channel();
        let launched = self.launch_all(containers, &runs).await;
        let hooks = told.try_iter().collect();
        match launched {
            Ok(()) => EngineOutcome::Started { hooks },
            Err(problem) => EngineOutcome::NotStarted { problem, hooks },
        }
    }

    async fn launch_all(&self, containers: &[Made], runs: &HookRuns) -> Result<(), Problem> {
        let mut launches = Launches::new(self.context, containers);
        let ids = containers.iter().map(|made| &made.id);
        // Before the first start, so that no exit, however early, is missed.
        let mut feed = Feed::open(self.client, ids)
            .await
            .map_err(|fault| self.client.problem("watch the containers start", &fault))?;
        let mut starting = FuturesUnordered::new();
        loop {
            for made in launches.take_due() {
                starting.push(async move { (made, self.launch(made, runs).await) });
            }
            let (done, of) = launches.progress();
            (self.progress)(Progress::Healthy { done, of });
            if done == of {
                return Ok(());
            }
            if let Some(made) = launches.stuck() {
                return Err(self.refuse(
                    &format!(
                        "service {} waits for services that wait for it",
                        made.service
                    ),
                    "break the circle in depends_on or after",
                ));
            }
            let deadline = launches.next_deadline();
            tokio::select! {
                Some((made, result)) = starting.next(), if !starting.is_empty() => {
                    launches.running(made, result?, Instant::now());
                }
                heard = feed.next() => self.hear(&mut launches, heard).await?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.due(&mut launches).await?;
                }
            }
        }
    }

    /// Gives a container its name, starts it and runs what its service wants run then; its
    /// healthcheck, the image's own where the Compose file has none.
    async fn launch(&self, made: &Made, runs: &HookRuns) -> Result<Option<HealthConfig>, Problem> {
        let doing = format!("start container {} of service {}", made.name, made.service);
        let problem = |fault: Fault| self.client.problem(&doing, &fault);
        let seen = self.client.inspect(&made.id).await.map_err(problem)?;
        let seen = seen.ok_or_else(|| {
            self.refuse(
                &format!("container {} ({}) is gone", made.name, made.id.short()),
                "see who removed it; the next visit makes it anew",
            )
        })?;
        let name = seen.name.unwrap_or_default();
        if name.trim_start_matches('/') != made.name {
            self.rename(made).await?;
        }
        let call = self
            .client
            .docker
            .start_container(made.id.as_str(), None::<StartContainerOptions>);
        self.client.ask(CHANGE, call).await.map_err(problem)?;
        let declared = self
            .context
            .service(made.project.as_str(), made.service.as_str());
        let hooks = declared.map(|service| service.container.post_start.as_slice());
        let container = Hooked {
            id: &made.id,
            name: &made.name,
            project: &made.project,
            service: &made.service,
        };
        let hooks = (HookPhase::PostStart, hooks.unwrap_or_default());
        self.run_hooks(container, hooks, runs).await?;
        Ok(seen.config.and_then(|config| config.healthcheck))
    }

    async fn rename(&self, made: &Made) -> Result<(), Problem> {
        let options = RenameContainerOptionsBuilder::default()
            .name(&made.name)
            .build();
        let call = self
            .client
            .docker
            .rename_container(made.id.as_str(), options);
        match self.client.ask(CHANGE, call).await {
            Ok(()) => Ok(()),
            Err(fault) if fault.is_conflict() => Err(self.refuse(
                &format!(
                    "the name {} of service {} is held by another container: {fault}",
                    made.name, made.service
                ),
                format!("see whose it is: docker inspect {}", made.name),
            )),
            Err(fault) => {
                let doing = format!("name container {} {}", made.id.short(), made.name);
                Err(self.client.problem(&doing, &fault))
            }
        }
    }

    async fn hear(&self, launches: &mut Launches<'_>, heard: Heard) -> Result<(), Problem> {
        match heard {
            Heard::Event(id, happening) => {
                if let Err(failure) = launches.take_in(&id, &happening) {
                    return Err(self.failure(launches, &id, &failure).await);
                }
                Ok(())
            }
            Heard::Resubscribed => self.look(launches, |_| true).await,
            Heard::Lost(fault) => Err(self.client.problem("watch the containers start", &fault)),
        }
    }

    /// Some deadline has passed: steadiness is reached, or a last look decides.
    async fn due(&self, launches: &mut Launches<'_>) -> Result<(), Problem> {
        let now = Instant::now();
        self.look(launches, |launch| launch.is_due(now)).await?;
        match launches.overdue(now) {
            Some((id, failure)) => Err(self.failure(launches, &id, &failure).await),
            None => Ok(()),
        }
    }

    /// One look at every running container that `wanted` says.
    async fn look(
        &self,
        launches: &mut Launches<'_>,
        wanted: impl Fn(&Launch<'_>) -> bool,
    ) -> Result<(), Problem> {
        let ids = launches.running_ids(wanted);
        for (id, seen) in ids
            .iter()
            .zip(join_all(ids.iter().map(|id| self.client.inspect(id))).await)
        {
            let seen = seen.map_err(|fault| {
                let doing = format!("look at container {}", id.short());
                self.client.problem(&doing, &fault)
            })?;
            let seen = seen.and_then(|seen| seen.state);
            if let Err(failure) = launches.see(id, &state(seen.as_ref())) {
                return Err(self.failure(launches, id, &failure).await);
            }
        }
        Ok(())
    }

    async fn failure(&self, launches: &Launches<'_>, id: &ContainerId, failure: &str) -> Problem {
        let made = launches.made(id);
        let service = made
            .map(|made| made.service.to_string())
            .unwrap_or_default();
        let name = made.map(|made| made.name.clone()).unwrap_or_default();
        Problem {
            what: format!(
                "{}: service {service}: container {name} ({}) {failure}{}",
                self.client.host,
                id.short(),
                self.quote(id).await
            ),
            cure: format!(
                "correct service {service}; what it said: docker logs {}",
                id.short()
            ),
            is_transient: false,
        }
    }

    /// The last lines of its log, for a message: control characters escaped.
    pub(super) async fn quote(&self, id: &ContainerId) -> String {
        match self.client.last_log(id, QUOTED_LINES, QUOTED_BYTES).await {
            Ok(log) if log.is_empty() => "; its log is empty".to_owned(),
            Ok(log) => {
                let text = String::from_utf8_lossy(&log);
                let lines: Vec<String> = text
                    .lines()
                    .map(|line| line.trim_end().escape_debug().to_string())
                    .collect();
                format!("; its last lines: {}", lines.join(" | "))
            }
            Err(fault) => format!("; its log cannot be read: {fault}"),
        }
    }
}
