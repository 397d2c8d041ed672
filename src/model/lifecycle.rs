//! What became of the commands that a Compose file has run in its containers.
use serde::{Deserialize, Serialize};

use super::id::{ProjectName, ServiceName};

/// One hook in one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    pub project: ProjectName,
    pub service: ServiceName,
    /// The container's name.
    pub container: String,
    pub phase: HookPhase,
    pub command: Vec<String>,
    /// `None`: it never ended, or the container was gone before it.
    pub exit_code: Option<i64>,
    /// The last of what it wrote, at most 4096 bytes.
    pub output: String,
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookPhase {
    PostStart,
    PreStop,
}

impl HookPhase {
    /// The key of the Compose file.
    pub fn key(self) -> &'static str {
        match self {
            HookPhase::PostStart => "post_start",
            HookPhase::PreStop => "pre_stop",
        }
    }
}
