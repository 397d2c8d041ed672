//! Images that are missing, that die, that never become healthy.

use anyhow::{Result, ensure};

use crate::lab::images::Push;
use crate::lab::spec::RECORD;
use crate::lab::{ImageKind, Watcher};
use crate::program::check_complete;
use crate::scene::{
    check_at_rest, check_in_dns, check_recreated, ids, marker, night, run, site_status, status,
    three_sites, two_sites,
};

#[test]
fn an_image_that_no_registry_has_blocks_the_plan() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    crate::scene::edit(&lab, "compose.yaml", "web:${CHANNEL}", "web:nosuch")?;
    let refused = night(&lab)?;
    ensure!(matches!(refused.code, Some(4 | 5)), "{refused}");
    refused.says(&["10.53.0.5:5000/web:nosuch"])?;
    ensure!(
        lab.query(crate::lab::spec::PRIMARY.into(), RECORD)?
            .marker
            .is_empty()
    );
    ensure!(ids(&lab, &["fra1", "nyc1", "sin1"])? == before);
    check_in_dns(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn a_container_that_dies_at_once_costs_one_site_and_nobody() -> Result<()> {
    let (lab, options) = three_sites()?;
    let rest = ids(&lab, &["nyc1", "sin1"])?;
    lab.push_as(&Push::new(ImageKind::DiesAtOnce, "web", "master").version("v2"))?;
    let watcher = Watcher::start(&lab)?;

    let ended = night(&lab)?.expect(3)?;
    check_complete(&ended.events);
    let tries = ended
        .events
        .iter()
        .filter(|event| event.is("retrying", "fra"))
        .count();
    ensure!(tries == 2, "three attempts: {ended}");
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("front"), "{}", out.0);
    let halted = ended.event("rotation_halted")?;
    ensure!(
        halted.text("next").starts_with("cleanslate rebuild fra"),
        "{}",
        halted.0
    );
    ended.says(&["cleanslate rebuild fra"])?;
    ensure!(
        !ended.has("visit_started", "nyc"),
        "nobody else was visited"
    );
    ensure!(ids(&lab, &["nyc1", "sin1"])? == rest);
    check_in_dns(&lab, &["nyc", "sin"])?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "fra");
    let told = status(&lab)?;
    let fra = site_status(&told, "fra")?;
    ensure!(
        fra["state"] == "quarantined" && fra["in_dns"] == "no",
        "{fra}"
    );
    let next = told["next"].to_string();
    ensure!(next.contains("cleanslate rebuild fra"), "{next}");

    // The next night has good images again, and brings fra back first.
    lab.push_as(&Push::new(ImageKind::Web, "web", "master").version("v3"))?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let ended = night(&lab)?.expect(0)?;
    let started = ended.event("visit_started")?;
    ensure!(started.is("visit_started", "fra") && started.text("kind") == "quarantined");
    ensure!(!ended.has("withdrawn", "fra"), "{ended}");
    let hosts = ["fra1", "nyc1", "sin1"];
    check_recreated(
        &lab,
        &hosts,
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    ensure!(
        watcher.stop().min_size(RECORD, false) == 2,
        "the floor did not hold"
    );
    lab.lost_nobody()
}

#[test]
fn a_container_that_is_never_healthy_or_answers_500_is_not_put_into_dns() -> Result<()> {
    let (lab, _) = three_sites()?;
    lab.push_as(&Push::new(ImageKind::Unhealthy, "web", "master").version("v2"))?;
    let ended = night(&lab)?.expect(3)?;
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("healthy"), "{}", out.0);

    // By hand, on an image that runs and answers every request with 500.
    lab.push_as(&Push::new(ImageKind::Answers500, "web", "master").version("v3"))?;
    let ended = run(&lab, &["rebuild", "fra", "--reason", "try v3", "--json"])?.expect(3)?;
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("500"), "{}", out.0);
    check_in_dns(&lab, &["nyc", "sin"])?;

    lab.push_as(&Push::new(ImageKind::SlowStart(4), "web", "master").version("v4"))?;
    run(&lab, &["rebuild", "fra", "--reason", "try v4", "--json"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn a_site_that_breaks_in_its_soak_is_withdrawn_again() -> Result<()> {
    let (lab, _) = three_sites()?;
    crate::scene::edit(
        &lab,
        "playbooks/nightly.toml",
        "for = \"2s\"\ntraffic_within",
        "for = \"20s\"\ntraffic_within",
    )?;
    lab.push_as(&Push::new(ImageKind::DiesAfter(14), "web", "master").version("v2"))?;
    let ended = night(&lab)?.expect(3)?;
    ensure!(ended.has("restored", "fra"), "it was in service: {ended}");
    ensure!(!ended.has("soaked", "fra"), "{ended}");
    ensure!(!ended.has("visit_started", "nyc"), "{ended}");
    check_in_dns(&lab, &["nyc", "sin"])?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "fra");

    lab.push_as(&Push::new(ImageKind::Web, "web", "master").version("v3"))?;
    run(&lab, &["rebuild", "fra", "--reason", "v2 dies", "--json"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn an_image_that_lies_crashes_over_and_over_or_sickens_does_not_stay_in_dns() -> Result<()> {
    let (lab, _) = two_sites()?;
    let watcher = Watcher::start(&lab)?;
    let rebuild = |image: ImageKind| {
        lab.push_as(&Push::new(image, "web", "master").version("v2"))?;
        let reason = format!("try {image}");
        run(&lab, &["rebuild", "fra", "--reason", &reason, "--json"])
    };
    // Docker calls it healthy; at the site's own address nobody answers.
    let lied = rebuild(ImageKind::Lies)?.expect(3)?;
    let why = lied.event_of("site_quarantined", "fra")?;
    ensure!(why.text("why").contains("10.53.1.1"), "{}", why.0);
    ensure!(!lied.has("restored", "fra"), "{lied}");

    // It would be started again and again, by Docker.
    crate::scene::edit(
        &lab,
        "compose.yaml",
        "stop_grace_period: 5s",
        "stop_grace_period: 5s\n    restart: always",
    )?;
    let crashed = rebuild(ImageKind::DiesAfter(3))?.expect(3)?;
    crashed.event_of("site_quarantined", "fra")?;
    ensure!(!crashed.has("restored", "fra"), "{crashed}");

    crate::scene::edit(
        &lab,
        "playbooks/rebuild.toml",
        "for = \"2s\"\ntraffic_within",
        "for = \"20s\"\ntraffic_within",
    )?;
    let sickened = rebuild(ImageKind::SickAfter(8))?.expect(3)?;
    ensure!(!sickened.has("soaked", "fra"), "{sickened}");
    check_in_dns(&lab, &["nyc"])?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}
