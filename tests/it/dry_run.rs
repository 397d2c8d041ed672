//! A dry run tells the whole night in advance, finds what stands in its way, and changes nothing.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{ImageKind, Lab};
use crate::program::{Ended, Run, check_complete};
use crate::scene::{check_in_dns, edit, ids, run, three_sites};

const ALL: [&str; 3] = ["fra", "nyc", "sin"];
const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];

#[test]
fn a_healthy_fleet_hears_its_whole_night_and_stays_as_it_is() -> Result<()> {
    let (lab, _) = three_sites()?;
    lab.push(ImageKind::Web, "v9")?;
    lab.retag("web", "v9", "master")?;
    let before = seen(&lab)?;

    let told = run(&lab, &["rotate", "nightly", "--dry-run", "--json"])?.expect(0)?;
    let (end, night) = told.events.split_last().context("it says something")?;
    check_complete(night);
    for event in &told.events {
        ensure!(event.0["dry_run"] == true, "{}", event.0);
    }
    let steps = [
        "visit_started",
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
    for (site, step) in ALL.iter().flat_map(|site| steps.map(|step| (site, step))) {
        ensure!(told.has(step, site), "{step} of {site}: {told}");
    }
    let changed = &told.event("rotation_planned")?.0["changed"];
    ensure!(changed.to_string().contains("/web:master"), "{changed}");
    ensure!(
        end.name() == "dry_run_ended" && end.0["changed"] == false,
        "{}",
        end.0
    );
    ensure!(end.0["findings"] == serde_json::json!([]), "{}", end.0);

    let in_words = run(&lab, &["rotate", "--dry-run"])?.expect(0)?;
    in_words.says(&["dry run", "nothing was changed", "sin: out of DNS for"])?;
    for line in in_words.stdout.lines() {
        ensure!(line.starts_with("dry run"), "{line:?} is not marked");
    }

    ensure!(seen(&lab)? == before, "something was changed");
    ensure!(!lab.state_dir().join("edge").exists(), "a store was made");
    check_in_dns(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_port_that_is_held_and_an_image_that_is_missing_are_found_and_nothing_is_changed() -> Result<()>
{
    let (lab, _) = three_sites()?;
    lab.run_foreign("nyc1", "backup", Some(8080))?;
    edit(
        &lab,
        "compose.yaml",
        "- \"80:80\"",
        "- \"80:80\"\n      - \"8080:80\"",
    )?;
    let before = seen(&lab)?;
    let held = run(&lab, &["rotate", "--dry-run"])?.expect(4)?;
    held.says(&["error: ready: nyc1: port 8080/tcp", "backup", "cure:"])?;
    held.says(&["nyc: skipped", "fra: out of DNS for", "nothing was changed"])?;

    edit(&lab, "compose.yaml", "/web:${CHANNEL}", "/web:nowhere")?;
    let missing = run(&lab, &["rotate", "--dry-run", "--json"])?.expect(4)?;
    missing.says(&["web:nowhere"])?;
    ensure!(missing.events.is_empty(), "{missing}");
    ensure!(seen(&lab)? == before, "something was changed");
    check_in_dns(&lab, &ALL)
}

#[test]
fn a_night_that_runs_and_a_site_that_is_sick_are_found() -> Result<()> {
    let (lab, _) = three_sites()?;
    let mut night = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    night.await_site("draining", "fra")?;
    let beside: Ended = run(&lab, &["rotate", "--dry-run"])?.expect(5)?;
    beside.says(&["one rotation", "runs here", "cleanslate status --watch"])?;
    let elsewhere = lab.dir.join("other-desk");
    let args = ["rotate", "nightly", "--dry-run"];
    let mut other = lab.cleanslate_on("ops1", &lab.fleet_dir(), &elsewhere, &args);
    let other = Run::of(&lab, &mut other, "from another desk")?.end()?;
    other
        .expect(5)?
        .says(&["one rotation", "marker is held by", "nothing was changed"])?;
    night.end()?.expect(0)?;

    lab.kill_engine("sin1")?;
    lab.start_engine("sin1")?;
    let before = seen(&lab)?;
    let sick = run(&lab, &["rotate", "--dry-run", "--json"])?;
    ensure!(matches!(sick.code, Some(4 | 5)), "{sick}");
    let end = sick.event("dry_run_ended")?;
    ensure!(
        end.0["findings"].to_string().contains("ready: sin"),
        "{}",
        end.0
    );
    ensure!(sick.has("site_skipped", "fra"), "{sick}");
    ensure!(seen(&lab)? == before, "something was changed");
    Ok(())
}

/// The zone's serial and every container.
fn seen(lab: &Lab) -> Result<(u32, BTreeSet<String>)> {
    let serial = lab.query(PRIMARY.into(), RECORD)?.serial;
    Ok((serial, ids(lab, &HOSTS)?))
}
