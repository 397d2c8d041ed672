//! What changed inside a container since it was made: the paths, and what those are that were
//! added or modified, as far as that can be looked at in a moment.
use std::time::Duration;

use bollard::container::PathStatResponse;
use bollard::models::{ChangeType, ContainerInspectResponse, FilesystemChange};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, InspectContainerOptionsBuilder,
};
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;

use super::client::{ASK, Client};
use super::fault::Fault;
use crate::model::drift::{decides_what_runs, groups, leaves};
use crate::model::evidence::{ChangeGroup, ChangeKind, FileFacts, FileKind, PathChange};
use crate::model::id::ContainerId;

/// Changes kept of one container.
const CHANGES_MAX: usize = 1000;
/// Paths looked at: each is a request of its own, of a millisecond or two. Whoever writes more than
/// that can hide a program among them, so that it is said how many there were.
const LOOKED_AT_MAX: usize = 1000;
/// And for so long: a site may be out of DNS meanwhile.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Files of one container that are looked at side by side, so that others have a place, too.
const SIDE_BY_SIDE: usize = 4;

/// Where every program writes: looked at last.
const WRITTEN_BY_ALL: [&str; 6] = ["/tmp/", "/run/", "/var/", "/dev/", "/root/", "/home/"];

/// What was found inside.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// By path, at most [`CHANGES_MAX`].
    pub(super) changes: Vec<PathChange>,
    pub(super) left_out: u64,
    /// Why the engine did not say what changed.
    pub(super) unread: Option<String>,
    pub(super) groups: Vec<ChangeGroup>,
    pub(super) not_looked_at: u64,
    pub(super) written: Option<u64>,
}

