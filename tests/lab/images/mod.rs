//! Images made from the machine's own nginx and busybox, and pushed to the lab's registry.

pub mod kind;
pub mod layers;
pub mod push;
pub mod send;

pub use send::Push;
