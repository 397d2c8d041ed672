//! The shell around the machine: the event loop, the executor of effects, the clock. The only
//! place that knows both the machine and the adapters.
pub mod adapters;
mod archive;
mod audit;
pub mod clock;
mod control;
mod cues;
pub mod doctor;
pub mod drift;
mod executor;
mod feet;
mod freeze;
mod journal;
mod moving;
mod night;
pub mod past;
pub mod rehearsal;
pub mod release;
pub mod request;
pub mod schedule;
mod serve;
pub mod session;
pub mod status;
pub mod survey;
mod tokens;

pub use audit::Asking;
pub use control::Control;
pub use journal::JournalError;
pub use moving::{Arrival, move_in};
pub use night::{Ask, Finish, Notice, RunError, stop};
pub use request::Request;
pub use serve::{Note, Order, Server, Supervised};
pub use session::{Ears, Interrupted, OpenError, Paths, SOCKET, Session, rotation_id, ttl_high};
pub use tokens::changes as token_changes;
