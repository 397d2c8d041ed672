//! DNS: reads and changes the records of a fleet (RFC 1035, 2136, 8945), over TCP only. No type
//! of the protocol library leaves this folder.
mod adapter;
mod discover;
mod follow;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod line;
mod message;
mod neighbours;
mod query;
mod random;
mod read;
mod refusal;
mod rights;
mod scratch;
mod send;
mod servers;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tsig;
mod unserved;
mod update;
mod wire;

pub use adapter::Dns;
pub use discover::{Discovered, discover};
pub use follow::Following;
pub use neighbours::Neighbour;
pub use random::nonce;
pub use refusal::{Grants, grants};
pub use rights::{Right, RightKind, RightsReport};
pub use scratch::{Proof, Scratch};
pub use servers::NameServer;
pub use tsig::Clocks;
