//! Which connections are open, and which of them has to go when there are too many.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// How many may be open at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) all: usize,
    /// From one address.
    pub(super) each: usize,
}

/// Whether somebody who may ask has asked something on a connection.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Spoken(Arc<AtomicBool>);

impl Spoken {
    pub(in crate::api) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connections of one door.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    open: Arc<Mutex<BTreeMap<u64, Open>>>,
    accepted: u64,
}

#[derive(Debug)]
struct Open {
    from: Option<IpAddr>,
    spoken: Spoken,
    task: Option<AbortHandle>,
}

/// Holds the place of a connection, which goes with this.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    open: Arc<Mutex<BTreeMap<u64, Open>>>,
    pub(super) spoken: Spoken,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Connections {
        Connections {
            limits,
            open: Arc::default(),
            accepted: 0,
        }
    }

    /// A place for a new connection. Where there is none, the oldest on which nobody proved to be
    /// somebody makes room: a flood lives off itself, and whoever has a token gets through it.
    /// `None`: all others are known.
    pub(super) fn place(&mut self, from: Option<IpAddr>) -> Option<Place> {
        let from = from.map(neighbourhood);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let near = open.values().filter(|it| it.from == from).count();
        if near >= self.limits.each && from.is_some() {
            make_room(&mut open, |it| it.from == from)?;
        } else if open.len() >= self.limits.all {
            make_room(&mut open, |_| true)?;
        }
        self.accepted += 1;
        let spoken = Spoken::default();
        let entry = Open {
            from,
            spoken: spoken.clone(),
            task: None,
        };
        open.insert(self.accepted, entry);
        Some(Place {
            number: self.accepted,
            open: Arc::clone(&self.open),
            spoken,
        })
    }
}

impl Connections {
    /// Who serves the connection, to be ended where it has to make room.
    pub(super) fn serves(&self, number: u64, task: AbortHandle) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = open.get_mut(&number) {
            entry.task = Some(task);
        }
    }
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.number);
    }
}

fn make_room(open: &mut BTreeMap<u64, Open>, may_go: impl Fn(&Open) -> bool) -> Option<()> {
    let mut oldest = open.iter();
    let (number, _) = oldest.find(|(_, it)| !it.spoken.is_so() && may_go(it))?;
    let number = *number;
    if let Some(task) = open.remove(&number).and_then(|it| it.task) {
        task.abort();
    }
    Some(())
}

/// Who has one IPv6 address has the 2^64 beside it.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { all: 3, each: 2 };

    #[test]
    fn the_oldest_who_said_nothing_makes_room_for_the_next_from_there() {
        let mut connections = Connections::new(LIMITS);
        let [near, far] = ["192.0.2.1", "192.0.2.2"].map(|it| Some(it.parse().unwrap()));
        let places: Vec<_> = [near, near, near]
            .map(|from| connections.place(from).unwrap())
            .into();
        assert_eq!(numbers(&connections), [2, 3]);
        places[1].spoken.note();
        let far = connections.place(far).unwrap();
        // All are taken: the oldest who said nothing goes, wherever it came from.
        let other = connections.place(Some("192.0.2.3".parse().unwrap()));
        assert_eq!(numbers(&connections), [2, 4, 5]);
        for place in [&far, other.as_ref().unwrap()] {
            place.spoken.note();
        }
        assert!(
            connections
                .place(Some("192.0.2.4".parse().unwrap()))
                .is_none()
        );
        drop(far);
        assert!(connections.place(None).is_some());
    }

    #[test]
    fn neighbours_count_as_one() {
        let address = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    fn numbers(connections: &Connections) -> Vec<u64> {
        connections.open.lock().unwrap().keys().copied().collect()
    }
}
