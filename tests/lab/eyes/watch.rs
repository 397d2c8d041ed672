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

/// A server's answer that differs from its last one. Those of one look at several records have the
/// same time, and show one version of the zone.
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
    let names = args.records.iter().map(|record| Name::from_str(record));
    let names: Vec<Name> = names.collect::<Result<_, _>>()?;
    let mut last: Vec<Option<Option<Answer>>> = vec![None; names.len()];
    let every = Duration::from_millis(args.every);
    let mut due = Instant::now();
    loop {
        let answers = match asker.look_at(&names) {
            Ok(answers) => answers.into_iter().map(Some).collect(),
            Err(_) => vec![None; names.len()],
        };
        let at = jiff::Timestamp::now();
        let mut changes = Vec::new();
        for ((record, before), answer) in args.records.iter().zip(&mut last).zip(answers) {
            if before.as_ref() != Some(&answer) {
                changes.push(Change {
                    at,
                    server,
                    record: record.clone(),
                    answer: answer.clone(),
                });
                *before = Some(answer);
            }
        }
        print(&changes)?;
        // Not a fixed pause: looks stay on their beat, and are not made up for after a silence.
        due = (due + every).max(Instant::now());
        std::thread::sleep(due - Instant::now());
    }
}

/// All changes of a look in one write, so that nobody reads half of it.
fn print(changes: &[Change]) -> Result<()> {
    let mut lines = Vec::new();
    for change in changes {
        serde_json::to_writer(&mut lines, change)?;
        lines.push(b'\n');
    }
    std::io::stdout()
        .lock()
        .write_all(&lines)
        .context("nobody reads what the watcher sees")
}
