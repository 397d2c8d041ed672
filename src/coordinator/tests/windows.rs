//! Quiet hours: one rotation follows the sun around the world.
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::world::{World, fleet_of, playbook, site};
use super::{
    began, count, end_of, everything_is_new, is_idle_without_debts, is_new_on, is_old_on,
    is_unhurt, night, said, visit_end,
};
use crate::coordinator::event::{Event, PauseEnd, RotationEnd, VisitEnd};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Deadline, Mode, Options};
use crate::coordinator::state::Lane;
use crate::model::fleet::Fleet;
use crate::model::hours::QuietHours;
use crate::model::time::Ttl;

/// The world's clocks show 08:00 UTC when it begins.
const WORLD: [(&str, &str, &str); 3] = [
    ("fra", "Europe/Berlin", "08:30-09:30"),
    ("nyc", "America/New_York", "04:00-05:00"),
    ("sin", "Asia/Singapore", "18:00-20:00"),
];

fn with(mut fleet: Fleet, quiet: &[(&str, &str, &str)]) -> Fleet {
    for (name, zone, hours) in quiet {
        let zone = TimeZone::get(zone).unwrap();
        let hours = QuietHours::parse(hours, Some(zone)).unwrap();
        fleet.sites.get_mut(&site(name)).unwrap().quiet = Some(hours);
    }
    fleet
}

fn world_of(quiet: &[(&str, &str, &str)]) -> World {
    World::of(with(fleet_of(&["fra", "nyc", "sin"], 1), quiet), playbook())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When each visit began, in order.
fn began_at(world: &World) -> Vec<(String, String)> {
    let begun = world.journal.iter().filter_map(|(event, now)| {
        let Event::VisitStarted { site, .. } = event else {
            return None;
        };
        let at = now.wall.strftime("%H:%M").to_string();
        Some((site.to_string(), at))
    });
    begun.collect()
}

fn told(begun: &[(&str, &str)]) -> Vec<(String, String)> {
    let told = begun.iter();
    told.map(|(site, at)| ((*site).to_owned(), (*at).to_owned()))
        .collect()
}

/// A rotation of `sin` alone, which waits for two hours.
fn waiting() -> (World, Coordinator) {
    let mut world = world_of(&WORLD);
    let mut machine = began(&mut world, Mode::Rotate, Some(&["sin"]), Options::default());
    let is_it = |event: &Event| matches!(event, Event::WindowAwaited { .. });
    world.until(&mut machine, is_it);
    // Three refreshes of the marker.
    let rests = |machine: &Coordinator| machine.state().lane == Lane::Free;
    while world.time().wall < at("2027-01-15T08:30:00Z") || !rests(&machine) {
        assert!(world.step(&mut machine));
    }
    (world, machine)
}

#[test]
fn one_rotation_follows_the_sun() {
    let mut world = world_of(&WORLD);
    let names = ["sin", "nyc", "fra"].map(site);
    let plan = world.plan(Mode::Rotate, Some(names.to_vec()), Options::default());
    let order: Vec<&str> = plan.sites().map(|site| site.as_str()).collect();
    assert_eq!(order, ["fra", "nyc", "sin"], "by when their windows open");
    let mut machine = world.coordinator();
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let begun = [("fra", "08:00"), ("nyc", "09:00"), ("sin", "10:00")];
    assert_eq!(began_at(&world), told(&begun));
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(everything_is_new(&world) && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn whoever_is_open_keeps_the_playbooks_order_and_waves_begin_together() {
    let names = ["ams", "fra", "lon", "nyc", "sin", "syd"];
    let quiet = [
        ("ams", "UTC", "10:00-11:00"),
        ("fra", "UTC", "07:00-12:00"),
        ("nyc", "UTC", "10:00-12:00"),
        ("syd", "UTC", "09:00-10:00"),
    ];
    let mut in_pairs = playbook();
    in_pairs.max_unavailable = 2;
    in_pairs.sites = Some(
        ["ams", "sin", "fra", "lon", "nyc", "syd"]
            .map(site)
            .to_vec(),
    );
    let mut world = World::of(with(fleet_of(&names, 1), &quiet), in_pairs);
    let waves = |world: &mut World, options| {
        let plan = world.plan(Mode::Rotate, None, options);
        let names = |wave: &Vec<_>| wave.iter().map(ToString::to_string).collect::<Vec<_>>();
        plan.waves.iter().map(names).collect::<Vec<_>>()
    };
    let expected = [
        vec!["sin", "fra"],
        vec!["lon"],
        vec!["syd"],
        vec!["ams", "nyc"],
    ];
    assert_eq!(waves(&mut world, Options::default()), expected);
    let at_once = Options {
        any_hour: true,
        ..Options::default()
    };
    let expected = [["ams", "sin"], ["fra", "lon"], ["nyc", "syd"]];
    assert_eq!(waves(&mut world, at_once), expected);
    let carried = Options {
        carried: vec![site("lon"), site("nyc")],
        ..Options::default()
    };
    let expected = [
        vec!["lon", "sin"],
        vec!["fra"],
        vec!["syd"],
        vec!["nyc", "ams"],
    ];
    assert_eq!(waves(&mut world, carried), expected);
}

#[test]
fn a_site_whose_window_closes_before_its_turn_is_carried_over() {
    let short = [("fra", "UTC", "07:00-09:00"), ("nyc", "UTC", "07:00-08:01")];
    let mut world = world_of(&short);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "fra"), VisitEnd::Completed);
    assert_eq!(visit_end(machine.state(), "nyc"), VisitEnd::Skipped);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Completed);
    let (what, cure) = said(machine.state(), "nyc");
    let why = "its quiet hours (07:00-08:01 UTC) were over before its turn: it is carried over";
    assert_eq!(what, why);
    assert!(
        cure.contains("cleanslate rotate --site nyc --now"),
        "{cure}"
    );
    assert!(is_old_on(&world, "nyc1") && world.serves(&site("nyc")));
}

