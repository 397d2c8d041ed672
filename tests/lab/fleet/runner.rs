//! Running `cleanslate`, and the lab's own executable, in the lab.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::lab::ground::program::finish;

impl Lab {
    /// The folder that [`Lab::write_fleet`] fills by default.
    pub fn fleet_dir(&self) -> PathBuf {
        self.dir.join("fleet")
    }

    /// The store of the `cleanslate` that [`Lab::cleanslate`] runs.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// `cleanslate` on this lab's fleet, with the network of the core. The process started is
    /// the program itself, so a test may kill it.
    pub fn cleanslate(&self, args: &[&str]) -> Command {
        self.cleanslate_on("core", &self.fleet_dir(), &self.state_dir(), args)
    }

    /// The same on another machine (a desk, `ops1`) with a store elsewhere: a second coordinator.
    pub fn cleanslate_on(
        &self,
        machine: &str,
        fleet: &Path,
        state: &Path,
        args: &[&str],
    ) -> Command {
        let mut command = self.on(machine, &[&cleanslate_exe().display().to_string()]);
        command
            .arg("--config")
            .arg(fleet.join("site.toml"))
            .arg("--state")
            .arg(state);
        command
            .args(args)
            .current_dir(fleet)
            .env("RUST_BACKTRACE", "1");
        command
    }
}

/// The program under test: cargo's word for it, else the one beside this executable.
pub fn cleanslate_exe() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_cleanslate") {
        Some(path) => PathBuf::from(path),
        None => profile_dir().map_or_else(|_| "cleanslate".into(), |dir| dir.join("cleanslate")),
    }
}

/// The lab's executable: this very one, or the example beside the tests, built anew when its
/// sources are younger (`cargo test --test it` builds no examples).
pub fn lab_exe() -> Result<PathBuf> {
    static EXE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = EXE.get_or_init(|| find_lab_exe().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn find_lab_exe() -> Result<PathBuf> {
    let ours = std::env::current_exe().context("failed to find this executable")?;
    if ours.file_name().is_some_and(|name| name == "lab") {
        return Ok(ours);
    }
    let profile = profile_dir()?;
    let exe = profile.join("examples/lab");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
    if modified(&exe) < newest(&sources) {
        build(&profile).context("failed to build the lab: run `cargo build --example lab`")?;
    }
    ensure!(
        exe.is_file(),
        "no {}: run `cargo build --example lab`",
        exe.display()
    );
    Ok(exe)
}

fn build(profile: &Path) -> Result<()> {
    let name = profile
        .file_name()
        .and_then(|name| name.to_str())
        .context("no profile folder")?;
    let target = profile.parent().context("no target folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--example", "lab", "--profile"]);
    build
        .arg(if name == "debug" { "dev" } else { name })
        .arg("--target-dir")
        .arg(target);
    // What cargo tells a test about its package would make build scripts think that their
    // environment changed, and half of the dependencies would be built anew.
    let told = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "OUT_DIR",
    ];
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| told.iter().any(|told| name.starts_with(told)))
        {
            build.env_remove(name);
        }
    }
    finish(build.current_dir(env!("CARGO_MANIFEST_DIR"))).map(drop)
}

/// `target/debug`, from `target/debug/deps/it-…` or `target/debug/examples/lab`.
fn profile_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("failed to find this executable")?;
    let dir = exe
        .parent()
        .and_then(Path::parent)
        .context("this executable is in no target")?;
    Ok(dir.to_owned())
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    entries
        .filter_map(|path| {
            if path.is_dir() {
                newest(&path)
            } else {
                modified(&path)
            }
        })
        .max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
