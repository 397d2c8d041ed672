//! What the process measures: facts reach [`Metrics`] as they are told, this adds the rest.
use std::sync::Arc;

use jiff::Timestamp;

use super::super::control::Control;
use super::super::journal::JournalError;
use super::super::night::Notice;
use super::super::past;
use super::super::schedule::{Due, Verdict};
use super::super::session::Session;
use super::clockwork::Clockwork;
use super::lookout::Lookout;
use crate::api::metrics::Metrics;
use crate::coordinator::event::Event;

pub(super) struct Measuring {
    metrics: Arc<Metrics>,
    lookout: Lookout,
}

impl Measuring {
    /// From now on, with what earlier processes left.
    pub(super) fn start(
        session: &Session,
        control: &mut Control,
    ) -> Result<Measuring, JournalError> {
        let (fleet, clock) = (&session.config.fleet.name, session.clock());
        let holder = session.store.holder()?;
        let version = env!("CARGO_PKG_VERSION");
        let metrics = Arc::new(Metrics::new(fleet, version, holder, clock.now().wall));
        metrics.remember(past::remembered(&session.store)?);
        control.measure(Arc::clone(&metrics));
        let (adapters, seen) = (Arc::clone(&session.adapters), Arc::clone(&metrics));
        Ok(Measuring {
            lookout: Lookout::start(adapters, seen, clock),
            metrics,
        })
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The configuration was read anew.
    pub(super) fn reload(&mut self, session: &Session) {
        let (adapters, metrics) = (Arc::clone(&session.adapters), Arc::clone(&self.metrics));
        self.lookout = Lookout::start(adapters, metrics, session.clock());
    }

    /// The clockwork has another idea of what comes.
    pub(super) fn plan(&self, clockwork: &Clockwork) {
        self.metrics.plan(&clockwork.around());
    }

    /// What is due, and what it took the place of. `is_again`: it was due before, and could not begin.
    pub(super) fn settles(&self, due: &Due, is_again: bool, now: Timestamp) {
        let is_missed = matches!(due.verdict, Verdict::Missed { .. });
        let overtaken = if is_again { 0 } else { due.overtaken };
        let missed = u64::from(overtaken) + u64::from(is_missed);
        if missed > 0 {
            self.metrics.missed(&due.run.playbook, missed, now);
        }
    }

    /// The containers of a site are others, or a rotation is over.
    pub(super) fn sees(&self, notice: &Notice) {
        if matches!(notice.event, Event::VisitEnded { .. }) {
            self.lookout.look_at_once();
        }
    }

    pub(super) fn rests(&self) {
        self.lookout.look_at_once();
    }
}
