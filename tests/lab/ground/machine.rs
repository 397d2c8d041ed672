//! A machine: a network namespace with processes, mounts, a `/run` and a name of its own.
//!
//! Its init is a shell that waits. The kernel ends everything in a process namespace with its
//! init, engine, shims and containers alike, and their mounts go with the last of them: so
//! switching a machine off is one signal, and nothing of it can be left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::children::Children;
use super::net::Net;
use super::processes::{self, Process};
use super::program::{command, finish, log_to, wait_until};

/// A machine of the lab, by name.
#[derive(Clone, Debug)]
pub struct Machine {
    pub name: String,
    pub net: Net,
    /// What survives when it is switched off and on: its disk.
    pub dir: PathBuf,
}

impl Machine {
    pub fn new(net: &Net, dir: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            net: net.clone(),
            dir: dir.join(name),
        }
    }

    /// Switches it on. `/run` is empty then, as after a real boot: no stale pid files.
    pub fn switch_on(&self, children: &Children) -> Result<()> {
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("failed to make {}", self.dir.display()))?;
        // Slave mounts: what is unmounted outside must not be held by a copy in here.
        let init = "mount -t proc proc /proc && mount -t tmpfs tmpfs /run && hostname \"$0\" \
                    && : > /run/lab-booted && while :; do sleep 100000 & wait; done";
        let namespace = self.net.path(&self.name);
        let network = format!("--net={namespace}");
        let mut unshare = command(&["setsid", "nsenter", &network, "unshare"]);
        unshare.args([
            "--mount",
            "--propagation",
            "slave",
            "--pid",
            "--fork",
            "--uts",
            "--ipc",
        ]);
        unshare.args(["--kill-child", "/bin/sh", "-c", init, &self.name]);
        log_to(&mut unshare, &self.dir.join("init.log"))?;
        children.spawn(&mut unshare)?;
        let booted =
            |init: Process| Path::new(&format!("/proc/{}/root/run/lab-booted", init.pid)).exists();
        let up = || self.init().is_some_and(booted);
        wait_until(
            &format!("machine {} comes up", self.name),
            Duration::from_secs(60),
            up,
        )
    }

    /// Switches it off at once: every process in it is killed, none gets to clean up.
    pub fn switch_off(&self) -> Result<()> {
        let Some(init) = self.init() else {
            return Ok(());
        };
        let all = processes::of_machine(&init);
        processes::signal("KILL", &[init])?;
        let gone = || {
            all.iter()
                .all(|process| processes::started(process.pid).is_none())
        };
        wait_until(
            &format!("machine {} goes off", self.name),
            Duration::from_secs(60),
            gone,
        )
    }

    /// Starts a server on it, which logs to `log`.
    pub fn start(&self, children: &Children, argv: &[&str], log: &Path) -> Result<()> {
        let mut server = self.inside(argv)?;
        log_to(&mut server, log)?;
        children.spawn(&mut server)
    }

    /// Runs a command on it to its end, with its `/run` and its processes.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        finish(&mut self.inside(argv)?)
    }

    fn inside(&self, argv: &[&str]) -> Result<Command> {
        let init = self
            .init()
            .with_context(|| format!("machine {} is off", self.name))?;
        let pid = init.pid.to_string();
        let mut whole = vec![
            "setsid", "nsenter", "--target", &pid, "--mount", "--pid", "--net",
        ];
        whole.extend(["--uts", "--ipc", "--"]);
        whole.extend(argv);
        Ok(command(&whole))
    }

    /// Its processes, the containers' included, without its init.
    pub fn processes(&self) -> Vec<Process> {
        self.init()
            .map(|init| processes::of_machine(&init))
            .unwrap_or_default()
    }

    /// The process of this name on it, outside of containers.
    pub fn process(&self, name: &str) -> Option<Process> {
        processes::named(processes::network(&self.net.namespace(&self.name))?, name)
    }

    fn init(&self) -> Option<Process> {
        processes::init_of(processes::network(&self.net.namespace(&self.name))?)
    }
}
