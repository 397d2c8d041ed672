//! What other programs meet: event lines, status, and the API, over the control socket and TCP.
pub mod actor;
pub mod asked;
pub mod client;
pub mod history;
pub mod http;
pub mod metrics;
pub mod narrate;
pub(crate) mod page;
pub mod public;
pub mod report;
pub mod socket;
pub mod status;
pub mod story;
pub mod token;
pub(crate) mod when;
pub mod wire;
pub(crate) mod words;
