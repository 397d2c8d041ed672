//! Rotates whole datacenters, every night, without anyone noticing.
pub mod api;
pub mod before;
pub mod config;
pub mod coordinator;
pub mod daemon;
pub mod dns;
pub mod engine;
pub mod model;
pub mod probe;
pub mod registry;
pub mod sim;
pub mod store;
pub mod traffic;
