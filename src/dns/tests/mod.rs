//! The adapter against real servers.
mod capturing;
mod faults;
mod finding;
mod following;
mod races;
mod rights;
mod three_servers;
