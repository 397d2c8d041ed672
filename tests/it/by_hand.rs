//! withdraw, restore, cordon, uncordon, take-over: by hand, under the same guards.

use anyhow::{Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD};
use crate::program::Run;
use crate::scene::{
    check_at_rest, check_in_dns, ids, marker, night, nsupdate, run, serve_again, site_status,
    status, three_sites,
};

const ALL: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_site_withdrawn_by_hand_is_held_out_until_it_is_restored() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &["nyc1"])?;
    // It asks no engine and no registry.
    lab.kill_server(crate::lab::Server::Registry)?;
    lab.kill_dockerd("nyc1")?;
    run(&lab, &["withdraw", "nyc", "--reason", "fibre cut"])?.expect(0)?;
    check_in_dns(&lab, &["fra", "sin"])?;
    ensure!(marker(&lab, "held")? == "nyc" && marker(&lab, "out")? == "-");
    let told = status(&lab)?;
    ensure!(site_status(&told, "nyc")?["state"] == "held", "{told}");

    // The floor counts it as gone.
    let refused = run(&lab, &["withdraw", "fra", "--reason", "more"])?.expect(4)?;
    refused.says(&["floor", "nyc"])?;
    serve_again(&lab, "nyc1")?;
    lab.start_server(crate::lab::Server::Registry)?;
    ensure!(
        ids(&lab, &["nyc1"])? == before,
        "its containers are left alone"
    );

    run(&lab, &["restore", "nyc"])?.expect(0)?;
    ensure!(ids(&lab, &["nyc1"])? == before, "restored as it stands");
    check_at_rest(&lab, &ALL)?;

    // A sick one is not restored, unless somebody says so.
    run(&lab, &["withdraw", "nyc", "--reason", "once more"])?.expect(0)?;
    lab.kill_engine("nyc1")?;
    lab.start_engine("nyc1")?;
    let refused = run(&lab, &["restore", "nyc"])?;
    ensure!(matches!(refused.code, Some(3..=5)), "{refused}");
    check_in_dns(&lab, &["fra", "sin"])?;
    let unverified = [
        "restore",
        "nyc",
        "--unverified",
        "--reason",
        "I know better",
    ];
    run(&lab, &unverified)?.expect(0)?;
    check_at_rest(&lab, &ALL)
}

#[test]
fn a_cordoned_site_is_skipped_and_its_dns_not_touched() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &["nyc1"])?;
    run(&lab, &["cordon", "nyc", "--reason", "memory test"])?.expect(0)?;
    ensure!(marker(&lab, "cordon")? == "nyc");
    let told = status(&lab)?;
    ensure!(site_status(&told, "nyc")?["cordoned"] == true, "{told}");
    let ended = night(&lab)?.expect(0)?;
    ensure!(
        !ended.has("visit_started", "nyc") && ended.has("visit_completed", "sin"),
        "{ended}"
    );
    ensure!(ids(&lab, &["nyc1"])? == before);
    check_in_dns(&lab, &ALL)?;
    run(&lab, &["uncordon", "nyc", "--reason", "memory is fine"])?.expect(0)?;
    check_at_rest(&lab, &ALL)?;
    let only = run(&lab, &["rotate", "nightly", "--site", "nyc", "--json"])?.expect(0)?;
    ensure!(
        only.has("visit_completed", "nyc") && !only.has("visit_started", "fra"),
        "{only}"
    );
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_site_found_out_by_somebody_elses_hand_is_left_out() -> Result<()> {
    let (lab, _) = three_sites()?;
    night(&lab)?.expect(0)?;
    nsupdate(&lab, "update delete www.example.com. A 10.53.2.1")?;
    check_in_dns(&lab, &["fra", "sin"])?;
    let ended = night(&lab)?;
    ensure!(matches!(ended.code, Some(0 | 3)), "{ended}");
    ensure!(!ended.has("withdrawn", "nyc"), "{ended}");
    check_in_dns(&lab, &["fra", "sin"])?;
    run(&lab, &["restore", "nyc"])?.expect(0)?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn another_desk_takes_over_and_the_first_can_change_nothing_any_more() -> Result<()> {
    let (lab, _) = three_sites()?;
    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("draining", "fra")?;
    first.signal("STOP")?;
    let elsewhere = lab.dir.join("other-desk");
    let there = |args: &[&str]| {
        let mut command = lab.cleanslate_on("ops1", &lab.fleet_dir(), &elsewhere, args);
        Run::of(&lab, &mut command, &format!("there: {}", args.join(" ")))?.end()
    };
    let epoch: u64 = marker(&lab, "epoch")?.parse()?;
    there(&["take-over", "--reason", "the first desk is frozen"])?.expect(0)?;
    ensure!(
        marker(&lab, "epoch")?.parse::<u64>()? > epoch,
        "the epoch is higher"
    );
    there(&["recover"])?.expect(0)?;
    check_at_rest(&lab, &ALL)?;
    let serial = lab.query(PRIMARY.into(), RECORD)?.serial;

    first.signal("CONT")?;
    let ended = first.end()?;
    ensure!(matches!(ended.code, Some(3)), "{ended}");
    ended.says(&["took the marker over"])?;
    ensure!(
        lab.query(PRIMARY.into(), RECORD)?.serial == serial,
        "it changed nothing"
    );
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}
