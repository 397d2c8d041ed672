//! Rotates whole datacenters, every night, without anyone noticing.
//!
//! Data flows one way: [`config`] reads files into the nouns of [`model`]; [`coordinator`] plans and
//! decides, purely; [`daemon`] writes its decisions down ([`store`]) and carries them out through one
//! adapter a system ([`dns`], [`engine`], [`registry`], [`probe`], [`traffic`], [`hook`]); what came
//! of it goes back in. [`api`] and [`cli`] are what programs and people meet. `ARCHITECTURE.md` is the
//! map.
pub mod api;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod daemon;
pub mod dns;
pub mod engine;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod hook;
pub mod model;
pub mod notify;
pub mod otlp;
pub mod probe;
pub mod registry;
pub mod sim;
pub mod store;
pub mod traffic;
pub mod webhook;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
