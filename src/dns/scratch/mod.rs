//! Proves on a name of its own, at which nothing stands, that the primary does with signed UPDATEs
//! (RFC 2136) what every change of a fleet rests on; and takes away again what it wrote there.
mod change;
mod ground;
mod proofs;
mod race;
#[cfg(test)]
mod tests;
mod verdict;

pub use ground::Scratch;
pub use proofs::Proof;
