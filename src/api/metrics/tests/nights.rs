//! Nights that were played, fact by fact.
use super::{metrics, metrics_of, take_in, value, values};
use crate::coordinator::event::Event;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{Desk, World, digest, fleet, playbook, site};
use crate::model::playbook::FailureThen;
use crate::sim::world::BadImage;

fn begun(world: &mut World) -> Coordinator {
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    machine
}

#[test]
fn a_night_is_measured() {
    let mut world = World::new();
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let values = values(&metrics, world.time().wall);
    let told = values.iter().filter(|line| {
        let is_other = line.contains("site=\"nyc\"") || line.contains("site=\"sin\"");
        let is_nothing = line.ends_with(" 0") || line.contains("_bucket");
        !is_other && !is_nothing
    });
    let told: Vec<&str> = told.map(String::as_str).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    build_info{version="1.2.3"} 1
    dns_changes_total{outcome="applied"} 11
    drain_residue_packets_per_second{site="fra"} 0.1
    last_rotation_result{result="completed"} 1
    last_success_timestamp_seconds{playbook="nightly"} 1800000300.345
    marker_changed_timestamp_seconds 1800000300.345
    marker_epoch 1
    marker_held{by="nobody"} 1
    process_start_time_seconds 1800000000.0
    rotation_state{state="none"} 1
    rotations_total{playbook="nightly",result="completed"} 1
    site_out_of_dns_seconds_total{site="fra"} 40.06
    site_state{site="fra",state="in_service"} 1
    sites{in_dns="yes"} 3
    step_duration_seconds_count{step="drain"} 3
    step_duration_seconds_count{step="ready"} 3
    step_duration_seconds_count{step="recreate"} 3
    step_duration_seconds_count{step="restore"} 3
    step_duration_seconds_count{step="signal"} 3
    step_duration_seconds_count{step="soak"} 3
    step_duration_seconds_count{step="verify"} 3
    step_duration_seconds_count{step="withdraw"} 3
    step_duration_seconds_sum{step="drain"} 120.0
    step_duration_seconds_sum{step="ready"} 0.06
    step_duration_seconds_sum{step="recreate"} 0.09
    step_duration_seconds_sum{step="restore"} 0.06
    step_duration_seconds_sum{step="signal"} 0.015
    step_duration_seconds_sum{step="soak"} 180.0
    step_duration_seconds_sum{step="verify"} 0.03
    step_duration_seconds_sum{step="withdraw"} 0.06
    step_last_duration_seconds{site="fra",step="drain"} 40.0
    step_last_duration_seconds{site="fra",step="ready"} 0.02
    step_last_duration_seconds{site="fra",step="recreate"} 0.03
    step_last_duration_seconds{site="fra",step="restore"} 0.02
    step_last_duration_seconds{site="fra",step="signal"} 0.005
    step_last_duration_seconds{site="fra",step="soak"} 60.0
    step_last_duration_seconds{site="fra",step="verify"} 0.01
    step_last_duration_seconds{site="fra",step="withdraw"} 0.02
    visits_total{site="fra",result="completed"} 1
    "#);
}

#[test]
fn the_middle_of_a_drain_is_told_as_it_is() {
    let mut world = World::new();
    let mut machine = begun(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::DrainedAtLeast { .. })
    });
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let now = world.time().wall;
    let value = |name: &str| value(&metrics, now, name);
    assert_eq!(value("rotation_state{state=\"running\"}"), Some(1.0));
    assert_eq!(value("rotation_state{state=\"none\"}"), Some(0.0));
    assert_eq!(
        value("site_state{site=\"fra\",state=\"draining\"}"),
        Some(1.0)
    );
    assert_eq!(
        value("site_state{site=\"fra\",state=\"in_service\"}"),
        Some(0.0)
    );
    assert_eq!(
        value("site_state{site=\"nyc\",state=\"in_service\"}"),
        Some(1.0)
    );
    assert_eq!(value("sites{in_dns=\"yes\"}"), Some(2.0));
    assert_eq!(value("sites{in_dns=\"no\"}"), Some(1.0));
    assert_eq!(value("marker_held{by=\"us\"}"), Some(1.0));
    // Name servers follow, then the TTL.
    let out = value("site_out_of_dns_seconds_total{site=\"fra\"}").unwrap();
    assert!((30.0..32.0).contains(&out), "{out}");
    let since = value("site_out_since_timestamp_seconds{site=\"fra\"}").unwrap();
    let now = now.as_duration().as_secs_f64();
    assert!((now - since - out).abs() < 0.001, "{since}, {out}, {now}");
}

#[test]
fn a_process_that_takes_a_night_up_counts_nobodys_time_as_a_step() {
    let mut world = World::new();
    let mut machine = begun(&mut world);
    world.until(&mut machine, |event| {
        matches!(event, Event::DrainedAtLeast { .. })
    });
    let killed_at = world.journal.len();
    let out_since = world.time().wall;
    let mut machine = world.crash();
    world.now += 3_600_000;
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, killed_at);
    let now = world.time().wall;
    let value = |name: &str| value(&metrics, now, name);
    assert_eq!(value("marker_taken_over_total"), Some(0.0));
    assert_eq!(
        value("rotations_total{playbook=\"nightly\",result=\"completed\"}"),
        Some(1.0)
    );
    for step in ["withdraw", "drain"] {
        let name = format!("step_last_duration_seconds{{site=\"fra\",step=\"{step}\"}}");
        assert!(value(&name).unwrap() < 600.0, "{step}: {:?}", value(&name));
    }
    let success = value("last_success_timestamp_seconds{playbook=\"nightly\"}").unwrap();
    assert!(success > out_since.as_duration().as_secs_f64() + 3600.0);
}

