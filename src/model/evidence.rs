//! What is kept of a container before it is destroyed.
use serde::{Deserialize, Serialize};

use super::id::{ContainerId, ProjectName, ServiceName};

/// Evidence of one container: what had changed in it since its birth, and its last words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub container: ContainerId,
    pub name: String,
    pub project: ProjectName,
    pub service: ServiceName,
    /// `docker diff`; paths below a mount are left out. At most 1000, sorted by path.
    pub changes: Vec<PathChange>,
    /// How many more there were.
    pub changes_left_out: u64,
    pub restarts: u64,
    pub oom_killed: bool,
    /// The last bytes of its log, at most `[recreate].logs`.
    pub logs: String,
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
