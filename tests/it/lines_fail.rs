//! Lines between machines fail in the middle of a night: cut both ways or one way, lossy, slow, or
//! led elsewhere. Nothing on either side of them fails.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::ground::program::wait_until;
use crate::lab::images::Push;
use crate::lab::{FleetOptions, ImageKind, LabSpec, Transport, Watcher};
use crate::program::{Ended, Run};
use crate::scene::{FRA, Scene, check_at_rest, check_in_dns, ids, marker, serving};

const SITES: [&str; 2] = ["fra", "nyc"];
/// Where the coordinator is: on a machine of its own, so that its lines are nobody else's.
const OPS: &str = "ops1";

#[test]
fn a_coordinator_that_cannot_reach_the_primary_leaves_the_site_as_it_is_until_it_can() -> Result<()>
{
    let lab = apart(LabSpec::sites(&SITES))?;
    let before = ids(&lab, &["fra1"])?;
    let watcher = Watcher::start(&lab)?;

    // In the drain: the last look cannot be written, so nothing may be stopped.
    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    let line = lab.part(OPS, "ns1")?;
    night.await_site("drained", "fra")?;
    std::thread::sleep(Duration::from_secs(20));
    check_in_dns(&lab, &["nyc"])?;
    ensure!(marker(&lab, "dirty")? == "-", "nothing was written");
    still_runs(&lab, &before)?;
    line.mend()?;

    // When it was made anew: what is sent arrives, and no answer comes back.
    night.await_site("recreated", "fra")?;
    let line = lab.cut("ns1", OPS)?;
    std::thread::sleep(Duration::from_secs(20));
    check_in_dns(&lab, &["nyc"])?;
    line.mend()?;
    let ended = night.end()?.expect(0)?;
    ensure!(ended.has("restored", "fra"), "{ended}");
    watcher.stop().check(&lab.spec)?;
    check_at_rest(&lab, &SITES)?;
    lab.lost_nobody()
}

