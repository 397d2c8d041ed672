//! One night from a seed: a rotation begins, a random handful of faults happens at random moments,
//! then they stop and everything must end well. The coordinators are the ones that ship.
mod coordinators;
mod happening;
mod healing;
mod people;
mod playing;
mod report;
mod stage;
#[cfg(test)]
mod tests;

pub use playing::{calm, night, timeline};
pub use report::{First, Report};
pub use stage::{Stage, drawn};
