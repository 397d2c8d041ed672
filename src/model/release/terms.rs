//! What `[release]` asks for before tags move.
use std::time::Duration;

/// Terms of a release. None, unless the fleet's owner writes some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// So long a digest has been in service on the channel that it is promoted from.
    pub soak: Duration,
    /// So many people have said that they tried it.
    pub approvals: u32,
}
