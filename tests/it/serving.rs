//! The coordinator: nights by themselves, what is asked of it, and how it ends.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::program::Run;
use crate::scene::{check_at_rest, edit, ids, marker, run, status, two_sites};

/// A night that begins with the next minute.
fn every_minute(lab: &Lab) -> Result<()> {
    let schedule = "[schedule]\ncron = \"* * * * *\"\ntimezone = \"UTC\"\n\n[drain]";
    edit(lab, "playbooks/nightly.toml", "[drain]", schedule)
}

fn serve(lab: &Lab) -> Result<Run> {
    Run::start(lab, &["serve", "--json"])
}

/// Waits for an event of a rotation as a whole.
fn awaits(server: &mut Run, name: &str) -> Result<crate::program::Event> {
    let within = Duration::from_secs(150);
    server.await_event(name, within, |event| event.name() == name)
}

#[test]
fn nights_begin_by_themselves_and_a_night_that_was_stopped_goes_on() -> Result<()> {
    let (lab, _) = two_sites()?;
    every_minute(&lab)?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let mut server = serve(&lab)?;
    let planned = awaits(&mut server, "rotation_planned")?;
    ensure!(planned.text("actor") == "schedule", "{}", planned.0);
    let id = planned.text("rotation");
    ensure!(
        id.starts_with("nightly-") && id.ends_with("00-cron"),
        "{id}"
    );
    awaits(&mut server, "rotation_completed")?;
    let after = ids(&lab, &["fra1", "nyc1"])?;
    ensure!(after.is_disjoint(&before), "rebuilt by the first night");

    // The second one is stopped in the middle of a drain: the site is finished first.
    server.await_site("draining", "fra")?;
    server.signal("TERM")?;
    let ended = server.end()?.expect(0)?;
    let mut last = ended.events.iter().rev();
    let last: Vec<_> = last
        .by_ref()
        .take_while(|event| event.name() != "rotation_paused")
        .collect();
    ensure!(last[0].is("visit_completed", "fra"), "{ended}");
    ensure!(
        last.iter().all(|event| event.text("site") == "fra"),
        "{ended}"
    );
    ended.says(&["stopped between two steps"])?;
    ensure!(marker(&lab, "out")? == "-", "{ended}");

    let mut server = serve(&lab)?;
    let resumed = awaits(&mut server, "rotation_resumed")?;
    ensure!(resumed.text("after") == "pause", "{}", resumed.0);
    server.await_site("visit_completed", "nyc")?;
    awaits(&mut server, "rotation_completed")?;
    server.signal("TERM")?;
    server.end()?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn whatever_is_asked_of_it_is_done_as_if_it_were_done_in_place() -> Result<()> {
    let (lab, _) = two_sites()?;
    let server = serve(&lab)?;
    await_socket(&lab)?;
    let quiet = status(&lab)?;
    ensure!(quiet["rotation"].is_null(), "{quiet}");
    for command in ["abort", "pause", "resume"] {
        let refused = run(&lab, &[command, "--reason", "none runs"])?.expect(5)?;
        refused.says(&["no rotation is running"])?;
    }
    let unknown = run(&lab, &["rotate", "nihgtly"])?.expect(2)?;
    unknown.says(&["nihgtly"])?;

    let before = ids(&lab, &["fra1", "nyc1"])?;
    let rebuild = run(&lab, &["rebuild", "fra", "--reason", "kernel oops"])?.expect(0)?;
    rebuild.says(&["rebuild fra: taken by rebuild-", "visit completed"])?;
    ensure!(ids(&lab, &["fra1"])?.is_disjoint(&before), "{rebuild}");

    run(&lab, &["cordon", "nyc", "--reason", "technician"])?.expect(0)?;
    ensure!(marker(&lab, "cordon")? == "nyc");
    run(&lab, &["rotate"])?
        .expect(0)?
        .says(&["completed: 1 site"])?;
    ensure!(ids(&lab, &["nyc1"])?.is_subset(&before), "it was skipped");
    run(&lab, &["uncordon", "nyc", "--reason", "gone"])?.expect(0)?;

    let night = run(&lab, &["rotate", "nightly"])?.expect(0)?;
    night.says(&["rotate nightly: taken by nightly-", "completed: 2 sites"])?;
    ensure!(ids(&lab, &["nyc1"])?.is_disjoint(&before), "{night}");
    let retry = run(&lab, &["retry", "--reason", "again"])?.expect(0)?;
    retry.says(&["nothing to do"])?;

    run(&lab, &["withdraw", "nyc", "--reason", "fibre cut"])?.expect(0)?;
    ensure!(marker(&lab, "held")? == "nyc");
    run(&lab, &["restore", "nyc"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc"])?;

    server.signal("TERM")?;
    server.end()?.expect(0)?;
    lab.lost_nobody()
}

#[test]
fn a_paused_night_takes_nothing_away_until_it_is_resumed() -> Result<()> {
    let (lab, _) = two_sites()?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let mut night = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    night.await_site("draining", "fra")?;
    let pause = ["pause", "--for", "1h", "--reason", "a look at fra"];
    run(&lab, &pause)?.expect(0)?;
    night.await_site("drained", "fra")?;
    std::thread::sleep(Duration::from_secs(3));
    let told = status(&lab)?;
    ensure!(told["rotation"]["state"] == "paused", "{told}");
    let why = told["sites"][0]["why"].as_str().context("why")?;
    ensure!(why.contains("a look at fra"), "{told}");
    ensure!(told["sites"][0]["until"].is_string(), "{told}");
    // Those that were made beside the old ones are not started.
    ensure!(before.is_subset(&ids(&lab, &["fra1", "nyc1"])?), "{told}");
    ensure!(marker(&lab, "dirty")? == "-", "{told}");

    run(&lab, &["resume"])?.expect(0)?;
    let ended = night.end()?.expect(0)?;
    ensure!(ended.has("rotation_paused", ""), "{ended}");
    ensure!(ended.has("rotation_resumed", ""), "{ended}");
    ensure!(
        ids(&lab, &["fra1", "nyc1"])?.is_disjoint(&before),
        "{ended}"
    );
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn a_wrong_configuration_leaves_the_one_that_was_read_before() -> Result<()> {
    let (lab, _) = two_sites()?;
    let server = serve(&lab)?;
    await_socket(&lab)?;
    edit(&lab, "site.toml", "channels = ", "chanels = 1\nchannels = ")?;
    server.signal("HUP")?;
    std::thread::sleep(Duration::from_secs(1));
    edit(&lab, "site.toml", "chanels = 1\n", "")?;
    run(&lab, &["rebuild", "fra", "--reason", "still here"])?.expect(0)?;
    server.signal("HUP")?;
    std::thread::sleep(Duration::from_secs(1));
    server.signal("TERM")?;
    let ended = server.end()?.expect(0)?;
    ended.says(&["chanels", "was read anew"])?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

/// Until the coordinator answers.
fn await_socket(lab: &Lab) -> Result<()> {
    for _ in 0..100 {
        let refused = run(lab, &["resume"])?;
        if !refused.stderr.contains("none was interrupted") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the coordinator does not answer")
}
