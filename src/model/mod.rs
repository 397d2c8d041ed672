//! The nouns: pure data, validated when made. Nothing here reads a clock, a file or a socket.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod cron;
pub mod drift;
pub mod evidence;
pub mod fleet;
pub mod hook;
pub mod hours;
pub mod id;
pub mod image;
pub mod inventory;
pub mod lifecycle;
pub mod marker;
pub mod notice;
pub mod pin;
pub mod playbook;
pub mod release;
pub mod rrset;
pub mod service;
pub mod span;
pub mod template;
pub mod text;
pub mod time;
pub mod way;
