//! What each finds when its night begins: the fleet in service, a new version to be pulled.

#![expect(clippy::disallowed_types, reason = "bollard takes its filters so")]
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bollard::query_parameters::PruneImagesOptionsBuilder;

use crate::contender::{Contender, Night};
use crate::lab::images::Push;
use crate::lab::inspect::{block_on, docker};
use crate::lab::{FleetOptions, ImageKind, Lab, Transport, Users};

/// How long a drained site waits at least, in all.
pub(crate) const DRAIN: Duration = Duration::from_secs(6);
/// How long a restored site is watched, in all.
pub(crate) const SOAK: Duration = Duration::from_secs(5);
/// Probes that must pass in a row; the lab's `site.toml` says the same.
pub(crate) const PASSES: u32 = 2;
/// Requests a second: the drain needs somebody to leave, the soak somebody to come back.
pub(crate) const LOAD: u32 = 50;
pub(crate) const USERS: usize = 20;

/// The lab with its fleet, between two nights.
pub(crate) struct Grounds<'a> {
    lab: &'a Lab,
    logs: PathBuf,
    soak: Duration,
    version: u32,
}

impl<'a> Grounds<'a> {
    /// Writes the fleet's files and brings it into service.
    pub(crate) fn lay(lab: &'a Lab, soak: Duration) -> Result<Grounds<'a>> {
        let logs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("night");
        std::fs::create_dir_all(&logs).context("failed to make the folder of logs")?;
        let mut grounds = Grounds {
            lab,
            logs,
            soak,
            version: 0,
        };
        grounds.push_version(ImageKind::WebHealthcheck)?;
        let options = options(soak);
        lab.fleet(&options)?;
        lab.start_services(&options)?;
        lab.wait_serving()?;
        Ok(grounds)
    }

    /// One night of one of them, from a new version in the registry to that version in service.
    pub(crate) fn night(&mut self, contender: Contender) -> Result<Night> {
        self.push_version(ImageKind::WebHealthcheck)?;
        self.forget_images()?;
        let users = Users::start(self.lab, LOAD, USERS)?;
        let night = contender.run(self.lab, &self.logs, self.soak)?;
        let report = users.stop()?;
        self.check_version()
            .with_context(|| format!("{} left a site behind", contender.name()))?;
        let lost = report.lost.len();
        Ok(Night { lost, ..night })
    }

    /// Where what they print goes.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// What every page of the last version begins with.
    pub(crate) fn wanted(&self) -> String {
        format!("version=v{} ", self.version)
    }

    /// Pushes a new version of all images; those that serve are of this kind.
    pub(crate) fn push_version(&mut self, web: ImageKind) -> Result<()> {
        self.version += 1;
        let version = format!("v{}", self.version);
        let image =
            |kind: ImageKind| Push::new(kind, kind.repository(), "master").version(&version);
        self.lab
            .push_all(&[image(web), image(ImageKind::Worker)])
            .map(drop)
    }

    /// Leaves no image on any host but those that run.
    pub(crate) fn forget_images(&self) -> Result<()> {
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
        let wanted = self.wanted();
        for engine in self.lab.engines() {
            let (_, page) = self.lab.get(&format!("http://{}/", engine.host.v4))?;
            ensure!(page.starts_with(&wanted), "{}: {page}", engine.host.name);
        }
        Ok(())
    }
}

/// Six containers a site, all with a healthcheck every second: without one, `cleanslate` watches
/// a container for five seconds where a script takes its start for its health.
fn options(soak: Duration) -> FleetOptions {
    let check = |test: &str| {
        format!("healthcheck: {{ test: [CMD, {test}], interval: 1s, timeout: 2s, retries: 2 }}")
    };
    let web = check("/bin/wget, -q, -O, /dev/null, \"http://127.0.0.1/healthz\"");
    let worker = check("\"true\"");
    let mut options = FleetOptions::six_containers();
    for service in &mut options.services {
        let is_worker = service.image.contains("/worker:");
        service.more.push(if is_worker {
            worker.clone()
        } else {
            web.clone()
        });
    }
    FleetOptions {
        transport: Transport::Unix,
        drain_at_least: format!("{}s", DRAIN.as_secs()),
        drain_at_most: "30s".to_owned(),
        soak: format!("{}s", soak.as_secs()),
        ..options
    }
}
