//! One process of the program.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Event;
use crate::lab::Lab;
use crate::lab::eyes::users::next_number;
use crate::lab::ground::program::run;

/// A process that runs. Dropped, it is killed.
pub(crate) struct Run {
    child: Child,
    what: String,
    begun: Instant,
    lines: Receiver<String>,
    stdout: String,
    events: Vec<Event>,
    stderr: PathBuf,
}

/// A process that has ended. Displayed, it is all that it said.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) what: String,
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) events: Vec<Event>,
    pub(crate) took: Duration,
}

impl Run {
    /// Starts the program on the lab's fleet with these arguments.
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Result<Self> {
        Self::of(lab, &mut lab.cleanslate(args), &args.join(" "))
    }

    /// Starts a command that was put together before.
    pub(crate) fn of(lab: &Lab, command: &mut Command, what: &str) -> Result<Self> {
        let stderr = lab.dir.join(format!("stderr-{}.txt", next_number()));
        let file = File::create(&stderr).context("failed to make a file for stderr")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file);
        let mut child = command.spawn().context("failed to start cleanslate")?;
        let stdout = BufReader::new(child.stdout.take().context("a pipe")?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            // A receiver that is gone, and a pipe that broke, are both the end.
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            what: format!("cleanslate {what}"),
            begun: Instant::now(),
            lines,
            stdout: String::new(),
            events: Vec::new(),
            stderr,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event line that is as asked; an error shows all that was said.
    pub(crate) fn await_event(
        &mut self,
        what: &str,
        within: Duration,
        mut is: impl FnMut(&Event) -> bool,
    ) -> Result<Event> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_line(left) {
                Ok(Some(event)) if is(&event) => return Ok(event),
                Ok(Some(_) | None) => {}
                Err(why) => bail!("{what}: {why}\n{}", self.so_far()),
            }
        }
    }

    /// Waits for this event of this site.
    pub(crate) fn await_site(&mut self, name: &str, site: &str) -> Result<Event> {
        let what = format!("waited for {name} of {site}");
        self.await_event(&what, Duration::from_secs(90), |event| event.is(name, site))
    }

    /// Waits for a line with these words, whatever it is.
    pub(crate) fn await_line(&mut self, words: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !self.stdout.contains(words) {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(why) = self.next_line(left) {
                bail!("waited for {words:?}: {why}\n{}", self.so_far());
            }
        }
        Ok(())
    }

    /// Sends a signal: `"INT"` is a Ctrl-C.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        run(&["kill", &format!("-{name}"), &self.pid().to_string()]).map(drop)
    }

    /// `kill -9`; returns what it had said until then.
    pub(crate) fn kill(mut self) -> Result<Ended> {
        self.child.kill().context("failed to kill cleanslate")?;
        self.finish(Duration::from_secs(10))
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(self) -> Result<Ended> {
        self.end_within(Duration::from_secs(240))
    }

    pub(crate) fn end_within(mut self, within: Duration) -> Result<Ended> {
        self.finish(within)
    }

    /// Everything up to the end of its output, then its exit code.
    fn finish(&mut self, within: Duration) -> Result<Ended> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_line(left) {
                Ok(_) => {}
                Err("its output ended") => break,
                Err(why) => bail!("waited for its end: {why}\n{}", self.so_far()),
            }
        }
        let status = self.child.wait().context("failed to wait for cleanslate")?;
        let mut ended = self.so_far();
        ended.code = status.code();
        Ok(ended)
    }

    fn next_line(&mut self, within: Duration) -> Result<Option<Event>, &'static str> {
        let line = self
            .lines
            .recv_timeout(within)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => "it did not come in time",
                RecvTimeoutError::Disconnected => "its output ended",
            })?;
        self.stdout.push_str(&line);
        self.stdout.push('\n');
        let event = Event::parse(&line);
        self.events.extend(event.clone());
        Ok(event)
    }

    /// What it has said until now, while it goes on: of stdout only what was waited for.
    pub(crate) fn said(&self) -> Ended {
        self.so_far()
    }

    fn so_far(&self) -> Ended {
        Ended {
            what: self.what.clone(),
            code: None,
            stdout: self.stdout.clone(),
            stderr: std::fs::read_to_string(&self.stderr).unwrap_or_default(),
            events: self.events.clone(),
            took: self.begun.elapsed(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("failed to end {}: {error}", self.what);
        }
    }
}

impl Ended {
    /// Fails, showing all that was said, unless it exited with this code.
    pub(crate) fn expect(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == Some(code),
            "expected exit code {code} of {self}"
        );
        Ok(self)
    }

    /// Fails, showing all that was said, unless stdout or stderr have every one of these words.
    /// Line breaks and indents do not count: texts are wrapped for the terminal.
    pub(crate) fn says(&self, words: &[&str]) -> Result<()> {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = plain(&format!("{} {}", self.stdout, self.stderr));
        for word in words {
            ensure!(
                said.contains(&plain(word)),
                "expected \"{word}\" from {self}"
            );
        }
        Ok(())
    }

    /// The first event of that name.
    pub(crate) fn event(&self, name: &str) -> Result<&Event> {
        let found = self.events.iter().find(|event| event.name() == name);
        found.with_context(|| format!("expected an event {name} from {self}"))
    }

    /// The event of that name and site.
    pub(crate) fn event_of(&self, name: &str, site: &str) -> Result<&Event> {
        let found = self.events.iter().find(|event| event.is(name, site));
        found.with_context(|| format!("expected an event {name} of {site} from {self}"))
    }

    /// Whether there is an event of that name and site.
    pub(crate) fn has(&self, name: &str, site: &str) -> bool {
        self.events.iter().any(|event| event.is(name, site))
    }

    /// The one JSON object that it printed.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("expected JSON from {self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} (code {:?}, {:.1} s)",
            self.what,
            self.code,
            self.took.as_secs_f64()
        )?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
