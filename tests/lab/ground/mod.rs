//! What a lab stands on: namespaces, machines in them, and the servers that run there.

pub mod bind;
pub mod children;
pub mod engine;
pub mod machine;
pub mod net;
pub mod owner;
pub mod primary;
pub mod processes;
pub mod program;
pub mod registry;
pub mod teardown;
