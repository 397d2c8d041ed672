//! The registry: Debian's docker-registry in the core namespace, over plain HTTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::children::Children;
use super::net::Net;
use super::processes;
use super::program::{command, length, log_to, wait_for_log, wait_until};
use crate::lab::spec::REGISTRY;

/// The registry of a lab, at [`REGISTRY`].
#[derive(Clone, Debug)]
pub struct Registry {
    net: Net,
    dir: PathBuf,
}

impl Registry {
    pub fn new(net: &Net, dir: &Path) -> Self {
        Self {
            net: net.clone(),
            dir: dir.join("registry"),
        }
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, children: &Children) -> Result<()> {
        self.start_with(children, "")
    }

    /// The same with more in its configuration.
    pub fn start_with(&self, children: &Children, more: &str) -> Result<()> {
        self.start_as(children, true, more)
    }

    /// The same, and it deletes nothing, as by default.
    pub fn start_without_deletion(&self, children: &Children) -> Result<()> {
        self.start_as(children, false, "")
    }

    fn start_as(&self, children: &Children, deletes: bool, more: &str) -> Result<()> {
        let data = self.dir.join("data");
        std::fs::create_dir_all(&data)
            .with_context(|| format!("failed to make {}", data.display()))?;
        let config = self.dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: info, accesslog: {{ disabled: false }} }}\n\
             storage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: {deletes} }}\n\
             http:\n  addr: {REGISTRY}\n  secret: lab\n{more}",
            data.display()
        );
        std::fs::write(&config, text).context("failed to write the registry's configuration")?;
        let log = self.dir.join("registry.log");
        let from = length(&log);
        let config = config.display().to_string();
        let argv = self
            .net
            .enter("core", &["setsid", "docker-registry", "serve", &config]);
        let mut registry = command(&argv.iter().map(String::as_str).collect::<Vec<_>>());
        log_to(&mut registry, &log)?;
        children.spawn(&mut registry)?;
        wait_for_log(&log, from, "listening on", Duration::from_secs(15))
            .context("failed to start the registry")
    }

    /// Kills it; what it stored stays.
    pub fn stop(&self) -> Result<()> {
        let registry: Vec<_> = self.process().into_iter().collect();
        processes::signal("KILL", &registry)?;
        wait_until("the registry is dead", Duration::from_secs(5), || {
            self.process().is_none()
        })
    }

    fn process(&self) -> Option<processes::Process> {
        processes::named(
            processes::network(&self.net.namespace("core"))?,
            "docker-registry",
        )
    }
}
