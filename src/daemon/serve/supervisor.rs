//! Whoever supervises the process, systemd most often: that it is ready, alive, and what it does
//! (sd_notify(3)). Where nobody does, nothing is said.
//!
//! Nothing here ever waits: a supervisor that does not read must not hold a rotation up. The
//! crates that speak this protocol send on a socket that blocks.
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::super::night::Notice;
use crate::coordinator::state::State;

/// While nothing happens the status is told anew so often, in calls.
const STATUS_EVERY: u32 = 60;

/// What the process was started with.
#[derive(Clone, Debug, Default)]
pub struct Supervised {
    /// `NOTIFY_SOCKET`: a path, or `@` and a name.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC` is there: it wants to hear that the process lives.
    pub has_watchdog: bool,
}

pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    has_watchdog: bool,
    /// Calls since the status was told.
    since: u32,
    last: String,
}

impl Supervisor {
    pub(super) fn of(supervised: &Supervised) -> Supervisor {
        let socket = supervised.socket.as_deref().and_then(|name| {
            let socket = connect(name);
            if let Err(error) = &socket {
                tracing::warn!(%error, "NOTIFY_SOCKET cannot be used");
            }
            socket.ok()
        });
        Supervisor {
            socket,
            has_watchdog: supervised.has_watchdog,
            since: STATUS_EVERY,
            last: String::new(),
        }
    }

    /// It answers questions, and has read its configuration.
    pub(super) fn is_ready(&self) {
        self.say("READY=1");
    }

    /// systemd wants to know when, by the clock that counts from boot.
    pub(super) fn is_reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub(super) fn is_stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The loop that owns the machine goes round; `what` it does is told now and then.
    pub(super) fn lives(&mut self, what: impl FnOnce() -> String) {
        self.lives_on();
        self.since += 1;
        if self.since >= STATUS_EVERY {
            self.since = 0;
            self.tell(what());
        }
    }

    /// The same, while a rotation tells what it does by itself.
    pub(super) fn lives_on(&self) {
        if self.has_watchdog {
            self.say("WATCHDOG=1");
        }
    }

    /// Something happened in the rotation.
    pub(super) fn sees(&mut self, notice: &Notice) {
        if let Some(doing) = doing(&notice.after) {
            self.tell(doing);
        }
    }

    /// No rotation runs any more: the next status is told at once.
    pub(super) fn rests(&mut self) {
        self.since = STATUS_EVERY;
    }

    fn tell(&mut self, what: String) {
        if what != self.last {
            self.say(&format!("STATUS={what}"));
            self.last = what;
        }
    }

    /// Where it cannot be said at once it is not said.
    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::debug!(%error, text, "the supervisor does not hear");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `nightly-…: fra drain; nyc soak`.
fn doing(state: &State) -> Option<String> {
    let rotation = state.running()?;
    let visits = rotation.visits.values();
    let steps: Vec<String> = visits
        .map(|visit| format!("{} {}", visit.site, visit.stage.step().as_str()))
        .collect();
    let steps = match steps.as_slice() {
        [] => "between two sites".to_owned(),
        steps => steps.join("; "),
    };
    let paused = if rotation.is_paused() {
        " (paused)"
    } else {
        ""
    };
    Some(format!("{}{paused}: {steps}", rotation.plan.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_does_not_read_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        let mut supervisor = Supervisor::of(&Supervised {
            socket: Some(path.into_os_string()),
            has_watchdog: true,
        });
        supervisor.is_ready();
        // Far more than any queue of datagrams holds.
        for number in 0..100_000 {
            supervisor.rests();
            supervisor.lives(|| format!("at {number}"));
        }
        let mut buffer = [0; 64];
        let length = heard.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        let length = heard.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"WATCHDOG=1");
        let length = heard.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STATUS=at 0");
    }

    #[test]
    fn a_name_without_a_path_is_an_abstract_one_and_a_wrong_one_is_nobody() {
        let name = format!("cleanslate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let heard = UnixDatagram::bind_addr(&address).unwrap();
        let socket = |text: String| Supervised {
            socket: Some(text.into()),
            has_watchdog: false,
        };
        Supervisor::of(&socket(format!("@{name}"))).is_stopping();
        let mut buffer = [0; 64];
        let length = heard.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
        Supervisor::of(&socket("/nonexistent".to_owned())).is_ready();
        Supervisor::of(&Supervised::default()).is_ready();
    }
}
