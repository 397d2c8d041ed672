//! What the users count, and how they tell it to who started them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::request::Reason;

/// A line that `lab users` prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Live(Live),
    Report(Report),
}

/// Counters while the users are at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub sent: u64,
    pub ok: u64,
    pub lost: u64,
}

/// Everything that was counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub seconds: f64,
    pub sent: u64,
    pub ok: u64,
    pub lost: Vec<Lost>,
    /// Requests whose kept connection had been closed, and that went well over a new one.
    pub reopened: u64,
    pub latency: Latency,
    /// Answers by address; a lost request is counted in `lost` alone.
    pub by_address: BTreeMap<IpAddr, u64>,
    /// Answers by what the pages said of themselves: site, then version.
    pub by_site: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A request that got no good answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub at: String,
    /// Since the users started.
    pub after_ms: u64,
    pub reason: Reason,
    pub address: Option<IpAddr>,
    /// How old the cached answer was that the address came from.
    pub cached_for_ms: u64,
    pub ttl_ms: u64,
}

/// From when a request was due to the end of its answer, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: u32,
    pub p99: u32,
    pub max: u32,
}

/// The counters of a running load.
#[derive(Default)]
pub struct Tally {
    pub sent: u64,
    pub lost: Vec<Lost>,
    pub reopened: u64,
    latencies: Vec<u32>,
    by_address: BTreeMap<IpAddr, u64>,
    by_site: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Tally {
    pub fn answered(&mut self, address: Option<IpAddr>, body: &str, latency: Duration) {
        self.latencies
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        if let Some(address) = address {
            *self.by_address.entry(address).or_default() += 1;
        }
        let word = |key: &str| {
            let found = body
                .split_whitespace()
                .find_map(|word| word.strip_prefix(key));
            found.unwrap_or("?").to_owned()
        };
        let versions = self.by_site.entry(word("site=")).or_default();
        *versions.entry(word("version=")).or_default() += 1;
    }

    /// Requests of which the end is not known.
    pub fn open(&self) -> u64 {
        let live = self.live();
        live.sent - live.ok - live.lost
    }

    pub fn print_live(&self) -> Result<()> {
        print(&Line::Live(self.live()))
    }

    pub fn print_report(&self, elapsed: Duration) -> Result<()> {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let at = |percent: usize| {
            latencies.get((latencies.len() * percent / 100).min(latencies.len().saturating_sub(1)))
        };
        print(&Line::Report(Report {
            seconds: elapsed.as_secs_f64(),
            sent: self.sent,
            ok: self.live().ok,
            lost: self.lost.clone(),
            reopened: self.reopened,
            latency: Latency {
                p50: at(50).copied().unwrap_or(0),
                p99: at(99).copied().unwrap_or(0),
                max: latencies.last().copied().unwrap_or(0),
            },
            by_address: self.by_address.clone(),
            by_site: self.by_site.clone(),
        }))
    }

    fn live(&self) -> Live {
        let (ok, lost) = (self.latencies.len() as u64, self.lost.len() as u64);
        Live {
            sent: self.sent,
            ok,
            lost,
        }
    }
}

/// In one write, so that a reader of the file never meets half a line for long.
fn print(line: &Line) -> Result<()> {
    use std::io::Write as _;
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}
