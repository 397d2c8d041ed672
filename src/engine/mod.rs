//! The engine adapter: carries out [`EngineRequest`](crate::coordinator::effect::EngineRequest)
//! on the container engine of one host, over the Docker API (1.41 and newer).
//!
//! One file a request or noun. Nothing here decides: an answer that did not come in time is told
//! as such, and a request to remove may then still be carried out by the engine.

mod adapter;
mod age;
mod body;
mod changes;
mod client;
mod conflicts;
mod discard;
mod doomed;
mod evidence;
mod fault;
mod files;
mod health;
mod hooks;
mod info;
mod inventory;
mod labels;
mod launch;
mod make;
mod needs;
mod networks;
mod order;
mod packets;
mod prepare;
mod prune;
mod pull;
mod space;
mod spec_hash;
mod start;
mod stop;
mod survey;
#[cfg(test)]
mod tests;
mod unnamed;
mod volumes;
mod watch;

pub use adapter::{Engine, HostContext, Progress};
pub use info::EngineInfo;
pub use packets::Packets;
pub use space::Space;
