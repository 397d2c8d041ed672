use super::*;
use crate::api::public::{Interruption, Line, Public};
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{World, fleet, site};
use crate::model::time::Now;

#[test]
fn a_night_is_told_step_by_step() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let lines = told(&world);
    let of_fra = lines.iter().filter(|line| line.site == Some(site("fra")));
    let of_fra: Vec<String> = of_fra.map(short).collect();
    insta::assert_snapshot!(of_fra.join("\n"), @r#"
    2 ready visit_started {"kind":"in_service"}
    3 ready images_pulled {"images":1}
    4 ready ready {"containers":2}
    5 withdraw withdrawn {"addresses":{"www.example.com.":["192.0.2.1"]}}
    6 drain draining {"at_least":30,"at_most":300,"ttl":30}
    7 drain drained {"reason":"quiet","seconds":40,"traffic":0.1}
    8 recreate recreated {"containers":2,"scaled_from":{"edge/web":2},"scaled_to":{"edge/web":2},"seconds":0}
    9 verify verified {"recreated":true}
    10 restore restored {"addresses":{"www.example.com.":["192.0.2.1"]}}
    11 soak soaked {}
    12 signal visit_completed {"in_service":true,"next_site":"nyc"}
    "#);
    let whole = lines.iter().filter(|line| line.site.is_none());
    let whole: Vec<String> = whole.map(short).collect();
    insta::assert_snapshot!(whole.join("\n"), @r#"
    1 - rotation_planned {"actor":"test","changed":["registry.test:5000/web:master"],"digests":{"master":{"registry.test:5000/web:master":"sha256:0202020202020202020202020202020202020202020202020202020202020202"}},"playbook":"nightly","reason":null,"sites":["fra","nyc","sin"],"waves":[["fra"],["nyc"],["sin"]]}
    35 - rotation_completed {"seconds":300,"skipped":[],"visited":["fra","nyc","sin"]}
    "#);
}

#[test]
fn numbers_have_no_gaps_and_a_killed_process_goes_on_from_the_last() {
    for at in [5, 40, 60, 75] {
        let mut world = World::new();
        let mut machine = world.coordinator();
        let plan = world.plan(Mode::Rotate, None, Options::default());
        world.begin(&mut machine, plan);
        for _ in 0..at {
            assert!(world.step(&mut machine));
        }
        let before = told(&world);
        let mut machine = world.crash();
        world.run(&mut machine);
        let after = told(&world);
        assert_eq!(after[..before.len()], before, "killed after step {at}");
        let numbers: Vec<u64> = after.iter().map(|line| line.n).collect();
        let counted: Vec<u64> = (1..=after.len() as u64).collect();
        assert_eq!(numbers, counted);
        let resumed = Public::RotationResumed {
            after: Interruption::Crash,
        };
        assert_eq!(after[before.len()].public, resumed);
    }
}

#[test]
fn a_line_is_one_json_object_and_is_read_back_whole() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    for line in told(&world) {
        let json = line.json();
        assert!(!json.contains('\n'));
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line, "{json}");
    }
}

