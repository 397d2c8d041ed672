//! What goes on by itself: ages, time out of DNS, runs.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{at, metrics, value, values};
use crate::api::metrics::{Containers, Look, Metrics, Remembered, RotationResult, Runs};
use crate::coordinator::event::Event;
use crate::coordinator::state::State;
use crate::coordinator::tests::world::{World, fleet, site};
use crate::model::fleet::Fleet;
use crate::model::id::PlaybookName;
use crate::model::rrset::UpdateOutcome;
use crate::sim::world::fleet_of;

const NOON: &str = "2026-11-22T12:00:00Z";

fn noon() -> Timestamp {
    at(NOON)
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// A look at a world in which all is well; each host's oldest container is from then.
fn look(world: &World, created: &str) -> Look {
    let of_site = |(name, site): (&_, &crate::model::fleet::Site)| {
        let hosts = site.hosts.iter().map(|host| host.name.clone());
        let keys = hosts.map(|host| ((crate::model::id::SiteName::clone(name), host), created));
        keys.collect::<Vec<_>>()
    };
    let engines = world.fleet.sites.iter().flat_map(of_site);
    Look {
        facts: 0,
        zone: Some((*world.view).clone()),
        engines: engines
            .map(|(key, created)| (key, Containers::Since(at(created))))
            .collect(),
    }
}

fn age(metrics: &Metrics, now: Timestamp, site: &str) -> Option<f64> {
    let name = format!("container_max_age_seconds{{site=\"{site}\"}}");
    value(metrics, now, &name)
}

#[test]
fn containers_grow_older_until_somebody_looks_again() {
    let metrics = metrics();
    let world = World::new();
    assert_eq!(age(&metrics, noon(), "fra"), None, "nobody has looked");
    metrics.looked(&fleet(), &look(&world, "2026-11-22T11:00:00Z"), noon());
    assert_eq!(age(&metrics, noon(), "fra"), Some(3600.0));
    assert_eq!(age(&metrics, noon() + minutes(5), "fra"), Some(3900.0));
    // Whoever looks no more knows nothing.
    assert_eq!(age(&metrics, noon() + minutes(20), "fra"), None);
    metrics.looked(
        &fleet(),
        &look(&world, "2026-11-22T12:30:00Z"),
        noon() + minutes(40),
    );
    assert_eq!(age(&metrics, noon() + minutes(40), "fra"), Some(600.0));
    // An engine whose clock is ahead.
    assert_eq!(age(&metrics, noon() + minutes(29), "fra"), Some(0.0));
}

#[test]
fn a_site_is_as_old_as_its_oldest_host_and_of_no_age_where_one_is_silent() {
    let fleet = fleet_of(&["fra", "nyc"], 2);
    let mut world = World::of(fleet.clone(), crate::coordinator::tests::world::playbook());
    world.faults.busy = false;
    let metrics = metrics();
    let mut seen = look(&world, "2026-11-22T11:00:00Z");
    let hosts: Vec<_> = seen.engines.keys().cloned().collect();
    seen.engines.insert(
        hosts[1].clone(),
        Containers::Since(at("2026-11-21T12:00:00Z")),
    );
    seen.engines.insert(hosts[3].clone(), Containers::None);
    metrics.looked(&fleet, &seen, noon());
    assert_eq!(age(&metrics, noon(), "fra"), Some(86_400.0));
    assert_eq!(age(&metrics, noon(), "nyc"), Some(3600.0));
    seen.engines.insert(hosts[0].clone(), Containers::Unknown);
    metrics.looked(&fleet, &seen, noon());
    assert_eq!(age(&metrics, noon(), "fra"), None);
    assert_eq!(age(&metrics, noon(), "nyc"), Some(3600.0));
    let up = values(&metrics, noon());
    let up = up.iter().filter(|line| line.starts_with("engine_up"));
    let up: Vec<&str> = up.map(String::as_str).collect();
    let host = |number: usize| hosts[number].1.as_str();
    let expected = [
        format!("engine_up{{site=\"fra\",host=\"{}\"}} 0", host(0)),
        format!("engine_up{{site=\"fra\",host=\"{}\"}} 1", host(1)),
        format!("engine_up{{site=\"nyc\",host=\"{}\"}} 1", host(2)),
        format!("engine_up{{site=\"nyc\",host=\"{}\"}} 1", host(3)),
    ];
    assert_eq!(up, expected);
}

#[test]
fn a_site_taken_out_by_hand_is_seen_and_its_time_counted() {
    let metrics = metrics();
    let mut world = World::new();
    world.by_hand(&site("nyc"), false);
    metrics.looked(&fleet(), &look(&world, NOON), noon());
    let later = noon() + minutes(10);
    let of = |name: &str, now| value(&metrics, now, &format!("{name}{{site=\"nyc\"}}"));
    assert_eq!(of("site_out_of_dns_seconds_total", later), Some(600.0));
    assert_eq!(
        of("site_out_of_dns_seconds_total", later),
        Some(600.0),
        "once"
    );
    let since = of("site_out_since_timestamp_seconds", later);
    assert_eq!(since, Some(noon().as_duration().as_secs_f64()));
    let state = "site_state{site=\"nyc\",state=\"out_of_service\"}";
    assert_eq!(value(&metrics, later, state), Some(1.0));
    // A primary that does not answer leaves it as it was.
    let silent = Look {
        zone: None,
        ..look(&world, NOON)
    };
    metrics.looked(&fleet(), &silent, later);
    assert_eq!(value(&metrics, later, "primary_up"), Some(0.0));
    assert_eq!(
        value(&metrics, later, "sites{in_dns=\"unknown\"}"),
        Some(3.0)
    );
    let unknown = "site_state{site=\"nyc\",state=\"unknown\"}";
    assert_eq!(value(&metrics, later, unknown), Some(1.0));
    world.by_hand(&site("nyc"), true);
    metrics.looked(&fleet(), &look(&world, NOON), noon() + minutes(15));
    let much_later = noon() + minutes(60);
    assert_eq!(of("site_out_of_dns_seconds_total", much_later), Some(900.0));
    assert_eq!(of("site_out_since_timestamp_seconds", much_later), None);
    assert_eq!(
        value(&metrics, much_later, "sites{in_dns=\"yes\"}"),
        Some(3.0)
    );
}

#[test]
fn what_a_look_saw_before_a_fact_does_not_undo_the_fact() {
    let metrics = metrics();
    let mut world = World::new();
    let in_service = look(&world, NOON);
    world.by_hand(&site("nyc"), false);
    metrics.looked(&fleet(), &look(&world, NOON), noon());
    let state = State::default();
    let fact = crate::api::metrics::Fact {
        event: &Event::LookDue,
        before: &state,
        after: &State {
            view: Some(world.view.clone()),
            ..State::default()
        },
        at: noon(),
        line: None,
    };
    metrics.see(&fleet(), &fact);
    metrics.looked(&fleet(), &in_service, noon());
    assert_eq!(value(&metrics, noon(), "sites{in_dns=\"no\"}"), Some(1.0));
    let newer = Look {
        facts: metrics.facts(),
        ..in_service
    };
    metrics.looked(&fleet(), &newer, noon());
    assert_eq!(value(&metrics, noon(), "sites{in_dns=\"no\"}"), Some(0.0));
}

#[test]
fn every_answer_to_an_update_is_counted_as_what_it_is() {
    let metrics = metrics();
    let (why, hint) = (|| "why".to_owned(), String::new);
    let outcomes = [
        ("applied", UpdateOutcome::Applied),
        ("not_applied", UpdateOutcome::NotApplied { why: why() }),
        (
            "refused",
            UpdateOutcome::Refused {
                why: why(),
                hint: hint(),
            },
        ),
        ("unknown", UpdateOutcome::Unknown { why: why() }),
        ("not_sent", UpdateOutcome::NotSent { why: why() }),
    ];
    let state = State::default();
    for (word, outcome) in outcomes {
        let name = format!("dns_changes_total{{outcome=\"{word}\"}}");
        assert_eq!(
            value(&metrics, noon(), &name),
            Some(0.0),
            "before the first"
        );
        let fact = crate::api::metrics::Fact {
            event: &Event::ChangeAnswered { outcome },
            before: &state,
            after: &state,
            at: noon(),
            line: None,
        };
        metrics.see(&fleet(), &fact);
        assert_eq!(value(&metrics, noon(), &name), Some(1.0));
    }
}

#[test]
fn the_marker_stands_since_it_was_first_seen_so() {
    let metrics = metrics();
    let mut world = World::new();
    metrics.looked(&fleet(), &look(&world, NOON), noon());
    assert_eq!(
        value(&metrics, noon(), "marker_epoch"),
        None,
        "there is none"
    );
    let mut machine = world.coordinator_called("holder-b");
    let plan = world.plan(
        crate::coordinator::plan::Mode::Rotate,
        None,
        Default::default(),
    );
    world.begin(&mut machine, plan);
    world.until(&mut machine, |event| {
        matches!(event, Event::VisitStarted { .. })
    });
    let changed = || value(&metrics, noon(), "marker_changed_timestamp_seconds");
    let unix = |at: Timestamp| Some(at.as_duration().as_secs_f64());
    for (after, stands_since) in [(5, 5), (10, 5)] {
        metrics.looked(&fleet(), &look(&world, NOON), noon() + minutes(after));
        assert_eq!(changed(), unix(noon() + minutes(stands_since)));
        assert_eq!(
            value(&metrics, noon(), "marker_held{by=\"other\"}"),
            Some(1.0)
        );
        assert_eq!(value(&metrics, noon(), "marker_epoch"), Some(1.0));
    }
    world.run(&mut machine);
    metrics.looked(&fleet(), &look(&world, NOON), noon() + minutes(15));
    assert_eq!(changed(), unix(noon() + minutes(15)));
    assert_eq!(
        value(&metrics, noon(), "marker_held{by=\"nobody\"}"),
        Some(1.0)
    );
}

#[test]
fn a_site_that_left_the_configuration_leaves_the_page() {
    let metrics = metrics();
    let mut world = World::new();
    world.by_hand(&site("sin"), false);
    metrics.looked(&fleet(), &look(&world, NOON), noon());
    let now_of = |fleet: &Fleet| {
        let world = World::of(fleet.clone(), crate::coordinator::tests::world::playbook());
        look(&world, NOON)
    };
    let smaller = fleet_of(&["fra", "nyc"], 1);
    metrics.looked(&smaller, &now_of(&smaller), noon());
    let of_sin = values(&metrics, noon() + minutes(1));
    let of_sin = of_sin.iter().filter(|line| line.contains("\"sin\""));
    // What was counted stays: a counter that goes is a counter that was reset.
    let left: Vec<&str> = of_sin.map(String::as_str).collect();
    insta::assert_snapshot!(left.join("\n"), @r#"
    retries_total{site="sin"} 0
    site_out_of_dns_seconds_total{site="sin"} 0.0
    visits_total{site="sin",result="completed"} 0
    visits_total{site="sin",result="put_back"} 0
    visits_total{site="sin",result="quarantined"} 0
    visits_total{site="sin",result="rolled_back"} 0
    visits_total{site="sin",result="skipped"} 0
    "#);
}

#[test]
fn runs_are_told_and_missed_ones_counted_from_naught() {
    let metrics = metrics();
    let nightly: PlaybookName = "nightly".parse().unwrap();
    let (last, next) = (at("2026-11-22T02:00:00Z"), at("2026-11-23T02:00:00Z"));
    let runs = Runs {
        last: Some(last),
        next: Some(next),
    };
    metrics.plan(&[(nightly.clone(), runs)].into());
    let of = |name: &str| value(&metrics, noon(), &format!("{name}{{playbook=\"nightly\"}}"));
    let unix = |at: Timestamp| Some(at.as_duration().as_secs_f64());
    assert_eq!(of("last_run_timestamp_seconds"), unix(last));
    assert_eq!(of("next_run_timestamp_seconds"), unix(next));
    assert_eq!(of("runs_missed_total"), Some(0.0));
    assert_eq!(of("run_missed_timestamp_seconds"), None);
    metrics.missed(&nightly, 2, noon());
    assert_eq!(of("runs_missed_total"), Some(2.0));
    assert_eq!(of("run_missed_timestamp_seconds"), unix(noon()));
    metrics.plan(&BTreeMap::new());
    assert_eq!(
        of("next_run_timestamp_seconds"),
        None,
        "it has no schedule any more"
    );
    assert_eq!(of("runs_missed_total"), Some(2.0));
}

#[test]
fn what_an_earlier_process_knew_is_known() {
    let metrics = metrics();
    let ended = at("2026-11-22T03:30:00Z");
    metrics.remember(Remembered {
        last_success: [("nightly".parse().unwrap(), ended)].into(),
        last_result: Some(RotationResult::Halted),
        out_since: [(site("nyc"), ended), (site("fra"), ended)].into(),
        rolled_back: [site("nyc")].into(),
    });
    let mut world = World::new();
    world.by_hand(&site("nyc"), false);
    metrics.looked(&fleet(), &look(&world, NOON), noon());
    let value = |name: &str| value(&metrics, noon(), name);
    for (name, back) in [("nyc", 1.0), ("fra", 0.0)] {
        let series = format!("site_rolled_back{{site=\"{name}\"}}");
        assert_eq!(value(&series), Some(back), "{name}");
    }
    let unix = Some(ended.as_duration().as_secs_f64());
    assert_eq!(
        value("last_success_timestamp_seconds{playbook=\"nightly\"}"),
        unix
    );
    assert_eq!(value("last_rotation_result{result=\"halted\"}"), Some(1.0));
    assert_eq!(
        value("last_rotation_result{result=\"completed\"}"),
        Some(0.0)
    );
    assert_eq!(
        value("site_out_since_timestamp_seconds{site=\"nyc\"}"),
        unix
    );
    assert_eq!(
        value("site_out_since_timestamp_seconds{site=\"fra\"}"),
        None
    );
    // What earlier processes counted, they told themselves.
    assert_eq!(
        value("site_out_of_dns_seconds_total{site=\"nyc\"}"),
        Some(0.0)
    );
}
