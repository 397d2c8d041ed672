//! `Clear`: containers are stopped gracefully, in reverse `depends_on` order, and removed by id.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::StopContainerOptionsBuilder;
use futures_util::future::{join, join_all};

use super::adapter::{Errand, Progress};
use super::client::ASK;
use super::doomed::Doomed;
use super::fault::{Fault, within};
use super::hooks::{HookRuns, Hooked};
use super::inventory::state;
use super::survey::Listed;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::id::{ContainerId, ProjectName};
use crate::model::inventory::ContainerState;
use crate::model::lifecycle::{HookPhase, HookRun};
use crate::model::playbook::{Anonymous, Volumes};

/// Beyond the grace: the engine kills, and reaps.
const BEYOND_GRACE: Duration = Duration::from_secs(15);

/// A container that is still there. No problem of its own: it was not touched.
struct Standing<'a> {
    id: &'a ContainerId,
    problem: Option<Problem>,
}

/// What holds for all that one request clears.
struct Way<'w> {
    anonymous: Anonymous,
    /// Called for each that is gone.
    count: &'w (dyn Fn() + Send + Sync),
    runs: &'w HookRuns,
}

/// Those of further stages: no problem of their own.
fn untouched<'c>(further: &[Vec<&'c Doomed<'_>>]) -> impl Iterator<Item = Standing<'c>> {
    let all = further.iter().flatten();
    all.map(|one| Standing {
        id: one.id,
        problem: None,
    })
}

