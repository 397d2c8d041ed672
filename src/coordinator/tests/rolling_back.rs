//! A site whose new images fail serves its last good ones again, and what failed is barred.
use super::world::{World, digest, fleet, playbook, site};
use super::*;
use crate::coordinator::effect::ProbeManner;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Survey, plan};
use crate::model::playbook::FailureThen;
use crate::sim::world::{BadImage, fleet_of};

#[test]
fn a_site_whose_new_images_do_not_start_serves_its_last_good_ones_and_the_night_is_over() {
    let (mut world, mut machine) = released(BadImage::Dies);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
    // The users were gone: no second drain.
    assert_eq!(count(&world, |event| is_drained(event, "fra")), 2);
    assert_eq!(
        count(&world, |event| matches!(event, Event::AttemptFailed { .. })),
        2
    );
    insta::assert_debug_snapshot!(said(machine.state(), "fra"), @r#"
    (
        "web of the new image exited with 1",
        "see its log: `cleanslate report`; then move the tag to an image that works, or where it was not the image: `cleanslate release clear sha256:0303030303030303030303030303030303030303030303030303030303030303 --reason TEXT`",
    )
    "#);
}

#[test]
fn one_whose_new_images_answer_nobody_never_has_users_on_them() {
    let (mut world, mut machine) = released(BadImage::FailsProbes);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
    let restored = |event: &Event| is_soaking(event, "fra");
    assert_eq!(count(&world, restored), 2, "once in each night");
}

#[test]
fn what_is_new_is_watched_before_it_is_put_in_and_what_is_gone_back_to_is_not() {
    let lasts = std::time::Duration::from_secs(30);
    let mut playbook = playbook();
    playbook.failure.then = FailureThen::LastGood;
    playbook.verify.for_at_least = lasts;
    let mut world = World::of(fleet(), playbook);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    world.tag = 3;
    world.probed.clear();
    let how = BadImage::FailsProbes;
    world.faults.bad_images.insert(digest(3), how);
    let options = Options::default();
    ask(&mut world, &mut machine, Mode::Rotate, None, options);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
    let verified = world
        .probed
        .iter()
        .filter_map(|(name, manner, _)| match manner {
            ProbeManner::Verify { lasts } if *name == site("fra") => Some(*lasts),
            ProbeManner::Verify { .. } | ProbeManner::Look | ProbeManner::Watch => None,
        });
    let verified: Vec<_> = verified.collect();
    let (back, new) = verified.split_last().unwrap();
    assert!(
        !new.is_empty() && new.iter().all(|it| *it == lasts),
        "{new:?}"
    );
    assert!(back.is_zero(), "users wait");
}

#[test]
fn one_that_broke_its_soak_leaves_is_drained_and_comes_back() {
    let (mut world, mut machine) = released(BadImage::DiesLater);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
    assert_eq!(count(&world, |event| is_drained(event, "fra")), 3);
}

#[test]
fn what_failed_is_asked_for_its_last_words_before_it_goes() {
    for how in [BadImage::Dies, BadImage::FailsProbes, BadImage::DiesLater] {
        let (mut world, mut machine) = released(how);
        let from = world.journal.len();
        world.run(&mut machine);
        let mut made = Vec::new();
        let mut asked = 0;
        let mut attempts = 0;
        for (event, _) in &world.journal[from..] {
            if let Event::HostPrepared { made: new, .. } = event {
                made.extend(new.iter().map(|made| made.id.clone()));
                attempts += 1;
            } else if let Event::EvidenceTaken { containers, .. } = event {
                asked += containers;
            } else if let Event::AttemptFailed { .. } | Event::RollbackBegun { .. } = event {
                asked = 0;
            } else if let Event::ClearBegun { containers, .. } = event {
                let goes = containers.values().flatten();
                let failed = goes.filter(|id| made.contains(id)).count();
                assert!(failed == 0 || asked > 0, "{how:?}: {failed} went unasked");
            }
        }
        assert!(attempts > 1, "{how:?}");
        is_rolled_back(&world, machine.state());
    }
}

#[test]
fn an_engine_that_keeps_their_last_words_to_itself_holds_nothing_up_for_long() {
    let (mut world, mut machine) = released(BadImage::FailsProbes);
    world.until(&mut machine, is_rollback);
    world.faults.evidence_hangs = true;
    let since = world.now;
    world.until(&mut machine, |event| is_soaking(event, "fra"));
    let took = world.now - since;
    assert!(took < 20_000, "back after {took} ms");
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
}

#[test]
fn no_registry_is_needed() {
    let (mut world, mut machine) = released(BadImage::Dies);
    world.until(&mut machine, |event| is_drained(event, "fra"));
    let sites: Vec<_> = world.fleet.sites.keys().cloned().collect();
    world.faults.unpulled.extend(sites);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
}

#[test]
fn killed_at_any_fact_it_ends_the_same() {
    for how in [BadImage::Dies, BadImage::FailsProbes, BadImage::DiesLater] {
        let (begun, machine) = released(how);
        let all = {
            let (mut world, mut machine) = (begun.clone(), machine.clone());
            world.run(&mut machine);
            world.journal.len()
        };
        for at in begun.journal.len()..all {
            let (mut world, mut machine) = (begun.clone(), machine.clone());
            while world.journal.len() < at {
                assert!(world.step(&mut machine));
            }
            let mut machine = world.crash();
            world.run(&mut machine);
            is_rolled_back(&world, machine.state());
        }
    }
}

#[test]
fn where_its_last_good_images_fail_too_it_stays_out() {
    let (mut world, mut machine) = released(BadImage::Dies);
    world.faults.unhealthy.insert(site("fra"));
    world.run(&mut machine);
    let state = machine.state();
    assert_eq!(visit_end(state, "fra"), VisitEnd::Quarantined);
    assert_eq!(end_of(state), RotationEnd::Halted);
    assert!(state.barred.contains_key(&digest(3)));
    assert_eq!(count(&world, is_rollback), 1, "once a visit");
    insta::assert_debug_snapshot!(said(state, "fra"), @r#"
    (
        "web exited with 1; that was with the images that passed there last, and before with the new ones: web exited with 1",
        "see its log: `cleanslate report`",
    )
    "#);
    is_unhurt(&world);
}

#[test]
fn where_nothing_has_passed_yet_it_stays_out_and_nothing_is_barred() {
    let mut world = rolling();
    world.faults.bad_images.insert(digest(2), BadImage::Dies);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    let state = machine.state();
    assert_eq!(visit_end(state, "fra"), VisitEnd::Quarantined);
    assert_eq!(state.barred.len(), 0);
    is_unhurt(&world);
}

#[test]
fn the_same_images_again_are_no_way_back() {
    let (mut world, mut machine) = passed();
    world.faults.unhealthy.insert(site("fra"));
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.run(&mut machine);
    let state = machine.state();
    assert_eq!(visit_end(state, "fra"), VisitEnd::Quarantined);
    assert_eq!((state.barred.len(), count(&world, is_rollback)), (0, 0));
}

#[test]
fn an_engine_that_falls_silent_bars_no_image() {
    let (mut world, mut machine) = passed();
    world.tag = 3;
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    world.until(&mut machine, |event| {
        matches!(event, Event::ClearBegun { .. })
    });
    world.faults.down.insert("fra1".parse().unwrap());
    world.run(&mut machine);
    let state = machine.state();
    assert_eq!(visit_end(state, "fra"), VisitEnd::Quarantined);
    assert_eq!((state.barred.len(), count(&world, is_rollback)), (0, 1));
    is_unhurt(&world);
}

#[test]
fn without_the_playbooks_word_it_stays_out_as_ever() {
    let (mut world, mut machine) = released_on(fleet(), FailureThen::Quarantine, BadImage::Dies);
    world.run(&mut machine);
    let state = machine.state();
    assert_eq!(visit_end(state, "fra"), VisitEnd::Quarantined);
    assert_eq!(state.barred.len(), 0);
}

/// What is dirty when its images are barred is finished with its last good ones, without starting
/// the others once.
#[test]
fn of_a_wave_of_two_the_second_does_not_start_what_failed_at_the_first() {
    let mut fleet = fleet_of(&["ams", "fra", "nyc", "sin"], 1);
    for record in fleet.dns.records.values_mut() {
        record.min_in_service = Some(2);
    }
    let (mut world, mut machine) = released_on(fleet, FailureThen::LastGood, BadImage::Dies);
    let started = world.journal.len();
    world.faults.slow_clears.push_back(120_000);
    world.run(&mut machine);
    let state = machine.state();
    let ends = ["ams", "fra"].map(|name| visit_end(state, name));
    assert_eq!(ends, [VisitEnd::RolledBack; 2]);
    let of_both = world.journal[started..].iter().filter(|(event, _)| {
        let Event::RollbackBegun { barred, .. } = event else {
            return false;
        };
        !barred.is_empty()
    });
    assert_eq!(of_both.count(), 1, "one of them has never started it");
    assert!(is_idle_without_debts(&world));
    is_unhurt(&world);
}

#[test]
fn an_abort_in_the_middle_finishes_it_and_spares_the_soak() {
    let (mut world, mut machine) = released(BadImage::Dies);
    world.until(&mut machine, is_rollback);
    world.abort(&mut machine);
    world.run(&mut machine);
    is_rolled_back(&world, machine.state());
    let soaked = |event: &Event| matches!(event, Event::Soaked { site: of } if *of == site("fra"));
    assert_eq!(count(&world, soaked), 1, "in the first night");
}

#[test]
fn what_failed_is_planned_nowhere_until_a_person_clears_it() {
    let (mut world, mut machine) = released(BadImage::Dies);
    world.run(&mut machine);
    let mut survey = Survey {
        barred: machine.state().barred.clone(),
        ..world.survey()
    };
    let wish = world.wish(Mode::Rotate, None, Options::default());
    let blocked = plan(&world.fleet, &world.playbook, wish.clone(), &survey).unwrap_err();
    assert!(!blocked.is_transient);
    insta::assert_debug_snapshot!(blocked.reasons, @r#"
    [
        Problem {
            what: "barred: registry.test:5000/web:master stands for 030303030303, which failed at fra in nightly-30: web of the new image exited with 1",
            cure: "move the tag to an image that works; where it was not the image: `cleanslate release clear sha256:0303030303030303030303030303030303030303030303030303030303030303 --reason TEXT`",
            is_transient: false,
        },
    ]
    "#);

    // One that was planned before.
    let late = plan(&world.fleet, &world.playbook, wish.clone(), &world.survey()).unwrap();
    let begin = Input::Command(Command::Begin {
        plan: Box::new(late),
    });
    let rejection = world.tell(&mut machine, &begin).unwrap_err();
    assert_eq!(rejection.problem, blocked.reasons[0]);

    world.tells(&mut machine, &clear(digest(3)));
    survey.barred = machine.state().barred.clone();
    plan(&world.fleet, &world.playbook, wish, &survey).unwrap();
    // It lasts, and what is not barred is not cleared.
    let replayed = world.dead();
    assert_eq!(replayed.state().barred.len(), 0);
    let rejection = world.tell(&mut machine, &clear(digest(3))).unwrap_err();
    let Problem { what, cure, .. } = rejection.problem;
    insta::assert_snapshot!(format!("{what} ({cure})"), @"sha256:0303030303030303030303030303030303030303030303030303030303030303 is not barred (see `cleanslate status` for what is)");
}

fn clear(digest: crate::model::image::Digest) -> Input {
    let (actor, reason) = ("ana".to_owned(), "it was the network".to_owned());
    Input::Command(Command::Clear {
        digest,
        actor,
        reason,
    })
}

fn rolling() -> World {
    let mut playbook = playbook();
    playbook.failure.then = FailureThen::LastGood;
    World::of(fleet(), playbook)
}

/// All sites have passed on the second version.
fn passed() -> (World, Coordinator) {
    let mut world = rolling();
    let mut machine = night(&mut world);
    world.run(&mut machine);
    (world, machine)
}

/// And the night of a third begins, which is bad in this way.
fn released(how: BadImage) -> (World, Coordinator) {
    released_on(fleet(), FailureThen::LastGood, how)
}

fn released_on(
    fleet: crate::model::fleet::Fleet,
    then: FailureThen,
    how: BadImage,
) -> (World, Coordinator) {
    let mut playbook = playbook();
    playbook.failure.then = then;
    playbook.max_unavailable = if fleet.sites.len() > 3 { 2 } else { 1 };
    let mut world = World::of(fleet, playbook);
    let mut machine = night(&mut world);
    world.run(&mut machine);
    world.tag = 3;
    world.faults.bad_images.insert(digest(3), how);
    ask(
        &mut world,
        &mut machine,
        Mode::Rotate,
        None,
        Options::default(),
    );
    (world, machine)
}

/// The first site serves what passed there last, nobody else was touched, nothing is owed.
fn is_rolled_back(world: &World, state: &State) {
    assert_eq!(visit_end(state, "fra"), VisitEnd::RolledBack);
    assert_eq!(state.rotation.as_ref().unwrap().ended.len(), 1);
    assert_eq!(end_of(state), RotationEnd::Halted);
    assert!(everything_is_new(world), "the second version is everywhere");
    assert!(is_idle_without_debts(world));
    assert!(world.serves(&site("fra")));
    let barred = state.barred.get(&digest(3)).unwrap();
    assert_eq!((barred.site.clone(), state.barred.len()), (site("fra"), 1));
    let passed = state.last_good[&site("fra")].values();
    assert!(passed.into_iter().all(|passed| *passed == digest(2)));
    is_unhurt(world);
}

fn is_rollback(event: &Event) -> bool {
    matches!(event, Event::RollbackBegun { .. })
}

fn is_drained(event: &Event, name: &str) -> bool {
    matches!(event, Event::Drained { site: of, .. } if *of == site(name))
}

fn is_soaking(event: &Event, name: &str) -> bool {
    matches!(event, Event::SoakBegun { site: of } if *of == site(name))
}
