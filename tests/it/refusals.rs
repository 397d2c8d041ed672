//! What cannot be done is not begun: DNS is as it was, and the message says what to do.

use anyhow::{Result, ensure};

use crate::lab::ground::bind::{Bind, WEAK_KEY};
use crate::lab::spec::{PRIMARY, RECORD, SECONDARY};
use crate::lab::{FleetOptions, Lab, LabSpec, Server, Service, Watcher};
use crate::program::Ended;
use crate::scene::{
    check_at_rest, check_in_dns, edit, ids, night, run, serve_again, serving, three_sites,
};

const ALL: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_floor_that_does_not_hold_keeps_every_site_where_it_is() -> Result<()> {
    let (lab, _) = three_sites()?;
    lab.kill_engine("sin1")?;
    lab.start_engine("sin1")?;
    let watcher = Watcher::start(&lab)?;

    let ended = night(&lab)?.expect(3)?;
    for site in ALL {
        let skipped = ended.event_of("site_skipped", site)?;
        ensure!(skipped.text("why").contains("sin"), "{}", skipped.0);
        ensure!(
            skipped.text("cure").contains("cleanslate rebuild sin"),
            "{}",
            skipped.0
        );
    }
    let by_hand = run(&lab, &["withdraw", "fra", "--reason", "fibre work"])?.expect(4)?;
    by_hand.says(&["floor", "sin (does not answer its probes)", "--below-floor"])?;
    ensure!(
        watcher.stop().min_size(RECORD, false) == 3,
        "no site ever left"
    );

    run(&lab, &["rebuild", "sin", "--reason", "it is sick"])?.expect(0)?;
    check_at_rest(&lab, &ALL)
}

#[test]
fn a_key_that_is_wrong_or_may_not_write_the_marker_changes_nothing() -> Result<()> {
    let (lab, _) = three_sites()?;
    let serial = lab.query(PRIMARY.into(), RECORD)?.serial;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    let key = lab.fleet_dir().join("tsig.key");
    let right = std::fs::read_to_string(&key)?;

    std::fs::copy(Bind::key_file(&lab.dir, WEAK_KEY), &key)?;
    let refused = nothing_done(night(&lab)?)?;
    refused.says(&["_cleanslate.www.example.com", "update-policy"])?;

    // The right name with the secret of another key.
    let weak = std::fs::read_to_string(Bind::key_file(&lab.dir, WEAK_KEY))?;
    std::fs::write(&key, weak.replace("addresses-only.", "cleanslate."))?;
    let refused = nothing_done(night(&lab)?)?;
    refused.says(&["key", "10.53.0.53"])?;

    std::fs::write(&key, right.replace("cleanslate.", "nobody."))?;
    let refused = nothing_done(night(&lab)?)?;
    refused.says(&["nobody"])?;

    std::fs::write(&key, right.replace("hmac-sha256", "hmac-sha512"))?;
    let refused = nothing_done(night(&lab)?)?;
    refused.says(&["key", "10.53.0.53"])?;

    ensure!(
        lab.query(PRIMARY.into(), RECORD)?.serial == serial,
        "the zone was changed"
    );
    ensure!(ids(&lab, &["fra1", "nyc1", "sin1"])? == before);
    check_in_dns(&lab, &ALL)
}

#[test]
fn a_primary_that_is_down_and_a_ttl_that_differs_change_nothing() -> Result<()> {
    let (lab, _) = three_sites()?;
    let before = ids(&lab, &["fra1", "nyc1", "sin1"])?;
    lab.kill_server(Server::Primary)?;
    let refused = night(&lab)?.expect(5)?;
    refused.says(&["10.53.0.53"])?;
    lab.start_server(Server::Primary)?;

    edit(&lab, "site.toml", "ttl = \"2s\"", "ttl = \"5s\"")?;
    let refused = night(&lab)?;
    ensure!(matches!(refused.code, Some(3 | 4)), "{refused}");
    refused.says(&["ttl", "TTL of 2", "5"])?;
    let by_hand = run(&lab, &["withdraw", "fra", "--reason", "try"])?.expect(4)?;
    by_hand.says(&["ttl", "TTL of 2", "5"])?;
    ensure!(ids(&lab, &["fra1", "nyc1", "sin1"])? == before);
    check_in_dns(&lab, &ALL)
}

