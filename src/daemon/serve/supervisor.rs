//! Whoever supervises the process, systemd most often: that it is ready, alive, and what it does.
//! Where nobody does, nothing is said.
use std::time::Duration;

use sd_notify::NotifyState;

use super::super::night::Notice;
use crate::coordinator::state::State;

/// The status line is told anew so often.
const STATUS_EVERY: u32 = 60;

pub(super) struct Supervisor {
    /// It wants to hear that the process lives.
    watches: bool,
    /// Calls since the status was told.
    since: u32,
    last: String,
}

impl Supervisor {
    pub(super) fn from_environment() -> Supervisor {
        Supervisor {
            watches: watchdog().is_some(),
            since: STATUS_EVERY,
            last: String::new(),
        }
    }

    /// It answers questions, and has read its configuration.
    pub(super) fn is_ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    pub(super) fn is_reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn is_stopping(&self) {
        notify(&[NotifyState::Stopping]);
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
        if self.watches {
            notify(&[NotifyState::Watchdog]);
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
            notify(&[NotifyState::Status(&what)]);
            self.last = what;
        }
    }
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

fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "nobody supervises this process");
    }
}
