//! Running other programs: to their end with a readable error, or as servers with a log file.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The programs that a lab needs, and the Debian package of each.
const NEEDED: [(&str, &str); 14] = [
    ("named", "bind9"),
    ("dockerd", "docker.io"),
    ("docker-compose", "docker-compose"),
    ("docker-registry", "docker-registry"),
    ("nginx", "nginx-light"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("kill", "procps"),
    ("ldd", "libc-bin"),
];

/// Debian's `sbin` folders are not on every user's path.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Fails, naming every missing program with its cure, before anything is made.
pub fn check_installed() -> Result<()> {
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(program, package)| format!("{program} (Debian package {package})"))
        .collect();
    ensure!(
        missing.is_empty(),
        "the lab needs {}; install with: bash tests/lab/install.sh (make setup)",
        missing.join(", ")
    );
    Ok(())
}

/// Where a program is, looked up in [`PATH`].
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
}

/// A command with the lab's path and nothing on its standard input.
pub fn command(argv: &[&str]) -> Command {
    let mut command = Command::new(find(argv[0]).unwrap_or_else(|| argv[0].into()));
    command
        .args(&argv[1..])
        .env("PATH", PATH)
        .stdin(Stdio::null());
    command
}

/// Runs to the end and returns what it printed; a failure shows the command and its last words.
pub fn run(argv: &[&str]) -> Result<String> {
    finish(&mut command(argv)).with_context(|| format!("failed to run `{}`", argv.join(" ")))
}

/// Gives a folder a disk of its own (`"300m"`), gone with the last process that has it.
pub fn mount_disk(folder: &Path, size: &str) -> Result<()> {
    let (folder, size) = (folder.display().to_string(), format!("size={size}"));
    run(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &folder]).map(drop)
}

/// As [`run`], for a command that was put together before.
pub fn finish(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("failed to start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}{}", output.status, stderr.trim(), stdout.trim());
    }
    Ok(stdout)
}

/// Sends all output of a server to `log`, appending.
pub fn log_to(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("failed to open {}", log.display()))?;
    command
        .stdout(file.try_clone().context("failed to share the log file")?)
        .stderr(file);
    Ok(())
}

/// Looks every 10 ms until `ready` says so; an error names what was awaited.
pub fn wait_until(what: &str, within: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + within;
    while !ready() {
        ensure!(
            Instant::now() < deadline,
            "{what} within {within:?}: did not happen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits until a server's log has `words` after byte `from`; an error shows the log's end.
pub fn wait_for_log(log: &Path, from: u64, words: &str, within: Duration) -> Result<()> {
    let what = format!("\"{words}\" in {}", log.display());
    wait_until(&what, within, || tail_from(log, from).contains(words))
        .with_context(|| format!("the log ends:\n{}", last_lines(&tail_from(log, from), 15)))
}

/// Length of a file; 0 when it is not there.
pub fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn tail_from(log: &Path, from: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
