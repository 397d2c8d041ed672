//! What Prometheus reads: numbers about the rotation, the sites, their containers, the runs of the
//! schedule and the marker. Fed by facts as they become true and by looks every few minutes.
mod exposition;
mod facts;
mod families;
mod labels;
mod looks;
mod runs;
mod standing;
#[cfg(test)]
mod tests;

pub use exposition::{CONTENT_TYPE, Metrics};
pub use facts::Fact;
pub use looks::{Containers, Look};
pub use runs::{Remembered, RotationResult, Runs, rolled_back};
