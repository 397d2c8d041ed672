//! What is kept of a container before it is destroyed.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{ContainerId, ProjectName, RotationId, ServiceName};

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
    /// `docker diff`; paths below a mount are left out. At most 1000, sorted by path.
    pub changes: Vec<PathChange>,
    /// How many more there were.
    pub changes_left_out: u64,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}
