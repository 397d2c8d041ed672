//! What happened in a simulated night, entry by entry: what the world and people did, what each
//! coordinator decided. Whoever shows it finds the words for decisions.
use std::fmt;

use super::faults::Fault;
use super::invariants::Violation;
use crate::coordinator::event::Event;
use crate::coordinator::state::State;
use crate::model::time::Now;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Now,
    pub who: Who,
    pub what: What,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Coordinator(Seat),
    /// Servers, engines, networks, clocks.
    World,
    Person,
}

/// One of the coordinators of a night: `a`, `b`, `c`. Two on copies of one store share a holder's
/// name, never a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat(pub u8);

#[derive(Clone, Debug)]
pub enum What {
    /// A fault happened; in words, what it hit.
    Fault { fault: Fault, words: String },
    /// Anything else that somebody did, in words.
    Told(String),
    /// A coordinator decided; the states around the fact.
    Decided(Box<Decided>),
    /// A rule was broken.
    Broken(Violation),
}

/// A fact with the states around it.
#[derive(Clone, Debug)]
pub struct Decided {
    pub event: Event,
    pub before: State,
    pub after: State,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Coordinator(seat) => write!(f, "{seat}"),
            Who::World => f.pad("world"),
            Who::Person => f.pad("person"),
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'a'.saturating_add(self.0));
        f.pad(letter.encode_utf8(&mut [0; 4]))
    }
}
