//! One service of a Compose file, by the kinds of its keys.
pub(crate) mod blkio;
pub(crate) mod container;
pub(crate) mod deploy;
pub(crate) mod devices;
pub(crate) mod draft;
pub(crate) mod environment;
pub(crate) mod healthcheck;
pub(crate) mod hooks;
pub(crate) mod limits;
pub(crate) mod mount_blocks;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod neighbours;
pub(crate) mod paths;
pub(crate) mod ports;
pub(crate) mod rights;
