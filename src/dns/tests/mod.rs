//! The adapter against real servers.
mod faults;
mod finding;
mod following;
mod rights;
mod three_servers;
