//! What texts mean: variables, env files, amounts, commands.
pub(crate) mod dotenv;
pub(crate) mod interpolate;
pub(crate) mod quantity;
pub(crate) mod words;