#[test]
fn a_site_that_fails_is_counted_and_stays_out() {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("nyc"));
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let now = world.time().wall;
    let value = |name: &str| value(&metrics, now, name);
    assert_eq!(
        value("site_state{site=\"nyc\",state=\"quarantined\"}"),
        Some(1.0)
    );
    assert_eq!(value("retries_total{site=\"nyc\"}"), Some(2.0));
    assert_eq!(
        value("visits_total{site=\"nyc\",result=\"quarantined\"}"),
        Some(1.0)
    );
    assert_eq!(
        value("visits_total{site=\"fra\",result=\"completed\"}"),
        Some(1.0)
    );
    assert_eq!(
        value("visits_total{site=\"sin\",result=\"completed\"}"),
        Some(0.0)
    );
    assert_eq!(
        value("rotations_total{playbook=\"nightly\",result=\"halted\"}"),
        Some(1.0)
    );
    assert_eq!(value("last_rotation_result{result=\"halted\"}"), Some(1.0));
    assert_eq!(
        value("last_success_timestamp_seconds{playbook=\"nightly\"}"),
        None
    );
    assert_eq!(
        value("marker_held{by=\"nobody\"}"),
        Some(1.0),
        "it was given back"
    );
    assert!(value("site_out_since_timestamp_seconds{site=\"nyc\"}").is_some());
}

#[test]
fn a_site_that_rolled_back_is_so_until_it_is_rebuilt_and_passes() {
    let mut playbook = playbook();
    playbook.failure.then = FailureThen::LastGood;
    let mut world = World::of(fleet(), playbook);
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    world.tag = 3;
    world.faults.bad_images.insert(digest(3), BadImage::Dies);
    let mut again = |world: &mut World, mode: Mode, name: Option<&str>| {
        let sites = name.map(|name| vec![site(name)]);
        let plan = world.plan(mode, sites, Options::default());
        world.begin(&mut machine, plan);
        world.run(&mut machine);
    };
    again(&mut world, Mode::Rotate, None);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let back = |world: &World, name: &str| {
        let name = format!("site_rolled_back{{site=\"{name}\"}}");
        value(&metrics, world.time().wall, &name)
    };
    assert_eq!(back(&world, "fra"), Some(1.0));
    assert_eq!(back(&world, "nyc"), Some(0.0));

    let from = world.journal.len();
    again(&mut world, Mode::Cordon { cordoned: true }, Some("fra"));
    take_in(&metrics, &world, from);
    assert_eq!(
        back(&world, "fra"),
        Some(1.0),
        "its images are as they were"
    );

    let from = world.journal.len();
    world.tag = 4;
    again(&mut world, Mode::Rebuild, Some("fra"));
    take_in(&metrics, &world, from);
    assert_eq!(back(&world, "fra"), Some(0.0));
}

#[test]
fn a_site_that_was_left_out_makes_no_success() {
    let mut world = World::new();
    world.faults.unready.insert(site("fra"));
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let now = world.time().wall;
    let value = |name: &str| value(&metrics, now, name);
    assert_eq!(
        value("visits_total{site=\"fra\",result=\"skipped\"}"),
        Some(1.0)
    );
    assert_eq!(value("last_rotation_result{result=\"skipped\"}"), Some(1.0));
    assert_eq!(
        value("last_success_timestamp_seconds{playbook=\"nightly\"}"),
        None
    );
}

#[test]
fn traffic_that_could_not_be_measured_has_no_number() {
    let mut world = World::new();
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let residue = "drain_residue_packets_per_second{site=\"fra\"}";
    assert_eq!(value(&metrics, world.time().wall, residue), Some(0.1));
    let mut world = World::new();
    world.faults.traffic_unknown = true;
    let mut machine = begun(&mut world);
    world.run(&mut machine);
    take_in(&metrics, &world, 0);
    assert_eq!(value(&metrics, world.time().wall, residue), None);
}

#[test]
fn who_loses_the_marker_and_who_takes_it_over_are_told_apart() {
    let mut world = World::new();
    let mut first = begun(&mut world);
    world.until(&mut first, |event| {
        matches!(event, Event::DrainedAtLeast { .. })
    });
    let mut desk = Desk::default();
    world.swap(&mut desk);
    let options = Options {
        take_over: true,
        ..Options::default()
    };
    let mut other = world.coordinator_called("holder-b");
    let plan = world.plan(Mode::Rotate, None, options);
    world.begin(&mut other, plan);
    world.run(&mut other);
    let taker = metrics_of("holder-b");
    take_in(&taker, &world, 0);
    // The first one wakes.
    world.swap(&mut Desk::default());
    world.swap(&mut desk);
    world.run(&mut first);
    let loser = metrics();
    take_in(&loser, &world, 0);
    let now = world.time().wall;
    let of = |metrics| {
        let names = ["marker_taken_over_total", "marker_lost_total"];
        names.map(|name| value(metrics, now, name).unwrap())
    };
    assert_eq!(of(&taker), [1.0, 0.0]);
    assert_eq!(of(&loser), [0.0, 1.0]);
    assert_eq!(
        value(&loser, now, "last_rotation_result{result=\"halted\"}"),
        Some(1.0)
    );
}