#[test]
fn what_would_end_too_late_in_its_window_is_not_waited_for() {
    let mut world = world_of(&WORLD);
    let deadline = Deadline {
        by: at("2027-01-15T10:30:00Z"),
        takes: [(site("sin"), 3_600_000)].into(),
    };
    let options = Options {
        deadline: Some(deadline),
        ..Options::default()
    };
    let mut machine = began(&mut world, Mode::Rotate, Some(&["sin"]), options);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Skipped);
    let (what, _) = said(machine.state(), "sin");
    assert!(what.contains("takes 1h and would not end by"), "{what}");
    assert!(world.time().wall < at("2027-01-15T08:01:00Z"), "at once");
}

#[test]
fn what_is_out_is_brought_back_at_any_hour() {
    let mut world = world_of(&WORLD);
    world.faults.unhealthy.insert(site("sin"));
    let any_hour = Options {
        any_hour: true,
        ..Options::default()
    };
    let mut machine = began(&mut world, Mode::Rotate, Some(&["sin"]), any_hour);
    world.run(&mut machine);
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Quarantined);
    world.faults.unhealthy.clear();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    assert_eq!(plan.waves[0], [site("sin")], "it comes first");
    world.begin(&mut machine, plan);
    world.until(&mut machine, |event| {
        matches!(event, Event::VisitEnded { .. })
    });
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::Completed);
    assert!(world.time().wall < at("2027-01-15T08:30:00Z"));
}

#[test]
fn whoever_waits_says_so_and_keeps_the_marker_fresh() {
    let (world, machine) = waiting();
    let state = machine.state();
    let whole = state.rotation_waits().unwrap();
    let why = "the quiet hours of sin (18:00-20:00 Asia/Singapore)";
    assert_eq!(whole.why, why);
    let left = world.time().mono.until(whole.until.unwrap());
    let opens = world.time().wall.checked_add(left).unwrap();
    assert_eq!(opens, at("2027-01-15T10:00:00Z"));
    let of_site = state.site_waits(&site("sin")).unwrap();
    assert_eq!(of_site.why, "its quiet hours (18:00-20:00 Asia/Singapore)");
    assert_eq!(of_site.until, whole.until);
    assert_eq!(state.site_waits(&site("fra")), None);
    let marker = world.marker().unwrap();
    assert!(marker.holder.is_some() && marker.seq >= 3, "{marker:?}");
}

#[test]
fn a_ttl_that_was_raised_while_it_waited_is_remembered() {
    let (mut world, mut machine) = waiting();
    world.set_ttl(Ttl(7_200));
    while world.time().wall < at("2027-01-15T08:45:00Z") {
        assert!(world.step(&mut machine));
    }
    world.set_ttl(Ttl(30));
    world.run(&mut machine);
    // Longer than any drain, and some resolvers remember it until 10:45.
    assert_eq!(visit_end(machine.state(), "sin"), VisitEnd::PutBack);
    let (what, _) = said(machine.state(), "sin");
    assert!(what.contains("7200"), "{what}");
    is_unhurt(&world);
}

