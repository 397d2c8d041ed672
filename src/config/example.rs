//! The example that is shipped: what `init` writes, and what tests hold true.

/// An annotated `site.toml` with every key.
pub const EXAMPLE_SITE: &str = include_str!("../../site.toml");

/// The Compose file that goes with it.
pub const EXAMPLE_COMPOSE: &str = include_str!("../../compose.yaml");
