//! What is kept of a container before it is destroyed.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::drift::Finding;
use super::id::{ContainerId, ProjectName, RotationId, ServiceName};

/// What one host of a site left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    pub containers: Vec<Evidence>,
    /// What was not as declared; `None`: nobody compared, as with what a visit had made itself.
    pub findings: Option<Vec<Finding>>,
}

impl Remains {
    /// As it was kept. Earlier versions kept the containers only.
    ///
    /// # Errors
    /// Where this is neither.
    pub fn read(body: &str) -> serde_json::Result<Remains> {
        if body.trim_start().starts_with('[') {
            return Ok(Remains {
                containers: serde_json::from_str(body)?,
                findings: None,
            });
        }
        serde_json::from_str(body)
    }
}

/// Evidence of one container: how it was found, what had changed in it since its birth, and its
/// last words. What later versions added has a default: stores hold what earlier ones kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub container: ContainerId,
    pub name: String,
    pub project: ProjectName,
    pub service: ServiceName,
    /// The rotation that made it; `None`: not made by cleanslate.
    #[serde(default)]
    pub made_by: Option<RotationId>,
    /// As the engine calls it: `running`, `exited`, …; empty where it was not asked.
    #[serde(default)]
    pub state: String,
    /// Of its last end; `None` while it runs.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// Why the engine could not start it.
    #[serde(default)]
    pub error: Option<String>,
    /// The last checks of its healthcheck, oldest first.
    #[serde(default)]
    pub health: Vec<HealthCheck>,
    /// `docker diff`, without what lies below a mount and without folders that hold other changes.
    /// At most 1000, what decides what runs before all else; sorted by path.
    pub changes: Vec<PathChange>,
    /// How many more there were.
    pub changes_left_out: u64,
    /// Why the engine did not say what changed.
    #[serde(default)]
    pub changes_unread: Option<String>,
    /// All of them by folder, the largest first; at most 50 folders.
    #[serde(default)]
    pub groups: Vec<ChangeGroup>,
    /// Added and modified files that nobody looked at, there being too many.
    #[serde(default)]
    pub not_looked_at: u64,
    /// Bytes of everything written inside, mounts apart; `None`: the engine did not say.
    #[serde(default)]
    pub written: Option<u64>,
    pub restarts: u64,
    pub oom_killed: bool,
    /// The last bytes of its log, at most `[recreate].logs`.
    pub logs: String,
}

/// One check of a healthcheck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub at: Option<Timestamp>,
    pub exit_code: i64,
    /// What it wrote, at most 4096 characters.
    pub output: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathChange {
    pub path: String,
    pub kind: ChangeKind,
    /// What is there now; `None`: nothing, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileFacts>,
}

/// What a path was seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub kind: FileKind,
    /// The bits of `chmod`.
    pub mode: u32,
    /// In bytes.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    File,
    Folder,
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// The changes of one folder and of all below it that is in no other group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeGroup {
    /// The deepest folder that holds all of them.
    pub path: String,
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    /// Of what is there now; `None`: not all of it was looked at.
    pub bytes: Option<u64>,
}

impl ChangeGroup {
    /// How many changes there are.
    pub fn count(&self) -> u64 {
        self.added + self.modified + self.deleted
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::drift::Difference;

    #[test]
    fn what_earlier_versions_kept_is_read_and_was_not_compared() {
        let kept = r#"[{"container":"0123456789ab","name":"edge-web-1","project":"edge",
            "service":"web","changes":[{"path":"/tmp/a","kind":"Added"}],"changes_left_out":2,
            "restarts":3,"oom_killed":true,"logs":"last words"}]"#;
        let remains = Remains::read(kept).unwrap();
        assert_eq!(remains.findings, None);
        let [left] = &remains.containers[..] else {
            panic!("{remains:?}");
        };
        assert_eq!(
            (left.restarts, left.groups.len(), left.written),
            (3, 0, None)
        );
        assert_eq!(
            (left.changes[0].kind, left.changes[0].file),
            (ChangeKind::Added, None)
        );
    }

    #[test]
    fn what_is_kept_is_read_back_whole() {
        let remains = Remains {
            containers: Vec::new(),
            findings: Some(vec![Finding {
                service: "edge/web".to_owned(),
                container: None,
                difference: Difference::Missing {
                    running: 1,
                    declared: 2,
                },
            }]),
        };
        let kept = serde_json::to_string(&remains).unwrap();
        assert_eq!(Remains::read(&kept).unwrap(), remains);
        for broken in ["", "{}", "[1]", "7"] {
            assert!(Remains::read(broken).is_err(), "{broken}");
        }
    }
}
