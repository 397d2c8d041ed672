//! Hosts and the lines to them fail in the middle of a visit: nobody else is touched, and the
//! site comes back when they do.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::faultd::{Flow, FlowProxy, Speaks, Squatter};
use crate::lab::images::Push;
use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, ImageKind, LabSpec, Watcher};
use crate::program::Run;
use crate::scene::{
    FRA, check_at_rest, check_in_dns, edit, ids, marker, run, three_sites, two_sites, two_sites_of,
};

const SITES: [&str; 2] = ["fra", "nyc"];

#[test]
fn a_host_that_loses_power_while_its_site_is_verified_stays_out_until_the_next_night() -> Result<()>
{
    let (lab, _) = two_sites()?;
    let nyc = ids(&lab, &["nyc1"])?;
    let watcher = Watcher::start(&lab)?;
    // It is verified for as long as that may take.
    lab.push_as(&Push::new(ImageKind::SlowStart(60), "web", "master").version("v2"))?;
    let mut night = Run::start(&lab, &FRA)?;
    night.await_site("recreated", "fra")?;
    lab.power_off("fra1")?;
    let ended = night.end()?.expect(3)?;
    ended.says(&["fra1"])?;
    ensure!(!ended.has("restored", "fra"), "{ended}");
    check_in_dns(&lab, &["nyc"])?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "fra");
    lab.power_on("fra1")?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v3"))?;
    let next = run(&lab, &FRA)?.expect(0)?;
    ensure!(next.has("restored", "fra"), "{next}");
    check_at_rest(&lab, &SITES)?;
    ensure!(ids(&lab, &["nyc1"])? == nyc, "nobody else was touched");
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_second_site_that_dies_brings_the_first_one_back() -> Result<()> {
    let (lab, _) = three_sites()?;
    // Long enough that the other one is missed before this one is emptied.
    edit(
        &lab,
        "playbooks/nightly.toml",
        "at_least = \"0s\"",
        "at_least = \"30s\"",
    )?;
    edit(
        &lab,
        "playbooks/nightly.toml",
        "at_most = \"20s\"",
        "at_most = \"60s\"",
    )?;
    let before = ids(&lab, &["fra1"])?;
    let watcher = Watcher::start(&lab)?;
    let mut night = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    night.await_site("withdrawn", "fra")?;
    lab.power_off("nyc1")?;
    let ended = night.end()?.expect(3)?;
    ensure!(ended.has("put_back", "fra"), "{ended}");
    ensure!(!ended.has("visit_started", "sin"), "{ended}");
    ended.says(&["nyc"])?;
    ensure!(ids(&lab, &["fra1"])? == before, "as it was");
    let history = watcher.stop();
    history.check(&lab.spec)?;
    ensure!(history.min_size(RECORD, false) == 2, "nyc was left in DNS");
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn an_engine_behind_a_line_that_breaks_is_asked_again_until_the_line_is_mended() -> Result<()> {
    let (lab, options) = two_sites()?;
    let engine = (lab.engine("fra1").host.v4, 2375).into();
    let proxy = FlowProxy::before(&lab, engine, Speaks::Plain)?;
    lab.fleet(&FleetOptions {
        engines: [("fra1".to_owned(), proxy.address)].into(),
        ..options
    })?;
    let watcher = Watcher::start(&lab)?;
    for flow in [Flow::Reset, Flow::DropAnswer] {
        let mut night = Run::start(&lab, &FRA)?;
        night.await_site("draining", "fra")?;
        proxy.on("", usize::MAX, flow.clone());
        night.await_site("drained", "fra")?;
        std::thread::sleep(Duration::from_secs(3));
        proxy.mend();
        let ended = night.end()?;
        ensure!(matches!(ended.code, Some(0 | 3)), "{flow:?}: {ended}");
        if ended.code == Some(3) {
            run(&lab, &FRA)?.expect(0)?;
        }
        check_at_rest(&lab, &SITES)?;
    }
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_port_that_something_else_takes_and_a_disk_without_space_keep_a_site_from_coming_back()
-> Result<()> {
    let mut sites = LabSpec::sites(&SITES);
    sites.sites[0].disk = Some("300m".to_owned());
    let (lab, _) = two_sites_of(sites)?;
    let before = ids(&lab, &["fra1"])?;
    // The image is there; what is made of it finds no space. The site goes on serving.
    run(&lab, &["pull", "--site", "fra"])?.expect(0)?;
    edit(
        &lab,
        "compose.yaml",
        "stop_grace_period: 5s",
        "stop_grace_period: 5s\n    configs: [{ source: big, target: /big }]",
    )?;
    let big = "x".repeat(1 << 20);
    let compose = lab.fleet_dir().join("compose.yaml");
    let text = std::fs::read_to_string(&compose)?;
    std::fs::write(
        &compose,
        format!("{text}configs:\n  big:\n    content: {big}\n"),
    )?;
    lab.fill_disk("fra1", 256 << 10)?;
    let full = run(&lab, &FRA)?.expect(3)?;
    let skipped = full.event_of("site_skipped", "fra")?;
    ensure!(skipped.text("why").contains("space"), "{}", skipped.0);
    lab.free_disk("fra1")?;
    ensure!(ids(&lab, &["fra1"])? == before, "nothing of ours is left");
    check_at_rest(&lab, &SITES)?;

    let squatter = Squatter::on(&lab, "fra1", 80)?;
    let ended = run(&lab, &FRA)?.expect(3)?;
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("80"), "{}", out.0);
    ensure!(!ended.has("restored", "fra"), "{ended}");
    drop(squatter);
    run(&lab, &FRA)?.expect(0)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}
