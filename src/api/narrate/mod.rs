//! The journal's facts as public event lines: which of them others hear of, and in which words.
mod aside;
mod beat;
mod change;
mod ending;
mod fact;
mod narrator;
mod place;
#[cfg(test)]
mod tests;

pub use aside::{Aside, aside};
pub use beat::Beat;
pub(crate) use ending::brings_back;
pub use narrator::Narrator;

pub(in crate::api) use place::site_of;
