//! Drives a target in a process of its own, where a hang, a stack that overflows and memory that
//! runs out end that process and nothing else, and are told with the input they came of.
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::guarded;
use crate::fuzzing::Target;

pub(super) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

/// Set in the process that tries.
const IS_CHILD: &str = "CLEANSLATE_FUZZ_CHILD";

/// How a target is driven.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) corpus: PathBuf,
    pub(super) words: PathBuf,
    /// Where the input of a finding is kept.
    pub(super) artifacts: PathBuf,
    pub(super) seed: u64,
    /// At most so many spoilt inputs, and for at most so long; the corpus is always read.
    pub(super) inputs: u64,
    pub(super) seconds: u64,
    /// No input takes as long, however busy the machine is.
    pub(super) hang_s: u32,
    /// Nothing but this input.
    pub(super) only: Option<PathBuf>,
}

impl Settings {
    /// Those of every test run, but for what the environment says.
    pub(super) fn of(target: &Target) -> Settings {
        let number = |name| Some(variable(name)?.parse::<u64>().expect(name));
        let seconds = number("CLEANSLATE_FUZZ_SECONDS");
        let folder = Path::new(FOLDER);
        Settings {
            corpus: folder.join("corpus").join(target.name),
            words: folder.join("words").join(format!("{}.dict", target.name)),
            artifacts: folder.join("artifacts").join(target.name),
            seed: number("CLEANSLATE_FUZZ_SEED").unwrap_or(1),
            inputs: seconds.map_or(20_000, |_| u64::MAX),
            seconds: seconds.unwrap_or(3),
            hang_s: 10,
            only: variable("CLEANSLATE_FUZZ_INPUT").map(PathBuf::from),
        }
    }

    /// Where the input in hand is written, so that it is known if the process ends with it.
    pub(super) fn current(&self) -> PathBuf {
        self.artifacts.join("current")
    }
}

/// What one input did.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) input: PathBuf,
    seed: u64,
    target: &'static str,
    test: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            what,
            input,
            seed,
            target,
            test,
        } = self;
        let input = input.display();
        write!(
            f,
            "{target} (CLEANSLATE_FUZZ_SEED={seed}): {what}\nthe input is in {input}; again:\n  \
             CLEANSLATE_FUZZ_INPUT={input} cargo test --lib {test}"
        )
    }
}

/// Drives `target` from the test of that name in this module, which calls this again in the
/// process that tries. Gives back what that says of its work.
pub(super) fn drive(target: &Target, test: &str, settings: &Settings) -> Result<String, Finding> {
    if variable(IS_CHILD).is_some() {
        let settings = settings_of_parent(settings);
        println!("{}", guarded::work(target, &settings));
        std::process::exit(0);
    }
    std::fs::create_dir_all(&settings.artifacts).unwrap();
    let test = format!("fuzzing::tests::{test}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test.as_str(), "--exact", "--nocapture"])
        .env(IS_CHILD, folders_of(settings))
        // What is given back is no longer counted as resident.
        .env("MIMALLOC_PURGE_DELAY", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        let work = said.lines().find(|line| line.contains(guarded::DONE));
        return Ok(work.expect("the test was found").to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Finding {
        what: format!("{}\n{}", output.status, errors.trim()),
        input: keep(settings),
        seed: settings.seed,
        target: target.name,
        test,
    })
}

/// Keeps the input in hand under a name of its own.
fn keep(settings: &Settings) -> PathBuf {
    let current = settings.current();
    let input = std::fs::read(&current).unwrap_or_default();
    let name = data_encoding::HEXLOWER.encode(&Sha256::digest(&input)[..8]);
    let kept = settings.artifacts.join(format!("finding-{name}"));
    std::fs::write(&kept, input).unwrap();
    kept
}

/// The folders that a test makes are those of the process that started this one.
fn settings_of_parent(settings: &Settings) -> Settings {
    let folders = variable(IS_CHILD).unwrap_or_default();
    let mut folders = folders.split('\n').map(PathBuf::from);
    let mut next = || folders.next().expect("three folders");
    Settings {
        corpus: next(),
        words: next(),
        artifacts: next(),
        ..settings.clone()
    }
}

fn folders_of(settings: &Settings) -> String {
    let folders = [&settings.corpus, &settings.words, &settings.artifacts];
    folders
        .map(|folder| folder.display().to_string())
        .join("\n")
}

/// The files of a folder, in the order of their names.
pub(super) fn files_of(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told from outside how long it may take"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
