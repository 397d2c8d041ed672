//! Nights to be shown, as the machine told them.
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::api::history::{Entry, entry};
use crate::api::page::board::Sight;
use crate::api::public::Line;
use crate::api::status::{Engine, Seen, Status, status};
use crate::api::story::Storyteller;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{World, fleet, site};
use crate::model::inventory::Inventory;

/// Three sites, one after the other.
pub(in crate::api::page) fn night() -> Vec<Line> {
    let mut world = World::new();
    whole(&mut world);
    lines(&world)
}

/// The first site does not become healthy again.
pub(in crate::api::page) fn quarantined() -> Vec<Line> {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    whole(&mut world);
    lines(&world)
}

/// What is seen in the middle of the first drain, some seconds later.
pub(in crate::api::page) fn draining() -> Sight {
    let mut world = World::new();
    let mut machine = begun(&mut world);
    let waits = |machine: &Coordinator| {
        let waiting = machine.state().site_waits(&site("fra"));
        waiting.is_some_and(|waiting| waiting.until.is_some())
    };
    while !waits(&machine) {
        assert!(world.step(&mut machine));
    }
    let mut status = seen(&world, Some(&machine));
    status.sites[0].traffic = Some(240.25);
    Sight {
        at: world.time().wall + SignedDuration::from_secs(7),
        status,
        lines: Arc::new(lines(&world)),
        nights: Arc::new(vec![past()]),
    }
}

/// Nothing runs, nobody is needed.
pub(in crate::api::page) fn at_rest() -> Sight {
    let mut world = World::new();
    whole(&mut world);
    Sight {
        at: world.time().wall,
        status: seen(&world, None),
        lines: Arc::new(lines(&world)),
        nights: Arc::new(vec![past()]),
    }
}

pub(in crate::api::page) fn past() -> Entry {
    let mut world = World::new();
    whole(&mut world);
    entry(&world.journal).unwrap()
}

fn begun(world: &mut World) -> Coordinator {
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    machine
}

fn whole(world: &mut World) {
    let mut machine = begun(world);
    world.run(&mut machine);
}

fn lines(world: &World) -> Vec<Line> {
    let mut teller = Storyteller::default();
    let mut machine = world.coordinator();
    for (event, at) in world.journal.clone() {
        let before = machine.state().clone();
        machine.replay([(event.clone(), at)]);
        teller.tell(&world.fleet, &event, &before, machine.state(), at.wall);
    }
    teller.story().lines.clone()
}

fn seen(world: &World, machine: Option<&Coordinator>) -> Status {
    let fleet = fleet();
    let mut engines = BTreeMap::new();
    for of in fleet.sites.values() {
        for host in &of.hosts {
            let inventory = Inventory {
                containers: world.engines[&host.name].clone(),
                ..Inventory::default()
            };
            engines.insert((of.name.clone(), host.name.clone()), Engine::Up(inventory));
        }
    }
    let holder = "holder-a".parse().unwrap();
    status(&Seen {
        fleet: &fleet,
        state: machine.map(Coordinator::state),
        view: Some(&world.view),
        engines: &engines,
        ends: &BTreeMap::new(),
        holder: Some(&holder),
        is_live: true,
        now: world.time(),
    })
}
