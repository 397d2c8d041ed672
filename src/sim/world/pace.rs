//! How long what is asked for takes.
use super::World;
use crate::coordinator::effect::{Effect, EngineRequest, ProbeManner, Request};
use crate::model::time::millis;

/// How long things take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    #[default]
    Usual,
    /// Every answer comes at once, pauses before another try too, and only who waits for a time
    /// takes any. Nobody watches: what is told by watching depends on when.
    #[cfg_attr(not(test), expect(dead_code, reason = "only searches play so"))]
    AtOnce,
}

/// The longest pause before another try, in milliseconds.
const PAUSE: u64 = 20_000;

impl World {
    pub(crate) fn start(&mut self, effect: Effect) {
        let Some(takes) = self.takes(&effect.request) else {
            return;
        };
        let turn = self.queue.len() + self.journal.len();
        let by_turn = self.delays.get(turn % self.delays.len().max(1)).copied();
        let is_clear = matches!(
            effect.request,
            Request::Engine {
                request: EngineRequest::Clear { .. },
                ..
            }
        );
        let slow = is_clear
            .then(|| self.faults.slow_clears.pop_front())
            .flatten();
        let is_timer = matches!(effect.request, Request::Sleep { .. });
        let longer = slow.or(by_turn.filter(|_| !is_timer)).unwrap_or(0);
        self.queue.push((self.now + takes + longer, effect));
    }

    /// How long an effect takes, in milliseconds; `None`: it is never answered.
    fn takes(&self, request: &Request) -> Option<u64> {
        let usual = self.usually_takes(request)?;
        let is_wait = matches!(request, Request::Sleep { .. });
        match self.pace {
            Pace::Usual => Some(usual),
            Pace::AtOnce if is_watch(request) => None,
            Pace::AtOnce if is_wait && usual > PAUSE => Some(usual),
            Pace::AtOnce => Some(0),
        }
    }

    fn usually_takes(&self, request: &Request) -> Option<u64> {
        match request {
            Request::Sleep { until } => Some((until.0 + self.lag).saturating_sub(self.now)),
            Request::Measure { .. } => None,
            Request::AwaitQuiet { .. } => Some(10_000),
            Request::AwaitTraffic { .. } => Some(3_000),
            Request::Probe {
                manner: ProbeManner::Watch,
                ..
            } => Some(20_000),
            Request::Engine {
                request: EngineRequest::Watch { .. },
                ..
            } => Some(20_000),
            Request::Engine {
                request: EngineRequest::TakeEvidence { .. },
                ..
            } if self.faults.evidence_hangs => None,
            Request::AwaitServers { within, .. } => Some(self.follows_after(millis(*within))),
            Request::ReadPrimary
            | Request::Update(_)
            | Request::AskServers { .. }
            | Request::ResolveImages { .. }
            | Request::Engine { .. }
            | Request::Probe { .. }
            | Request::JudgeTraffic { .. }
            | Request::RunBefore { .. }
            | Request::CallHook(_) => Some(5),
        }
    }
}

/// Whether it is answered only when something breaks.
fn is_watch(request: &Request) -> bool {
    match request {
        Request::Probe { manner, .. } => *manner == ProbeManner::Watch,
        Request::Engine { request, .. } => matches!(request, EngineRequest::Watch { .. }),
        Request::ReadPrimary
        | Request::Update(_)
        | Request::AskServers { .. }
        | Request::AwaitServers { .. }
        | Request::ResolveImages { .. }
        | Request::Measure { .. }
        | Request::AwaitQuiet { .. }
        | Request::JudgeTraffic { .. }
        | Request::AwaitTraffic { .. }
        | Request::RunBefore { .. }
        | Request::CallHook(_)
        | Request::Sleep { .. } => false,
    }
}
