//! Whole nights under load: nobody is lost, the floor holds, and everything is new afterwards.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};

use crate::lab::images::Push;
use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{FleetOptions, History, ImageKind, Lab, LabSpec, Users, UsersReport, Watcher};
use crate::program::{Ended, check_complete};
use crate::scene::{check_at_rest, check_recreated, ids, night, serving};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];
const SITES: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_night_loses_nobody_and_leaves_nothing_old_and_the_next_night_neither() -> Result<()> {
    let options = FleetOptions::six_containers();
    let lab = serving(LabSpec::default(), &options)?;

    let before = ids(&lab, &HOSTS)?;
    let digests = [
        lab.digest("web", "master")?,
        lab.digest("worker", "master")?,
    ];
    watched_night(&lab, 300)?;
    check_recreated(&lab, &HOSTS, &options, &before, &digests)?;
    check_at_rest(&lab, &SITES)?;

    let before = ids(&lab, &HOSTS)?;
    lab.push_all(&[
        Push::new(ImageKind::Web, "web", "master").version("v2"),
        Push::new(ImageKind::Worker, "worker", "master").version("v2"),
    ])?;
    let digests = [
        lab.digest("web", "master")?,
        lab.digest("worker", "master")?,
    ];
    let (_, report) = watched_night(&lab, 300)?;
    check_recreated(&lab, &HOSTS, &options, &before, &digests)?;
    check_at_rest(&lab, &SITES)?;
    for site in SITES {
        let versions = &report.by_site[site].versions;
        ensure!(
            versions.contains_key("v1") && versions.contains_key("v2"),
            "{site}: {versions:?}"
        );
    }
    Ok(())
}

#[test]
fn a_night_loses_nobody_where_the_secondary_follows_seconds_late() -> Result<()> {
    let options = FleetOptions::default();
    let lab = serving(LabSpec::default().notify_delay(8), &options)?;
    let before = ids(&lab, &HOSTS)?;
    let digests = [lab.digest("web", "master")?];
    let (history, _) = watched_night(&lab, 300)?;
    check_recreated(&lab, &HOSTS, &options, &before, &digests)?;
    check_at_rest(&lab, &SITES)?;

    // BIND gathers what follows its last notification within the delay: which of the changes that
    // meets is a matter of the machine's pace, that it meets some is not.
    let latest = SITES
        .iter()
        .map(|site| latest_follow(&history, lab.spec.addresses(site)[0]))
        .collect::<Result<Vec<_>>>()?;
    ensure!(
        latest.iter().any(|late| *late > 1.0),
        "the secondary was to be late, and followed within {latest:?} s"
    );
    Ok(())
}

/// By how many seconds the secondary was late at most, when the address left and when it came back.
fn latest_follow(history: &History, address: IpAddr) -> Result<f64> {
    let absence = |server| {
        let absences = history.absences(server, RECORD, address);
        let (left, back) = absences.first().context("it never left")?;
        Ok::<_, anyhow::Error>([*left, back.context("it never came back")?])
    };
    let primary = absence(PRIMARY.into())?;
    let secondary = absence(SECONDARY.into())?;
    let late = primary
        .iter()
        .zip(secondary)
        .map(|(first, then)| then.duration_since(*first));
    Ok(late.map(|it| it.as_secs_f64()).fold(0.0, f64::max))
}

/// A night beside users and a watcher; fails where anybody was lost, where fewer than two sites
/// were in DNS on any server at any moment, or where its lines are not complete.
fn watched_night(lab: &Lab, rate: u32) -> Result<(History, UsersReport)> {
    let watcher = Watcher::start(lab)?;
    let users = Users::start(lab, rate, 50)?;
    let ended = night(lab)?.expect(0)?;
    let report = users.stop()?;
    let history = watcher.stop();

    ensure!(report.lost.is_empty(), "{report}\n{ended}");
    ensure!(report.sent > 1000, "{report}");
    let least = history.min_size(RECORD, false);
    ensure!(
        least == 2,
        "the smallest set in DNS had {least} addresses\n{ended}"
    );
    history.check(&lab.spec)?;
    check_complete(&ended.events);
    check_story(&ended)?;
    Ok((history, report))
}

/// What a plain night tells of each site, in this order.
const STORY: [&str; 11] = [
    "visit_started",
    "images_pulled",
    "ready",
    "withdrawn",
    "draining",
    "drained",
    "recreated",
    "verified",
    "restored",
    "soaked",
    "visit_completed",
];

fn check_story(ended: &Ended) -> Result<()> {
    for (site, next) in [("fra", Some("nyc")), ("nyc", Some("sin")), ("sin", None)] {
        let of_site = ended
            .events
            .iter()
            .filter(|event| event.text("site") == site);
        let told: Vec<_> = of_site
            .map(|event| event.name())
            .filter(|name| *name != "waiting")
            .collect();
        ensure!(told == STORY, "{site}: {told:?}");
        let completed = ended.event_of("visit_completed", site)?;
        ensure!(completed.0["next_site"].as_str() == next, "{}", completed.0);
        let drained = ended.event_of("drained", site)?;
        ensure!(drained.text("reason") == "quiet", "{}", drained.0);
    }
    let completed = ended.event("rotation_completed")?;
    ensure!(
        completed.0["visited"] == serde_json::json!(SITES),
        "{}",
        completed.0
    );
    ensure!(
        completed.0["skipped"] == serde_json::json!([]),
        "{}",
        completed.0
    );
    let planned = ended.event("rotation_planned")?;
    ensure!(
        planned.0["sites"] == serde_json::json!(SITES),
        "{}",
        planned.0
    );
    let of_master = planned.0["digests"]["master"].as_object();
    ensure!(of_master.is_some_and(|it| !it.is_empty()), "{}", planned.0);
    Ok(())
}
