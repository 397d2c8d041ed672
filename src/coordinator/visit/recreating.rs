//! Dirty: the old containers are cleared, the new ones started and inspected, again where it
//! failed.
use std::collections::BTreeMap;

use super::Turn;
use crate::coordinator::effect::Made;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{EvidenceWork, Stage, Trial, Visit};
use crate::model::id::{ContainerId, HostName};
use crate::model::time::Mono;

impl Visit {
    /// The containers were proofs: they are made anew where the old ones have gone.
    pub(crate) fn remake_begun(&mut self, turn: &mut Turn<'_>) {
        let remakes = self.remakes + 1;
        self.ask_hosts(turn);
        self.remakes = remakes;
        self.stage = Stage::Drained;
    }

    /// From here on these may be stopped or removed, however late.
    pub(crate) fn clear_begun(
        &mut self,
        turn: &mut Turn<'_>,
        level: usize,
        containers: &BTreeMap<HostName, Vec<ContainerId>>,
    ) {
        let Stage::Clearing {
            level: at, hosts, ..
        } = &mut self.stage
        else {
            return;
        };
        self.condemned
            .extend(containers.values().flatten().cloned());
        *at = level;
        let asked = containers.iter().filter(|(_, ids)| !ids.is_empty());
        *hosts = asked
            .map(|(host, ids)| (host.clone(), (turn.mint(), ids.clone())))
            .collect();
    }

    pub(crate) fn cleared(&mut self, host: &HostName) {
        if let Stage::Clearing { hosts, .. } = &mut self.stage {
            let gone = hosts.remove(host).map(|(_, ids)| ids).unwrap_or_default();
            self.condemned.retain(|id| !gone.contains(id));
        }
    }

    /// They stay condemned.
    pub(crate) fn uncleared(&mut self, host: &HostName) {
        if let Stage::Clearing { hosts, .. } = &mut self.stage {
            hosts.remove(host);
        }
    }

    pub(crate) fn start_begun(&mut self, turn: &mut Turn<'_>, level: usize) {
        let levels = turn.ctx.levels(&self.site);
        let projects = levels.get(level).cloned().unwrap_or_default();
        let mut hosts = BTreeMap::new();
        for (host, work) in &self.hosts {
            let made = work
                .made()
                .iter()
                .filter(|made| projects.contains(&made.project));
            let made: Vec<Made> = made.cloned().collect();
            if !made.is_empty() {
                hosts.insert(host.clone(), (turn.mint(), made));
            }
        }
        self.stage = Stage::Starting { level, hosts };
    }

    pub(crate) fn started(&mut self, host: &HostName) {
        if let Stage::Starting { hosts, .. } = &mut self.stage {
            let started = hosts.remove(host).map(|(_, made)| made).unwrap_or_default();
            let ids = started.into_iter().map(|made| made.id);
            self.serving.entry(host.clone()).or_default().extend(ids);
        }
    }

    pub(crate) fn not_started(&mut self, host: &HostName) {
        if let Stage::Starting { hosts, .. } = &mut self.stage {
            hosts.remove(host);
        }
    }

    pub(crate) fn recreated(&mut self, turn: &mut Turn<'_>) {
        self.inspect(turn, Trial::Untried);
    }

    pub(super) fn inspect(&mut self, turn: &mut Turn<'_>, trial: Trial) {
        let hosts = self.hosts.keys();
        let hosts = hosts.map(|host| (host.clone(), turn.mint())).collect();
        self.stage = Stage::Inspecting {
            hosts,
            problems: Vec::new(),
            trial,
        };
    }

    pub(crate) fn host_verified(&mut self, host: &HostName, found: &[Problem]) {
        if let Stage::Inspecting {
            hosts, problems, ..
        } = &mut self.stage
        {
            hosts.remove(host);
            problems.extend(found.iter().cloned());
        }
    }

    pub(crate) fn verify_begun(&mut self, turn: &mut Turn<'_>) {
        let trial = if let Stage::Inspecting { trial, .. } = self.stage {
            trial
        } else {
            Trial::Untried
        };
        let token = turn.mint();
        self.stage = Stage::Verifying { token, trial };
    }

    pub(crate) fn attempt_failed(&mut self, turn: &mut Turn<'_>, problem: &Problem, until: Mono) {
        self.attempt += 1;
        let (wait, problem) = (turn.wait(until), problem.clone());
        self.stage = Stage::BackingOff { wait, problem };
    }

    /// Everything is looked at anew, and made anew; a drain that was seen to its end is not
    /// repeated. What failed is asked for its last words before it goes.
    pub(crate) fn attempt_begun(&mut self, turn: &mut Turn<'_>) {
        self.ask_hosts(turn);
        if self.is_touched {
            self.evidence = EvidenceWork::NotAsked;
            self.take_evidence(turn);
        }
        if self.drained.is_some() {
            self.stage = Stage::Drained;
        } else {
            self.follow(turn);
        }
    }
}
