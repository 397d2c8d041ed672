//! Engines that answer while the site is dirty.
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::coordinator::safety::{self, Expected};
use crate::model::id::HostName;
use crate::model::inventory::Inventory;
use crate::model::playbook::Strays;

use super::super::progress::Story;

impl Story<'_> {
    pub(super) fn on_clear(&self, host: &HostName, outcome: &EngineOutcome) -> Vec<Event> {
        let (site, host) = (self.site(), host.clone());
        if let EngineOutcome::Cleared { removed, hooks } = outcome {
            let removed = *removed;
            return vec![Event::HostCleared {
                site,
                host,
                removed,
                hooks: hooks.clone(),
            }];
        }
        let Some(problem) = outcome.problem() else {
            return Vec::new();
        };
        let uncleared = Event::HostUncleared {
            site,
            host,
            problem: problem.clone(),
            hooks: outcome.hooks().to_vec(),
        };
        std::iter::once(uncleared)
            .chain(self.failed(problem))
            .collect()
    }

    pub(super) fn on_start(&self, host: &HostName, outcome: &EngineOutcome) -> Vec<Event> {
        let (site, host) = (self.site(), host.clone());
        if let EngineOutcome::Started { hooks } = outcome {
            let hooks = hooks.clone();
            return vec![Event::HostStarted { site, host, hooks }];
        }
        let Some(problem) = outcome.problem() else {
            return Vec::new();
        };
        let not_started = Event::HostNotStarted {
            site,
            host,
            problem: problem.clone(),
            hooks: outcome.hooks().to_vec(),
        };
        std::iter::once(not_started)
            .chain(self.failed(problem))
            .collect()
    }

    pub(super) fn on_inspection(&self, host: &HostName, outcome: &EngineOutcome) -> Vec<Event> {
        let problems = if let EngineOutcome::Inventory(inventory) = outcome {
            if let Some(event) = self.fenced(host, inventory) {
                return vec![event];
            }
            if Guard::VerifiedByInventory.stands() {
                self.own_work(host, inventory)
            } else {
                Vec::new()
            }
        } else if let Some(problem) = outcome.problem() {
            vec![problem.clone()]
        } else {
            return Vec::new();
        };
        vec![Event::HostVerified {
            site: self.site(),
            host: host.clone(),
            problems,
        }]
    }

    fn own_work(&self, host: &HostName, inventory: &Inventory) -> Vec<Problem> {
        let site = self.ctx.fleet.sites.get(&self.visit.site);
        let declared = site.and_then(|site| site.host(host));
        let (Some(declared), Some((epoch, hold))) = (declared, self.state.held()) else {
            return vec![Problem {
                what: format!("{host}: nobody holds the marker"),
                cure: "see `cleanslate status`".to_owned(),
                is_transient: true,
            }];
        };
        let expected = Expected {
            pins: self.visit.pins(self.plan()),
            epoch,
            hold,
            condemned: &self.visit.condemned,
            removes_strays: self.ctx.playbook.recreate.strays == Strays::Remove,
        };
        safety::own_work(declared, inventory, &expected)
    }
}
