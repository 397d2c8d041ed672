//! `TakeEvidence`: how containers were found, what had changed in them since their birth, and their
//! last words. A container that cannot be asked is left out or told in part: evidence never fails a
//! visit. So is one that nobody has tried to start: it has nothing to tell.
use bollard::models::{ContainerState, ContainerStateStatusEnum, HealthcheckResult};
use futures_util::future::{join, join_all};

use super::adapter::Errand;
use super::labels;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::evidence::{Evidence, HealthCheck};
use crate::model::id::ContainerId;

/// Lines asked for: the API counts lines, not bytes, and lines are rarely shorter than this.
const BYTES_A_LINE: u64 = 32;
const LINES_MIN: u64 = 100;
/// Docker keeps so many checks, and so much of each; other engines may keep more.
const CHECKS_MAX: usize = 5;
const CHECK_CHARS: usize = 4096;

impl Errand<'_> {
    pub(super) async fn take_evidence(
        &self,
        containers: &[ContainerId],
        kept: &[ContainerId],
        logs: u64,
    ) -> EngineOutcome {
        let kept = kept.iter().map(|id| (id, None));
        let looks = containers.iter().map(|id| (id, Some(logs))).chain(kept);
        let looks = looks.map(|(id, logs)| self.evidence_of(id, logs));
        EngineOutcome::Evidence(join_all(looks).await.into_iter().flatten().collect())
    }

    /// `logs`: so many bytes of them; `None`: they are not asked for.
    async fn evidence_of(&self, id: &ContainerId, logs: Option<u64>) -> Option<Evidence> {
        let mut seen = self.client.inspect(id).await.ok().flatten()?;
        let state = seen.state.take().unwrap_or_default();
        if was_never_tried(&state) {
            return None;
        }
        let inside = self.client.look_inside(id, &seen);
        let (inside, logs) = join(inside, self.logs(id, logs)).await;
        let own = seen
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        let label = |key: &str| own.and_then(|own| own.get(key)).map(String::as_str);
        let name = seen
            .name
            .as_deref()
            .unwrap_or_default()
            .trim_start_matches('/');
        Some(Evidence {
            container: id.clone(),
            name: name.to_owned(),
            project: label(labels::PROJECT)?.parse().ok()?,
            service: label(labels::SERVICE).unwrap_or(name).parse().ok()?,
            made_by: label(labels::ROTATION).and_then(|it| it.parse().ok()),
            state: state.status.map(|it| it.to_string()).unwrap_or_default(),
            exit_code: state
                .exit_code
                .filter(|_| state.status != Some(ContainerStateStatusEnum::RUNNING)),
            error: state.error.clone().filter(|error| !error.is_empty()),
            oom_killed: state.oom_killed.unwrap_or(false),
            health: checks(state),
            changes: inside.changes,
            changes_left_out: inside.left_out,
            changes_unread: inside.unread,
            groups: inside.groups,
            not_looked_at: inside.not_looked_at,
            written: inside.written,
            restarts: seen
                .restart_count
                .and_then(|count| count.try_into().ok())
                .unwrap_or(0),
            logs,
        })
    }

    async fn logs(&self, id: &ContainerId, bytes: Option<u64>) -> String {
        let Some(bytes) = bytes else {
            return String::new();
        };
        let lines = (bytes / BYTES_A_LINE).max(LINES_MIN);
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.client.last_log(id, lines, most).await {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(fault) => format!("[the log cannot be read: {fault}]"),
        }
    }
}

/// Made, and neither started nor refused.
fn was_never_tried(state: &ContainerState) -> bool {
    state.status == Some(ContainerStateStatusEnum::CREATED)
        && state.error.as_deref().unwrap_or_default().is_empty()
}

/// The last checks of its healthcheck, oldest first.
fn checks(state: ContainerState) -> Vec<HealthCheck> {
    let log = state.health.and_then(|health| health.log);
    let log = log.unwrap_or_default();
    let from = log.len().saturating_sub(CHECKS_MAX);
    let check = |result: HealthcheckResult| {
        let output = result.output.unwrap_or_default();
        HealthCheck {
            at: result.start.and_then(|at| at.parse().ok()),
            exit_code: result.exit_code.unwrap_or(0),
            output: output.chars().take(CHECK_CHARS).collect(),
        }
    };
    log.into_iter().skip(from).map(check).collect()
}
