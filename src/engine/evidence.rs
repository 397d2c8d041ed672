//! `TakeEvidence`: how containers were found, what had changed in them since their birth, and their
//! last words. A container that cannot be asked is left out or told in part: evidence never fails a
//! visit. So is one that nobody has tried to start: it has nothing to tell.
use bollard::models::{
    ChangeType, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    FilesystemChange, HealthcheckResult,
};
use futures_util::future::join_all;

use super::adapter::Errand;
use super::client::ASK;
use super::labels;
use crate::coordinator::outcome::EngineOutcome;
use crate::model::evidence::{ChangeKind, Evidence, HealthCheck, PathChange};
use crate::model::id::ContainerId;

/// Changes kept of one container.
const CHANGES_MAX: usize = 1000;
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
        logs: u64,
    ) -> EngineOutcome {
        let looks = containers.iter().map(|id| self.evidence_of(id, logs));
        EngineOutcome::Evidence(join_all(looks).await.into_iter().flatten().collect())
    }

    async fn evidence_of(&self, id: &ContainerId, logs: u64) -> Option<Evidence> {
        let mut seen = self.client.inspect(id).await.ok().flatten()?;
        let state = seen.state.take().unwrap_or_default();
        if was_never_tried(&state) {
            return None;
        }
        let (changes, changes_left_out) = self.changes(id, &seen).await;
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
            changes,
            changes_left_out,
            restarts: seen
                .restart_count
                .and_then(|count| count.try_into().ok())
                .unwrap_or(0),
            logs: self.logs(id, logs).await,
        })
    }

    async fn changes(
        &self,
        id: &ContainerId,
        seen: &ContainerInspectResponse,
    ) -> (Vec<PathChange>, u64) {
        let call = self.client.docker.container_changes(id.as_str());
        let changes = self.client.ask(ASK, call).await.ok().flatten();
        let mounts = seen.mounts.as_deref().unwrap_or_default().iter();
        let mounts: Vec<&str> = mounts
            .filter_map(|mount| mount.destination.as_deref())
            .collect();
        keep(changes.unwrap_or_default(), &mounts)
    }

    async fn logs(&self, id: &ContainerId, bytes: u64) -> String {
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

/// The first changes by path, without what lies at or below a mount, and how many more there are.
fn keep(changes: Vec<FilesystemChange>, mounts: &[&str]) -> (Vec<PathChange>, u64) {
    let is_mounted = |path: &str| {
        mounts.iter().any(|mount| {
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let mut kept: Vec<PathChange> = changes
        .into_iter()
        .filter(|change| !is_mounted(&change.path))
        .map(|change| PathChange {
            kind: match change.kind {
                ChangeType::_0 => ChangeKind::Modified,
                ChangeType::_1 => ChangeKind::Added,
                ChangeType::_2 => ChangeKind::Deleted,
            },
            path: change.path,
        })
        .collect();
    kept.sort_by(|one, other| one.path.cmp(&other.path));
    let left_out = kept.len().saturating_sub(CHANGES_MAX);
    kept.truncate(CHANGES_MAX);
    (kept, left_out as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str) -> FilesystemChange {
        FilesystemChange {
            path: path.to_owned(),
            kind: ChangeType::_1,
        }
    }

    #[test]
    fn what_lies_below_a_mount_is_no_change_of_the_container() {
        let changes = vec![
            change("/tmp/b"),
            change("/data"),
            change("/data/row"),
            change("/database"),
        ];
        let (kept, left_out) = keep(changes, &["/data"]);
        let paths: Vec<&str> = kept.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["/database", "/tmp/b"]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn the_number_left_out_is_told() {
        let changes = (0..CHANGES_MAX + 7)
            .map(|n| change(&format!("/f{n}")))
            .collect();
        let (kept, left_out) = keep(changes, &[]);
        assert_eq!((kept.len(), left_out), (CHANGES_MAX, 7));
    }
}
