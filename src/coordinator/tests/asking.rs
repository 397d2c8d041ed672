//! What is asked for while a rotation runs, and what cannot be.
use std::collections::BTreeSet;

use super::world::{World, digest, fleet_of, playbook, site};
use super::{end_of, is_idle_without_debts, is_unhurt, night, visit_end};
use crate::coordinator::event::{Event, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::machine::{Coordinator, Rejection};
use crate::coordinator::plan::{Mode, Options, Plan, Survey, plan};
use crate::model::id::HostName;

fn queue(world: &mut World, machine: &mut Coordinator, plan: Plan) -> Result<(), Rejection> {
    let input = Input::Command(Command::QueueRebuild {
        plan: Box::new(plan),
    });
    drop(machine.decide(&input, world.time())?);
    world.tells(machine, &input);
    Ok(())
}

#[test]
fn a_rebuild_asked_for_while_a_rotation_runs_keeps_its_own_plan() {
    let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 2), playbook());
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    // Last good digests, without a dead host: for this visit only.
    let nyc2: HostName = "nyc2".parse().unwrap();
    let options = Options {
        without: [nyc2].into(),
        ..Options::default()
    };
    let wish = world.wish(Mode::Rebuild, Some(vec![site("nyc")]), options);
    let mut survey = world.survey();
    survey
        .digests
        .values_mut()
        .for_each(|pin| *pin = Ok(digest(1)));
    let asked = plan(&world.fleet, &world.playbook, wish, &survey).unwrap();
    queue(&mut world, &mut machine, asked).unwrap();
    world.until(
        &mut machine,
        |event| matches!(event, Event::VisitStarted { site: of, .. } if *of == site("nyc")),
    );
    let visit = &machine.state().running().unwrap().visits[&site("nyc")];
    assert_eq!(
        visit.hosts.keys().map(HostName::as_str).collect::<Vec<_>>(),
        ["nyc1"]
    );
    world.until(
        &mut machine,
        |event| matches!(event, Event::VisitStarted { site: of, .. } if *of == site("sin")),
    );
    let visit = &machine.state().running().unwrap().visits[&site("sin")];
    assert_eq!(visit.hosts.len(), 2);
    let rotation = machine.state().running().unwrap();
    assert!(
        rotation
            .plan_of(&site("nyc"))
            .pins
            .values()
            .all(|pin| *pin == digest(1))
    );
    assert!(
        rotation
            .plan_of(&site("sin"))
            .pins
            .values()
            .all(|pin| *pin == digest(2))
    );
    assert!(rotation.plan.options.without.is_empty());
}

#[test]
fn a_rebuild_asked_for_below_the_floor_lowers_it_for_nobody_else() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::HostLooked { .. })
    });
    let options = Options {
        below_floor: true,
        ..Options::default()
    };
    let asked = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), options);
    queue(&mut world, &mut machine, asked).unwrap();
    let rotation = machine.state().running().unwrap();
    assert!(rotation.plan_of(&site("nyc")).options.below_floor);
    assert!(!rotation.plan_of(&site("fra")).options.below_floor);
    world.run(&mut machine);
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
}

#[test]
fn a_site_that_was_visited_already_is_visited_again_when_asked() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(
        &mut machine,
        |event| matches!(event, Event::VisitStarted { site: of, .. } if *of == site("nyc")),
    );
    let asked = world.plan(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    queue(&mut world, &mut machine, asked).unwrap();
    world.run(&mut machine);
    let visits = world.journal.iter().filter_map(|(event, _)| {
        let Event::VisitEnded { site, .. } = event else {
            return None;
        };
        Some(site.as_str())
    });
    assert_eq!(visits.collect::<Vec<_>>(), ["fra", "nyc", "fra", "sin"]);
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_site_that_is_still_to_come_is_visited_next_and_once() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let asked = world.plan(Mode::Rebuild, Some(vec![site("sin")]), Options::default());
    queue(&mut world, &mut machine, asked).unwrap();
    world.run(&mut machine);
    let visits = world.journal.iter().filter_map(|(event, _)| {
        let Event::VisitEnded { site, .. } = event else {
            return None;
        };
        Some(site.as_str())
    });
    assert_eq!(visits.collect::<Vec<_>>(), ["fra", "sin", "nyc"]);
}

#[test]
fn a_site_in_hand_and_a_rotation_that_is_ending_take_no_rebuild() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let asked = world.plan(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    let rejected = queue(&mut world, &mut machine, asked.clone()).unwrap_err();
    assert_eq!(rejected.problem.what, "fra is being visited");
    world.until(&mut machine, |event| {
        matches!(
            event,
            Event::ChangeBegun {
                intent: Intent::Release
            }
        )
    });
    let rejected = queue(&mut world, &mut machine, asked).unwrap_err();
    assert_eq!(rejected.problem.what, "the rotation is ending");
    let intent = Intent::Cordon { site: site("sin") };
    let cordon = Input::Command(Command::Write { intent });
    assert!(machine.decide(&cordon, world.time()).is_err());
}

#[test]
fn a_withdrawal_needs_a_look_at_the_floor_and_is_no_mere_write() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let intent = Intent::Hold { site: site("sin") };
    let hold = Input::Command(Command::Write { intent });
    assert!(machine.decide(&hold, world.time()).is_err());
}

