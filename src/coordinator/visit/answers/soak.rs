//! A restored site is watched in service.
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{EngineOutcome, Outcome, ProbeOutcome, Problem, TrafficOutcome};
use crate::coordinator::state::{Stage, TrafficWait};
use crate::model::id::Token;

use super::super::progress::Story;

impl Story<'_> {
    pub(super) fn on_soak(&self, token: Token, outcome: &Outcome) -> Vec<Event> {
        let Stage::Soaking {
            time,
            traffic,
            probes,
            containers,
        } = &self.visit.stage
        else {
            return Vec::new();
        };
        let site = self.site();
        let (is_traffic, is_deadline) = match traffic {
            TrafficWait::Awaited {
                token: awaited,
                deadline,
            } => (*awaited == token, deadline.token == token),
            TrafficWait::Seen { .. } => (false, false),
        };
        let is_container = containers.values().any(|awaited| *awaited == token);
        if !Guard::SoakBreaks.stands() && (token == *probes || is_container) {
            return Vec::new();
        }
        match outcome {
            Outcome::Woke if token == time.token => vec![Event::SoakTimeOver { site }],
            Outcome::Woke if is_deadline => vec![self.broken(&self.no_traffic())],
            Outcome::Traffic(seen) if is_traffic => vec![self.traffic(seen)],
            Outcome::Probe(ProbeOutcome::Failing { problems }) if token == *probes => problems
                .first()
                .map(|problem| self.broken(problem))
                .into_iter()
                .collect(),
            Outcome::Engine(EngineOutcome::Breach { problem }) if is_container => {
                vec![self.broken(problem)]
            }
            Outcome::Woke
            | Outcome::Traffic(_)
            | Outcome::Probe(_)
            | Outcome::Engine(_)
            | Outcome::Primary { .. }
            | Outcome::Update(_)
            | Outcome::Servers(_)
            | Outcome::Followed { .. }
            | Outcome::Behind { .. }
            | Outcome::Images { .. }
            | Outcome::Before(_)
            | Outcome::Hook(_) => Vec::new(),
        }
    }

    /// The meter must see traffic again; unknown goes on, and says so.
    fn traffic(&self, seen: &TrafficOutcome) -> Event {
        let (packets, unknown) = match seen {
            TrafficOutcome::Back { packets } | TrafficOutcome::Quiet { packets } => {
                (Some(*packets), None)
            }
            TrafficOutcome::Busy { packets } => (*packets, None),
            TrafficOutcome::Unknown { why } => (None, Some(why.clone())),
        };
        Event::TrafficSeen {
            site: self.site(),
            packets,
            unknown,
        }
    }

    fn broken(&self, problem: &Problem) -> Event {
        Event::SoakBroken {
            site: self.site(),
            problem: problem.clone(),
        }
    }

    fn no_traffic(&self) -> Problem {
        Problem {
            what: format!("{} was put back and no traffic came", self.visit.site),
            cure: "see why users do not reach it, then `cleanslate rebuild`".to_owned(),
            is_transient: false,
        }
    }
}
