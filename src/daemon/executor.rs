//! Runs effects as tasks: each is started once, and called off when the machine awaits it no
//! longer.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::adapters::Adapters;
use crate::coordinator::effect::{Effect, Request};
use crate::coordinator::outcome::Outcome;
use crate::model::id::{HostName, SiteName, Token};

/// What an effect answered, and which host was asked, if one was.
pub(super) struct Answer {
    pub(super) token: Token,
    pub(super) outcome: Outcome,
    pub(super) host: Option<(SiteName, HostName)>,
}

/// The effects in flight.
pub(super) struct Executor {
    adapters: Arc<Adapters>,
    answers: mpsc::UnboundedSender<Answer>,
    in_flight: BTreeMap<Token, AbortHandle>,
}

impl Executor {
    pub(super) fn new(adapters: Arc<Adapters>) -> (Executor, mpsc::UnboundedReceiver<Answer>) {
        let (answers, heard) = mpsc::unbounded_channel();
        (
            Executor {
                adapters,
                answers,
                in_flight: BTreeMap::new(),
            },
            heard,
        )
    }

    /// Starts effects.
    pub(super) fn start(&mut self, effects: Vec<Effect>) {
        for Effect { token, request } in effects {
            let adapters = Arc::clone(&self.adapters);
            let answers = self.answers.clone();
            let task = tokio::spawn(async move {
                if let Some(outcome) = Box::pin(adapters.carry_out(&request)).await {
                    // Nobody listens any more only when the process is ending.
                    let host = host_of(&request);
                    drop(answers.send(Answer {
                        token,
                        outcome,
                        host,
                    }));
                }
            });
            self.in_flight.insert(token, task.abort_handle());
        }
    }

    /// Calls off what is awaited no longer. What was sent may still be carried out: the machine
    /// knows, and has written it down before.
    pub(super) fn keep_only(&mut self, awaited: &BTreeSet<Token>) {
        self.in_flight.retain(|token, task| {
            let is_awaited = awaited.contains(token);
            if !is_awaited {
                task.abort();
            }
            is_awaited
        });
    }

    /// An effect has answered.
    pub(super) fn answered(&mut self, token: Token) {
        self.in_flight.remove(&token);
    }
}

fn host_of(request: &Request) -> Option<(SiteName, HostName)> {
    match request {
        Request::Engine { site, host, .. } => Some((site.clone(), host.clone())),
        Request::ReadPrimary
        | Request::Update(_)
        | Request::AskServers { .. }
        | Request::AwaitServers { .. }
        | Request::ResolveImages { .. }
        | Request::Probe { .. }
        | Request::Measure { .. }
        | Request::AwaitQuiet { .. }
        | Request::JudgeTraffic { .. }
        | Request::AwaitTraffic { .. }
        | Request::RunBefore { .. }
        | Request::CallHook(_)
        | Request::Sleep { .. } => None,
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        for task in self.in_flight.values() {
            task.abort();
        }
    }
}
