//! The lab: a whole fleet on one machine, with real BIND, real engines and a real registry.
//!
//! Every lab lives in network namespaces of its own (`cs<id>-core`, `cs<id>-<host>`) and below
//! one folder, so several can run side by side on the same addresses, and tearing one down
//! leaves nothing. Integration tests, benches, `make demo` and the `lab` executable share it.
//!
//! - [`spec`]: what a lab looks like · [`lay`]: laying it, the [`Lab`] handle
//! - [`ground`]: namespaces, machines, engines, BIND, the registry, teardown
//! - [`images`]: the images that the lab's registry serves
//! - [`eyes`]: users and watcher, which judge from outside
//! - [`fleet`]: the files of the fleet and running `cleanslate` on it
//! - [`flood`]: what may come in by an API
//! - [`faults`]: everything that can be broken
//! - [`lines`]: lines between machines, cut, lossy and slow
//! - [`faultd`]: proxies that spoil what passes between `cleanslate` and a server
#![allow(
    unreachable_pub,
    dead_code,
    reason = "each program that includes the lab uses a part"
)]
#![allow(
    unused_imports,
    unnameable_types,
    reason = "the lab is a module of its programs"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the lab executable talks to people"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the lab is the world: real clocks and real waiting are what it is for"
)]

pub mod eyes;
pub mod faultd;
pub mod faults;
pub mod fleet;
pub mod flood;
pub mod ground;
pub mod images;
pub mod inspect;
pub mod lay;
pub mod lines;
pub mod spec;

pub use eyes::users::{Load, Users, UsersReport};
pub use eyes::watcher::{History, Watcher};
pub use faults::Server;
pub use fleet::options::{FleetOptions, Service, Transport};
pub use images::kind::ImageKind;
pub use inspect::ContainerView;
pub use lay::Lab;
pub use spec::{Brand, LabSpec, SiteSpec};
