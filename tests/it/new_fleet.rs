//! A fleet that never was: no container, no marker, no site in DNS.

use anyhow::{Result, ensure};

use crate::lab::spec::{PRIMARY, RECORD};
use crate::lab::{FleetOptions, Lab, LabSpec, Watcher};
use crate::program::check_complete;
use crate::scene::{Scene, check_at_rest, check_in_dns, check_recreated, ids, marker, night, run};

#[test]
fn it_is_put_into_service_site_by_site_and_then_has_its_night() -> Result<()> {
    let options = FleetOptions::default();
    let lab = Lab::up(LabSpec::default().out_of_service())?;
    lab.fleet(&options)?;
    let lab = Scene::with_users(lab)?;
    let digests = [lab.digest("web", "master")?];
    ensure!(lab.query(PRIMARY.into(), RECORD)?.marker.is_empty());

    let mut serving = Vec::new();
    for (site, host) in [("fra", "fra1"), ("nyc", "nyc1"), ("sin", "sin1")] {
        let args = [
            "rebuild",
            site,
            "--restore",
            "--reason",
            "new fleet",
            "--json",
        ];
        let ended = run(&lab, &args)?.expect(0)?;
        check_complete(&ended.events);
        serving.push(site);
        check_in_dns(&lab, &serving)?;
        check_recreated(&lab, &[host], &options, &[].into(), &digests)?;
    }
    ensure!(
        marker(&lab, "dirty")? == "-",
        "every site was put in by its own visit"
    );

    let hosts = ["fra1", "nyc1", "sin1"];
    let before = ids(&lab, &hosts)?;
    let watcher = Watcher::start(&lab)?;
    night(&lab)?.expect(0)?;
    ensure!(
        watcher.stop().min_size(RECORD, false) == 2,
        "the floor did not hold"
    );
    check_recreated(&lab, &hosts, &options, &before, &digests)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}

#[test]
fn a_site_found_out_of_dns_is_rebuilt_and_left_out_unless_asked() -> Result<()> {
    let options = FleetOptions::default();
    let lab = Lab::up(LabSpec::default().out_of_service())?;
    lab.fleet(&options)?;
    let lab = Scene::with_users(lab)?;
    for site in ["fra", "nyc"] {
        run(
            &lab,
            &["rebuild", site, "--restore", "--reason", "new", "--json"],
        )?
        .expect(0)?;
    }
    let ended = run(
        &lab,
        &["rebuild", "sin", "--reason", "warm it up", "--json"],
    )?
    .expect(0)?;
    let completed = ended.event_of("visit_completed", "sin")?;
    ensure!(completed.0["in_service"] == false, "{}", completed.0);
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &["sin1"], &options, &[].into(), &digests)?;
    check_in_dns(&lab, &["fra", "nyc"])?;

    // Verified as it stands, then DNS.
    run(&lab, &["restore", "sin", "--reason", "it is warm"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc", "sin"])
}
