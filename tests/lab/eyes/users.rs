//! The users of a lab's fleet, as a test starts and stops them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::tally::{Line, Live, Lost, Report};
use crate::lab::Lab;
use crate::lab::ground::program::{run, wait_until};
use crate::lab::spec::{LabSpec, PRIMARY, RECORD, SECONDARY};

/// What the users do.
#[derive(Clone, Debug)]
pub struct Load {
    /// Requests a second, of all users together.
    pub rate: u32,
    pub users: usize,
    /// How many of them keep connections; the others open one for each request.
    pub keep_alive: usize,
    /// How many of them use IPv6.
    pub ipv6: usize,
    pub record: String,
    pub path: String,
    /// What every good page begins with.
    pub expect: String,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rate: 300,
            users: 50,
            keep_alive: 0,
            ipv6: 0,
            record: RECORD.to_owned(),
            path: "/".to_owned(),
            expect: "version=".to_owned(),
        }
    }
}

/// Users at work, in a process of their own. Dropped, they are killed and nobody hears of them.
pub struct Users {
    process: Child,
    output: PathBuf,
    spec: LabSpec,
}

/// What the users found. Displayed, it is what a person wants to read of it.
#[derive(Clone, Debug)]
pub struct UsersReport {
    pub seconds: f64,
    pub sent: u64,
    pub ok: u64,
    pub lost: Vec<Lost>,
    /// Requests whose kept connection had been closed, and that went well over a new one.
    pub reopened: u64,
    /// Microseconds from when a request was due to the end of its answer.
    pub latency: super::tally::Latency,
    pub by_site: BTreeMap<String, SiteShare>,
}

/// One site's part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteShare {
    pub ok: u64,
    pub lost: u64,
    /// Answers by the version that the pages said they are.
    pub versions: BTreeMap<String, u64>,
}

impl Users {
    /// Starts `users` users who make `rate` requests a second together.
    pub fn start(lab: &Lab, rate: u32, users: usize) -> Result<Self> {
        Self::start_with(
            lab,
            &Load {
                rate,
                users,
                ..Load::default()
            },
        )
    }

    /// Starts users and waits until the first second of theirs is counted.
    pub fn start_with(lab: &Lab, load: &Load) -> Result<Self> {
        let output = lab.dir.join(format!("users-{}.jsonl", next_number()));
        let exe = crate::lab::fleet::runner::lab_exe()?.display().to_string();
        let mut users = lab.in_core(&["setsid", &exe, "users"]);
        users.arg("--servers").arg(format!("{PRIMARY},{SECONDARY}"));
        users.args([
            "--record",
            &load.record,
            "--path",
            &load.path,
            "--expect",
            &load.expect,
        ]);
        let numbers = [
            ("--rate", load.rate as usize),
            ("--users", load.users),
            ("--keep-alive", load.keep_alive),
            ("--ipv6", load.ipv6),
        ];
        for (flag, number) in numbers {
            users.arg(flag).arg(number.to_string());
        }
        let file = File::create(&output).context("failed to make the users' file")?;
        let process = users
            .stdout(file)
            .spawn()
            .context("failed to start the users")?;
        let users = Self {
            process,
            output,
            spec: lab.spec.clone(),
        };
        let begun = || users.live().sent > 0;
        wait_until("the users begin", Duration::from_secs(10), begun)?;
        Ok(users)
    }

    /// The counters of a second ago.
    pub fn live(&self) -> Live {
        let last = lines(&self.output)
            .into_iter()
            .rev()
            .find_map(|line| match line {
                Line::Live(live) => Some(live),
                Line::Report(_) => None,
            });
        last.unwrap_or_default()
    }

    /// Stops them, waits for the answers that are due, and counts.
    pub fn stop(mut self) -> Result<UsersReport> {
        run(&["kill", "-TERM", &self.process.id().to_string()])?;
        self.process
            .wait()
            .context("failed to wait for the users")?;
        let report = lines(&self.output).into_iter().find_map(|line| match line {
            Line::Report(report) => Some(report),
            Line::Live(_) => None,
        });
        let report = report.context("the users ended without a report")?;
        Ok(UsersReport::new(report, &self.spec))
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("failed to end the users: {error}");
        }
    }
}

impl UsersReport {
    fn new(report: Report, spec: &LabSpec) -> Self {
        let mut by_site: BTreeMap<String, SiteShare> = BTreeMap::new();
        for (site, versions) in report.by_site {
            let ok = versions.values().sum();
            by_site.insert(
                site,
                SiteShare {
                    ok,
                    lost: 0,
                    versions,
                },
            );
        }
        for lost in &report.lost {
            let site = lost.address.and_then(|address| spec.site_of(address));
            by_site
                .entry(site.unwrap_or_else(|| "?".to_owned()))
                .or_default()
                .lost += 1;
        }
        Self {
            seconds: report.seconds,
            sent: report.sent,
            ok: report.ok,
            lost: report.lost,
            reopened: report.reopened,
            latency: report.latency,
            by_site,
        }
    }
}

impl fmt::Display for UsersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u32| f64::from(us) / 1000.0;
        let lost = self.lost.len();
        writeln!(
            f,
            "{} requests in {:.1} s, {lost} lost",
            self.sent, self.seconds
        )?;
        let latency = self.latency;
        let (p50, p99, max) = (ms(latency.p50), ms(latency.p99), ms(latency.max));
        writeln!(
            f,
            "latency p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms"
        )?;
        for (site, share) in &self.by_site {
            writeln!(
                f,
                "{site}: {} answered {:?}, {} lost",
                share.ok, share.versions, share.lost
            )?;
        }
        for lost in self.lost.iter().take(10) {
            writeln!(f, "lost {lost:?}")?;
        }
        Ok(())
    }
}

fn lines(output: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(output).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Files of users and watchers of one process are told apart by a number.
pub fn next_number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
