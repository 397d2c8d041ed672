//! 03:40, one site is sick, and something else is broken as well: every message names the flag
//! that goes on, and with it the site is out of DNS within ten seconds.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::ground::program::wait_until;
use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, Lab, LabSpec, Server, SiteSpec};
use crate::program::{Ended, Run};
use crate::scene::{check_at_rest, check_in_dns, check_recreated, ids, run, serving};

const REASON: &str = "kernel oops";
/// From pressing enter to a primary that serves without the site.
const OUT_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn with_one_host_dead_without_goes_on_and_its_address_stays_out() -> Result<()> {
    // A dead host cannot be measured: the drain lasts its at_most.
    let options = FleetOptions {
        meter: false,
        drain_at_most: "5s".to_owned(),
        ..FleetOptions::default()
    };
    let lab = serving(two_hosts_in_nyc(), &options)?;
    let before = ids(&lab, &["nyc1"])?;
    lab.power_off("nyc2")?;

    let refused = rebuild(&lab, &[])?;
    ensure!(matches!(refused.code, Some(3..=5)), "{refused}");
    refused.says(&["nyc2", "--without nyc2"])?;

    let ended = rebuild_at_once(&lab, &["--without", "nyc2"])?.expect(0)?;
    check_recreated(
        &lab,
        &["nyc1"],
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    let shown = lab.query(PRIMARY.into(), RECORD)?.addresses;
    ensure!(
        !shown.contains(&"10.53.2.2".parse()?),
        "the dead host is in DNS: {shown:?}\n{ended}"
    );
    ensure!(shown.contains(&"10.53.2.1".parse()?), "{shown:?}\n{ended}");

    lab.power_on("nyc2")?;
    rebuild(&lab, &[])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn with_its_own_name_server_dead_without_ns_goes_on() -> Result<()> {
    // Beside a silent server the drain lasts its at_most.
    let options = FleetOptions {
        drain_at_most: "6s".to_owned(),
        ..FleetOptions::default()
    };
    let lab = serving(LabSpec::default(), &options)?;
    lab.kill_server(Server::Secondary)?;
    lab.kill_engine("nyc1")?;
    lab.start_engine("nyc1")?;

    let refused = rebuild(&lab, &[])?;
    ensure!(matches!(refused.code, Some(3..=5)), "{refused}");
    refused.says(&["10.53.0.54", "--without-ns 10.53.0.54"])?;

    rebuild_at_once(&lab, &["--without-ns", "10.53.0.54"])?.expect(0)?;
    lab.start_server(Server::Secondary)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn with_the_registry_dead_images_running_goes_on() -> Result<()> {
    let options = FleetOptions::default();
    let lab = serving(LabSpec::default(), &options)?;
    let digest = lab.digest("web", "master")?;
    lab.kill_server(Server::Registry)?;
    let before = ids(&lab, &["nyc1"])?;

    let refused = rebuild(&lab, &[])?.expect(5)?;
    refused.says(&["10.53.0.5:5000", "--images running"])?;
    ensure!(ids(&lab, &["nyc1"])? == before, "nothing was touched");

    let ended = rebuild(&lab, &["--images", "running"])?.expect(0)?;
    check_recreated(&lab, &["nyc1"], &options, &before, &[digest])
        .map_err(|error| error.context(ended.to_string()))?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;

    let before = ids(&lab, &["nyc1"])?;
    rebuild(&lab, &["--images", "last-good"])?.expect(0)?;
    ensure!(ids(&lab, &["nyc1"])?.is_disjoint(&before));
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn with_a_second_site_sick_below_floor_goes_on() -> Result<()> {
    let lab = serving(LabSpec::default(), &FleetOptions::default())?;
    for host in ["nyc1", "sin1"] {
        lab.kill_engine(host)?;
        lab.start_engine(host)?;
    }
    let refused = rebuild(&lab, &[])?;
    ensure!(matches!(refused.code, Some(3 | 4)), "{refused}");
    refused.says(&["floor", "sin", "--below-floor"])?;
    check_in_dns(&lab, &["fra", "nyc", "sin"])?;

    rebuild_at_once(&lab, &["--below-floor"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;

    // The last one that serves: nothing overrides an RRset that would be empty.
    lab.kill_engine("fra1")?;
    let only = [
        "rebuild",
        "nyc",
        "--reason",
        REASON,
        "--below-floor",
        "--json",
    ];
    run(&lab, &only)?.expect(0)?;
    check_in_dns(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn a_sick_site_leaves_dns_before_anything_else_and_comes_back_well() -> Result<()> {
    let options = FleetOptions::default();
    let lab = serving(LabSpec::default(), &options)?;
    lab.kill_engine("nyc1")?;
    lab.start_engine("nyc1")?;
    let before = ids(&lab, &["nyc1"])?;
    let ended = rebuild_at_once(&lab, &[])?.expect(0)?;
    let names: Vec<_> = ended.events.iter().map(|event| event.name()).collect();
    let position = |name: &str| names.iter().position(|it| *it == name);
    ensure!(position("withdrawn") < position("recreated"), "{names:?}");
    let started = ended.event_of("visit_started", "nyc")?;
    ensure!(started.text("kind") == "rebuild", "{}", started.0);
    check_recreated(
        &lab,
        &["nyc1"],
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

/// fra and sin with one host, nyc with two.
fn two_hosts_in_nyc() -> LabSpec {
    let mut spec = LabSpec::default();
    spec.sites[1] = SiteSpec {
        hosts: 2,
        ..SiteSpec::new("nyc")
    };
    spec
}

fn arguments<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [&["rebuild", "nyc", "--reason", REASON, "--json"], flags].concat()
}

fn rebuild(lab: &Lab, flags: &[&str]) -> Result<Ended> {
    run(lab, &arguments(flags))
}

/// The same, and it must be out of DNS soon.
fn rebuild_at_once(lab: &Lab, flags: &[&str]) -> Result<Ended> {
    let running = Run::start(lab, &arguments(flags))?;
    let of_nyc = lab.spec.addresses("nyc");
    let is_out = || {
        let shown = lab.query(PRIMARY.into(), RECORD).map(|it| it.addresses);
        shown.is_ok_and(|shown| !shown.iter().any(|address| of_nyc.contains(address)))
    };
    wait_until("nyc is out of DNS", OUT_WITHIN, is_out)?;
    running.end()
}