impl Errand<'_> {
    pub(super) async fn clear(
        &self,
        containers: &[ContainerId],
        volumes: Volumes,
        anonymous: Anonymous,
    ) -> EngineOutcome {
        // Nothing was asked of the engine before everything was seen.
        let doomed = match self.doomed(containers).await {
            Ok(doomed) => doomed,
            Err(problem) => return EngineOutcome::Failed(problem),
        };
        let of = u32::try_from(doomed.len()).unwrap_or(u32::MAX);
        let done = AtomicU32::new(0);
        let count = || {
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            (self.progress)(Progress::Cleared { done, of });
        };
        let mut stages: BTreeMap<usize, Vec<&Doomed<'_>>> = BTreeMap::new();
        for one in &doomed {
            stages.entry(one.stage).or_default().push(one);
        }
        let stages: Vec<Vec<&Doomed<'_>>> = stages.into_values().rev().collect();
        let (runs, told) = mpsc::channel();
        let way = Way {
            anonymous,
            count: &count,
            runs: &runs,
        };
        let standing = self.clear_stages(&stages, &way).await;
        let hooks: Vec<HookRun> = told.try_iter().collect();
        if let Some(problem) = standing.iter().find_map(|one| one.problem.clone()) {
            let left = standing.iter().map(|one| one.id.clone()).collect();
            return EngineOutcome::Uncleared {
                problem,
                left,
                hooks,
            };
        }
        if volumes == Volumes::Wipe
            && let Err(problem) = self.wipe(&doomed).await
        {
            return EngineOutcome::Uncleared {
                left: Vec::new(),
                problem,
                hooks,
            };
        }
        EngineOutcome::Cleared {
            removed: u32::try_from(containers.len()).unwrap_or(u32::MAX),
            hooks,
        }
    }

    /// The containers that are still there afterwards. A stage is stopped once the one before it
    /// has stopped, and removed beside it; where one did not stop, what it waits for is not taken
    /// from under it. Nothing of a stage is stopped where a `pre_stop` of it fails.
    async fn clear_stages<'c>(
        &self,
        stages: &[Vec<&'c Doomed<'_>>],
        way: &Way<'_>,
    ) -> Vec<Standing<'c>> {
        let Some((stage, further)) = stages.split_first() else {
            return Vec::new();
        };
        let told = join_all(stage.iter().map(|one| self.tell(one, way.runs))).await;
        if told.iter().any(Option::is_some) {
            let of_stage = stage.iter().zip(told);
            let of_stage = of_stage.map(|(one, problem)| Standing {
                id: one.id,
                problem,
            });
            return of_stage.chain(untouched(further)).collect();
        }
        let stopped = join_all(stage.iter().map(|one| self.halt(one))).await;
        let (halted, failed): (Vec<_>, Vec<_>) = stage
            .iter()
            .zip(stopped)
            .partition(|(_, stopped)| stopped.is_ok());
        let killing = failed
            .into_iter()
            .map(|(one, stopped)| self.remove(one, stopped, way));
        let killed = join_all(killing).await.into_iter().flatten();
        let mut standing: Vec<Standing<'_>> = killed.collect();
        let removing = halted
            .into_iter()
            .map(|(one, _)| self.remove(one, Ok(()), way));
        let rest = async {
            if standing.is_empty() {
                return Box::pin(self.clear_stages(further, way)).await;
            }
            untouched(further).collect()
        };
        let (removed, others) = join(join_all(removing), rest).await;
        standing.extend(removed.into_iter().flatten().chain(others));
        standing
    }

    /// Runs what the service wants run before it is stopped, as it is declared now; what went wrong.
    async fn tell(&self, doomed: &Doomed<'_>, runs: &HookRuns) -> Option<Problem> {
        let hooks = &doomed.declared?.container.pre_stop;
        let is_running = matches!(
            state(doomed.seen.state.as_ref()),
            ContainerState::Running { .. }
        );
        if hooks.is_empty() || !is_running {
            return None;
        }
        let project = doomed.project().parse::<ProjectName>().ok()?;
        let container = Hooked {
            id: doomed.id,
            name: &doomed.name(),
            project: &project,
            service: &doomed.declared?.name,
        };
        self.run_hooks(container, (HookPhase::PreStop, hooks), runs)
            .await
            .err()
    }

    async fn halt(&self, doomed: &Doomed<'_>) -> Result<(), Fault> {
        match state(doomed.seen.state.as_ref()) {
            ContainerState::Running { .. }
            | ContainerState::Restarting
            | ContainerState::Paused => self.stop(doomed).await,
            ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => {
                Ok(())
            }
        }
    }

    /// Whatever is answered: only its absence proves that it is gone.
    async fn remove<'c>(
        &self,
        doomed: &'c Doomed<'_>,
        stopped: Result<(), Fault>,
        way: &Way<'_>,
    ) -> Option<Standing<'c>> {
        let anonymous = way.anonymous;
        let volumes =
            anonymous == Anonymous::Discard || self.may_lose_unnamed(doomed.id, &doomed.seen).await;
        let removed = match &stopped {
            Ok(()) => match self.client.remove(doomed.id, false, volumes).await {
                // Started again by somebody, or never ended: then by force.
                Err(fault) if fault.is_conflict() => {
                    self.client.remove(doomed.id, true, volumes).await
                }
                other => other,
            },
            Err(_) => self.client.remove(doomed.id, true, volumes).await,
        };
        let fault = match self.client.inspect(doomed.id).await {
            Ok(None) => {
                if anonymous == Anonymous::Discard {
                    self.discard_unnamed(&doomed.seen).await;
                }
                (way.count)();
                return None;
            }
            Ok(Some(_)) => removed.err().or(stopped.err()).unwrap_or(Fault::Cut {
                why: "it is still there after its removal".to_owned(),
            }),
            Err(fault) => fault,
        };
        let (name, id) = (doomed.name(), doomed.id.short());
        let doing = format!("stop and remove container {name} ({id})");
        let problem = Some(self.client.problem(&doing, &fault));
        Some(Standing {
            id: doomed.id,
            problem,
        })
    }

    /// Its restart policy goes first, so that it cannot come back.
    async fn stop(&self, doomed: &Doomed<'_>) -> Result<(), Fault> {
        if doomed.may_restart() {
            self.forbid_restarts(doomed.id).await?;
        }
        let grace = doomed.grace.as_secs() + u64::from(doomed.grace.subsec_nanos() > 0);
        let options = StopContainerOptionsBuilder::default()
            .t(i32::try_from(grace).unwrap_or(i32::MAX))
            .build();
        let call = self
            .client
            .docker
            .stop_container(doomed.id.as_str(), Some(options));
        match within(doomed.grace + BEYOND_GRACE, call).await {
            Err(fault) if fault.is_gone() => Ok(()),
            other => other,
        }
    }

    async fn forbid_restarts(&self, id: &ContainerId) -> Result<(), Fault> {
        let never = ContainerUpdateBody {
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..ContainerUpdateBody::default()
        };
        let call = self.client.docker.update_container(id.as_str(), never);
        match self.client.ask(ASK, call).await {
            Err(fault) if fault.is_gone() => Ok(()),
            // Refused for a container that removes itself (`--rm`), which never restarts.
            Err(Fault::Refused { .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes the named volumes of the projects cleared, once nothing mounts them.
    async fn wipe(&self, doomed: &[Doomed<'_>]) -> Result<(), Problem> {
        let cleared: BTreeSet<String> = doomed.iter().map(Doomed::project).collect();
        let listed = self.client.survey().await;
        let listed = listed.map_err(|fault| self.client.problem("list the containers", &fault))?;
        for (name, project) in self.wipeable() {
            let mounts =
                |container: &&Listed| container.volumes.iter().any(|volume| volume.name == name);
            match listed.iter().find(mounts) {
                None => self.remove_volume(name).await.map_err(|fault| {
                    self.client
                        .problem(&format!("wipe the volume {name}"), &fault)
                })?,
                // Another project's turn comes with the request that clears it.
                Some(_) if !cleared.contains(project.name.as_str()) => (),
                Some(holder) => {
                    return Err(self.refuse(
                        &format!(
                            "the volume {name} cannot be wiped: {} mounts it",
                            holder.describe()
                        ),
                        format!("remove it: docker rm {}", holder.name),
                    ));
                }
            }
        }
        Ok(())
    }
}
