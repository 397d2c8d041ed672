//! A program at the coordinator: run without a shell, heard, and ended with all it started.
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How much of what the command prints last is kept for the problem.
const OUTPUT_BYTES: usize = 2048;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A child of the command may hold its output open for ever; it is not waited for longer.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// How it ended, and the last of what it printed.
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) output: Output,
}

pub(super) enum End {
    With(ExitStatus),
    OutOfTime,
}

/// Runs a program with its words and more environment. After `within`, and when this is dropped, it
/// and all it started are killed: those in its process group, which a program leaves only on
/// purpose.
///
/// # Errors
/// It cannot be run, or not be waited for.
pub(super) async fn run(
    words: &[String],
    environment: &[(&str, String)],
    within: Duration,
) -> Result<Ran, String> {
    let (child, group) = start(words, environment)?;
    let mut output = Output::default();
    let end = match timeout(within, wait(child, &mut output)).await {
        Ok(Ok(status)) => {
            // What ended well may leave running what is meant to run.
            if status.success() {
                group.forget();
            }
            End::With(status)
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => {
            group.terminate().await;
            End::OutOfTime
        }
    };
    Ok(Ran { end, output })
}

fn start(words: &[String], environment: &[(&str, String)]) -> Result<(Child, Group), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("it is empty".to_owned());
    };
    let child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(id.and_then(Pid::from_raw));
    Ok((child, group))
}

async fn wait(mut child: Child, output: &mut Output) -> std::io::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = output.fill(stdout, stderr);
    tokio::pin!(reading);
    let status = tokio::select! {
        status = child.wait() => status?,
        () = &mut reading => return child.wait().await,
    };
    // What was printed before the end is still in the pipes.
    drop(timeout(LAST_OUTPUT_WITHIN, reading).await);
    Ok(status)
}

/// The process group of the command; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    async fn terminate(self) {
        self.signal(Signal::TERM);
        tokio::time::sleep(GRACE).await;
    }

    fn forget(mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, ?group, "a command could not be signalled");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The last bytes of what was printed.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Output {
    async fn fill(
        &mut self,
        stdout: Option<impl AsyncRead + Unpin>,
        stderr: Option<impl AsyncRead + Unpin>,
    ) {
        let (mut stdout, mut stderr) = (stdout, stderr);
        let (mut from_stdout, mut from_stderr) = ([0; 1024], [0; 1024]);
        while stdout.is_some() || stderr.is_some() {
            tokio::select! {
                read = read_some(&mut stdout, &mut from_stdout) => self.push(&from_stdout[..read]),
                read = read_some(&mut stderr, &mut from_stderr) => self.push(&from_stderr[..read]),
            }
        }
    }

    fn push(&mut self, printed: &[u8]) {
        self.bytes.extend_from_slice(printed);
        let too_many = self.bytes.len().saturating_sub(OUTPUT_BYTES);
        self.is_cut |= too_many > 0;
        self.bytes.drain(..too_many);
    }

    /// The last line that says something: a command gives its reason last.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        line(text.lines().rev().find(|line| !line.trim().is_empty())?)
    }

    /// `, and printed "…"`, escaped: it goes to a terminal.
    pub(super) fn quoted(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim();
        match (text.is_empty(), self.is_cut) {
            (true, _) => ", and printed nothing".to_owned(),
            (false, false) => format!(", and printed {text:?}"),
            (false, true) => format!(", and printed at last {text:?}"),
        }
    }
}

/// Some bytes; at the end of the stream none, and the stream is gone. Without a stream: never.
async fn read_some(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = stream else {
        return std::future::pending().await;
    };
    let read = open.read(buffer).await.unwrap_or(0);
    if read == 0 {
        *stream = None;
    }
    read
}

/// Where a program is that a command names, if it may be run: on the `PATH`, unless it says where.
pub fn find(program: &str) -> Option<PathBuf> {
    let may_run = |path: &PathBuf| {
        let metadata = path.metadata().ok();
        metadata.is_some_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(may_run);
    }
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found.find(may_run)
}

/// A line of somebody else's, without what a terminal would obey; `None`: nothing is left.
pub(super) fn line(text: &str) -> Option<String> {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}
