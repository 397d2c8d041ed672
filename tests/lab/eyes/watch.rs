//! The watcher's process: asks every authoritative server all the time and writes down changes.
//! `lab watch` runs it.

use std::io::Write as _;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hickory_proto::rr::Name;
use serde::{Deserialize, Serialize};

use super::ask::Asker;
use crate::lab::inspect::Answer;

/// What `lab watch` is told on its command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_delimiter = ',', required = true)]
    pub servers: Vec<IpAddr>,
    #[arg(long, value_delimiter = ',', required = true)]
    pub records: Vec<String>,
    /// Milliseconds from one look to the next
    #[arg(long, default_value_t = 20)]
    pub every: u64,
}

/// A server's answer that differs from its last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub at: jiff::Timestamp,
    pub server: IpAddr,
    pub record: String,
    /// `None`: the server gave no answer.
    pub answer: Option<Answer>,
}

/// A server that says nothing for this long is silent.
const PATIENCE: Duration = Duration::from_millis(500);

/// Watches until it is killed: every line is written at once, so there is nothing to finish.
pub fn run(args: &Args) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = args
            .servers
            .iter()
            .map(|server| scope.spawn(|| watch(*server, args)))
            .collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread that watches panicked"))??;
        }
        Ok(())
    })
}

fn watch(server: IpAddr, args: &Args) -> Result<()> {
    let asker = Asker::new(server, PATIENCE)?;
    let mut last: Vec<(&String, Name, Option<Option<Answer>>)> = Vec::new();
    for record in &args.records {
        last.push((record, Name::from_str(record)?, None));
    }
    let every = Duration::from_millis(args.every);
    let mut due = Instant::now();
    loop {
        for (record, name, before) in &mut last {
            let answer = asker.look(name).ok();
            if before.as_ref() != Some(&answer) {
                print(&Change {
                    at: jiff::Timestamp::now(),
                    server,
                    record: (*record).clone(),
                    answer: answer.clone(),
                })?;
                *before = Some(answer);
            }
        }
        // Not a fixed pause: looks stay on their beat, and are not made up for after a silence.
        due = (due + every).max(Instant::now());
        std::thread::sleep(due - Instant::now());
    }
}

fn print(change: &Change) -> Result<()> {
    let mut line = serde_json::to_vec(change)?;
    line.push(b'\n');
    std::io::stdout()
        .lock()
        .write_all(&line)
        .context("nobody reads what the watcher sees")
}
