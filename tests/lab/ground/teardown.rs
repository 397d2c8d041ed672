//! Tearing a lab down to nothing, whoever does it and however often.
//!
//! All that is needed is the lab's id: what belongs to it is found by its namespaces, its folder
//! and its cgroup. So it works for the lab's owner, for the reaper after the owner's death, and
//! for anybody who meets a stale lab later.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::processes;
use super::program::run;

/// The folder of all labs of this machine. One for all, so that a lab is never taken for stale
/// by somebody who looks for its folder elsewhere.
pub fn base() -> PathBuf {
    "/tmp/cleanslate-lab".into()
}

/// The folder of one lab.
pub fn dir_of(id: &str) -> PathBuf {
    base().join(id)
}

/// Ends every process of the lab and removes every trace of it. Does nothing when there is none.
pub fn tear_down(id: &str) -> Result<()> {
    let dir = dir_of(id);
    // Two at the same time (owner and reaper) would trip over each other.
    let lock = File::open(&dir).ok();
    if let Some(lock) = &lock {
        lock.lock().context("failed to lock the lab's folder")?;
    }
    kill_all(id)?;
    unmount_below(&dir)?;
    for namespace in namespaces(id) {
        run(&["ip", "netns", "del", &namespace])?;
    }
    remove_cgroups(id)?;
    remove_dir(&dir)
}

/// What is left of a lab, a line each; empty after [`tear_down`].
pub fn leftovers(id: &str) -> Vec<String> {
    let mut left: Vec<String> = namespaces(id)
        .into_iter()
        .map(|name| format!("namespace {name}"))
        .collect();
    let dir = dir_of(id);
    if dir.exists() {
        left.push(format!("folder {}", dir.display()));
    }
    left.extend(
        mounts_below(&dir)
            .into_iter()
            .map(|mount| format!("mount {mount}")),
    );
    left.extend(
        cgroups(id)
            .into_iter()
            .map(|cgroup| format!("cgroup {}", cgroup.display())),
    );
    left.extend(
        mentions(&dir)
            .into_iter()
            .map(|process| format!("process {process}")),
    );
    left
}

/// The ids of all labs of which something exists.
pub fn all_ids() -> BTreeSet<String> {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    };
    let folders = names(&base()).into_iter().filter(|name| is_id(name));
    let spaces = names(Path::new("/run/netns"))
        .into_iter()
        .filter_map(|name| {
            let (id, _) = name.strip_prefix("cs")?.split_once('-')?;
            is_id(id).then(|| id.to_owned())
        });
    folders.chain(spaces).collect()
}

/// Four hexadecimal digits: the folder of labs also holds the cache of images.
fn is_id(name: &str) -> bool {
    name.len() == 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn namespaces(id: &str) -> Vec<String> {
    let prefix = format!("cs{id}-");
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

/// Kills what runs in the lab's networks, and waits for what runs deeper: the kernel ends the
/// containers with their machine's init, but takes its time.
fn kill_all(id: &str) -> Result<()> {
    let networks: BTreeSet<u64> = namespaces(id)
        .iter()
        .filter_map(|name| processes::network(name))
        .collect();
    let inits = networks
        .iter()
        .filter_map(|network| processes::init_of(*network));
    let mut doomed: Vec<_> = inits
        .flat_map(|init| processes::of_machine(&init))
        .collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut living = processes::in_networks(&networks);
        living.retain(|process| process.pid != std::process::id());
        processes::signal("KILL", &living)?;
        doomed.extend(living.iter().cloned());
        doomed.retain(|process| processes::started(process.pid).is_some());
        if living.is_empty() && doomed.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "processes of lab {id} do not die: {doomed:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn mounts_below(dir: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    targets
        .filter(|target| Path::new(target).starts_with(dir))
        .map(str::to_owned)
        .collect()
}

fn unmount_below(dir: &Path) -> Result<()> {
    for mount in mounts_below(dir).iter().rev() {
        run(&["umount", "--lazy", mount])?;
    }
    Ok(())
}

/// The lab's own cgroup in every hierarchy (cgroup v1) or in the one (v2).
fn cgroups(id: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let entries = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let name = format!("cs{id}");
    entries
        .chain([root.to_owned()])
        .map(|it| it.join(&name))
        .filter(|it| it.is_dir())
        .collect()
}

fn remove_cgroups(id: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    for cgroup in cgroups(id) {
        // The kernel lets go of a dead process's group a moment after the process is gone.
        while let Err(error) = remove_cgroup(&cgroup) {
            ensure!(
                Instant::now() < deadline,
                "failed to remove {}: {error}",
                cgroup.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// A cgroup folder holds files that cannot be removed: only folders are, innermost first.
fn remove_cgroup(cgroup: &Path) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return Ok(());
    };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path())?;
    }
    match fs::remove_dir(cgroup) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_dir(dir: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir_all(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("failed to remove {}", dir.display()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Processes whose command line names the lab's folder.
fn mentions(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&dir)).collect()
}
