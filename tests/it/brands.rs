//! A night is the same whatever the primary is.

use anyhow::{Result, ensure};

use crate::lab::{Brand, FleetOptions, LabSpec, Watcher};
use crate::program::check_complete;
use crate::scene::{check_at_rest, check_recreated, ids, night, serving};

#[test]
fn a_night_on_knot_loses_nobody() -> Result<()> {
    night_on(Brand::Knot)
}

#[test]
fn a_night_on_powerdns_loses_nobody() -> Result<()> {
    night_on(Brand::PowerDns)
}

fn night_on(brand: Brand) -> Result<()> {
    let options = FleetOptions {
        min_in_service: Some(1),
        ..FleetOptions::default()
    };
    let lab = serving(LabSpec::sites(&["fra", "nyc"]).primary(brand), &options)?;
    let hosts = ["fra1", "nyc1"];
    let before = ids(&lab, &hosts)?;
    let watcher = Watcher::start(&lab)?;
    let ended = night(&lab)?.expect(0)?;
    check_complete(&ended.events);
    for site in ["fra", "nyc"] {
        ensure!(ended.has("visit_completed", site), "{ended}");
    }
    watcher.stop().check(&lab.spec)?;
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &hosts, &options, &before, &digests)?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}
