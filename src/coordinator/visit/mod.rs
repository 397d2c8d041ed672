//! One site's share of a rotation: how facts change it, which facts follow by themselves, and what
//! the answers to its effects mean.
mod answers;
mod emptying;
mod failing;
mod gate;
mod hosts;
mod leaving;
mod outset;
mod progress;
mod recreating;
mod requests;
mod returning;
mod rolling_back;
mod to_safety;
mod trial;
mod turn;
mod written;

pub(crate) use answers::react;
pub(crate) use progress::{Story, advance};
pub(crate) use requests::Asks;
pub(crate) use turn::Turn;
