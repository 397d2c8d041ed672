//! The end of a drain: quiet, unknown, or still busy; and the command that runs after it.
use crate::coordinator::event::{DrainReason, Event};
use crate::coordinator::outcome::{Outcome, Problem, TrafficOutcome};
use crate::coordinator::state::{Quietness, Stage};
use crate::model::id::Token;
use crate::model::playbook::StillBusy;

use super::super::progress::Story;

impl Story<'_> {
    pub(super) fn on_drain(&self, token: Token, outcome: &Outcome) -> Vec<Event> {
        let Stage::Draining {
            least, most, quiet, ..
        } = &self.visit.stage
        else {
            return Vec::new();
        };
        match outcome {
            Outcome::Woke if token == least.token && !least.is_over => {
                vec![Event::DrainedAtLeast { site: self.site() }]
            }
            Outcome::Woke if token == most.token && !most.is_over => {
                vec![self.at_most(quiet)]
            }
            Outcome::Traffic(traffic) if *quiet == Quietness::Asked(token) => {
                self.on_traffic(traffic).into_iter().collect()
            }
            Outcome::Traffic(traffic) if *quiet == Quietness::AskedLast(token) => {
                vec![self.on_last_traffic(traffic)]
            }
            Outcome::Woke
            | Outcome::Traffic(_)
            | Outcome::Primary { .. }
            | Outcome::Update(_)
            | Outcome::Servers(_)
            | Outcome::Followed { .. }
            | Outcome::Behind { .. }
            | Outcome::Images { .. }
            | Outcome::Engine(_)
            | Outcome::Probe(_)
            | Outcome::Before(_)
            | Outcome::Hook(_) => Vec::new(),
        }
    }

    fn on_traffic(&self, traffic: &TrafficOutcome) -> Option<Event> {
        let site = self.site();
        match traffic {
            TrafficOutcome::Quiet { packets } if self.plan().options.without_ns.is_empty() => {
                Some(self.drained_by(DrainReason::Quiet, Some(*packets)))
            }
            // A silent name server may still send users: the drain lasts to its end.
            TrafficOutcome::Quiet { packets } => Some(Event::QuietSeen {
                site,
                packets: *packets,
            }),
            TrafficOutcome::Unknown { why } => Some(Event::DrainUnknown {
                site,
                why: why.clone(),
            }),
            TrafficOutcome::Busy { .. } | TrafficOutcome::Back { .. } => None,
        }
    }

    /// The longest drain is over. Unknown is never quiet, and never busy.
    fn at_most(&self, quiet: &Quietness) -> Event {
        match quiet {
            Quietness::Seen { packets } => self.drained_by(DrainReason::Quiet, Some(*packets)),
            Quietness::Unknown { .. } => self.drained_by(DrainReason::Unknown, None),
            Quietness::NotAsked | Quietness::Asked(_) | Quietness::AskedLast(_) => {
                Event::DrainedAtMost { site: self.site() }
            }
        }
    }

    /// The last word on a drain that was not quiet in time.
    fn on_last_traffic(&self, traffic: &TrafficOutcome) -> Event {
        match traffic {
            TrafficOutcome::Quiet { packets } => {
                self.drained_by(DrainReason::Quiet, Some(*packets))
            }
            TrafficOutcome::Unknown { .. } => self.drained_by(DrainReason::Unknown, None),
            TrafficOutcome::Busy { packets } => self.busy(*packets),
            TrafficOutcome::Back { packets } => self.busy(Some(*packets)),
        }
    }

    fn busy(&self, packets: Option<f64>) -> Event {
        match self.ctx.playbook.drain.then {
            StillBusy::PutBack if self.visit.can_go_back() => self.still_busy(packets),
            StillBusy::PutBack | StillBusy::Proceed => {
                self.drained_by(DrainReason::AtMost, packets)
            }
        }
    }

    fn still_busy(&self, packets: Option<f64>) -> Event {
        let residue =
            packets.map_or_else(String::new, |it| format!(" of {it:.1} packets a second"));
        let problem = Problem {
            what: format!(
                "{} still has traffic{residue} {} s after every name server followed",
                self.visit.site,
                self.drain_seconds()
            ),
            cure: "give [drain].at_most more time, or see who ignores the TTL; `then = \
                   \"proceed\"` goes on all the same"
                .to_owned(),
            is_transient: false,
        };
        Event::PutBackBegun {
            site: self.site(),
            problem,
        }
    }

    fn drained_by(&self, reason: DrainReason, packets: Option<f64>) -> Event {
        Event::Drained {
            site: self.site(),
            reason,
            packets,
            seconds: self.drain_seconds(),
        }
    }

    fn drain_seconds(&self) -> u64 {
        let Stage::Draining { since, .. } = &self.visit.stage else {
            return 0;
        };
        self.now.mono.since(*since).as_secs()
    }

    /// The drain's bound includes the TTL read back: above `at_most` the site is put back.
    pub(in crate::coordinator::visit) fn bounded_drain(&self) -> Vec<Event> {
        let at_most = self.ctx.playbook.drain.at_most;
        if self.visit.ttl.duration() <= at_most || !self.visit.can_go_back() {
            return Vec::new();
        }
        let problem = Problem {
            what: format!(
                "ttl: the old answer was served with a TTL of {}, the drain lasts at most {} s",
                self.visit.ttl,
                at_most.as_secs()
            ),
            cure: "give [drain].at_most more than the largest TTL of the last day, or wait until \
                   the larger TTL is a day old"
                .to_owned(),
            is_transient: false,
        };
        vec![Event::PutBackBegun {
            site: self.site(),
            problem,
        }]
    }

    /// The playbook's command. One that fails, while nothing was stopped, undoes the withdrawal;
    /// it counts like a failure in *ready*.
    pub(super) fn on_before(&self, result: &Result<(), Problem>) -> Vec<Event> {
        let site = self.site();
        let ended = Event::BeforeEnded {
            site: site.clone(),
            problem: result.clone().err(),
        };
        let then = result.as_ref().err().map(|problem| {
            if self.visit.can_go_back() {
                Event::PutBackBegun {
                    site,
                    problem: problem.clone(),
                }
            } else {
                self.not_ready(problem)
            }
        });
        std::iter::once(ended).chain(then).collect()
    }
}
