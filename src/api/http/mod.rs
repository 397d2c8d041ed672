//! The API over HTTP: `/v1` on the control socket, where the file's permissions decide who may
//! ask, and over TCP with TLS, where tokens do.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "requests come side by side, on a clock of their own; the machine is asked by a channel"
)]

mod caller;
mod commands;
mod connections;
mod door;
mod events;
mod front;
mod guarded;
mod problem;
mod pushes;
mod queries;
mod repeats;
mod tls;

pub(in crate::api) use caller::{Caller, Peer};
pub(in crate::api) use commands::{asked, whole};
pub(in crate::api) use connections::Spoken;
pub(in crate::api) use door::serve_socket;
pub use door::{Door, DoorError, Net};
pub(in crate::api) use events::REFUSED;
pub use front::Front;
pub(in crate::api) use problem::{Body as ProblemBody, MEDIA_TYPE as PROBLEM, Problem};
pub(in crate::api) use repeats::Key;

#[cfg(test)]
pub(in crate::api) mod tests;
