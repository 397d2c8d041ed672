//! The simulator's world, driven by hand: one step, one question, one crash at a time.
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options, Plan, Wish, plan};
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::sim::engine::{role, services};
use crate::sim::world::{Desk, World, fleet_of, playbook};

pub(crate) fn site(name: &str) -> SiteName {
    name.parse().unwrap()
}

/// Three sites of one host, one record, a web service of two replicas.
pub(crate) fn fleet() -> Fleet {
    fleet_of(&["fra", "nyc", "sin"], 1)
}

impl World {
    /// Three sites of one host.
    pub(crate) fn new() -> World {
        World::of(fleet(), playbook())
    }

    pub(crate) fn coordinator(&self) -> Coordinator {
        self.coordinator_called("holder-a")
    }

    pub(crate) fn wish(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Wish {
        self.serial += 1;
        Wish {
            id: format!("nightly-{}", self.serial).parse().unwrap(),
            mode,
            sites,
            options,
            actor: "test".to_owned(),
            reason: None,
        }
    }

    pub(crate) fn plan(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Plan {
        let wish = self.wish(mode, sites, options);
        plan(&self.fleet, &self.playbook, wish, &self.survey()).unwrap()
    }

    /// Begins what a person asked for: with it, whatever they may say they said.
    pub(crate) fn begin(&mut self, machine: &mut Coordinator, plan: Plan) {
        self.allow(machine, &plan);
        let plan = Box::new(plan);
        self.tells(machine, &Input::Command(Command::Begin { plan }));
    }

    pub(crate) fn tells(&mut self, machine: &mut Coordinator, input: &Input) {
        self.tell(machine, input).unwrap();
    }

    pub(crate) fn abort(&mut self, machine: &mut Coordinator) {
        let (actor, reason) = ("ana".to_owned(), None);
        self.tells(machine, &Input::Command(Command::Abort { actor, reason }));
    }

    pub(crate) fn run(&mut self, machine: &mut Coordinator) {
        for _ in 0..20_000 {
            if !self.step(machine) {
                return;
            }
        }
        let visits = machine.state().rotation.as_ref().map(|r| r.visits.clone());
        let visits = visits.unwrap_or_default();
        let stages: Vec<_> = visits.values().map(|visit| &visit.stage).collect();
        let last = self.journal.iter().rev().take(12);
        let last: Vec<String> = last
            .map(|(event, _)| format!("{event:?}").chars().take(120).collect())
            .collect();
        panic!(
            "it never ends: {:?} {stages:?} {last:#?}",
            machine.state().lane
        );
    }

    /// Steps on until a fact is true.
    pub(crate) fn until(&mut self, machine: &mut Coordinator, is_it: impl Fn(&Event) -> bool) {
        let (mut seen, mut steps) = (self.journal.len(), 0);
        while !self.journal[seen..].iter().any(|(event, _)| is_it(event)) {
            seen = self.journal.len();
            steps += 1;
            assert!(
                self.step(machine) && steps < 20_000,
                "it does not happen: {:?}",
                self.journal.last()
            );
        }
    }

    /// The process dies; another one reads the journal.
    pub(crate) fn crash(&mut self) -> Coordinator {
        let mut machine = self.dead();
        self.tells(&mut machine, &Input::Started);
        machine
    }

    /// The process dies. What it had asked for is lost.
    pub(crate) fn dead(&mut self) -> Coordinator {
        self.dead_called("holder-a")
    }

    /// Somebody under a name of their own moves in with a store that was made from a backup, the copy
    /// on `desk`; whoever sat here waits there from now on.
    pub(crate) fn moves_in(&mut self, desk: &mut Desk) -> Coordinator {
        self.swap(desk);
        let mut machine = self.dead_called("holder-b");
        let why = "from a backup".to_owned();
        self.tells(&mut machine, &Input::Moved { why });
        machine
    }

    /// A desk whose store is a copy of this one's, as it is now.
    pub(crate) fn copied(&self) -> Desk {
        Desk {
            journal: self.journal.clone(),
            ..Desk::default()
        }
    }

    /// From now on engines see the fleet as this plan treats it.
    pub(crate) fn treat(&mut self, plan: &Plan) {
        self.fleet = plan.treat(Fleet::clone(&self.fleet)).into();
        let hosts = self.fleet.sites.values().flat_map(|site| &site.hosts);
        for host in hosts {
            for container in self.engines.get_mut(&host.name).into_iter().flatten() {
                let declared = services(host).into_iter().find(|(project, service)| {
                    project.name == container.project && service.name == container.service
                });
                if let Some((_, service)) = declared {
                    container.role = role(service);
                }
            }
        }
    }
}
