//! `site.toml` table by table, as it is written.
pub(crate) mod api;
pub(crate) mod channel;
pub(crate) mod dns;
mod engine_address;
pub(crate) mod env_file;
mod file;
pub(crate) mod fleet;
mod freeze;
pub(crate) mod hook;
pub(crate) mod keyfile;
pub(crate) mod notify;
pub(crate) mod pin;
pub(crate) mod probe;
pub(crate) mod project;
mod quiet;
mod registry;
mod release;
pub(crate) mod sites;
mod traces;
pub(crate) mod vars;

pub(crate) use file::SiteFile;
