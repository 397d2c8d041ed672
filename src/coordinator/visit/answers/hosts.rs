//! Engines that answer beside the site's stage: inventories, pulls, preparations, evidence.
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{EngineOutcome, Outcome, Problem};
use crate::coordinator::plan::Mode;
use crate::coordinator::safety;
use crate::coordinator::state::{EvidenceWork, HostWork};
use crate::model::id::{HostName, Token};
use crate::model::inventory::Inventory;

use super::super::progress::Story;

impl Story<'_> {
    /// `None`: no host awaits this answer.
    pub(super) fn on_host(&self, token: Token, outcome: &Outcome) -> Option<Vec<Event>> {
        let mut hosts = self.visit.hosts.iter();
        let (host, work) = hosts.find(|(_, work)| work.token() == Some(token))?;
        let Outcome::Engine(outcome) = outcome else {
            return Some(Vec::new());
        };
        let (site, name) = (self.site(), host.clone());
        Some(vec![match (work, outcome) {
            (HostWork::Looking { .. }, EngineOutcome::Inventory(inventory)) => {
                let looked = || {
                    let inventory = inventory.clone();
                    Event::HostLooked {
                        site,
                        host: name,
                        inventory,
                    }
                };
                self.fenced(host, inventory).unwrap_or_else(looked)
            }
            (HostWork::Pulling { .. }, EngineOutcome::Pulled { .. }) => {
                Event::HostPulled { site, host: name }
            }
            (
                HostWork::Preparing { .. },
                EngineOutcome::Prepared {
                    containers,
                    is_proof,
                },
            ) => {
                // A proof was removed again at once.
                let made = if *is_proof {
                    Vec::new()
                } else {
                    containers.clone()
                };
                Event::HostPrepared {
                    site,
                    host: name,
                    made,
                    is_proof: *is_proof,
                }
            }
            (work, EngineOutcome::Unready(problems)) => {
                let problems = problems.iter().map(|problem| self.unpulled(work, problem));
                Event::HostUnready {
                    site,
                    host: name,
                    problems: problems.collect(),
                }
            }
            (work, EngineOutcome::Failed(problem)) => {
                let problems = vec![self.unpulled(work, problem)];
                Event::HostUnready {
                    site,
                    host: name,
                    problems,
                }
            }
            (_, _) => return Some(Vec::new()),
        }])
    }

    /// `None`: this is no answer to a request for evidence. What failed, or took too long, is done
    /// without.
    pub(super) fn on_evidence(&self, token: Token, outcome: &Outcome) -> Option<Vec<Event>> {
        let EvidenceWork::Asked { hosts, until } = &self.visit.evidence else {
            return None;
        };
        let taken = |host: &HostName, containers: usize| Event::EvidenceTaken {
            site: self.site(),
            host: host.clone(),
            containers: u32::try_from(containers).unwrap_or(u32::MAX),
        };
        if until.token == token {
            return Some(hosts.keys().map(|host| taken(host, 0)).collect());
        }
        let (host, _) = hosts.iter().find(|(_, awaited)| **awaited == token)?;
        let containers = match outcome.engine() {
            Some(EngineOutcome::Evidence(evidence)) => evidence.len(),
            Some(_) | None => 0,
        };
        Some(vec![taken(host, containers)])
    }

    /// **fence**: who meets somebody newer on an engine sends nothing more.
    pub(super) fn fenced(&self, host: &HostName, inventory: &Inventory) -> Option<Event> {
        let (epoch, hold) = self.state.held()?;
        let refusal = safety::fence(inventory, epoch, hold, host).err()?;
        if !Guard::Fence.stands() {
            return None;
        }
        Some(Event::Deposed { refusal })
    }

    /// On-call goes on without a registry by naming where else the digests are.
    fn unpulled(&self, work: &HostWork, problem: &Problem) -> Problem {
        let mut problem = problem.clone();
        if matches!(work, HostWork::Pulling { .. }) && self.plan().mode == Mode::Rebuild {
            problem.cure = format!(
                "{}; or go on with what the site runs: `cleanslate rebuild {} --images running \
                 --reason TEXT`",
                problem.cure, self.visit.site
            );
        }
        problem
    }
}
