//! Rotates whole datacenters, every night, without anyone noticing.
pub mod model;
