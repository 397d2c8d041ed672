//! A configuration that is read while a rotation runs makes it more careful, and never less.
use std::sync::Arc;
use std::time::Duration;

use super::world::{World, fleet_of, playbook, site};
use super::{count, end_of, everything_is_new, is_unhurt, night, said};
use crate::coordinator::event::{Event, RotationEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::model::fleet::Fleet;
use crate::model::playbook::Playbook;

/// Three sites, of which one other must stay.
fn world() -> World {
    let mut fleet = fleet_of(&["fra", "nyc", "sin"], 1);
    keeps(&mut fleet, 1);
    World::of(fleet, playbook())
}

fn keeps(fleet: &mut Fleet, others: u32) {
    for record in fleet.dns.records.values_mut() {
        record.min_in_service = Some(others);
    }
}

fn reread(world: &World, change: impl FnOnce(&mut Fleet, &mut Playbook)) -> Input {
    let (mut fleet, mut playbook) = (Fleet::clone(&world.fleet), Playbook::clone(&world.playbook));
    change(&mut fleet, &mut playbook);
    Input::Command(Command::Reread {
        fleet: Arc::new(fleet),
        playbook: Arc::new(playbook),
    })
}

fn is_tightened(event: &Event) -> bool {
    matches!(event, Event::Tightened { .. })
}

fn until_fra_is_done(world: &mut World, machine: &mut Coordinator) {
    world.until(
        machine,
        |event| matches!(event, Event::VisitEnded { site, .. } if site.as_str() == "fra"),
    );
}

#[test]
fn a_higher_floor_holds_for_the_sites_that_have_not_left() {
    let mut world = world();
    let mut machine = night(&mut world);
    until_fra_is_done(&mut world, &mut machine);
    let input = reread(&world, |fleet, _| keeps(fleet, 2));
    world.tells(&mut machine, &input);
    // Nobody knows of it yet but the machine: a third site that fails is one too many now.
    world.faults.failing_probes.insert(site("sin"));
    world.run(&mut machine);
    let (what, _) = said(machine.state(), "nyc");
    assert!(what.contains("sin"), "{what}");
    assert_eq!(machine.context().fleet.floor(&www()), 2);
    is_unhurt(&world);
}

fn www() -> crate::model::rrset::RrKey {
    crate::model::rrset::RrKey {
        name: "www.example.com.".parse().unwrap(),
        family: crate::model::rrset::Family::A,
    }
}

#[test]
fn what_is_less_careful_waits_for_the_next_rotation() {
    let mut world = world();
    let mut machine = night(&mut world);
    let input = reread(&world, |fleet, playbook| {
        keeps(fleet, 0);
        playbook.max_unavailable += 1;
        playbook.drain.at_least = Duration::ZERO;
        playbook.drain.at_most = Duration::from_secs(1);
        playbook.soak.for_at_least = Duration::ZERO;
    });
    world.tells(&mut machine, &input);
    world.run(&mut machine);
    assert_eq!(count(&world, is_tightened), 0);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world));
}

#[test]
fn a_longer_drain_and_soak_count_from_the_next_site_on() {
    let mut world = world();
    let mut machine = night(&mut world);
    until_fra_is_done(&mut world, &mut machine);
    let longer = Duration::from_secs(200);
    let input = reread(&world, |_, playbook| {
        playbook.drain.at_least = longer;
        playbook.drain.at_most = longer * 2;
        playbook.soak.for_at_least = longer;
    });
    world.tells(&mut machine, &input);
    let began = world.now;
    until_nyc_is_done(&mut world, &mut machine);
    assert!(world.now - began >= 400_000, "{}", world.now - began);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    is_unhurt(&world);
}

fn until_nyc_is_done(world: &mut World, machine: &mut Coordinator) {
    world.until(
        machine,
        |event| matches!(event, Event::VisitEnded { site, .. } if site.as_str() == "nyc"),
    );
}

#[test]
fn it_is_remembered_over_the_death_of_the_process_and_said_once() {
    let mut world = world();
    let mut machine = night(&mut world);
    let input = reread(&world, |fleet, playbook| {
        keeps(fleet, 2);
        playbook.verify.hold = true;
        playbook.verify.for_at_least = Duration::from_secs(20);
    });
    world.tells(&mut machine, &input);
    world.tells(&mut machine, &input);
    assert_eq!(count(&world, is_tightened), 1);
    drop(machine);
    let machine = world.crash();
    let ctx = machine.context();
    assert!(ctx.playbook.verify.hold);
    assert_eq!(ctx.fleet.floor(&www()), 2);
    let told = world.journal.iter().find_map(|(event, _)| {
        if let Event::Tightened { caution } = event {
            return Some(caution.words());
        }
        None
    });
    assert_eq!(
        told.unwrap(),
        [
            "www.example.com. keeps 2 other sites",
            "[verify].for 20s",
            "[verify].hold"
        ]
    );
}

#[test]
fn while_nothing_runs_it_is_nothing() {
    let mut world = world();
    let mut machine = night(&mut world);
    world.run(&mut machine);
    let input = reread(&world, |fleet, _| keeps(fleet, 2));
    world.tells(&mut machine, &input);
    assert_eq!(count(&world, is_tightened), 0);
}
