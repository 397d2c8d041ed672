//! Several sites at once, and one after another.
use std::time::Duration;

use super::world::{World, fleet_of, playbook, site};
use super::{
    began, end_of, everything_is_new, is_idle_without_debts, is_old_on, is_unhurt, night, said,
    visit_end,
};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::plan::{Deadline, Mode, Options};
use crate::model::fleet::Fleet;
use crate::sim::chance::Chance;

const FIVE: [&str; 5] = ["ams", "fra", "lon", "nyc", "sin"];

fn five(min_in_service: u32) -> Fleet {
    let mut fleet = fleet_of(&FIVE, 1);
    for record in fleet.dns.records.values_mut() {
        record.min_in_service = Some(min_in_service);
    }
    fleet
}

fn in_pairs() -> crate::model::playbook::Playbook {
    let mut playbook = playbook();
    playbook.max_unavailable = 2;
    playbook
}

#[test]
fn two_sites_are_visited_side_by_side_and_never_more() {
    let mut world = World::of(five(3), in_pairs());
    let mut machine = night(&mut world);
    let mut most = 0;
    while world.step(&mut machine) {
        let rotation = machine.state().rotation.as_ref().unwrap();
        most = most.max(rotation.visits.len());
    }
    assert_eq!((most, world.fewest), (2, 3));
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_floor_that_lets_one_leave_lets_one_leave() {
    let mut world = World::of(five(4), in_pairs());
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(world.fewest, 4);
    assert_eq!(visit_end(machine.state(), "ams"), VisitEnd::Completed);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Skipped);
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_failure_in_one_visit_brings_the_other_to_safety() {
    for fails in ["ams", "fra"] {
        let mut world = World::of(five(3), in_pairs());
        world.faults.unhealthy.insert(site(fails));
        // The other one is slower.
        world.delays = vec![0, 300, 20, 1_500];
        let mut machine = night(&mut world);
        world.run(&mut machine);
        assert_eq!(end_of(machine.state()), RotationEnd::Halted);
        assert_eq!(visit_end(machine.state(), fails), VisitEnd::Quarantined);
        let other = if fails == "ams" { "fra" } else { "ams" };
        let end = visit_end(machine.state(), other);
        assert!(
            matches!(end, VisitEnd::Completed | VisitEnd::PutBack),
            "{end:?}"
        );
        let marker = world.marker().unwrap();
        assert_eq!(
            (marker.out.len(), marker.dirty.len(), marker.holder),
            (1, 1, None)
        );
        assert_eq!((world.in_dns(), world.fewest), (4, 3));
        is_unhurt(&world);
    }
}

#[test]
fn killed_after_every_fact_a_wave_of_two_ends_as_if_nothing_had_happened() {
    for at in (0..200).step_by(4) {
        let mut world = World::of(five(3), in_pairs());
        let mut machine = night(&mut world);
        let mut heard = 0;
        while heard < at {
            let before = world.journal.len();
            if !world.step(&mut machine) {
                assert!(at > 100);
                return;
            }
            heard += usize::from(world.journal.len() > before);
        }
        let mut machine = world.crash();
        world.run(&mut machine);
        assert_eq!(
            end_of(machine.state()),
            RotationEnd::Completed,
            "killed after {at}"
        );
        assert!(
            everything_is_new(&world) && is_idle_without_debts(&world),
            "killed after {at}"
        );
        assert_eq!(
            (world.in_dns(), world.hurt.len()),
            (5, 0),
            "killed after {at}"
        );
        assert!(world.fewest >= 3, "killed after {at}");
    }
}

#[test]
fn no_visit_starts_before_the_former_wave_has_ended() {
    let mut world = World::of(five(3), in_pairs());
    let mut machine = night(&mut world);
    world.run(&mut machine);
    let mut open = 0;
    let mut started = Vec::new();
    for (event, _) in &world.journal {
        if let Event::VisitStarted { site, .. } = event {
            started.push((site.clone(), open));
            open += 1;
        } else if let Event::VisitEnded { .. } = event {
            open -= 1;
        }
    }
    let expected = [("ams", 0), ("fra", 1), ("lon", 0), ("nyc", 1), ("sin", 0)];
    assert_eq!(started, expected.map(|(name, open)| (site(name), open)));
}

#[test]
fn a_visit_that_would_end_too_late_is_carried_over_and_comes_first_the_next_night() {
    let mut world = World::new();
    let hours = |hours: u64| {
        world
            .time()
            .wall
            .checked_add(Duration::from_secs(hours * 3600))
    };
    let deadline = Deadline {
        by: hours(2).unwrap(),
        takes: [(site("fra"), 60_000), (site("nyc"), 3 * 3_600_000)].into(),
    };
    let options = Options {
        deadline: Some(deadline),
        carried: vec![site("nyc"), site("sin")],
        ..Options::default()
    };
    let plan = world.plan(Mode::Rotate, None, options.clone());
    let order: Vec<&str> = plan.sites().map(|site| site.as_str()).collect();
    assert_eq!(order, ["nyc", "sin", "fra"]);
    let mut machine = began(&mut world, Mode::Rotate, None, options);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Completed);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    let (what, _) = said(machine.state(), "nyc");
    assert!(what.contains("takes 3h and would not end by"), "{what}");
    assert!(is_old_on(&world, "nyc1") && world.serves(&site("nyc")));
}

#[test]
fn whoever_serves_is_watched_while_a_site_of_the_wave_could_go_back() {
    let mut watched_late = 0;
    for seed in 0..60 {
        let mut world = World::of(five(3), in_pairs());
        let mut chance = Chance::of(seed);
        world.delays = (0..7).map(|_| chance.below(3).pow(7) * 20).collect();
        world.faults.unready.insert(site("ams"));
        let mut machine = night(&mut world);
        let mut was_watching = false;
        while world.step(&mut machine) {
            let Some(rotation) = machine.state().running() else {
                break;
            };
            let is_over = rotation.ended.contains_key(&site("ams"));
            let is_watching = !rotation.others.is_empty();
            if is_watching && is_over {
                // It was skipped, and serves.
                let is_watched = rotation.others.contains_key(&site("ams"));
                assert!(is_watched, "seed {seed}");
                watched_late += u32::from(was_watching);
            }
            was_watching = is_watching && !is_over;
        }
        is_unhurt(&world);
    }
    assert!(
        watched_late > 0,
        "its visit ended while another site was out"
    );
}
