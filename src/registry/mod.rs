//! Registries: the digest that a tag names now, moving a tag to another manifest, and taking one away.
mod credentials;
mod failure;
mod labels;
mod manifest;
mod platforms;
mod removal;
mod resolve;
mod session;
mod token;
mod transport;

#[cfg(test)]
mod removals;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod writes;

pub use manifest::{FetchError, Manifest, PutError};
pub use removal::Removal;
pub use resolve::Registries;
