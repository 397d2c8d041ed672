//! The engines: one dockerd a host, on a unix socket and on the host's address.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};

use super::children::Children;
use super::machine::Machine;
use super::program::{last_lines, run, wait_until};
use super::{processes, program};
use crate::lab::spec::HostPlan;

/// The engine of one host.
#[derive(Clone, Debug)]
pub struct Engine {
    pub host: HostPlan,
    pub machine: Machine,
    cgroup: String,
}

impl Engine {
    pub fn new(host: HostPlan, machine: Machine, cgroup: &str) -> Self {
        let cgroup = format!("{cgroup}/{}", host.name);
        Self {
            host,
            machine,
            cgroup,
        }
    }

    /// The unix socket that its API answers on; reachable from any network namespace.
    pub fn socket(&self) -> PathBuf {
        self.machine.dir.join("docker.sock")
    }

    /// The same API over TCP, from inside the lab's network.
    pub fn tcp(&self) -> String {
        format!("tcp://{}:2375", self.host.v4)
    }

    /// Where its images and containers lie.
    pub fn data_root(&self) -> PathBuf {
        self.machine.dir.join("disk")
    }

    /// Gives it a disk of its own where the spec asks for one.
    pub fn lay_disk(&self) -> Result<()> {
        let disk = self.data_root();
        std::fs::create_dir_all(&disk)
            .with_context(|| format!("failed to make {}", disk.display()))?;
        match &self.host.disk {
            Some(size) => program::mount_disk(&disk, size),
            None => Ok(()),
        }
    }

    /// Starts dockerd, and does not wait for it.
    pub fn start(&self, children: &Children) -> Result<()> {
        let dir = &self.machine.dir;
        let config = dir.join("daemon.json");
        // The machine's own /etc/docker/daemon.json is none of the lab's business.
        std::fs::write(&config, "{}").context("failed to write daemon.json")?;
        let socket = format!("unix://{}", self.socket().display());
        let (config, data) = (
            config.display().to_string(),
            self.data_root().display().to_string(),
        );
        let mut argv = vec!["dockerd", "--config-file", &config, "--data-root", &data];
        argv.extend(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid"]);
        let tcp = self.tcp();
        // Said in so many words, or dockerd waits 15 s to let an unencrypted listener be noticed.
        argv.extend(["--tls=false", "--host", &socket, "--host", &tcp]);
        argv.extend(["--insecure-registry", "10.53.0.0/16", "--iptables=true"]);
        argv.extend(["--cgroup-parent", &self.cgroup, "--shutdown-timeout", "5"]);
        argv.extend(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        argv.extend(["--storage-driver", storage_driver(dir)]);
        self.machine.start(children, &argv, &self.log())
    }

    /// Waits until the API answers.
    pub fn wait_ready(&self) -> Result<()> {
        let what = format!("engine {} answers", self.host.name);
        wait_until(&what, Duration::from_secs(30), || self.answers())
            .with_context(|| self.last_words())
    }

    /// Stops everything on the host where it stands, containers included, or lets it go on.
    pub fn freeze_all(&self, frozen: bool) -> Result<()> {
        processes::signal(
            if frozen { "STOP" } else { "CONT" },
            &self.machine.processes(),
        )
    }

    /// Kills the engine and every container of it; the machine stays on.
    pub fn kill(&self) -> Result<()> {
        // A shim that sees its container die writes it down, so everything goes at once, and
        // again, until nothing was started in between.
        let what = format!("everything of engine {} is dead", self.host.name);
        wait_until(&what, Duration::from_secs(10), || {
            let all = self.machine.processes();
            processes::signal("KILL", &all).is_ok() && all.is_empty()
        })
    }

    /// Kills dockerd alone: containers, shims and containerd live on.
    pub fn kill_dockerd(&self) -> Result<()> {
        let dockerd: Vec<_> = self.machine.process("dockerd").into_iter().collect();
        processes::signal("KILL", &dockerd)?;
        let gone = || self.machine.process("dockerd").is_none();
        wait_until("dockerd is dead", Duration::from_secs(5), gone)
    }

    /// The end of dockerd's log, for an error that it may explain.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        format!(
            "dockerd of {} said last:\n{}",
            self.host.name,
            last_lines(&log, 15)
        )
    }

    pub fn log(&self) -> PathBuf {
        self.machine.dir.join("dockerd.log")
    }

    /// One `GET /_ping`, without a client that would need a runtime.
    fn answers(&self) -> bool {
        let ping = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ping().is_ok_and(|answer| answer.contains(" 200 OK"))
    }

    /// The arguments that point Docker's own command line tools at this engine.
    pub fn docker_host(&self) -> (&'static str, String) {
        ("DOCKER_HOST", format!("unix://{}", self.socket().display()))
    }

    /// `docker-compose` as an administrator of this host would run it.
    pub fn compose(&self) -> std::process::Command {
        let mut compose = program::command(&["docker-compose"]);
        let (name, value) = self.docker_host();
        compose.env(name, value);
        compose
    }
}

/// overlay2 where the kernel mounts an overlay below `dir`, else vfs, which copies and is slow.
fn storage_driver(dir: &Path) -> &'static str {
    static OVERLAY: OnceLock<bool> = OnceLock::new();
    let overlay = "mount -t overlay overlay -o lowerdir=a,upperdir=b,workdir=c m";
    let script = format!("mkdir -p \"$0\" && cd \"$0\" && mkdir -p a b c m && {overlay}");
    let dir = dir.join("try-overlay").display().to_string();
    // In a mount namespace of its own, so there is nothing to unmount.
    let works = || run(&["unshare", "--mount", "sh", "-c", &script, &dir]).is_ok();
    if *OVERLAY.get_or_init(works) {
        "overlay2"
    } else {
        "vfs"
    }
}
