//! What `[release]` asks for.
use std::time::Duration;

use super::rule::TagRule;

/// Terms of a release. None, unless the fleet's owner writes some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// So long a digest has been in service on the channel that it is promoted from.
    pub soak: Duration,
    /// So many people have said that they tried it.
    pub approvals: u32,
    /// So many good digests of each image stay on hosts and have a keep-tag; 0: none is kept for
    /// that, and no tag is put or removed.
    pub keep: usize,
    /// How keep-tags are named.
    pub tag: TagRule,
}
