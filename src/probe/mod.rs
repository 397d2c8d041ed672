//! Probes: whether a site answers, asked at its own addresses.
mod check;
mod http;
mod prober;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;
mod tls;

pub use prober::{Looked, Prober, Try};
