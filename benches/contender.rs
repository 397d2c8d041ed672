//! Who is measured, and what a night of theirs took.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::lab::fleet::files::FLEET;
use crate::lab::fleet::runner::cleanslate_exe;
use crate::lab::ground::bind::{Bind, KEY};
use crate::lab::ground::program::{find, last_lines, log_to};
use crate::lab::spec::{PRIMARY, RECORD, REGISTRY, SECONDARY, ZONE};
use crate::playbook;
use crate::round::{DRAIN, PASSES};

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    Bare,
    Ansible,
    Cleanslate,
}

/// What one night took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Night {
    pub(crate) wall: Duration,
    /// User and system time of the process and its children, in seconds.
    pub(crate) cpu_s: f64,
    /// Largest resident set of any one process, in MB (10⁶ bytes).
    pub(crate) peak_mb: f64,
    /// Requests of its users without a good answer.
    pub(crate) lost: usize,
}

impl Contender {
    pub(crate) const ALL: [Contender; 3] =
        [Contender::Bare, Contender::Ansible, Contender::Cleanslate];

    /// Who goes first changes from round to round.
    pub(crate) fn in_turn(round: u32) -> impl Iterator<Item = Contender> {
        let first = round as usize % Contender::ALL.len();
        let all = Contender::ALL.into_iter().cycle();
        all.skip(first).take(Contender::ALL.len())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Bare => "bare script",
            Contender::Ansible => "Ansible",
            Contender::Cleanslate => "cleanslate",
        }
    }

    /// Runs one night to its end under `time`, whose own size is nothing: a child inherits the
    /// peak of who forked it. `logs` gets what it printed.
    pub(crate) fn run(self, lab: &Lab, logs: &Path, soak: Duration) -> Result<Night> {
        let (log, usage) = (logs.join(self.file("log")), logs.join(self.file("usage")));
        let time = find("time").context("no time: apt-get install time")?;
        let (time, file) = (time.display().to_string(), usage.display().to_string());
        let under = [time.as_str(), "-f", "%U %S %M", "-o", &file];
        let mut command = self.command(lab, &under, soak)?;
        log_to(&mut command, &log)?;
        let began = Instant::now();
        let status = command
            .status()
            .with_context(|| format!("failed to start {}", self.name()))?;
        let wall = began.elapsed();
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        ensure!(
            status.success(),
            "{}: {status}\n{}",
            self.name(),
            last_lines(&said, 15)
        );
        let usage = std::fs::read_to_string(&usage).context("time wrote nothing")?;
        read_usage(wall, &usage).with_context(|| format!("time wrote {usage:?}"))
    }

    /// Starts one night, in a process group of its own.
    pub(crate) fn start(self, lab: &Lab, logs: &Path, soak: Duration) -> Result<Child> {
        let mut command = self.command(lab, &[], soak)?;
        log_to(&mut command, &logs.join(self.file("log")))?;
        let started = command.process_group(0).spawn();
        started.with_context(|| format!("failed to start {}", self.name()))
    }

    fn command(self, lab: &Lab, under: &[&str], soak: Duration) -> Result<Command> {
        let exe = self.exe()?.display().to_string();
        let mut command = lab.in_core(&[under, &[&exe]].concat());
        match self {
            Contender::Bare => bare_environment(&mut command, lab, soak),
            Contender::Ansible => playbook::tell(&mut command, lab, soak)?,
            Contender::Cleanslate => {
                command
                    .arg("--config")
                    .arg(lab.fleet_dir().join("site.toml"));
                command
                    .arg("--state")
                    .arg(lab.state_dir())
                    .args(["rotate", "nightly"]);
            }
        }
        Ok(command)
    }

    fn exe(self) -> Result<PathBuf> {
        Ok(match self {
            Contender::Bare => Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bare.sh"),
            Contender::Ansible => playbook::ansible_exe()?,
            Contender::Cleanslate => cleanslate_exe(),
        })
    }

    fn file(self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name().replace(' ', "-"))
    }
}

fn bare_environment(command: &mut Command, lab: &Lab, soak: Duration) {
    let site = |engine: &crate::lab::ground::engine::Engine| {
        let socket = engine.socket();
        format!(
            "{} {} unix://{}\n",
            engine.host.site,
            engine.host.v4,
            socket.display()
        )
    };
    let sites: String = lab.engines().iter().map(site).collect();
    command
        .env("SITES", sites.trim_end())
        .env("SERVERS", format!("{PRIMARY} {SECONDARY}"))
        .env("KEY", Bind::key_file(&lab.dir, KEY))
        .env("TTL", lab.spec.ttl.to_string())
        .env("DRAIN", DRAIN.as_secs().to_string())
        .env("SOAK", soak.as_secs().to_string())
        .env("PASSES", PASSES.to_string())
        .envs([("ZONE", ZONE), ("RECORD", RECORD), ("REGISTRY", REGISTRY)])
        .envs([("CHANNEL", "master"), ("PROJECT", FLEET)]);
}

/// `USER SYSTEM PEAK_KIB`, as `time -f '%U %S %M'` writes it.
fn read_usage(wall: Duration, usage: &str) -> Option<Night> {
    let mut numbers = usage.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next()?.ok();
    let cpu_s = next()? + next()?;
    let peak_mb = next()? * 1024.0 / 1e6;
    Some(Night {
        wall,
        cpu_s,
        peak_mb,
        lost: 0,
    })
}
