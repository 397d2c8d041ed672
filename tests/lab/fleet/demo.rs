//! `lab demo`: a fleet rotated under load before one's eyes, and the count afterwards.
//!
//! Numbers are taken where they cannot be dressed up: from the engines, from a watcher of the
//! name servers and from the users. Only how a visit's time was spent is `cleanslate`'s own word.

use std::fs::File;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::events::Events;
use super::summary::{Outcome, inventory, tell};
use crate::lab::images::Push;
use crate::lab::spec::RECORD;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Users, Watcher};

/// What `lab demo` is told on its command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Demo {
    /// Requests a second, of all users together
    #[arg(long, default_value_t = 200)]
    rate: u32,
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// Hosts of each site
    #[arg(long, default_value_t = 1)]
    hosts: usize,
}

impl Demo {
    /// Lays the lab, rotates, tells; fails where the rotation failed or a request was lost.
    pub fn run(self) -> Result<()> {
        outlive_ctrl_c()?;
        let started = Instant::now();
        let lab = Lab::up(LabSpec::default().hosts_each(self.hosts))?;
        let options = self.prepare(&lab)?;
        println!(
            "A fleet of {} sites is in service after {:.1} s: real BIND, Docker engines and a \
             registry, in network namespaces.\nThe tag `master` has just been moved from v1 to \
             v2; {} users make {} requests a second to {RECORD}\n",
            lab.spec.sites.len(),
            started.elapsed().as_secs_f64(),
            self.users,
            self.rate,
        );
        let outcome = self.rotate(&lab)?;
        tell(&lab, &outcome);
        let lost = outcome.users.lost.len();
        ensure!(
            outcome.status.success(),
            "cleanslate ended with {}",
            outcome.status
        );
        ensure!(lost == 0, "{lost} requests were lost");
        ensure!(
            outcome.is_clean(&lab, &options),
            "the engines have other containers than declared"
        );
        Ok(())
    }

    /// Everything serves v1, and nyc was scaled up by hand; the registry has v2 as `master`.
    fn prepare(self, lab: &Lab) -> Result<FleetOptions> {
        let options = FleetOptions {
            drain_at_least: "4s".to_owned(),
            drain_at_most: "30s".to_owned(),
            soak: "5s".to_owned(),
            ..FleetOptions::six_containers()
        };
        lab.push_all(&[
            Push::new(ImageKind::Worker, "worker", "master").version("v1"),
            Push::new(ImageKind::Web, "web", "v2"),
            Push::new(ImageKind::Worker, "worker", "v2"),
        ])?;
        lab.fleet(&options)?;
        lab.start_services(&options)?;
        let app = options
            .services
            .iter()
            .find(|it| it.name == "app")
            .context("a service app")?;
        for engine in lab.engines_of("nyc") {
            lab.scale_by_hand(&engine.host.name, app, app.replicas + 2)?;
        }
        lab.wait_serving()?;
        lab.retag("web", "v2", "master")?;
        lab.retag("worker", "v2", "master")?;
        Ok(options)
    }

    /// `cleanslate rotate` in the foreground: its progress is on the terminal, its events go to a
    /// file.
    fn rotate(self, lab: &Lab) -> Result<Outcome> {
        let before = inventory(lab)?;
        let watcher = Watcher::start(lab)?;
        let users = Users::start(lab, self.rate, self.users)?;
        let events = lab.dir.join("events.jsonl");
        let started = Instant::now();
        let mut rotate = lab.cleanslate(&["rotate", "nightly", "--yes", "--json"]);
        rotate.stdin(Stdio::inherit());
        rotate.stdout(File::create(&events).context("failed to make the file of events")?);
        let status = rotate
            .status()
            .context("failed to run cleanslate: run `make demo`")?;
        Ok(Outcome {
            status,
            took: started.elapsed(),
            users: users.stop()?,
            history: watcher.stop(),
            before,
            after: inventory(lab)?,
            events: Events::read(&events)?,
        })
    }
}

/// Ctrl-C is for `cleanslate`, which brings its site to safety; the lab must stand until then.
fn outlive_ctrl_c() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let wait = move || runtime.block_on(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    std::thread::Builder::new()
        .spawn(wait)
        .context("failed to start a thread")
        .map(drop)
}
