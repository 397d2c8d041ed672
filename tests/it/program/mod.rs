//! `cleanslate` at work, as whoever started it sees it: event lines as they come, what it says,
//! and the code it exits with.

mod lines;
mod run;

pub(crate) use lines::{Event, check_complete, check_numbers};
pub(crate) use run::{Ended, Run};
