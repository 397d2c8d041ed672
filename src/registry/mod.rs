//! Registries: the digest that a tag names now.
mod credentials;
mod failure;
mod labels;
mod resolve;
mod session;
mod token;
mod transport;

#[cfg(test)]
mod tests;

pub use resolve::Registries;
