//! The task behind a meter: it samples all hosts every second, and answers who waits for quiet or
//! for traffic.
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::source::PacketSource;
use super::window::{Packets, Window};
use crate::coordinator::outcome::{Problem, TrafficOutcome};
use crate::model::id::SiteName;
use crate::model::playbook::Quiet;
use crate::model::time::{Mono, millis};

/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// So many samples in a row without all hosts, and traffic is unknown.
const FAILURES_IN_A_ROW: u32 = 3;

/// What counts as traffic where nobody has waited for quiet: the playbooks' default.
pub(super) const QUIET_UNLESS_TOLD: Quiet = Quiet {
    below: 10.0,
    share: 0.05,
    for_at_least: Duration::from_secs(10),
};

/// How long traffic is looked for where there is no baseline to miss it by.
const LOOKED_FOR_WITHOUT_BASELINE: Duration = Duration::from_secs(60);

/// What the sampler is asked. An asker who goes away is forgotten.
pub(super) enum Ask {
    MarkWithdrawal {
        at: Mono,
    },
    Quiet {
        quiet: Quiet,
        answer: oneshot::Sender<TrafficOutcome>,
    },
    /// Answered at once.
    Now {
        quiet: Quiet,
        answer: oneshot::Sender<TrafficOutcome>,
    },
    Traffic {
        answer: oneshot::Sender<TrafficOutcome>,
    },
}

struct Waiting {
    until: Until,
    answer: oneshot::Sender<TrafficOutcome>,
}

#[derive(Clone, Copy)]
enum Until {
    Quiet(Quiet),
    Now(Quiet),
    Back { since: Mono },
}

/// The one that owns the samples.
pub(super) struct Sampler {
    site: SiteName,
    hosts: Vec<PacketSource>,
    started: Instant,
    window: Window,
    /// What quiet meant to whoever waited for it last.
    quiet: Quiet,
    /// Samples in a row that some host was missing from.
    failures: u32,
    /// Why traffic cannot be told now.
    unknown: Option<String>,
    waiting: Vec<Waiting>,
    show: watch::Sender<Option<f64>>,
}

impl Sampler {
    /// `started` is when its clock begins; `show` gets the rate after each sample.
    pub(super) fn new(
        site: SiteName,
        hosts: Vec<PacketSource>,
        started: Instant,
        show: watch::Sender<Option<f64>>,
    ) -> Sampler {
        Sampler {
            site,
            hosts,
            started,
            window: Window::default(),
            quiet: QUIET_UNLESS_TOLD,
            failures: 0,
            unknown: None,
            waiting: Vec::new(),
            show,
        }
    }

    /// Until nobody can ask any more.
    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>) {
        let mut ticks = interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let sample = self.sample().await;
                    self.observe(sample);
                }
                ask = asks.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return,
                },
            }
            self.answer();
        }
    }

    async fn sample(&self) -> Result<Packets, Problem> {
        let mut all = Packets::default();
        let mut failed: Option<Problem> = None;
        for read in join_all(self.hosts.iter().map(PacketSource::read)).await {
            match read {
                Ok(packets) => all.containers.extend(packets.containers),
                // What is wrong for good goes before what may pass.
                Err(problem) => match &failed {
                    Some(earlier) if !earlier.is_transient || problem.is_transient => {}
                    Some(_) | None => failed = Some(problem),
                },
            }
        }
        failed.map_or(Ok(all), Err)
    }

    fn observe(&mut self, sample: Result<Packets, Problem>) {
        match sample {
            Ok(packets) => {
                self.window.observe(since(self.started), packets);
                self.failures = 0;
                self.unknown = None;
            }
            Err(problem) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_IN_A_ROW || !problem.is_transient {
                    let site = &self.site;
                    self.unknown = Some(format!("{site} cannot be measured: {}", problem.what));
                }
            }
        }
        let rate = match self.unknown {
            Some(_) => None,
            None => self.window.rate(),
        };
        self.show.send_replace(rate);
    }

    fn take(&mut self, ask: Ask) {
        let (until, answer) = match ask {
            Ask::MarkWithdrawal { at } => return self.window.mark_withdrawal(at),
            Ask::Quiet { quiet, answer } => {
                self.quiet = quiet;
                (Until::Quiet(quiet), answer)
            }
            Ask::Now { quiet, answer } => {
                self.quiet = quiet;
                (Until::Now(quiet), answer)
            }
            Ask::Traffic { answer } => {
                let since = since(self.started);
                (Until::Back { since }, answer)
            }
        };
        self.waiting.push(Waiting { until, answer });
    }

    /// Answers whom it can.
    fn answer(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.answer.is_closed() {
                continue;
            }
            match self.outcome(waiting.until) {
                // Who went away in this moment needs no answer.
                Some(outcome) => drop(waiting.answer.send(outcome)),
                None => self.waiting.push(waiting),
            }
        }
    }

    fn outcome(&self, until: Until) -> Option<TrafficOutcome> {
        if let Some(why) = &self.unknown {
            return Some(TrafficOutcome::Unknown { why: why.clone() });
        }
        match until {
            Until::Quiet(quiet) => self.quiet(&quiet),
            Until::Now(quiet) => Some(self.quiet(&quiet).unwrap_or(TrafficOutcome::Busy {
                packets: self.window.rate(),
            })),
            Until::Back { since } => self.back(since),
        }
    }

    fn quiet(&self, quiet: &Quiet) -> Option<TrafficOutcome> {
        let packets = self.window.is_quiet(quiet)?;
        Some(TrafficOutcome::Quiet { packets })
    }

    fn back(&self, since: Mono) -> Option<TrafficOutcome> {
        let bound = self.window.bound(&self.quiet);
        if let Some(packets) = self.window.is_back(bound, since) {
            return Some(TrafficOutcome::Back { packets });
        }
        let site = &self.site;
        let why = match self.window.baseline() {
            Some(before) if before < bound => format!(
                "{site} had {before:.1} packets a second before it was withdrawn: too few to tell \
                 whether they are back (traffic is {bound:.1} or more)"
            ),
            Some(_) => return None,
            None if self::since(self.started).since(since) < LOOKED_FOR_WITHOUT_BASELINE => {
                return None;
            }
            None => format!(
                "{site} has had fewer than {bound:.1} packets a second since, and it was not \
                 measured what it had before"
            ),
        };
        Some(TrafficOutcome::Unknown { why })
    }
}

/// Milliseconds since the meter started: its samples are compared with each other only.
pub(super) fn since(started: Instant) -> Mono {
    Mono(millis(started.elapsed()))
}
