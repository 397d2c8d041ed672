//! One service of a Compose file, by the kinds of its keys.
pub(crate) mod container;
pub(crate) mod deploy;
pub(crate) mod draft;
pub(crate) mod environment;
pub(crate) mod healthcheck;
pub(crate) mod mount_blocks;
pub(crate) mod mounts;
pub(crate) mod not_carried;
pub(crate) mod paths;
pub(crate) mod ports;
pub(crate) mod rights;
