//! Where everything stands: what `status --json` prints, and what the table is drawn from.
mod next;
mod printed;
mod seen;
mod site;
#[cfg(test)]
mod tests;

pub use printed::{
    BarredStatus, EngineStatus, HostStatus, InDns, MarkerStatus, Next, NextRun, ReleaseStatus,
    RotationState, RotationStatus, SiteState, SiteStatus, Status,
};
pub use seen::{Engine, LastEnd, Seen, status};
