//! Tests against the machine's own engine, and what they are made of. They need Docker at
//! `/var/run/docker.sock`, `docker-compose`, `docker-registry`, `htpasswd` and `busybox-static`.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the answer it hopes for, and any other fails it"
)]
mod age;
mod conflicts;
mod drift;
mod faults;
pub(super) mod fixture;
mod hooks;
mod images;
mod spec;
mod starts;
mod surroundings;
mod visits;
mod yard;
