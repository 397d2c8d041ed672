//! The namespaces that a container's process lives in, and what is run beside it.
use std::collections::BTreeMap;

use crate::model::text::Secret;

/// Namespaces by Compose's words: `host`, `service:NAME`, `container:NAME` and what else each
/// takes. `None`: the engine's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub pid: Option<String>,
    pub ipc: Option<String>,
    /// `host`.
    pub uts: Option<String>,
    /// `host`.
    pub user: Option<String>,
    /// `host` or `private`.
    pub cgroup: Option<String>,
}

/// A command run in a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifecycleHook {
    pub command: Vec<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    pub is_privileged: bool,
    /// `None`: the container's.
    pub working_dir: Option<String>,
    /// Beside the container's.
    pub environment: BTreeMap<String, Option<Secret>>,
}
