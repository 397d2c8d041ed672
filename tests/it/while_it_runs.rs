//! What a second terminal can ask of a rotation that runs, and what it is told.

use anyhow::{Context, Result, ensure};

use crate::program::Run;
use crate::scene::{check_at_rest, edit, ids, marker, run, site_status, status, three_sites};

const NIGHT: [&str; 3] = ["rotate", "nightly", "--json"];

#[test]
fn status_says_where_it_stands_and_why_it_waits() -> Result<()> {
    let (lab, _) = three_sites()?;
    let quiet = status(&lab)?;
    ensure!(
        quiet["rotation"].is_null() && quiet["marker"].is_null(),
        "{quiet}"
    );
    let mut night = Run::start(&lab, &NIGHT)?;
    night.await_site("draining", "fra")?;
    let told = status(&lab)?;
    ensure!(told["v"] == 1 && told["fleet"] == "edge", "{told}");
    ensure!(told["rotation"]["state"] == "running", "{told}");
    ensure!(told["rotation"]["playbook"] == "nightly", "{told}");
    ensure!(
        told["marker"]["out"] == serde_json::json!(["fra"]),
        "{told}"
    );
    ensure!(told["marker"]["holder"].is_string(), "{told}");
    let fra = site_status(&told, "fra")?;
    ensure!(fra["state"] == "draining" && fra["in_dns"] == "no", "{fra}");
    ensure!(fra["why"].is_string() && fra["until"].is_string(), "{fra}");
    let nyc = site_status(&told, "nyc")?;
    ensure!(
        nyc["state"] == "in_service" && nyc["in_dns"] == "yes",
        "{nyc}"
    );
    let in_words = run(&lab, &["status"])?.expect(0)?;
    in_words.says(&["fra", "draining", "nyc", "in service"])?;

    night.end()?.expect(0)?;
    let told = status(&lab)?;
    ensure!(
        told["rotation"].is_null() && told["next"] == serde_json::json!([]),
        "{told}"
    );
    let fra = site_status(&told, "fra")?;
    let digest = fra["digests"]["front"].as_str();
    ensure!(
        digest == Some(lab.digest("web", "master")?.as_str()),
        "{fra}"
    );
    ensure!(fra["hosts"][0]["name"] == "fra1", "{fra}");
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}

#[test]
fn a_second_process_is_told_who_works_here_and_changes_nothing() -> Result<()> {
    let (lab, _) = three_sites()?;
    let mut night = Run::start(&lab, &NIGHT)?;
    night.await_site("draining", "fra")?;
    let second = run(&lab, &NIGHT)?.expect(5)?;
    second.says(&[&night.pid().to_string(), "rotate nightly"])?;
    // Another store on another desk: the marker is held, and not waited for.
    let elsewhere = lab.dir.join("other-desk");
    let mut other = lab.cleanslate_on(
        "ops1",
        &lab.fleet_dir(),
        &elsewhere,
        &["rotate", "nightly", "--wait", "0s", "--json"],
    );
    let other = Run::of(&lab, &mut other, "from another desk")?
        .end()?
        .expect(5)?;
    other.says(&["marker"])?;
    night.end()?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}

#[test]
fn cordon_withdraw_and_rebuild_reach_it_and_are_done() -> Result<()> {
    let (lab, _) = three_sites()?;
    edit(
        &lab,
        "site.toml",
        "channels = ",
        "min_in_service = 1\nchannels = ",
    )?;
    edit(
        &lab,
        "playbooks/nightly.toml",
        "for = \"2s\"\ntraffic_within",
        "for = \"6s\"\ntraffic_within",
    )?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let mut night = Run::start(&lab, &["rotate", "nightly", "--site", "fra,nyc", "--json"])?;
    night.await_site("restored", "fra")?;
    let cordon = run(&lab, &["cordon", "nyc", "--reason", "technician inside"])?.expect(0)?;
    cordon.says(&["cordon nyc: taken by nightly-", "in hand: fra: soaking"])?;
    ensure!(marker(&lab, "cordon")? == "nyc", "it is done: {cordon}");
    let refused = run(&lab, &["withdraw", "fra", "--reason", "mine"])?;
    ensure!(matches!(refused.code, Some(4 | 5)), "{refused}");
    refused.says(&["visited"])?;
    let rebuild = run(&lab, &["rebuild", "sin", "--reason", "while you are at it"])?.expect(0)?;
    rebuild.says(&[
        "rebuild sin: taken by nightly-",
        "in hand: fra",
        "cleanslate status --watch",
        "recreated",
        "visit completed",
    ])?;
    ensure!(
        ids(&lab, &["sin1"])?.is_disjoint(&before),
        "it is done: {rebuild}"
    );
    let ended = night.end()?;
    ensure!(ended.has("visit_completed", "sin"), "{ended}");
    ensure!(marker(&lab, "cordon")? == "nyc", "{ended}");
    ensure!(ids(&lab, &["sin1"])?.is_disjoint(&before), "{ended}");
    run(&lab, &["uncordon", "nyc", "--reason", "technician gone"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}

#[test]
fn abort_from_another_terminal_brings_the_site_back() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let mut night = Run::start(&lab, &NIGHT)?;
    night.await_site("draining", "fra")?;
    let abort = run(&lab, &["abort", "--reason", "the news"])?.expect(0)?;
    abort.says(&[
        "abort: taken by nightly-",
        "in hand: fra:",
        "put back",
        "aborted: the news",
    ])?;
    ensure!(marker(&lab, "holder")? == "-", "it is done: {abort}");
    let ended = night.end()?.expect(3)?;
    let aborted = ended.event("rotation_aborted")?;
    ensure!(aborted.text("reason").contains("the news"), "{}", aborted.0);
    ensure!(ended.has("put_back", "fra"), "{ended}");
    ensure!(ids(&lab, &["fra1", "nyc1", "sin1"])? == before);
    let again = run(&lab, &["abort", "--reason", "once more"])?.expect(5)?;
    again.says(&["no rotation is running"])?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;

    let history = run(&lab, &["history"])?.expect(0)?;
    history.says(&[aborted.text("rotation")])?;
    let report = run(&lab, &["report", aborted.text("rotation")])?.expect(0)?;
    report.says(&["fra", "the news"]).context("the report")
}
