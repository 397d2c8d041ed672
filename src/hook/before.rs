//! The playbook's command, run at the coordinator before anything of a site is stopped.
use super::process::{End, run};
use crate::coordinator::outcome::Problem;
use crate::model::id::SiteName;
use crate::model::playbook::Before;

/// Runs the command, without a shell, with `{site}` replaced in each of its words, and waits for
/// exit 0. After `before.within`, and when this is dropped, it and all it started are killed:
/// those in its process group, which a command leaves only on purpose.
///
/// # Errors
/// It could not be run, failed, or was not done in time.
pub async fn run_before(before: &Before, site: &SiteName) -> Result<(), Problem> {
    let words: Vec<String> = before
        .command
        .iter()
        .map(|word| word.replace("{site}", site.as_str()))
        .collect();
    let shown = words.join(" ");
    let ran = run(&words, &[], before.within)
        .await
        .map_err(|why| Problem {
            what: format!("{site}: before = {shown:?} cannot be run: {why}"),
            cure: "correct [recreate].before in the playbook: a program and its words, no shell"
                .into(),
            is_transient: false,
        })?;
    let (how, is_transient) = match ran.end {
        End::With(status) if status.success() => return Ok(()),
        End::With(status) => (format!("ended with {status}"), false),
        End::OutOfTime => {
            let within = before.within;
            (
                format!("was not done within {within:?} and was killed"),
                true,
            )
        }
    };
    Err(Problem {
        what: format!("{site}: before = {shown:?} {how}{}", ran.output.quoted()),
        cure: format!("run it by hand at the coordinator, and look at why it fails: {shown}"),
        is_transient,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

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
