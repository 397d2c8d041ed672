//! What both find when their night begins: the fleet in service, a new version to be pulled.

#![expect(clippy::disallowed_types, reason = "bollard takes its filters so")]
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bollard::query_parameters::PruneImagesOptionsBuilder;

use crate::contender::{Contender, Night};
use crate::lab::images::Push;
use crate::lab::inspect::{block_on, docker};
use crate::lab::{FleetOptions, ImageKind, Lab, Service, Transport, Users};

/// How long a drained site waits at least, in both.
pub(crate) const DRAIN: Duration = Duration::from_secs(6);
/// How long a restored site is watched, in both.
pub(crate) const SOAK: Duration = Duration::from_secs(5);
/// Probes that must pass in a row; the lab's `site.toml` says the same.
pub(crate) const PASSES: u32 = 2;
/// Requests a second: the drain needs somebody to leave, the soak somebody to come back.
const LOAD: u32 = 50;
const USERS: usize = 20;

/// The lab with its fleet, between two nights.
pub(crate) struct Grounds<'a> {
    lab: &'a Lab,
    logs: PathBuf,
    version: u32,
}

impl<'a> Grounds<'a> {
    /// Writes the fleet's files and brings it into service.
    pub(crate) fn lay(lab: &'a Lab) -> Result<Grounds<'a>> {
        let logs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("night");
        std::fs::create_dir_all(&logs).context("failed to make the folder of logs")?;
        let mut grounds = Grounds {
            lab,
            logs,
            version: 0,
        };
        grounds.push_version()?;
        let options = options();
        lab.fleet(&options)?;
        lab.start_services(&options)?;
        lab.wait_serving()?;
        Ok(grounds)
    }

    /// One night of one of them, from a new version in the registry to that version in service.
    pub(crate) fn night(&mut self, contender: Contender) -> Result<Night> {
        self.push_version()?;
        self.forget_images()?;
        let users = Users::start(self.lab, LOAD, USERS)?;
        let night = contender.run(self.lab, &self.logs)?;
        let report = users.stop()?;
        let name = contender.name();
        ensure!(
            report.lost.is_empty(),
            "{name}: users were turned away: {report}"
        );
        self.check_version()
            .with_context(|| format!("{name} left a site behind"))?;
        Ok(night)
    }

    fn push_version(&mut self) -> Result<()> {
        self.version += 1;
        let version = format!("v{}", self.version);
        let image =
            |kind: ImageKind| Push::new(kind, kind.repository(), "master").version(&version);
        self.lab
            .push_all(&[image(ImageKind::WebHealthcheck), image(ImageKind::Worker)])
            .map(drop)
    }

    /// Leaves no image on any host but those that run.
    fn forget_images(&self) -> Result<()> {
        let all = HashMap::from([("dangling", vec!["false"])]);
        block_on(async {
            for engine in self.lab.engines() {
                let options = PruneImagesOptionsBuilder::default().filters(&all).build();
                let pruned = docker(engine)?.prune_images(Some(options)).await;
                pruned.with_context(|| format!("failed to prune {}", engine.host.name))?;
            }
            Ok(())
        })
    }

    fn check_version(&self) -> Result<()> {
        let wanted = format!("version=v{} ", self.version);
        for engine in self.lab.engines() {
            let (_, page) = self.lab.get(&format!("http://{}/", engine.host.v4))?;
            ensure!(page.starts_with(&wanted), "{}: {page}", engine.host.name);
        }
        Ok(())
    }
}

/// Six containers a site, all with a healthcheck every second: without one, `cleanslate` watches
/// a container for five seconds where a script takes its start for its health.
fn options() -> FleetOptions {
    let check = "healthcheck: { test: [CMD, \"true\"], interval: 1s, timeout: 2s, retries: 2 }";
    let mut options = FleetOptions::six_containers();
    let is_worker =
        |service: &&mut Service| service.publish.is_none() && service.image.contains("/worker:");
    for service in options.services.iter_mut().filter(is_worker) {
        service.more.push(check.to_owned());
    }
    FleetOptions {
        transport: Transport::Unix,
        drain_at_least: format!("{}s", DRAIN.as_secs()),
        drain_at_most: "30s".to_owned(),
        soak: format!("{}s", SOAK.as_secs()),
        ..options
    }
}
