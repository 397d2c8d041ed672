//! Registries: the digest that a tag names now, and moving a tag to another manifest.
mod credentials;
mod failure;
mod labels;
mod manifest;
mod resolve;
mod session;
mod token;
mod transport;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod writes;

pub use manifest::{FetchError, Manifest, PutError};
pub use resolve::Registries;
