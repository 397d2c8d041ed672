//! The first night on hosts that somebody else set up.

use anyhow::{Context, Result, ensure};

use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, Lab, LabSpec, Watcher};
use crate::program::check_complete;
use crate::scene::{Scene, check_at_rest, check_recreated, ids, night, serving};

#[test]
fn containers_that_docker_compose_started_are_known_and_replaced() -> Result<()> {
    let options = FleetOptions::default();
    let lab = Lab::up(LabSpec::default())?;
    lab.fleet(&options)?;
    let hosts = ["fra1", "nyc1", "sin1"];
    hosts
        .iter()
        .try_for_each(|host| lab.compose_up(host, "edge"))?;
    lab.wait_serving()?;
    let lab = Scene::with_users(lab)?;
    let before = ids(&lab, &hosts)?;

    night(&lab)?.expect(0)?;
    check_recreated(
        &lab,
        &hosts,
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;

    let ps = lab
        .engine("nyc1")
        .compose()
        .args(["-p", "edge", "-f"])
        .arg(lab.fleet_dir().join("compose.yaml"))
        .env("SITE", "nyc")
        .env("HOST", "nyc1")
        .env("CHANNEL", "master")
        .args(["ps", "-q"])
        .output()
        .context("failed to run docker-compose ps")?;
    let shown = String::from_utf8_lossy(&ps.stdout).trim().to_owned();
    ensure!(
        ids(&lab, &["nyc1"])?.contains(&shown),
        "docker-compose ps shows {shown:?}"
    );
    Ok(())
}

#[test]
fn whoever_else_holds_the_port_is_named_and_the_site_keeps_serving() -> Result<()> {
    let options = FleetOptions::default();
    let lab = Lab::up(LabSpec::default())?;
    lab.fleet(&options)?;
    lab.compose_up("fra1", "edge")?;
    lab.compose_up("nyc1", "oldname")?;
    let stranger = lab.run_foreign("sin1", "backup", Some(80))?;
    lab.wait_serving()?;
    let lab = Scene::with_users(lab)?;
    let others = ids(&lab, &["nyc1", "sin1"])?;
    let watcher = Watcher::start(&lab)?;

    let ended = night(&lab)?.expect(3)?;
    check_complete(&ended.events);
    ensure!(ended.has("visit_completed", "fra"), "{ended}");
    let nyc = ended.event_of("site_skipped", "nyc")?;
    ensure!(nyc.text("why").contains("oldname"), "{}", nyc.0);
    let sin = ended.event_of("site_skipped", "sin")?;
    ensure!(sin.text("why").contains("backup"), "{}", sin.0);
    for skipped in [nyc, sin] {
        ensure!(skipped.text("why").contains("80"), "{}", skipped.0);
        ensure!(!skipped.text("cure").is_empty(), "{}", skipped.0);
    }
    ended.says(&["oldname", "backup"])?;

    ensure!(others.contains(&stranger));
    ensure!(
        ids(&lab, &["nyc1", "sin1"])? == others,
        "nothing of theirs, nothing of ours"
    );
    let history = watcher.stop();
    for server in [crate::lab::spec::PRIMARY, crate::lab::spec::SECONDARY] {
        for site in ["nyc", "sin"] {
            let address = lab.spec.addresses(site)[0];
            ensure!(
                history.absences(server.into(), RECORD, address).is_empty(),
                "{site} left"
            );
        }
    }
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}

#[test]
fn what_a_person_scaled_up_by_hand_goes_back_to_what_is_declared() -> Result<()> {
    let options = FleetOptions::six_containers();
    let lab = serving(LabSpec::default(), &options)?;
    let app = options
        .services
        .iter()
        .find(|it| it.name == "app")
        .context("a service app")?;
    lab.scale_by_hand("nyc1", app, 5)?;
    let before = ids(&lab, &["nyc1"])?;
    ensure!(before.len() == 9, "{before:?}");

    let args = ["rotate", "nightly", "--site", "nyc", "--json"];
    let ended = crate::scene::run(&lab, &args)?.expect(0)?;
    let recreated = ended.event_of("recreated", "nyc")?;
    ensure!(
        recreated.0["scaled_from"]["edge/app"] == 5,
        "{}",
        recreated.0
    );
    ensure!(recreated.0["scaled_to"]["edge/app"] == 2, "{}", recreated.0);
    let digests = [
        lab.digest("web", "master")?,
        lab.digest("worker", "master")?,
    ];
    check_recreated(&lab, &["nyc1"], &options, &before, &digests)?;
    let planned = ended.event("rotation_planned")?;
    ensure!(
        planned.0["sites"] == serde_json::json!(["nyc"]),
        "{}",
        planned.0
    );
    check_at_rest(&lab, &["fra", "nyc", "sin"])?;
    lab.lost_nobody()
}