#[test]
fn a_name_server_that_only_the_zone_names_is_not_stopped() -> Result<()> {
    let lab = Lab::up(LabSpec::sites(&["fra", "nyc"]))?;
    let image = "10.53.0.5:5000/web:${CHANNEL}";
    let ports = format!("ports: [\"{SECONDARY}:53:53/udp\"]");
    let options = FleetOptions {
        services: vec![
            Service::web("front"),
            Service::new("names", image).with(&ports),
        ],
        ..FleetOptions::default()
    };
    lab.fleet(&options)?;
    let listed = format!("nameservers = [\"{PRIMARY}\", \"{SECONDARY}\"]\n");
    edit(&lab, "site.toml", &listed, "")?;
    let what = format!("own feet: edge/names on nyc1 is the name server {SECONDARY}:53");
    run(&lab, &["plan"])?.expect(4)?.says(&[&what, "keep"])?;
    let refused = nothing_done(night(&lab)?)?;
    refused.says(&[&what])?;

    edit(
        &lab,
        "compose.yaml",
        &ports,
        &format!("{ports}\n    x-cleanslate: {{ recreate: keep }}"),
    )?;
    run(&lab, &["plan"])?.expect(0)?;
    Ok(())
}

#[test]
fn a_dead_engine_and_a_full_disk_cost_their_site_the_night_and_no_other() -> Result<()> {
    let mut spec = LabSpec::default();
    spec.sites[2].disk = Some("300m".to_owned());
    let lab = serving(spec, &FleetOptions::default())?;
    let sin = ids(&lab, &["sin1"])?;
    lab.push(crate::lab::ImageKind::Web, "v9")?;
    lab.retag("web", "v9", "master")?;
    lab.kill_dockerd("nyc1")?;
    lab.fill_disk("sin1", 64 << 10)?;

    let ended = night(&lab)?.expect(3)?;
    ensure!(ended.has("visit_completed", "fra"), "{ended}");
    let nyc = ended.event_of("site_skipped", "nyc")?;
    ensure!(nyc.text("why").contains("nyc1"), "{}", nyc.0);
    let full = ended.event_of("site_skipped", "sin")?;
    ensure!(
        full.text("why").contains("sin1") && full.text("why").contains("space"),
        "{}",
        full.0
    );
    for skipped in [nyc, full] {
        ensure!(!skipped.text("cure").is_empty(), "{}", skipped.0);
    }
    serve_again(&lab, "nyc1")?;
    lab.free_disk("sin1")?;
    ensure!(ids(&lab, &["sin1"])? == sin, "nothing of ours stays behind");
    check_at_rest(&lab, &ALL)?;

    let retried = run(&lab, &["retry", "--reason", "mended", "--json"])?.expect(0)?;
    let planned = retried.event("rotation_planned")?;
    ensure!(
        planned.0["sites"] == serde_json::json!(["nyc", "sin"]),
        "{}",
        planned.0
    );
    check_at_rest(&lab, &ALL)
}

#[test]
fn a_playbook_that_halts_ends_the_night_at_the_first_site_that_is_not_ready() -> Result<()> {
    let (lab, _) = three_sites()?;
    edit(
        &lab,
        "playbooks/nightly.toml",
        "preflight = \"skip\"",
        "preflight = \"halt\"",
    )?;
    lab.kill_dockerd("fra1")?;
    let ended = night(&lab)?;
    ensure!(matches!(ended.code, Some(3..=5)), "{ended}");
    let halted = ended.event("rotation_halted")?;
    ensure!(halted.text("cause").contains("fra1"), "{}", halted.0);
    ensure!(!ended.has("visit_started", "nyc"), "{ended}");
    lab.start_engine("fra1")?;
    check_at_rest(&lab, &ALL)
}

fn nothing_done(ended: Ended) -> Result<Ended> {
    ensure!(
        matches!(ended.code, Some(4 | 5)),
        "nothing was changed: {ended}"
    );
    ensure!(!ended.stderr.is_empty(), "{ended}");
    Ok(ended)
}