impl Client {
    /// What changed in a container, as far as the engine says: this is for evidence, which fails
    /// nobody.
    pub(super) async fn look_inside(
        &self,
        id: &ContainerId,
        seen: &ContainerInspectResponse,
    ) -> Inside {
        let (changes, written) = join(self.changes(id, seen), self.written(id)).await;
        let (changes, unread) = match changes {
            Ok(changes) => (changes, None),
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        let (changes, not_looked_at) = self.look_at_files(id, changes).await;
        let groups = groups(&changes);
        let (changes, left_out) = keep(changes);
        Inside {
            changes,
            left_out,
            unread,
            groups,
            not_looked_at,
            written,
        }
    }

    async fn changes(
        &self,
        id: &ContainerId,
        seen: &ContainerInspectResponse,
    ) -> Result<Vec<PathChange>, Fault> {
        let call = self.docker.container_changes(id.as_str());
        let changes = self.ask(ASK, call).await?;
        let changes = changes.unwrap_or_default().into_iter().map(change);
        let mounts = seen.mounts.as_deref().unwrap_or_default().iter();
        let mounts: Vec<&str> = mounts
            .filter_map(|mount| mount.destination.as_deref())
            .collect();
        Ok(leaves(changes.collect(), &mounts))
    }

    /// Bytes of its writable layer. A request of its own, and no long one: an engine may have to
    /// read the whole of it for that.
    async fn written(&self, id: &ContainerId) -> Option<u64> {
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let call = self.docker.inspect_container(id.as_str(), Some(options));
        let seen = self.ask(LOOK_WITHIN, call).await.ok()?;
        seen.size_rw?.try_into().ok()
    }

    /// Says what each path is, those that programs do not write first, and how many were not
    /// looked at.
    async fn look_at_files(
        &self,
        id: &ContainerId,
        mut changes: Vec<PathChange>,
    ) -> (Vec<PathChange>, u64) {
        let looks: Vec<(usize, String)> = worth_a_look(&changes);
        let of_files = changes.iter();
        let files = of_files.filter(|change| change.kind != ChangeKind::Deleted);
        let files = files.count();
        let looks = looks.into_iter().map(|(at, path)| async move {
            let options = ContainerArchiveInfoOptionsBuilder::default()
                .path(&path)
                .build();
            let call = self
                .docker
                .get_container_archive_info(id.as_str(), Some(options));
            (at, self.ask(LOOK_WITHIN, call).await.ok())
        });
        let seen = stream::iter(looks).buffer_unordered(SIDE_BY_SIDE);
        let seen = seen.take_until(tokio::time::sleep(LOOK_WITHIN));
        let seen: Vec<(usize, Option<PathStatResponse>)> = seen.collect().await;
        let mut looked_at = 0;
        for (at, answer) in seen {
            if let Some(answer) = answer {
                changes[at].file = Some(facts(&answer));
                looked_at += 1;
            }
        }
        (changes, (files - looked_at) as u64)
    }
}

/// Which of the changes are looked at, in this order.
fn worth_a_look(changes: &[PathChange]) -> Vec<(usize, String)> {
    let there = changes.iter().enumerate();
    let there = there.filter(|(_, change)| change.kind != ChangeKind::Deleted);
    let is_written_by_all = |path: &str| WRITTEN_BY_ALL.iter().any(|it| path.starts_with(it));
    let (last, first): (Vec<_>, Vec<_>) =
        there.partition(|(_, change)| is_written_by_all(&change.path));
    let all = first.into_iter().chain(last).take(LOOKED_AT_MAX);
    all.map(|(at, change)| (at, change.path.clone())).collect()
}

fn change(change: FilesystemChange) -> PathChange {
    PathChange {
        kind: match change.kind {
            ChangeType::_0 => ChangeKind::Modified,
            ChangeType::_1 => ChangeKind::Added,
            ChangeType::_2 => ChangeKind::Deleted,
        },
        path: change.path,
        file: None,
    }
}

/// Engines write the mode as Go's `os.FileMode`.
fn facts(stat: &PathStatResponse) -> FileFacts {
    let has = |bit: u32| stat.file_mode & (1 << bit) != 0;
    let kind = match (has(31), has(27)) {
        (true, _) => FileKind::Folder,
        (false, true) => FileKind::Link,
        // Device, pipe, socket, irregular.
        (false, false) if [26, 25, 24, 19].into_iter().any(has) => FileKind::Other,
        (false, false) => FileKind::File,
    };
    let special = [(23, 0o4000), (22, 0o2000), (20, 0o1000)];
    let special = special.into_iter().filter(|(bit, _)| has(*bit));
    FileFacts {
        kind,
        mode: special.fold(stat.file_mode & 0o777, |mode, (_, bits)| mode | bits),
        size: stat.size.try_into().unwrap_or(0),
    }
}

/// What is kept, by path: what decides what runs before all else; and how many more there are.
fn keep(mut changes: Vec<PathChange>) -> (Vec<PathChange>, u64) {
    let left_out = changes.len().saturating_sub(CHANGES_MAX);
    if left_out > 0 {
        changes.sort_by_key(|change| !decides_what_runs(change));
        changes.truncate(CHANGES_MAX);
        changes.sort_by(|one, other| one.path.cmp(&other.path));
    }
    (changes, left_out as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(path: &str) -> PathChange {
        change(FilesystemChange {
            path: path.to_owned(),
            kind: ChangeType::_1,
        })
    }

    #[test]
    fn what_decides_what_runs_is_kept_however_much_else_there_is() {
        let mut changes: Vec<PathChange> = (0..CHANGES_MAX + 6)
            .map(|n| added(&format!("/a{n:04}")))
            .collect();
        changes.push(added("/usr/bin/evil"));
        let (kept, left_out) = keep(changes);
        assert_eq!((kept.len(), left_out), (CHANGES_MAX, 7));
        let ends = [&kept[0], &kept[CHANGES_MAX - 1]].map(|change| change.path.as_str());
        assert_eq!(ends, ["/a0000", "/usr/bin/evil"]);
        assert_eq!(keep(vec![added("/a")]), (vec![added("/a")], 0));
    }

    #[test]
    fn what_every_program_writes_is_looked_at_last_and_what_is_gone_not_at_all() {
        let mut changes: Vec<PathChange> = (0..LOOKED_AT_MAX)
            .map(|n| added(&format!("/tmp/{n:04}")))
            .collect();
        changes.push(PathChange {
            kind: ChangeKind::Deleted,
            ..added("/usr/bin/gone")
        });
        changes.push(added("/usr/bin/evil"));
        let looks = worth_a_look(&changes);
        assert_eq!(looks.len(), LOOKED_AT_MAX);
        assert_eq!(looks[0], (LOOKED_AT_MAX + 1, "/usr/bin/evil".to_owned()));
        assert_eq!(looks[1], (0, "/tmp/0000".to_owned()));
    }

    #[test]
    fn modes_are_those_of_chmod() {
        let of = |file_mode: u32| {
            let facts = facts(&PathStatResponse {
                name: "x".to_owned(),
                size: 7,
                file_mode,
                modification_time: None,
                link_target: String::new(),
            });
            (facts.kind, format!("{:o}", facts.mode))
        };
        assert_eq!(of(0o755), (FileKind::File, "755".to_owned()));
        assert_eq!(of(1 << 31 | 0o755), (FileKind::Folder, "755".to_owned()));
        assert_eq!(of(1 << 27 | 0o777), (FileKind::Link, "777".to_owned()));
        assert_eq!(of(1 << 24 | 0o755), (FileKind::Other, "755".to_owned()));
        assert_eq!(of(1 << 23 | 0o711), (FileKind::File, "4711".to_owned()));
        let sticky = 1 << 31 | 1 << 20 | 0o777;
        assert_eq!(of(sticky), (FileKind::Folder, "1777".to_owned()));
    }
}
