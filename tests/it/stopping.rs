//! Ctrl-C: once, and what is visited is brought to safety; twice, and the next start does it.

use anyhow::{Result, ensure};

use crate::program::Run;
use crate::scene::{
    check_at_rest, check_in_dns, check_recreated, edit, ids, marker, night, three_sites,
};

const NIGHT: [&str; 3] = ["rotate", "nightly", "--json"];
const ALL: [&str; 3] = ["fra", "nyc", "sin"];
const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];

#[test]
fn one_ctrl_c_in_the_drain_brings_the_site_back_as_it_was() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &HOSTS)?;
    let mut run = Run::start(&lab, &NIGHT)?;
    run.await_site("draining", "fra")?;
    run.signal("INT")?;
    let ended = run.end()?.expect(3)?;
    ensure!(ended.has("put_back", "fra"), "{ended}");
    let aborted = ended.event("rotation_aborted")?;
    ensure!(
        aborted.is_end() && !ended.has("visit_started", "nyc"),
        "{ended}"
    );
    ended.says(&["fra", "as it was"])?;
    ensure!(
        ids(&lab, &HOSTS)? == before,
        "nothing of it was touched, nothing of ours left"
    );
    check_at_rest(&lab, &ALL)?;

    // An aborted rotation is over: the next one is another.
    let next = night(&lab)?.expect(0)?;
    ensure!(next.event("rotation_planned")?.text("rotation") != aborted.text("rotation"));
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn one_ctrl_c_while_containers_are_recreated_finishes_the_site_first() -> Result<()> {
    let (lab, options) = three_sites()?;
    let before = ids(&lab, &HOSTS)?;
    let mut run = Run::start(&lab, &NIGHT)?;
    run.await_site("drained", "fra")?;
    // The last look has passed once the marker says that containers may be gone.
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    let within = std::time::Duration::from_secs(20);
    crate::lab::ground::program::wait_until("fra is dirty", within, dirty)?;
    run.signal("INT")?;
    let ended = run.end()?.expect(3)?;
    ensure!(ended.has("restored", "fra"), "{ended}");
    ensure!(!ended.has("visit_started", "nyc"), "{ended}");
    ensure!(ended.event("rotation_aborted").is_ok(), "{ended}");
    check_recreated(
        &lab,
        &["fra1"],
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn two_ctrl_c_end_the_process_at_once_and_the_next_start_finishes() -> Result<()> {
    let (lab, options) = three_sites()?;
    edit(
        &lab,
        "playbooks/nightly.toml",
        "at_least = \"0s\"",
        "at_least = \"6s\"",
    )?;
    let before = ids(&lab, &HOSTS)?;
    let mut run = Run::start(&lab, &NIGHT)?;
    let planned = run.await_event("the plan", std::time::Duration::from_secs(60), |event| {
        event.name() == "rotation_planned"
    })?;
    run.await_site("draining", "fra")?;
    // The secondary is mute, so bringing fra back takes long enough to be impatient about.
    lab.deafen_secondary()?;
    run.signal("INT")?;
    let back = || {
        let shown = lab.query(crate::lab::spec::PRIMARY.into(), crate::lab::spec::RECORD);
        shown.is_ok_and(|it| it.addresses.len() == 3)
    };
    let within = std::time::Duration::from_secs(20);
    crate::lab::ground::program::wait_until("fra is back on the primary", within, back)?;
    run.signal("INT")?;
    let ended = run
        .end_within(std::time::Duration::from_secs(5))?
        .expect(130)?;
    ended.says(&["cleanslate"])?;
    lab.unblock("ns2")?;

    let next = night(&lab)?.expect(0).or_else(|_| night(&lab)?.expect(0))?;
    let _same_or_new = planned;
    check_recreated(
        &lab,
        &HOSTS,
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    ensure!(next.event("rotation_completed").is_ok(), "{next}");
    check_in_dns(&lab, &ALL)?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}
