//! Leaving DNS is proved at every name server and by what arrives, not by a clock.

use anyhow::{Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{FleetOptions, LabSpec, Load, Server, Users, Watcher};
use crate::program::Run;
use crate::scene::{check_at_rest, edit, ids, night, serving, status, three_sites};

const ALL: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_secondary_that_does_not_follow_brings_the_site_back() -> Result<()> {
    let spec = LabSpec {
        soa_refresh: 3600,
        ..LabSpec::default()
    };
    let lab = serving(spec, &FleetOptions::default())?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let watcher = Watcher::start(&lab)?;
    let mut run = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    // Its hosts get ready meanwhile: it has not left yet.
    run.await_site("visit_started", "fra")?;
    lab.deafen_secondary()?;
    run.await_site("withdrawn", "fra")?;
    // While it waits it says for whom.
    let waits = status(&lab)?;
    let fra = crate::scene::site_status(&waits, "fra")?;
    ensure!(
        fra["state"] == "withdrawing" && fra["why"].is_string(),
        "{fra}"
    );

    let what = "the primary has the site again";
    let address = lab.spec.addresses("fra")[0];
    let back = || {
        let history = watcher.history();
        let absences = history.absences(PRIMARY.into(), RECORD, address);
        absences.first().is_some_and(|(_, to)| to.is_some())
    };
    crate::lab::ground::program::wait_until(what, std::time::Duration::from_secs(100), back)?;
    lab.unblock("ns2")?;
    lab.kill_server(Server::Secondary)?;
    lab.start_server(Server::Secondary)?;

    let ended = run.end()?.expect(3)?;
    ended.says(&["10.53.0.54", "serial"])?;
    ensure!(ended.has("put_back", "fra"), "{ended}");
    let halted = ended.event("rotation_halted")?;
    ensure!(halted.text("cause").contains("10.53.0.54"), "{}", halted.0);
    let never_left = watcher
        .stop()
        .absences(SECONDARY.into(), RECORD, address)
        .is_empty();
    ensure!(never_left, "the secondary never lost it");
    ensure!(
        ids(&lab, &["fra1", "nyc1", "sin1"])? == before,
        "nothing was touched"
    );
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_site_whose_users_do_not_leave_is_put_back_or_gone_on_with_as_the_playbook_says() -> Result<()>
{
    let options = FleetOptions {
        drain_at_most: "5s".to_owned(),
        ..FleetOptions::default()
    };
    let spec = LabSpec {
        zone_lines: vec!["stale 2 IN A 10.53.1.1".to_owned()],
        ..LabSpec::default()
    };
    let lab = serving(spec, &options)?;
    let before = ids(&lab, &["fra1"])?;
    // To fra they are users who keep to an address that they once were told.
    let stale = Load {
        rate: 50,
        record: "stale.example.com.".to_owned(),
        ..Load::default()
    };
    let stale = Users::start_with(&lab, &stale)?;

    let ended = night(&lab)?.expect(3)?;
    let back = ended.event_of("put_back", "fra")?;
    ensure!(back.text("why").contains("packets a second"), "{}", back.0);
    ensure!(
        ids(&lab, &["fra1"])? == before,
        "nothing of fra was touched"
    );
    check_at_rest(&lab, &ALL)?;

    edit(
        &lab,
        "playbooks/nightly.toml",
        "then = \"put_back\"",
        "then = \"proceed\"",
    )?;
    let args = ["rotate", "nightly", "--site", "fra", "--json"];
    let ended = crate::scene::run(&lab, &args)?.expect(0)?;
    let drained = ended.event_of("drained", "fra")?;
    ensure!(drained.text("reason") == "at_most", "{}", drained.0);
    let residue = drained.0["traffic"].as_f64();
    ensure!(
        residue > Some(10.0),
        "what is left is measured: {}",
        drained.0
    );
    ensure!(ids(&lab, &["fra1"])?.is_disjoint(&before));
    check_at_rest(&lab, &ALL)?;
    let report = stale.stop()?;
    ensure!(!report.lost.is_empty(), "they stayed, and lost: {report}");
    lab.lost_nobody()
}

#[test]
fn without_a_meter_the_drain_lasts_to_its_end_and_says_unknown() -> Result<()> {
    let options = FleetOptions {
        meter: false,
        drain_at_most: "4s".to_owned(),
        ..FleetOptions::default()
    };
    let lab = serving(LabSpec::default(), &options)?;
    let users = Users::start_with(
        &lab,
        &Load {
            rate: 100,
            keep_alive: 10,
            ..Load::default()
        },
    )?;
    let ended = night(&lab)?.expect(0)?;
    let report = users.stop()?;
    ensure!(report.lost.is_empty(), "{report}");
    for site in ALL {
        let drained = ended.event_of("drained", site)?;
        ensure!(drained.text("reason") == "unknown", "{}", drained.0);
        ensure!(
            drained.0["traffic"].is_null(),
            "unknown is never quiet: {}",
            drained.0
        );
        ensure!(drained.0["seconds"].as_u64() >= Some(4), "{}", drained.0);
    }
    check_at_rest(&lab, &ALL)
}

#[test]
fn updates_whose_answers_are_lost_are_settled_and_the_night_goes_on() -> Result<()> {
    let (lab, _) = three_sites()?;
    let watcher = Watcher::start(&lab)?;
    let mut run = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    run.await_site("images_pulled", "fra")?;
    lab.lose_update_answers("ns1")?;
    run.await_site("restored", "fra")?;
    lab.unblock("ns1")?;
    let ended = run.end()?.expect(0)?;
    let history = watcher.stop();
    ensure!(
        history.min_size(RECORD, false) == 2,
        "the floor did not hold"
    );
    let address = lab.spec.addresses("fra")[0];
    let absences = history.absences(PRIMARY.into(), RECORD, address);
    ensure!(absences.len() == 1, "fra left once: {absences:?}\n{ended}");
    history.check(&lab.spec)?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}
