//! Who is measured, and what a night of theirs took.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::lab::fleet::files::FLEET;
use crate::lab::fleet::runner::cleanslate_exe;
use crate::lab::ground::bind::{Bind, KEY};
use crate::lab::ground::program::{find, last_lines};
use crate::lab::spec::{PRIMARY, RECORD, REGISTRY, SECONDARY, ZONE};
use crate::round::{DRAIN, PASSES, SOAK};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Bare,
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
}

impl Contender {
    pub(crate) const BOTH: [Contender; 2] = [Contender::Bare, Contender::Cleanslate];

    /// Who goes first changes from round to round.
    pub(crate) fn in_turn(round: u32) -> [Contender; 2] {
        let [one, other] = Contender::BOTH;
        if round.is_multiple_of(2) {
            [one, other]
        } else {
            [other, one]
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Bare => "bare script",
            Contender::Cleanslate => "cleanslate",
        }
    }

    /// Runs one night to its end; `logs` gets what it printed.
    pub(crate) fn run(self, lab: &Lab, logs: &Path) -> Result<Night> {
        let (log, usage) = (logs.join(self.file("log")), logs.join(self.file("usage")));
        let mut command = self.command(lab, &usage)?;
        let output = File::create(&log).context("failed to make the log")?;
        command
            .stdout(output.try_clone().context("failed to share the log")?)
            .stderr(output);
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

    /// Under `time`, whose own size is nothing: a child inherits the peak of who forked it.
    fn command(self, lab: &Lab, usage: &Path) -> Result<Command> {
        let time = find("time").context("no time: apt-get install time")?;
        let (time, usage) = (time.display().to_string(), usage.display().to_string());
        let mut argv = vec![time.as_str(), "-f", "%U %S %M", "-o", &usage];
        let exe = self.exe().display().to_string();
        argv.push(&exe);
        let mut command = lab.in_core(&argv);
        match self {
            Contender::Bare => bare_environment(&mut command, lab),
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

    fn exe(self) -> PathBuf {
        match self {
            Contender::Bare => Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bare.sh"),
            Contender::Cleanslate => cleanslate_exe(),
        }
    }

    fn file(self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name().replace(' ', "-"))
    }
}

fn bare_environment(command: &mut Command, lab: &Lab) {
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
        .env("SOAK", SOAK.as_secs().to_string())
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
    })
}
