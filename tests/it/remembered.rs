//! What is remembered of a night stays as it was told, whatever becomes of the configuration.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::lab::{FleetOptions, LabSpec};
use crate::program::Run;
use crate::scene::{edit, run, serving, site_status, status, three_sites};

#[test]
fn a_report_is_the_same_after_the_site_was_renamed_and_the_playbook_is_gone() -> Result<()> {
    let (lab, _) = three_sites()?;
    let nightly = lab.fleet_dir().join("playbooks/nightly.toml");
    std::fs::copy(&nightly, lab.fleet_dir().join("playbooks/ours.toml"))?;
    run(&lab, &["rotate", "ours", "--site", "fra", "--yes"])?.expect(0)?;
    let told = || -> Result<_> {
        let report = run(&lab, &["report", "--json"])?.expect(0)?.json()?;
        let history = run(&lab, &["history", "--json"])?.expect(0)?.json()?;
        Ok((report, history))
    };
    let before = told()?;
    let fra = &before.0["sites"][0];
    ensure!(
        fra["site"] == "fra" && fra["end"] == "visit_completed",
        "{fra}"
    );
    ensure!(fra["digests"]["edge/front"][1] != "", "{fra}");

    let site_toml = lab.fleet_dir().join("site.toml");
    let renamed = std::fs::read_to_string(&site_toml)?.replace("site.fra", "site.par");
    std::fs::write(&site_toml, renamed)?;
    for playbook in ["ours", "nightly", "rebuild"] {
        std::fs::remove_file(lab.fleet_dir().join(format!("playbooks/{playbook}.toml")))?;
    }
    edit(&lab, "compose.yaml", "  front:", "  face:")?;
    let after = told()?;
    ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
    Ok(())
}

#[test]
fn the_status_is_the_same_from_the_socket_and_from_the_store() -> Result<()> {
    let options = FleetOptions {
        min_in_service: Some(1),
        ..FleetOptions::default()
    };
    let lab = serving(LabSpec::default(), &options)?;
    run(&lab, &["withdraw", "nyc", "--reason", "fibre cut", "--yes"])?.expect(0)?;
    let nyc = || -> Result<(bool, Value)> {
        let told = status(&lab)?;
        let is_live = told["rotation"]["interrupted"] == false;
        Ok((is_live, site_status(&told, "nyc")?.clone()))
    };
    let (_, at_rest) = nyc()?;
    ensure!(
        at_rest["state"] == "held" && at_rest["since"].is_string(),
        "{at_rest}"
    );

    let mut night = Run::start(&lab, &["rotate", "nightly", "--site", "fra", "--json"])?;
    night.await_site("draining", "fra")?;
    ensure!(nyc()? == (true, at_rest.clone()), "through the socket");
    night.kill()?;
    ensure!(nyc()? == (false, at_rest), "from the store");
    Ok(())
}
