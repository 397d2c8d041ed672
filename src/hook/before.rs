//! The playbook's command, run at the coordinator before anything of a site is stopped.
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::coordinator::outcome::Problem;
use crate::model::id::SiteName;
use crate::model::playbook::Before;

/// How much of what the command prints last is kept for the problem.
const OUTPUT_BYTES: usize = 2048;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A child of the command may hold its output open for ever; it is not waited for longer.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// Runs the command, without a shell, with `{site}` replaced in each of its words, and waits for
/// exit 0. After `before.within`, and when this is dropped, it and all it started are killed:
/// those in its process group, which a command leaves only on purpose.
pub async fn run_before(before: &Before, site: &SiteName) -> Result<(), Problem> {
    let words: Vec<String> = before
        .command
        .iter()
        .map(|word| word.replace("{site}", site.as_str()))
        .collect();
    let shown = words.join(" ");
    let (child, group) = start(&words).map_err(|why| Problem {
        what: format!("{site}: before = {shown:?} cannot be run: {why}"),
        cure: "correct [recreate].before in the playbook: a program and its words, no shell".into(),
        is_transient: false,
    })?;
    let mut output = Output::default();
    let ended = timeout(before.within, wait(child, &mut output)).await;
    let (how, is_transient) = match ended {
        Ok(Ok(status)) if status.success() => {
            group.forget();
            return Ok(());
        }
        Ok(Ok(status)) => (format!("ended with {status}"), false),
        Ok(Err(error)) => (format!("cannot be waited for: {error}"), false),
        Err(_) => {
            group.terminate().await;
            let within = before.within;
            (
                format!("was not done within {within:?} and was killed"),
                true,
            )
        }
    };
    Err(Problem {
        what: format!("{site}: before = {shown:?} {how}{}", output.quoted()),
        cure: format!("run it by hand at the coordinator, and look at why it fails: {shown}"),
        is_transient,
    })
}

fn start(words: &[String]) -> Result<(Child, Group), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("it is empty".to_owned());
    };
    let child = Command::new(program)
        .args(arguments)
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

    /// It ended well: what it left running is meant to run.
    fn forget(mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, ?group, "the command of before could not be signalled");
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
struct Output {
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

    /// `, and printed "…"`, escaped: it goes to a terminal.
    fn quoted(&self) -> String {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test]
    async fn a_command_gets_the_site_in_each_word_and_no_shell() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fra;$HOME");
        let word = format!("{}/{{site}};$HOME", dir.path().display());
        assert_eq!(run(&["touch", &word], "10s").await, Ok(()));
        assert!(file.exists());
    }

    #[tokio::test]
    async fn a_failure_is_told_with_what_was_printed_escaped() {
        let script = r"printf 'no room\033[2J left'; echo in {site} >&2; exit 3";
        let problem = run(&["sh", "-c", script], "10s").await.unwrap_err();
        assert!(
            problem.what.starts_with("fra: before = \"sh -c printf"),
            "{problem:?}"
        );
        assert!(
            problem.what.contains("ended with exit status: 3"),
            "{problem:?}"
        );
        assert!(
            problem.what.contains(r"no room\u{1b}[2J left"),
            "{problem:?}"
        );
        assert!(problem.what.contains("in fra"), "{problem:?}");
        assert!(!problem.is_transient);
    }

    #[tokio::test]
    async fn output_without_end_is_bounded() {
        let script = "yes | head -c 1000000; echo last; exit 1";
        let problem = run(&["sh", "-c", script], "10s").await.unwrap_err();
        assert!(problem.what.contains("printed at last"), "{problem:?}");
        assert!(problem.what.ends_with("last\""), "{problem:?}");
        assert!(problem.what.len() < 8_000);
    }

    #[tokio::test]
    async fn a_command_out_of_time_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        // The child ignores SIGTERM; both must be gone.
        let script = format!(
            "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $! $$ > {}; wait",
            pids.display()
        );
        let problem = run(&["sh", "-c", &script], "500ms").await.unwrap_err();
        assert!(
            problem
                .what
                .contains("not done within 500ms and was killed"),
            "{problem:?}"
        );
        assert!(problem.is_transient);
        assert_gone(&pids).await;
    }

    #[tokio::test]
    async fn a_command_called_off_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("echo $$ > {}; sleep 60", pids.display());
        let command = ["sh", "-c", &script];
        let running = timeout(Duration::from_millis(500), run(&command, "60s"));
        assert!(running.await.is_err());
        assert_gone(&pids).await;
    }

    #[tokio::test]
    async fn a_child_that_holds_the_output_open_does_not_hold_us() {
        let started = Instant::now();
        assert_eq!(run(&["sh", "-c", "sleep 5 &"], "10s").await, Ok(()));
        assert!(started.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn what_cannot_be_run_says_so() {
        for command in [&["/nonexistent/backup"] as &[&str], &[]] {
            let problem = run(command, "1s").await.unwrap_err();
            assert!(problem.what.contains("cannot be run"), "{problem:?}");
            assert!(problem.cure.contains("[recreate].before"), "{problem:?}");
        }
    }

    async fn run(command: &[&str], within: &str) -> Result<(), Problem> {
        let within: jiff::SignedDuration = within.parse().unwrap();
        let before = Before {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            within: within.try_into().unwrap(),
        };
        run_before(&before, &"fra".parse().unwrap()).await
    }

    async fn assert_gone(pids: &Path) {
        let pids = std::fs::read_to_string(pids).unwrap();
        assert!(!pids.trim().is_empty());
        for pid in pids.split_whitespace() {
            let mut is_there = true;
            for _ in 0..100 {
                // A killed process stays in /proc until it is reaped.
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                is_there = stat.is_ok_and(|stat| !stat.contains(") Z "));
                if !is_there {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
            assert!(!is_there, "process {pid} is still there");
        }
    }
}
