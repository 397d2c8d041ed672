//! The store is gone: the marker in DNS alone says what is out, and brings it back.

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::program::Run;
use crate::scene::{check_at_rest, check_recreated, ids, marker, night, run, three_sites};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];
const ALL: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_site_that_was_only_out_goes_back_and_one_that_was_dirty_is_made_again() -> Result<()> {
    let (lab, options) = three_sites()?;
    let before = ids(&lab, &HOSTS)?;

    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("draining", "fra")?;
    first.kill()?;
    lose_store(&lab)?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "-");
    let told = run(&lab, &["status"])?;
    told.says(&["fra"])?;
    run(&lab, &["recover"])?.expect(0)?;
    let running = |lab: &Lab| -> Result<Vec<String>> {
        let mut here = lab.containers("fra1")?;
        here.retain(|it| it.state == "running");
        Ok(here.into_iter().map(|it| it.id).collect())
    };
    let put_back = running(&lab)?;
    ensure!(
        put_back.len() == 1 && before.contains(&put_back[0]),
        "as it was: {put_back:?}"
    );
    check_at_rest(&lab, &ALL)?;

    let mut second = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    second.await_site("drained", "fra")?;
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    let within = std::time::Duration::from_secs(20);
    crate::lab::ground::program::wait_until("fra is dirty", within, dirty)?;
    second.kill()?;
    lose_store(&lab)?;
    run(&lab, &["recover", "--json"])?.expect(0)?;
    check_recreated(
        &lab,
        &["fra1"],
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &ALL)?;

    let nothing = run(&lab, &["recover"])?.expect(0)?;
    nothing.says(&["nothing to recover"])?;
    night(&lab)?.expect(0)?;
    check_recreated(
        &lab,
        &HOSTS,
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_damaged_store_starts_nothing_and_says_how_to_go_on() -> Result<()> {
    let (lab, _) = three_sites()?;
    night(&lab)?.expect(0)?;
    let before = ids(&lab, &HOSTS)?;
    let file = lab.state_dir().join("edge/journal.db");
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[..middle].fill(0x5a);
    std::fs::write(&file, bytes)?;
    let refused = night(&lab)?.expect(1)?;
    refused.says(&[&lab.state_dir().display().to_string(), "recover"])?;
    ensure!(ids(&lab, &HOSTS)? == before);
    check_at_rest(&lab, &ALL)
}

fn lose_store(lab: &Lab) -> Result<()> {
    std::fs::remove_dir_all(lab.state_dir()).context("there is no store")
}
