//! On the way back: restored and soaked, put back as it was, or left where it is.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Turn;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{HostWork, Look, Stage, TrafficWait, Visit};
use crate::model::id::HostName;

impl Visit {
    pub(crate) fn verified(&mut self) {
        self.stage = Stage::Restoring;
    }

    pub(crate) fn soak_begun(&mut self, turn: &mut Turn<'_>) {
        let (soak, now) = (&turn.ctx.playbook.soak, turn.now.mono);
        let hosts = self.serving.keys();
        let containers = hosts.map(|host| (host.clone(), turn.mint())).collect();
        self.stage = Stage::Soaking {
            time: turn.wait(now.plus(soak.for_at_least)),
            traffic: TrafficWait::Awaited {
                token: turn.mint(),
                deadline: turn.wait(now.plus(soak.traffic_within)),
            },
            probes: turn.mint(),
            containers,
        };
    }

    pub(crate) fn traffic_seen(&mut self, packets: Option<f64>) {
        if let Stage::Soaking { traffic, .. } = &mut self.stage {
            *traffic = TrafficWait::Seen { packets };
        }
    }

    pub(crate) fn soak_time_over(&mut self) {
        if let Stage::Soaking { time, .. } = &mut self.stage {
            time.is_over = true;
        }
    }

    /// It is to leave again; who else answers is asked first.
    pub(crate) fn soak_broken(&mut self, turn: &mut Turn<'_>, problem: &Problem) {
        self.probe_everyone(
            turn,
            Look::ToLeaveAgain {
                problem: problem.clone(),
            },
        );
    }

    /// What it runs is its way back from now on; what it passed on before may go.
    pub(crate) fn soaked(&mut self, turn: &mut Turn<'_>) {
        if self.recreates() {
            let passed = turn.ctx.fleet.pins_of(&self.site, self.pins(turn.plan));
            Arc::make_mut(&mut turn.state.last_good).insert(self.site.clone(), passed);
        }
        let made = self
            .hosts
            .iter()
            .filter(|(_, work)| **work != HostWork::None);
        let hosts = made.map(|(host, _)| (host.clone(), turn.mint())).collect();
        self.stage = Stage::Pruning { hosts };
    }

    pub(crate) fn pruned(&mut self, host: &HostName) {
        if let Stage::Pruning { hosts } = &mut self.stage {
            hosts.remove(host);
        }
    }

    pub(crate) fn put_back_begun(&mut self, turn: &mut Turn<'_>, problem: &Problem) {
        // From here on users may come back at any moment.
        turn.state.drained.remove(&self.site);
        self.stop_asking();
        self.stage = Stage::PuttingBack {
            problem: problem.clone(),
        };
    }

    pub(crate) fn discard_begun(
        &mut self,
        turn: &mut Turn<'_>,
        end: VisitEnd,
        problem: Option<&Problem>,
    ) {
        let problem = problem.cloned();
        self.stage = Stage::Discarding {
            hosts: BTreeMap::new(),
            end,
            problem,
        };
        self.discard_all(turn);
    }

    pub(crate) fn discarded(&mut self, host: &HostName) {
        if let Stage::Discarding { hosts, .. } = &mut self.stage {
            hosts.remove(host);
        }
    }

    /// A look or a pull leaves nothing behind and is called off; what is being made is waited for.
    fn stop_asking(&mut self) {
        for work in self.hosts.values_mut() {
            match work {
                HostWork::Looking { .. } | HostWork::Pulling { .. } => *work = HostWork::None,
                HostWork::None
                | HostWork::Preparing { .. }
                | HostWork::Prepared { .. }
                | HostWork::Unready { .. } => {}
            }
        }
    }
}
