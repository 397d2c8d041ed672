//! Out of DNS, not yet touched: name servers follow, traffic ends, evidence is taken, and a last
//! look is had.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Turn;
use crate::coordinator::event::{DrainReason, VisitKind};
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::Problem;
use crate::coordinator::retry;
use crate::coordinator::state::{EvidenceWork, LastInventory, Quietness, Stage, Visit};
use crate::model::id::HostName;
use crate::model::inventory::Inventory;
use crate::model::time::Ttl;

impl Visit {
    /// Every name server answers as it should; for a site that left, the drain starts now.
    pub(crate) fn followed(&mut self, turn: &mut Turn<'_>, ttl: Ttl) {
        let Stage::Following { .. } = self.stage else {
            return;
        };
        self.ttl = self.ttl.max(ttl);
        if self.kind == VisitKind::WithdrawOnly {
            self.stage = Stage::Pruning {
                hosts: BTreeMap::new(),
            };
            return;
        }
        self.take_evidence(turn);
        if self.kind == VisitKind::Quarantined && turn.state.drained.contains(&self.site) {
            self.drained = Some(DrainReason::NotNeeded);
            self.stage = Stage::Drained;
            return;
        }
        self.drain(turn);
    }

    /// Never shorter than the largest TTL; beside a silent name server to its end.
    fn drain(&mut self, turn: &mut Turn<'_>) {
        let (drain, since) = (&turn.ctx.playbook.drain, turn.now.mono);
        let ttl = if Guard::DrainCoversTtl.stands() {
            self.ttl
        } else {
            Ttl(0)
        };
        let shortest = drain.at_least.max(ttl.duration());
        let longest = drain.at_most.max(shortest);
        self.stage = Stage::Draining {
            since,
            least: turn.wait(since.plus(shortest)),
            most: turn.wait(since.plus(longest)),
            quiet: Quietness::NotAsked,
        };
    }

    pub(crate) fn drained_at_least(&mut self, turn: &mut Turn<'_>) {
        if let Stage::Draining { least, quiet, .. } = &mut self.stage {
            least.is_over = true;
            *quiet = Quietness::Asked(turn.mint());
        }
    }

    pub(crate) fn drained_at_most(&mut self, turn: &mut Turn<'_>) {
        if let Stage::Draining {
            least, most, quiet, ..
        } = &mut self.stage
        {
            least.is_over = true;
            most.is_over = true;
            *quiet = Quietness::AskedLast(turn.mint());
        }
    }

    pub(crate) fn drain_unknown(&mut self, why: &str) {
        if let Stage::Draining { quiet, .. } = &mut self.stage {
            *quiet = Quietness::Unknown {
                why: why.to_owned(),
            };
        }
    }

    pub(crate) fn quiet_seen(&mut self, packets: f64) {
        if let Stage::Draining { quiet, .. } = &mut self.stage {
            *quiet = Quietness::Seen { packets };
        }
    }

    pub(crate) fn drained(&mut self, turn: &mut Turn<'_>, reason: DrainReason) {
        turn.state.drained.insert(self.site.clone());
        self.drained = Some(reason);
        self.stage = Stage::Drained;
    }

    /// Once an attempt, and for a bounded time: no visit waits for ever for what is only evidence.
    pub(super) fn take_evidence(&mut self, turn: &mut Turn<'_>) {
        match &self.evidence {
            EvidenceWork::NotAsked if self.recreates() => {
                let within = if self.is_another_attempt() {
                    retry::EVIDENCE_OF_FAILED_WITHIN
                } else {
                    retry::EVIDENCE_WITHIN
                };
                let hosts = self.hosts.keys();
                let hosts = hosts.map(|host| (host.clone(), turn.mint())).collect();
                let until = turn.wait(turn.now.mono.plus(within));
                self.evidence = EvidenceWork::Asked { hosts, until };
            }
            EvidenceWork::NotAsked => self.evidence = EvidenceWork::Over,
            EvidenceWork::Asked { .. } | EvidenceWork::Over => {}
        }
    }

    pub(crate) fn evidence_taken(&mut self, host: &HostName) {
        if let EvidenceWork::Asked { hosts, .. } = &mut self.evidence {
            hosts.remove(host);
            if hosts.is_empty() {
                self.evidence = EvidenceWork::Over;
            }
        }
    }

    pub(crate) fn before_begun(&mut self, turn: &mut Turn<'_>) {
        self.stage = Stage::RunningBefore { token: turn.mint() };
    }

    pub(crate) fn before_ended(&mut self, problem: Option<&Problem>) {
        self.is_before_done = problem.is_none();
        self.stage = Stage::Drained;
    }

    pub(crate) fn last_look_begun(&mut self, turn: &mut Turn<'_>) {
        self.recreate_since.get_or_insert(turn.now.mono);
        let hosts = self.hosts.keys();
        let inventories = hosts
            .map(|host| (host.clone(), LastInventory::Asked(turn.mint())))
            .collect();
        self.stage = Stage::LastLook {
            servers: Some(turn.mint()),
            inventories,
        };
    }

    pub(crate) fn servers_looked(&mut self) {
        if let Stage::LastLook { servers, .. } = &mut self.stage {
            *servers = None;
        }
    }

    /// Something changed since the drain: server check and drain start anew.
    pub(crate) fn looked_behind(&mut self, turn: &mut Turn<'_>) {
        self.looks_behind += 1;
        self.follow(turn);
    }

    pub(crate) fn last_inventory(&mut self, host: &HostName, inventory: &Arc<Inventory>) {
        if let Stage::LastLook { inventories, .. } = &mut self.stage {
            inventories.insert(host.clone(), LastInventory::Taken(Arc::clone(inventory)));
        }
    }

    /// What goes is what these inventories hold, once the site is dirty.
    pub(crate) fn last_look_passed(&mut self, turn: &mut Turn<'_>) {
        let Stage::LastLook { inventories, .. } = &self.stage else {
            return;
        };
        let taken = inventories
            .iter()
            .filter_map(|(host, inventory)| match inventory {
                LastInventory::Taken(inventory) => Some((host.clone(), Arc::clone(inventory))),
                LastInventory::Asked(_) => None,
            });
        let inventories = taken.collect();
        self.stage = if Guard::LastLookWritten.stands() {
            Stage::Dirtying { inventories }
        } else {
            Stage::Clearing {
                level: turn.ctx.levels(&self.site).len(),
                inventories,
                hosts: BTreeMap::new(),
            }
        };
    }
}
