//! `simulate`: the fleet and a playbook in the simulator, night after night.
mod campaign;
mod chosen;
mod command;
mod json;
#[cfg(test)]
mod missed;
mod progress;
#[cfg(test)]
mod scenarios;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

pub(crate) use command::{Simulate, run};
