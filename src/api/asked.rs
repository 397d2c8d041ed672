//! A question on its way to whoever owns the machine, and the answer on its way back.
use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};

use super::actor::Actor;
use super::wire::{Command, Reply};

/// A question, who asks it, and where the answer goes.
#[derive(Debug)]
pub struct Asked {
    pub command: Command,
    pub actor: Actor,
    pub answer: oneshot::Sender<Answer>,
}

/// What is said in return.
#[derive(Debug)]
pub enum Answer {
    Reply(Reply),
    Events(Heard),
}

/// Event lines, as JSON: those that were missed, and those to come. Whoever falls behind by more
/// than the channel holds is told so and let go.
#[derive(Debug)]
pub struct Heard {
    pub missed: Vec<Arc<str>>,
    pub lines: broadcast::Receiver<Arc<str>>,
}
