//! Moving house: a backup of a coordinator at work is served from on another machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::lab::ground::program::wait_until;
use crate::lab::{FleetOptions, LabSpec};
use crate::program::{Ended, Run};
use crate::scene::{FRA, Scene, check_at_rest, check_recreated, ids, marker, run, serving};
use crate::serving::{await_socket, serve};

#[test]
fn who_moves_in_finishes_what_is_dirty_lawfully_and_rebuilds_nobody_for_it() -> Result<()> {
    let options = FleetOptions {
        min_in_service: Some(1),
        ..FleetOptions::default()
    };
    let lab = serving(LabSpec::sites(&["fra", "nyc"]).desks(1), &options)?;
    let token = ["token", "create", "--role", "viewer", "--name", "ana"];
    run(&lab, &token)?.expect(0)?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let mut server = serve(&lab)?;
    await_socket(&lab)?;

    // While the old one works, and goes on.
    let asked = Run::start(&lab, &FRA)?;
    server.await_site("draining", "fra")?;
    let early = lab.dir.join("early.backup");
    let made = backup(&lab, &early)?.expect(0)?;
    made.says(&["fleet edge", "1 rotation, 1 token", "has not ended"])?;
    ensure!(early.metadata()?.permissions().mode() & 0o777 == 0o600);
    backup(&lab, &early)?
        .expect(2)?
        .says(&["is there already", "--force"])?;
    asked.end()?.expect(0)?;
    server.await_site("visit_completed", "fra")?;
    let rebuilt = ids(&lab, &["fra1", "nyc1"])?;
    let house = House::of(&lab, "early");
    let tenant = house.moves_in(&early)?;
    house
        .run(&["recover"])?
        .expect(0)?
        .says(&["the marker calls no site out"])?;
    ensure!(ids(&lab, &["fra1", "nyc1"])? == rebuilt, "for the move");
    check_at_rest(&lab, &["fra", "nyc"])?;
    leaves(tenant)?;

    // It dies over a site that is out and dirty.
    let asked = Run::start(&lab, &FRA)?;
    server.await_site("drained", "fra")?;
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    wait_until("fra is dirty", Duration::from_secs(20), dirty)?;
    let late = lab.dir.join("late.backup");
    let made = run(&lab, &["backup", &late.display().to_string(), "--json"])?;
    let made = made.expect(0)?.json()?;
    ensure!(made["tokens"] == 1 && made["rotations"] == 2, "{made}");
    server.kill()?;
    drop(asked);
    let holder = marker(&lab, "holder")?;
    ensure!(made["holder"] == holder.as_str(), "{made}");

    let house = House::of(&lab, "late");
    house.refuses_what_is_damaged(&late)?;
    let tenant = house.moves_in(&late)?;
    let refused = house
        .run(&["rotate", "nightly", "--wait", "0s"])?
        .expect(5)?;
    refused.says(&["the marker is held by", &holder])?;
    ensure!(marker(&lab, "out")? == "fra", "nothing is touched before");
    let why = "the old machine is gone";
    house.run(&["take-over", "--reason", why])?.expect(0)?;
    house.run(&["recover", "--reason", why])?.expect(0)?;
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &["fra1"], &options, &rebuilt, &digests)?;
    ensure!(ids(&lab, &["nyc1"])?.is_subset(&before), "for the move");
    check_at_rest(&lab, &["fra", "nyc"])?;
    house.checks_its_audit(&holder)?;
    leaves(tenant)?;

    // Its supervisor starts it as before, and again when the file is gone.
    leaves(house.starts(&late, "nothing to be done for it")?)?;
    std::fs::remove_file(&late)?;
    leaves(house.starts(&late, "is gone")?)?;
    let other = house.run(&["serve", "--from", &early.display().to_string()])?;
    other
        .expect(2)?
        .says(&["was not made from", "leave out --from"])?;
    lab.lost_nobody()
}

fn backup(lab: &Scene, file: &Path) -> Result<Ended> {
    run(lab, &["backup", &file.display().to_string()])
}

fn leaves(tenant: Run) -> Result<()> {
    tenant.signal("TERM")?;
    tenant.end()?.expect(0).map(drop)
}

/// Another machine, with a state folder of its own.
struct House<'a> {
    lab: &'a Scene,
    state: PathBuf,
}

impl<'a> House<'a> {
    fn of(lab: &'a Scene, name: &str) -> Self {
        let state = lab.dir.join(format!("house-{name}"));
        Self { lab, state }
    }

    fn begin(&self, args: &[&str]) -> Result<Run> {
        let fleet = self.lab.fleet_dir();
        let mut command = self.lab.cleanslate_on("ops1", &fleet, &self.state, args);
        Run::of(
            self.lab,
            &mut command,
            &format!("there: {}", args.join(" ")),
        )
    }

    fn run(&self, args: &[&str]) -> Result<Ended> {
        self.begin(args)?.end()
    }

    fn moves_in(&self, file: &Path) -> Result<Run> {
        let tenant = self.starts(file, "moved in with")?;
        let tokens = self.state.join("edge/tokens.json");
        ensure!(tokens.metadata()?.permissions().mode() & 0o777 == 0o600);
        let told = self.run(&["token", "list"])?.expect(0)?;
        told.says(&["ana", "viewer"])?;
        Ok(tenant)
    }

    /// Serves from that file, once it answers; it must have said this.
    fn starts(&self, file: &Path, words: &str) -> Result<Run> {
        let tenant = self.begin(&["serve", "--json", "--from", &file.display().to_string()])?;
        for _ in 0..100 {
            let refused = self.run(&["resume"])?;
            if !refused.stderr.contains("running here") {
                tenant.said().says(&[words])?;
                return Ok(tenant);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("it does not answer: {}", tenant.said())
    }

    fn refuses_what_is_damaged(&self, file: &Path) -> Result<()> {
        let harmed = file.with_extension("harmed");
        let mut bytes = std::fs::read(file)?;
        let told = br#""playbook":"nightly""#;
        let starts = bytes.windows(told.len()).enumerate();
        let starts: Vec<usize> = starts
            .filter(|(_, at)| at == told)
            .map(|(start, _)| start)
            .collect();
        ensure!(!starts.is_empty(), "no plan in the journal");
        for start in starts {
            bytes[start + told.len() - 2] ^= 1;
        }
        std::fs::write(&harmed, bytes)?;
        let refused = self.run(&["serve", "--from", &harmed.display().to_string()])?;
        refused.expect(2)?.says(&["the backup", "is damaged"])?;
        ensure!(!self.state.exists(), "nothing is made of it");
        Ok(())
    }

    fn checks_its_audit(&self, from: &str) -> Result<()> {
        self.run(&["audit", "verify"])?.expect(0)?;
        self.run(&["token", "revoke", "ana"])?.expect(0)?;
        std::thread::sleep(Duration::from_secs(2));
        let told = self.run(&["audit", "--json"])?.expect(0)?;
        for kind in ["token_created", "token_revoked"] {
            let is_it = |line: &&str| line.contains(kind) && line.contains("\"ana\"");
            ensure!(
                told.stdout.lines().filter(is_it).count() == 1,
                "{kind}: {told}"
            );
        }
        let moved = told.stdout.lines().find(|it| it.contains("store_moved"));
        let moved: serde_json::Value = serde_json::from_str(moved.context("store_moved")?)?;
        let body = &moved["body"];
        ensure!(body["from"] == from && body["holder"] != from, "{moved}");
        ensure!(body["rotation"].is_string(), "{moved}");
        ensure!(moved["by"]["who"] == "root", "{moved}");
        Ok(())
    }
}