#[test]
fn a_failing_site_is_retried_then_quarantined_and_the_end_names_the_command() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("nyc"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let lines = told(&world);
    let last: Vec<String> = lines.iter().rev().take(4).rev().map(short).collect();
    insta::assert_snapshot!(last.join("\n"), @r#"
    19 recreate retrying {"after":2,"attempt":2,"why":"web exited with 1"}
    20 recreate retrying {"after":4,"attempt":3,"why":"web exited with 1"}
    21 recreate site_quarantined {"cure":"see its log: `cleanslate report`","why":"web exited with 1"}
    22 - rotation_halted {"cause":"web exited with 1","cure":"see its log: `cleanslate report`","next":"cleanslate rebuild nyc --reason TEXT"}
    "#);
}

#[test]
fn a_sick_site_leaves_before_it_is_ready_and_says_both() {
    let mut world = World::new();
    world.faults.failing_probes.insert(site("nyc"));
    let mut machine = world.coordinator();
    let options = Options {
        below_floor: true,
        ..Options::default()
    };
    let plan = world.plan(Mode::Rebuild, Some(vec![site("nyc")]), options);
    world.begin(&mut machine, plan);
    while !told(&world)
        .iter()
        .any(|line| matches!(line.public, Public::Recreated { .. }))
    {
        assert!(world.step(&mut machine));
    }
    let names: Vec<String> = told(&world).iter().map(name).collect();
    insta::assert_snapshot!(names.join(" "), @"rotation_planned visit_started images_pulled ready withdrawn draining drained recreated");
}

#[test]
fn what_was_not_ready_is_skipped_with_its_cure() {
    let mut world = World::new();
    world.faults.unready.insert(site("fra"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, Some(vec![site("fra")]), Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let lines: Vec<String> = told(&world).iter().skip(1).map(short).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    2 ready visit_started {"kind":"in_service"}
    3 ready images_pulled {"images":1}
    4 ready site_skipped {"cure":"stop what holds it: `docker ps` on that host","why":"port 80 is held"}
    5 - rotation_completed {"seconds":0,"skipped":["fra"],"visited":[]}
    "#);
}

#[test]
fn a_kept_service_that_drifted_is_told_once_a_host_and_stops_nothing() {
    let mut fleet = fleet();
    let host = &mut fleet.sites.get_mut(&site("fra")).unwrap().hosts[0];
    let mut db = crate::coordinator::tests::world::service("db", 1);
    db.keep = crate::model::service::Keep::Yes;
    host.projects[0].services.push(db);
    let mut world = World::of(fleet, crate::coordinator::tests::world::playbook());
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let lines = told(&world);
    let drifted = lines.iter().filter(|line| name(line) == "kept_drifted");
    let drifted: Vec<String> = drifted.map(short).collect();
    insta::assert_snapshot!(drifted.join("\n"), @r#"3 ready kept_drifted {"drifted":["fra1: edge-db-1 is kept and runs 010101010101 instead of 020202020202"],"host":"fra1","next":"cleanslate rebuild fra --kept --reason TEXT"}"#);
    assert_eq!(
        lines.last().map(name).as_deref(),
        Some("rotation_completed")
    );
}

#[test]
fn an_abort_is_told_as_the_site_going_back() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    let is_followed = |(event, _): &(Event, Now)| matches!(event, Event::Followed { .. });
    while !world.journal.iter().any(is_followed) {
        assert!(world.step(&mut machine));
    }
    let command = Command::Abort {
        actor: "ana".to_owned(),
        reason: Some("the news".to_owned()),
    };
    world.tells(&mut machine, &Input::Command(command));
    world.run(&mut machine);
    let lines: Vec<String> = told(&world).iter().rev().take(2).rev().map(short).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    7 put_back put_back {"cure":"start it again when it may go on","why":"aborted: the news"}
    8 - rotation_aborted {"reason":"the news"}
    "#);
}

#[test]
fn what_is_waited_for_is_said_for_every_visited_site() {
    let mut world = World::new();
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    let mut waits: Vec<String> = Vec::new();
    while world.step(&mut machine) {
        for line in Narrator::default().waits(machine.state(), world.time()) {
            if let (Some(step), Public::Waiting { why, until, .. }) = (&line.step, line.public) {
                let known = if until.is_some() { ", until known" } else { "" };
                let text = format!("{step}: {why}{known}");
                if line.site == Some(site("fra")) && !waits.contains(&text) {
                    waits.push(text);
                }
            }
        }
    }
    insta::assert_snapshot!(waits.join("\n"), @r"
    ready: a list of containers from fra1
    ready: images at fra1
    ready: new containers at fra1
    ready: the probes of fra, nyc, sin
    ready: the probes of nyc, sin
    ready: the probes of sin
    withdraw: the primary's answer
    withdraw: the primary's answer to an UPDATE
    withdraw: the primary to be read back
    withdraw: every name server to answer without it
    drain: resolvers to forget its addresses, until known
    drain: its last users to leave, until known
    recreate: a last look at name servers and engines
    recreate: the primary's answer
    recreate: the primary's answer to an UPDATE
    recreate: the primary to be read back
    recreate: the old containers of fra1 to stop
    recreate: the new containers of fra1 to start
    verify: a comparison of fra1 with the plan
    verify: its probes at its own addresses
    restore: the primary's answer
    restore: the primary's answer to an UPDATE
    restore: the primary to be read back
    restore: every name server to answer with it again
    soak: its traffic to come back, until known
    soak: the end of its soak, until known
    signal: unused images of fra1 to be removed
    ");
}

/// The journal of a world, told from its beginning as a resuming process does.
fn told(world: &World) -> Vec<Line> {
    let mut machine: Coordinator = world.coordinator();
    let mut narrator = Narrator::default();
    let mut lines = Vec::new();
    for (event, at) in &world.journal {
        let before = machine.state().clone();
        machine.replay([(event.clone(), *at)]);
        lines.extend(narrator.tell(&world.fleet, event, &before, machine.state(), at.wall));
    }
    lines
}

fn name(line: &Line) -> String {
    let json: serde_json::Value = serde_json::from_str(&line.json()).unwrap();
    json["event"].as_str().unwrap().to_owned()
}

/// Number, step, event, and what else it says.
fn short(line: &Line) -> String {
    let json: serde_json::Value = serde_json::from_str(&line.json()).unwrap();
    let mut rest = json.as_object().unwrap().clone();
    for key in ["v", "n", "at", "rotation", "epoch", "site", "step", "event"] {
        rest.remove(key);
    }
    let step = line.step.clone().unwrap_or("-".to_owned());
    let rest = serde_json::to_string(&rest).unwrap();
    format!("{} {step} {} {rest}", line.n, name(line))
}
