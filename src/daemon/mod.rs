//! The shell around the machine: the event loop, the executor of effects, the clock. The only
//! place that knows both the machine and the adapters.
pub mod adapters;
pub mod clock;
mod control;
mod executor;
mod feet;
mod journal;
mod night;
pub mod past;
pub mod rehearsal;
pub mod schedule;
pub mod session;
pub mod status;
pub mod survey;

pub use journal::JournalError;
pub use night::{Ask, Finish, Notice, RunError};
pub use session::{Interrupted, OpenError, Paths, SOCKET, Session, rotation_id, ttl_high};