#[test]
fn a_site_may_be_cordoned_while_it_is_visited() {
    let mut world = World::new();
    let mut machine = night(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::Followed { .. })
    });
    let intent = Intent::Cordon { site: site("fra") };
    world.tells(&mut machine, &Input::Command(Command::Write { intent }));
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert!(super::is_new_on(&world, "fra1"));
    assert_eq!(
        world.marker().unwrap().cordon,
        BTreeSet::from([site("fra")])
    );
}

#[test]
fn a_withdrawal_by_hand_asks_the_floor() {
    let mut world = World::new();
    world.faults.failing_probes.insert(site("sin"));
    let mut machine = super::began(
        &mut world,
        Mode::Withdraw,
        Some(&["nyc"]),
        Options::default(),
    );
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    assert_eq!(world.in_dns(), 3);
    world.is_overridden = true;
    let options = Options {
        below_floor: true,
        ..Options::default()
    };
    super::ask(
        &mut world,
        &mut machine,
        Mode::Withdraw,
        Some(&["nyc"]),
        options.clone(),
    );
    world.run(&mut machine);
    assert_eq!(world.in_dns(), 2);
    // Nothing overrides the last one.
    for name in ["fra", "sin"] {
        super::ask(
            &mut world,
            &mut machine,
            Mode::Withdraw,
            Some(&[name]),
            options.clone(),
        );
        world.run(&mut machine);
    }
    assert_eq!(world.in_dns(), 1);
    is_unhurt(&world);
}

#[test]
fn recover_plans_the_markers_debts_and_pins_only_what_is_dirty() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("fra"));
    let mut machine = night(&mut world);
    world.run(&mut machine);
    let mut marker = world.marker().unwrap();
    marker.out.insert(site("sin"));
    marker.seq += 1;
    world.write_marker(Some(&marker));
    let recover = world.plan(Mode::Recover, None, Options::default());
    assert_eq!(recover.waves, [vec![site("fra")], vec![site("sin")]]);
    assert_eq!(recover.pins.len(), 1);
    // Without a registry, what is whole can still be put back.
    let wish = world.wish(Mode::Recover, Some(vec![site("sin")]), Options::default());
    let survey = Survey {
        digests: [].into(),
        ..world.survey()
    };
    assert!(plan(&world.fleet, &world.playbook, wish, &survey).is_ok());
    let restore = Mode::Restore { unverified: false };
    let wish = world.wish(restore, Some(vec![site("fra")]), Options::default());
    assert!(plan(&world.fleet, &world.playbook, wish, &survey).is_err());
}

#[test]
fn a_name_server_that_does_not_answer_keeps_a_night_from_beginning_and_nothing_else() {
    let mut world = World::new();
    let survey = Survey {
        silent: vec![("10.0.1.53:53".parse().unwrap(), "gave no answer".to_owned())],
        ..world.survey()
    };
    let night = world.wish(Mode::Rotate, None, Options::default());
    let blocked = plan(&world.fleet, &world.playbook, night, &survey).unwrap_err();
    assert!(blocked.is_transient);
    let [reason] = blocked.reasons.as_slice() else {
        panic!("one reason, not {:?}", blocked.reasons);
    };
    assert_eq!(
        reason.what,
        "the name server 10.0.1.53:53 does not answer: gave no answer"
    );
    assert!(reason.cure.contains("--without-ns 10.0.1.53"));
    for mode in [Mode::Rebuild, Mode::Withdraw] {
        let wish = world.wish(mode, Some(vec![site("fra")]), Options::default());
        assert!(plan(&world.fleet, &world.playbook, wish, &survey).is_ok());
    }
}

#[test]
fn a_registry_that_does_not_answer_is_named_with_the_flag_that_goes_on() {
    let mut world = World::new();
    let wish = world.wish(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    let mut survey = world.survey();
    let down = super::world::problem("registry.test:5000 does not answer");
    survey
        .digests
        .values_mut()
        .for_each(|pin| *pin = Err(down.clone()));
    let blocked = plan(&world.fleet, &world.playbook, wish, &survey).unwrap_err();
    assert!(blocked.is_transient);
    let cure = &blocked.reasons[0].cure;
    assert!(cure.contains("rebuild fra --images running"), "{cure}");
}

#[test]
fn what_the_visit_stands_on_blocks_it_in_every_mode_that_recreates() {
    let mut fleet = super::world::fleet();
    let host = &mut fleet.sites.get_mut(&site("fra")).unwrap().hosts[0];
    host.projects[0].services[0].container.ports = vec![crate::model::service::Port {
        host_ip: None,
        published: Some(crate::model::service::PublishedPort::Fixed(53)),
        target: 53,
        protocol: crate::model::service::Protocol::Udp,
    }];
    fleet.dns.server = "127.0.0.1:53".parse().unwrap();
    let mut world = World::of(fleet, playbook());
    let wish = world.wish(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    let blocked = plan(&world.fleet, &world.playbook, wish, &world.survey()).unwrap_err();
    assert!(
        blocked.reasons[0]
            .what
            .contains("own feet: edge/web on fra1 is the DNS primary")
    );
    let fleet = std::sync::Arc::make_mut(&mut world.fleet);
    let host = &mut fleet.sites.get_mut(&site("fra")).unwrap().hosts[0];
    host.projects[0].services[0].keep = crate::model::service::Keep::Yes;
    let wish = world.wish(Mode::Rebuild, Some(vec![site("fra")]), Options::default());
    assert!(plan(&world.fleet, &world.playbook, wish, &world.survey()).is_ok());
}
