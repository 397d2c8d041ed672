//! Every real thing is asked whether a rotation would work; nothing is changed. Rights are proved by
//! an UPDATE that adds what is there and deletes what is not; only a name that a person gives for
//! that ([`scratch()`]) is written to.
mod check;
mod delegation;
mod engines;
mod examine;
mod here;
mod markers;
mod others;
mod probes;
mod registries;
mod scratch;
mod servers;
mod zone;

pub use check::{Check, Found, problem};
pub use examine::{Own, Section, examine};
pub use here::{owner, store};
pub use scratch::scratch;