#[test]
fn a_coordinator_that_cannot_reach_the_engine_puts_back_what_is_whole_and_finishes_what_is_not()
-> Result<()> {
    let lab = apart(LabSpec::sites(&SITES))?;
    let (before, nyc) = (ids(&lab, &["fra1"])?, ids(&lab, &["nyc1"])?);
    let watcher = Watcher::start(&lab)?;

    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("draining", "fra")?;
    let line = lab.part(OPS, "fra1")?;
    let ended = night.end()?.expect(3)?;
    ensure!(ended.has("put_back", "fra"), "{ended}");
    ended.says(&["the line to fra1"])?;
    // What was made for it is still there, and is not started.
    still_runs(&lab, &before)?;
    check_at_rest(&lab, &SITES)?;
    line.mend()?;

    // Stops arrive and are carried out; what became of them is not heard.
    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("drained", "fra")?;
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    wait_until("fra is dirty", Duration::from_secs(30), dirty)?;
    let line = lab.cut("fra1", OPS)?;
    std::thread::sleep(Duration::from_secs(40));
    check_in_dns(&lab, &["nyc"])?;
    line.mend()?;
    let ended = night.end()?;
    ensure!(matches!(ended.code, Some(0 | 3)), "{ended}");
    if ended.code == Some(3) {
        ended.event_of("site_quarantined", "fra")?;
        check_in_dns(&lab, &["nyc"])?;
        from_ops(&lab, &FRA)?.end()?.expect(0)?;
    }
    ensure!(ids(&lab, &["nyc1"])? == nyc, "nobody else was touched");
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_dirty_site_whose_engine_stays_out_of_reach_stays_out_until_the_next_night() -> Result<()> {
    let lab = apart(LabSpec::sites(&SITES))?;
    let nyc = ids(&lab, &["nyc1"])?;
    let watcher = Watcher::start(&lab)?;
    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("drained", "fra")?;
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    wait_until("fra is dirty", Duration::from_secs(30), dirty)?;
    let line = lab.part(OPS, "fra1")?;
    let ended = night.end_within(Duration::from_secs(600))?.expect(3)?;
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("fra1"), "{}", out.0);
    ended.says(&["the line to fra1", "cleanslate rebuild fra"])?;
    check_in_dns(&lab, &["nyc"])?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "fra");
    line.mend()?;

    let next = from_ops(&lab, &FRA)?.end()?.expect(0)?;
    ensure!(next.has("restored", "fra"), "{next}");
    ensure!(ids(&lab, &["nyc1"])? == nyc, "nobody else was touched");
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_secondary_that_hears_no_notify_is_waited_for_and_one_that_gets_no_zone_brings_the_site_back()
-> Result<()> {
    let spec = LabSpec {
        soa_refresh: 5,
        ..LabSpec::sites(&SITES)
    };
    let lab = apart(spec)?;
    let watcher = Watcher::start(&lab)?;

    let line = lab.cut_of("ns1", "ns2", "-p udp --dport 53")?;
    let ended = from_ops(&lab, &FRA)?.end()?.expect(0)?;
    ensure!(ended.has("restored", "fra"), "{ended}");
    line.mend()?;
    check_at_rest(&lab, &SITES)?;

    let before = ids(&lab, &["fra1"])?;
    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("ready", "fra")?;
    let line = lab.cut_of("ns2", "ns1", "-p tcp --dport 53")?;
    night.await_site("withdrawn", "fra")?;
    std::thread::sleep(Duration::from_secs(70));
    line.mend()?;
    let ended = night.end()?.expect(3)?;
    ensure!(ended.has("put_back", "fra"), "{ended}");
    ensure!(!ended.has("draining", "fra"), "{ended}");
    ended.says(&["10.53.0.54", "serial"])?;
    ensure!(ids(&lab, &["fra1"])? == before, "nothing was touched");
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_night_over_lines_that_lose_a_fifth_of_all_packets_or_are_slow_ends_and_says_how() -> Result<()>
{
    let lab = apart(LabSpec::sites(&SITES))?;
    let watcher = Watcher::start(&lab)?;
    let whole = ["rotate", "nightly", "--json"];

    let all = ["ns1", "ns2", "fra1", "nyc1"];
    let lines = lab.lose_packets(OPS, &all, 20)?;
    let ended = from_ops(&lab, &whole)?.end_within(Duration::from_secs(600))?;
    told(&ended)?;
    lines.mend()?;

    lab.slow_down(OPS, "64kbit")?;
    let slow = from_ops(&lab, &whole)?.end_within(Duration::from_secs(600))?;
    told(&slow)?;
    lab.speed_up(OPS)?;

    from_ops(&lab, &whole)?.end()?.expect(0)?;
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

#[test]
fn a_published_port_that_is_led_elsewhere_keeps_its_site_out_until_the_next_night() -> Result<()> {
    let lab = apart(LabSpec::sites(&SITES))?;
    let nyc = ids(&lab, &["nyc1"])?;
    let watcher = Watcher::start(&lab)?;
    // Long enough that the rule is there before the site answers.
    lab.push_as(&Push::new(ImageKind::SlowStart(9), "web", "master").version("v2"))?;
    let mut night = from_ops(&lab, &FRA)?;
    night.await_site("recreated", "fra")?;
    let rule = lab.divert_port("fra1", 80)?;
    let ended = night.end()?.expect(3)?;
    let out = ended.event_of("site_quarantined", "fra")?;
    ensure!(out.text("why").contains("10.53.1.1"), "{}", out.0);
    ended.says(&["cleanslate rebuild fra", "no NAT or firewall rule"])?;
    ensure!(!ended.has("restored", "fra"), "{ended}");
    check_in_dns(&lab, &["nyc"])?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "fra");

    rule.mend()?;
    let next = from_ops(&lab, &FRA)?.end()?.expect(0)?;
    ensure!(next.has("restored", "fra"), "{next}");
    ensure!(ids(&lab, &["nyc1"])? == nyc, "nobody else was touched");
    check_at_rest(&lab, &SITES)?;
    watcher.stop().check(&lab.spec)?;
    lab.lost_nobody()
}

/// Two sites of which one may be out, with all engines over TCP, and a desk for the coordinator.
fn apart(spec: LabSpec) -> Result<Scene> {
    let options = FleetOptions {
        min_in_service: Some(1),
        transport: Transport::Tcp,
        ..FleetOptions::default()
    };
    serving(spec.desks(1), &options)
}

/// Starts the program on that desk.
fn from_ops(lab: &Scene, args: &[&str]) -> Result<Run> {
    let (fleet, state) = (lab.fleet_dir(), lab.state_dir());
    let mut command = lab.cleanslate_on(OPS, &fleet, &state, args);
    Run::of(lab, &mut command, &args.join(" "))
}

/// Fails unless exactly these containers run on fra1.
fn still_runs(lab: &Scene, before: &BTreeSet<String>) -> Result<()> {
    let now = lab.containers("fra1")?;
    let running = now.iter().filter(|it| it.state == "running");
    let running: BTreeSet<_> = running.map(|it| it.id.clone()).collect();
    ensure!(running == *before, "it runs as it was: {now:?}");
    Ok(())
}

/// Fails unless a night did all of it, or said why not.
fn told(ended: &Ended) -> Result<()> {
    match ended.code {
        Some(0) => Ok(()),
        Some(3) => {
            let why = ended.event("rotation_halted")?.text("cause");
            ensure!(!why.is_empty(), "{ended}");
            Ok(())
        }
        Some(4 | 5) => {
            ensure!(!ended.stderr.is_empty(), "{ended}");
            Ok(())
        }
        _ => anyhow::bail!("an end that is none: {ended}"),
    }
}
