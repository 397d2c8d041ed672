//! `doctor` on a lab in which one thing after another is broken, and mended again: each is told in a
//! line of its own, with what to do, and counts for what it is.

mod of_hosts;
mod of_names;
mod told;

use anyhow::{Result, ensure};

use crate::lab::{LabSpec, Server};
use crate::scene::run;
use told::{SITES, UNASKED, WELL, WRONG, doctor, fleet, two, weak_key};

#[test]
fn the_usual_breaks_are_told_and_a_fleet_that_is_well_has_none() -> Result<()> {
    let lab = fleet(LabSpec::sites(&SITES), &two())?;
    let well = doctor(&lab, &[])?;
    well.ends(WELL)?;
    for asked in [
        "primary 10.53.0.53:53",
        "TTL of www.example.com. A",
        "right to change _cleanslate.www.example.com. TXT",
        "name server 10.53.0.54:53",
        "delegation",
        "site fra",
        "engine nyc nyc1",
        "new containers on nyc nyc1",
        "registry 10.53.0.5:5000",
        "probe of fra: front at 10.53.1.1",
    ] {
        well.told("well", asked, "")?;
    }
    let text = run(&lab, &["doctor", "--color", "never"])?.expect(0)?;
    ensure!(
        text.stdout.ends_with("noted\n") || text.stdout.ends_with("ok\n"),
        "{text}"
    );
    ensure!(
        !text.stdout.contains('→') || text.stdout.contains("  note "),
        "{text}"
    );

    lab.kill_dockerd("nyc1")?;
    lab.kill_server(Server::Secondary)?;
    lab.kill_server(Server::Registry)?;
    let broken = doctor(&lab, &[])?;
    broken.told("unasked", "engine nyc nyc1", "no connection to the engine")?;
    broken.told("unasked", "name server 10.53.0.54:53", "no connection")?;
    broken.told("unasked", "registry 10.53.0.5:5000", "")?;
    broken.ends(UNASKED)?;
    weak_key(&lab)?;
    let worse = doctor(&lab, &[])?;
    worse.told(
        "wrong",
        "DNS rights",
        "may not change _cleanslate.www.example.com. TXT",
    )?;
    worse.ends(WRONG)
}
