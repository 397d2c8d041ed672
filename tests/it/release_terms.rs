//! `[release]`: what is promoted has soaked and is approved; what is scheduled is done at its time; a
//! rollback rotates the sites that took the bad one, and no other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::lab::images::Push;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec};
use crate::scene::{Scene, check_at_rest, check_recreated, edit, ids, run};

const SITES: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_promotion_waits_for_its_soak_its_approval_and_its_time_and_only_who_took_it_goes_back()
-> Result<()> {
    let (lab, options) = with_a_staging_site()?;
    let (old, new) = (lab.digest("web", "master")?, lab.digest("web", "staging")?);
    let promote = ["release", "promote", "staging", "master", "--yes"];
    let server = crate::serving::serve(&lab)?;
    crate::serving::await_socket(&lab)?;

    // Nobody has tried it, and nobody runs it.
    let refused = run(&lab, &promote)?.expect(4)?;
    refused.says(&["has passed a visit with it", "approved by nobody"])?;
    run(&lab, &["rotate", "nightly"])?.expect(0)?;
    let approve = ["release", "approve", new.as_str(), "--yes", "--reason"];
    run(&lab, &[&approve[..], &["checkout by hand"]].concat())?.expect(0)?;
    let early = run(&lab, &promote)?.expect(5)?;
    early.says(&["in service without a fault at fra", "asks for 40s"])?;

    // At its time it has soaked.
    let at = (Timestamp::now() + jiff::SignedDuration::from_secs(45)).to_string();
    let later = [&promote[..], &["--at", at.as_str()]].concat();
    run(&lab, &later)?.expect(0)?.says(&["1 tag to be moved"])?;
    run(&lab, &later)?
        .expect(4)?
        .says(&["release cancel master"])?;
    run(&lab, &["release", "cancel", "master"])?.expect(0)?;
    run(&lab, &["release", "cancel", "master"])?.expect(2)?;
    run(&lab, &later)?.expect(0)?;
    let told = run(&lab, &["release", "status", "--json"])?
        .expect(0)?
        .json()?;
    ensure!(
        told["scheduled"][0]["what"] == "promote staging master",
        "{told}"
    );
    let tags = &told["images"][0]["tags"];
    ensure!(tags[0]["approved_by"][0] == "root", "{told}");
    await_master(&lab, &new)?;
    ensure!(Timestamp::now() >= at.parse()?, "it was too early");
    let told = run(&lab, &["release", "history", "--json"])?
        .expect(0)?
        .json()?;
    let last = &told["moves"][0];
    ensure!(
        last["cause"] == "promote" && last["who"] == "root",
        "{told}"
    );

    // One site takes it before it is found bad; that one goes back.
    let others = ids(&lab, &["fra1", "sin1"])?;
    run(&lab, &["rotate", "nightly", "--site", "nyc"])?.expect(0)?;
    let before = ids(&lab, &["nyc1"])?;
    let back = [
        "release",
        "rollback",
        "master",
        "--now",
        "--only-changed",
        "--yes",
    ];
    let ended = run(
        &lab,
        &[&back[..], &["--to", &old, "--reason", "slow"]].concat(),
    )?
    .expect(0)?;
    ended.says(&["nyc is rotated at once", "1 tag moved"])?;
    check_recreated(&lab, &["nyc1"], &options, &before, &[old])?;
    ensure!(
        ids(&lab, &["fra1", "sin1"])? == others,
        "nobody else was touched"
    );

    server.signal("TERM")?;
    server.end()?.expect(0)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

/// Three sites, of which the first runs what is to be tried.
fn with_a_staging_site() -> Result<(Scene, FleetOptions)> {
    let lab = Lab::up(LabSpec::sites(&SITES))?;
    let options = FleetOptions {
        channels: vec!["staging".to_owned(), "master".to_owned()],
        min_in_service: Some(1),
        more_site_toml: "[release]\nsoak = \"40s\"\napprovals = 1\n".to_owned(),
        ..FleetOptions::default()
    };
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v1"))?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "staging").version("v2"))?;
    lab.fleet(&options)?;
    edit(
        &lab,
        "site.toml",
        "[site.fra]\n",
        "[site.fra]\nchannel = \"staging\"\n",
    )?;
    lab.start_services(&options)?;
    lab.wait_serving()?;
    Ok((Scene::with_users(lab)?, options))
}

fn await_master(lab: &Lab, digest: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(90);
    while lab.digest("web", "master").context("master is gone")? != digest {
        ensure!(Instant::now() < deadline, "it was never promoted");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
