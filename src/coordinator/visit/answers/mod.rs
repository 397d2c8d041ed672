//! What the answers to a visit's effects mean.
mod drain;
mod hosts;
mod recreate;
mod servers;
mod soak;

use super::progress::Story;
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{EngineOutcome, Outcome, ProbeOutcome, Problem};
use crate::coordinator::state::Stage;
use crate::model::id::{HostName, Token};

/// The facts that follow from an answer; none where this visit does not await it.
pub(crate) fn react(story: &Story<'_>, token: Token, outcome: &Outcome) -> Vec<Event> {
    if let Some(events) = story.on_host(token, outcome) {
        return events;
    }
    if let Some(events) = story.on_evidence(token, outcome) {
        return events;
    }
    if let Some(events) = story.on_hook(token, outcome) {
        return events;
    }
    story.on_stage(token, outcome)
}

impl Story<'_> {
    fn on_stage(&self, token: Token, outcome: &Outcome) -> Vec<Event> {
        let site = self.site();
        match (&self.visit.stage, outcome) {
            (Stage::Probing { asked, .. }, Outcome::Probe(probed)) => {
                let of = asked.iter().find(|(_, awaited)| **awaited == token);
                let event = of.map(|(of, _)| {
                    let (of, problems) = (of.clone(), problems(probed));
                    Event::Probed { site, of, problems }
                });
                event.into_iter().collect()
            }
            (
                Stage::Following { token: awaited }
                | Stage::PutBackFollowing { token: awaited, .. }
                | Stage::RestoreFollowing { token: awaited },
                outcome,
            ) if *awaited == token => self.on_servers(outcome),
            (Stage::Draining { .. }, outcome) => self.on_drain(token, outcome),
            (Stage::RunningBefore { token: awaited }, Outcome::Before(result))
                if *awaited == token =>
            {
                self.on_before(result)
            }
            (Stage::LastLook { .. }, outcome) => self.on_last_look(token, outcome),
            (Stage::Clearing { hosts, .. }, Outcome::Engine(outcome)) => self.of_host(
                hosts,
                |(awaited, _)| *awaited == token,
                |host| self.on_clear(host, outcome),
            ),
            (Stage::Starting { hosts, .. }, Outcome::Engine(outcome)) => self.of_host(
                hosts,
                |(awaited, _)| *awaited == token,
                |host| self.on_start(host, outcome),
            ),
            (Stage::Inspecting { hosts, .. }, Outcome::Engine(outcome)) => self.of_host(
                hosts,
                |awaited| *awaited == token,
                |host| self.on_inspection(host, outcome),
            ),
            (
                Stage::Verifying {
                    token: awaited,
                    trial,
                },
                Outcome::Probe(probed),
            ) if *awaited == token => {
                match problems(probed)
                    .first()
                    .filter(|_| Guard::VerifiedByProbes.stands())
                {
                    None if self.is_to_be_tried(*trial) => vec![Event::TrialBegun { site }],
                    None => vec![Event::Verified { site }],
                    Some(problem) => self.failed(problem),
                }
            }
            (Stage::Soaking { .. }, outcome) => self.on_soak(token, outcome),
            (Stage::Pruning { hosts }, Outcome::Engine(outcome)) => self.of_host(
                hosts,
                |awaited| *awaited == token,
                |host| vec![pruned(self, host, outcome)],
            ),
            (Stage::BackingOff { wait, .. }, Outcome::Woke) if wait.token == token => {
                vec![Event::AttemptBegun { site }]
            }
            (Stage::RefusedWrite { wait, .. }, Outcome::Woke) if wait.token == token => {
                vec![Event::WriteAgain { site }]
            }
            (Stage::Discarding { hosts, .. }, Outcome::Engine(outcome)) => self.of_host(
                hosts,
                |(awaited, _)| *awaited == token,
                |host| {
                    let (host, problem) = (host.clone(), failure(outcome));
                    vec![Event::HostDiscarded {
                        site: site.clone(),
                        host,
                        problem,
                    }]
                },
            ),
            // Late, or of another kind than was asked for.
            (_, _) => Vec::new(),
        }
    }

    /// What `react` makes of the host whose work `is_awaited`.
    fn of_host<W>(
        &self,
        hosts: &std::collections::BTreeMap<HostName, W>,
        is_awaited: impl Fn(&W) -> bool,
        react: impl FnOnce(&HostName) -> Vec<Event>,
    ) -> Vec<Event> {
        let host = hosts.iter().find(|(_, work)| is_awaited(work));
        host.map(|(host, _)| react(host)).unwrap_or_default()
    }
}

/// That images cannot be removed is said, and fails no visit.
fn pruned(story: &Story<'_>, host: &HostName, outcome: &EngineOutcome) -> Event {
    let (images, bytes) = if let EngineOutcome::Pruned { images, bytes } = outcome {
        (*images, *bytes)
    } else {
        (0, 0)
    };
    Event::HostPruned {
        site: story.site(),
        host: host.clone(),
        images,
        bytes,
    }
}

fn failure(outcome: &EngineOutcome) -> Option<Problem> {
    if let EngineOutcome::Failed(problem) = outcome {
        return Some(problem.clone());
    }
    None
}

fn problems(outcome: &ProbeOutcome) -> Vec<Problem> {
    match outcome {
        ProbeOutcome::Passed => Vec::new(),
        ProbeOutcome::Failing { problems } => problems.clone(),
    }
}