#[test]
fn on_call_rebuilds_a_site_while_a_rotation_waits() {
    for (asked, then) in [("nyc", "10:00"), ("sin", "08:30")] {
        let (mut world, mut machine) = waiting();
        let plan = world.plan(Mode::Rebuild, Some(vec![site(asked)]), Options::default());
        let plan = Box::new(plan);
        world.tells(
            &mut machine,
            &Input::Command(Command::QueueRebuild { plan }),
        );
        world.run(&mut machine);
        let first = began_at(&world).remove(0);
        assert_eq!(first, (asked.to_owned(), "08:30".to_owned()));
        let last = began_at(&world).pop().unwrap();
        assert_eq!(last, ("sin".to_owned(), then.to_owned()));
        assert_eq!(end_of(machine.state()), RotationEnd::Completed);
        assert!(is_new_on(&world, "sin1") && is_new_on(&world, &format!("{asked}1")));
        is_unhurt(&world);
    }
}

#[test]
fn a_rotation_that_waits_is_aborted_at_once() {
    let (mut world, mut machine) = waiting();
    world.abort(&mut machine);
    world.run(&mut machine);
    assert!(matches!(
        end_of(machine.state()),
        RotationEnd::Aborted { .. }
    ));
    assert!(world.time().wall < at("2027-01-15T08:35:00Z"));
    assert!(is_idle_without_debts(&world) && is_old_on(&world, "sin1"));
}

#[test]
fn a_pause_over_its_window_carries_a_site_over_and_a_shorter_one_does_not() {
    let ends = [
        ("2027-01-15T10:30:00Z", VisitEnd::Completed),
        ("2027-01-15T12:00:00Z", VisitEnd::Skipped),
    ];
    for (until, end) in ends {
        let (mut world, mut machine) = waiting();
        let pause = Command::Pause {
            actor: "ana".to_owned(),
            reason: "a look at it".to_owned(),
            ends: PauseEnd::Word,
        };
        world.tells(&mut machine, &Input::Command(pause));
        while world.time().wall < at(until) {
            assert!(world.step(&mut machine), "the marker is refreshed");
        }
        assert_eq!(
            count(&world, |it| matches!(it, Event::VisitStarted { .. })),
            0
        );
        let (actor, reason) = ("ana".to_owned(), None);
        let resume = Command::Resume {
            actor,
            reason,
            site: None,
        };
        world.tells(&mut machine, &Input::Command(resume));
        world.run(&mut machine);
        assert_eq!(visit_end(machine.state(), "sin"), end, "{until}");
        is_unhurt(&world);
    }
}

#[test]
fn a_process_that_waits_may_stop_or_die_and_the_next_one_waits_on() {
    let (mut world, mut machine) = waiting();
    let stop = Command::Pause {
        actor: "cleanslate".to_owned(),
        reason: "the process was told to end".to_owned(),
        ends: PauseEnd::Start,
    };
    world.tells(&mut machine, &Input::Command(stop));
    assert!(machine.state().may_stop());
    let mut machine = world.crash();
    world.run(&mut machine);
    assert_eq!(began_at(&world), told(&[("sin", "10:00")]));
    assert_eq!(end_of(machine.state()), RotationEnd::Completed);
    assert!(is_new_on(&world, "sin1") && is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn a_wall_clock_that_is_set_is_believed_once_it_is_looked_at() {
    let (mut world, mut machine) = waiting();
    // Set back while it waits: what it wakes for has not come.
    world.wall_skew -= 3_600_000;
    world.run(&mut machine);
    assert_eq!(began_at(&world), told(&[("sin", "10:00")]));
    assert_eq!(count(&world, |it| matches!(it, Event::WindowDue)), 2);
    // Set forward: the next refresh of the marker finds the window open.
    let (mut world, mut machine) = waiting();
    world.wall_skew += 7_200_000;
    let set = world.time().wall;
    world.until(&mut machine, |it| matches!(it, Event::VisitStarted { .. }));
    let late = world.time().wall.duration_since(set).as_secs();
    assert!(late <= 600, "{late}");
}
