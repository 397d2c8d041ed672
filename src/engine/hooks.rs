//! `post_start` and `pre_stop`: commands run in a container, one after another, until one fails.
use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;

use super::adapter::Errand;
use super::body::environment;
use super::client::ASK;
use super::fault::{Fault, within};
use crate::coordinator::outcome::Problem;
use crate::model::id::{ContainerId, ProjectName, ServiceName};
use crate::model::lifecycle::{HookPhase, HookRun};
use crate::model::service::LifecycleHook;

/// Compose sets no bound; a night needs one.
const HOOK_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Bytes kept of what a hook writes.
const OUTPUT_MAX: usize = 4096;

/// A container whose hooks are run.
#[derive(Clone, Copy)]
pub(super) struct Hooked<'a> {
    pub(super) id: &'a ContainerId,
    pub(super) name: &'a str,
    pub(super) project: &'a ProjectName,
    pub(super) service: &'a ServiceName,
}

/// Where it is told what became of each hook of one request.
pub(super) type HookRuns = Sender<HookRun>;

/// How one hook ended.
struct Ended {
    exit_code: Option<i64>,
    output: String,
}

impl Errand<'_> {
    /// Runs hooks in their order; the first that fails ends it (compose-spec, section "lifecycle
    /// hooks"; `runHook` of Docker Compose).
    pub(super) async fn run_hooks(
        &self,
        container: Hooked<'_>,
        (phase, hooks): (HookPhase, &[LifecycleHook]),
        runs: &HookRuns,
    ) -> Result<(), Problem> {
        for hook in hooks {
            let ended = match within_hook(self.run_hook(container.id, hook)).await {
                Ok(ended) => ended,
                // What ended by itself needs not be told that it will be stopped.
                Err(fault) if phase == HookPhase::PreStop && has_ended(&fault) => return Ok(()),
                Err(fault) => {
                    tell(runs, run_of(container, (phase, hook), None, String::new()));
                    let doing = describe(container, phase);
                    return Err(self.client.problem(&format!("run {doing}"), &fault));
                }
            };
            let Ended { exit_code, output } = ended;
            tell(
                runs,
                run_of(container, (phase, hook), exit_code, output.clone()),
            );
            if exit_code != Some(0) {
                return Err(self.hook_failed(container, (phase, hook), exit_code, &output));
            }
        }
        Ok(())
    }

    async fn run_hook(&self, id: &ContainerId, hook: &LifecycleHook) -> Result<Ended, Fault> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(hook.command.clone()),
            env: Some(environment(&hook.environment)),
            privileged: Some(hook.is_privileged),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            ..ExecConfig::default()
        };
        let docker = &self.client.docker;
        let exec = docker.create_exec(id.as_str(), config);
        let exec = self.client.ask(ASK, exec).await?.id;
        let started = within(ASK, docker.start_exec(&exec, None)).await?;
        let mut kept = VecDeque::new();
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(chunk) = output.next().await {
                let chunk = chunk.map_err(Fault::from)?;
                kept.extend(chunk.as_ref().iter().copied());
                let surplus = kept.len().saturating_sub(OUTPUT_MAX);
                kept.drain(..surplus);
            }
        }
        let seen = self.client.ask(ASK, docker.inspect_exec(&exec)).await?;
        let output = Vec::from(kept);
        Ok(Ended {
            exit_code: seen.exit_code,
            output: String::from_utf8_lossy(&output).into_owned(),
        })
    }

    fn hook_failed(
        &self,
        container: Hooked<'_>,
        (phase, hook): (HookPhase, &LifecycleHook),
        exit_code: Option<i64>,
        output: &str,
    ) -> Problem {
        let code = exit_code.map_or("no exit code".to_owned(), |code| {
            format!("exit code {code}")
        });
        let said = match output.trim() {
            "" => "; it wrote nothing".to_owned(),
            text => {
                let lines: Vec<String> = text
                    .lines()
                    .map(|line| line.trim_end().escape_debug().to_string())
                    .collect();
                let from = lines.len().saturating_sub(QUOTED_LINES);
                format!("; its last lines: {}", lines[from..].join(" | "))
            }
        };
        Problem {
            what: format!(
                "{}: {} ({}) failed with {code}{said}",
                self.client.host,
                describe(container, phase),
                hook.command.join(" ").escape_debug()
            ),
            cure: format!(
                "correct {} of service {} in the Compose file, or what it calls",
                phase.key(),
                container.service
            ),
            is_transient: false,
        }
    }
}

const QUOTED_LINES: usize = 10;

async fn within_hook(hook: impl Future<Output = Result<Ended, Fault>>) -> Result<Ended, Fault> {
    match tokio::time::timeout(HOOK_WITHIN, hook).await {
        Ok(ended) => ended,
        Err(_) => Err(Fault::Silent { after: HOOK_WITHIN }),
    }
}

/// The container is gone, or no longer runs.
fn has_ended(fault: &Fault) -> bool {
    fault.is_gone() || fault.is_conflict()
}

/// Whoever asked may have gone.
fn tell(runs: &HookRuns, run: HookRun) {
    drop(runs.send(run));
}

fn describe(container: Hooked<'_>, phase: HookPhase) -> String {
    format!(
        "{} of service {} in container {} ({})",
        phase.key(),
        container.service,
        container.name,
        container.id.short()
    )
}

fn run_of(
    container: Hooked<'_>,
    (phase, hook): (HookPhase, &LifecycleHook),
    exit_code: Option<i64>,
    output: String,
) -> HookRun {
    HookRun {
        project: container.project.clone(),
        service: container.service.clone(),
        container: container.name.to_owned(),
        phase,
        command: hook.command.clone(),
        exit_code,
        output,
    }
}
