//! The processes of a namespace, found in `/proc`: the lab keeps no list that could be wrong.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use super::program;

/// A living process and the namespaces that tell whose it is.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    /// The kernel's name of it, cut at 15 characters.
    pub name: String,
    net: u64,
    pid_namespace: u64,
    parent: u32,
    depth: usize,
    innermost_pid: u32,
}

/// Every process that runs in one of these network namespaces (by inode).
pub fn in_networks(networks: &BTreeSet<u64>) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| networks.contains(&process.net))
        .collect()
}

/// The inode of a named network namespace; `None` when there is none of that name.
pub fn network(name: &str) -> Option<u64> {
    fs::metadata(Path::new("/run/netns").join(name))
        .ok()
        .map(|metadata| metadata.ino())
}

/// The init of the machine in this network namespace: pid 1 of the first process namespace
/// below ours. A container's first process lies one level deeper.
pub fn init_of(network: u64) -> Option<Process> {
    let ours = Process::read(std::process::id())?.depth;
    in_networks(&BTreeSet::from([network]))
        .into_iter()
        .find(|process| process.innermost_pid == 1 && process.depth == ours + 1)
}

/// Every process of a machine, those of its containers included, except its init and the
/// `sleep` that the init waits for.
pub fn of_machine(init: &Process) -> Vec<Process> {
    let all = all();
    let own = all
        .iter()
        .filter(|process| process.pid_namespace == init.pid_namespace);
    let mut inside = with_children(own.map(|process| process.pid).collect());
    inside.remove(&init.pid);
    let waits = |process: &Process| process.parent == init.pid && process.name == "sleep";
    all.into_iter()
        .filter(|it| inside.contains(&it.pid) && !waits(it))
        .collect()
}

/// The process of this name in a network namespace.
pub fn named(network: u64, name: &str) -> Option<Process> {
    in_networks(&BTreeSet::from([network]))
        .into_iter()
        .find(|process| process.name == name)
}

/// Sends a signal (`"KILL"`, `"STOP"`) to each; one that is gone already is no error.
pub fn signal(signal: &str, processes: &[Process]) -> Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    let mut argv = vec!["kill".to_owned(), format!("-{signal}")];
    argv.extend(processes.iter().map(|process| process.pid.to_string()));
    let argv: Vec<_> = argv.iter().map(String::as_str).collect();
    let still_there = |process: &Process| Process::read(process.pid).is_some();
    match program::run(&argv) {
        Err(error) if signal != "KILL" && processes.iter().all(still_there) => Err(error),
        _ => Ok(()),
    }
}

/// When a process started, in the kernel's ticks: with the pid it is never the same twice.
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// These pids and all below them in the tree of parents: a container has namespaces of its own,
/// but its first process is the child of a shim, which is in the machine's.
fn with_children(mut inside: BTreeSet<u32>) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = all().iter().map(|it| (it.pid, it.parent)).collect();
    loop {
        let before = inside.len();
        let children = parents.iter().filter(|(_, parent)| inside.contains(parent));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        inside.extend(children);
        if inside.len() == before {
            return inside;
        }
    }
}

fn all() -> Vec<Process> {
    pids().filter_map(Process::read).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn status_field(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().to_owned())
}

impl Process {
    /// `None` for a process that ended meanwhile, and for a zombie, which is in no namespace.
    fn read(pid: u32) -> Option<Self> {
        let pids = status_field(pid, "NSpid:")?;
        let pids: Vec<u32> = pids
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect();
        Some(Self {
            pid,
            name: fs::read_to_string(format!("/proc/{pid}/comm"))
                .ok()?
                .trim()
                .to_owned(),
            net: fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino(),
            pid_namespace: fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino(),
            parent: status_field(pid, "PPid:")?.parse().ok()?,
            depth: pids.len(),
            innermost_pid: *pids.last()?,
        })
    }
}
