//! What `doctor` told of a lab.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::ground::bind::{Bind, WEAK_KEY};
use crate::lab::ground::program::run as execute;
use crate::lab::images::Push;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec};
use crate::program::Ended;
use crate::scene::{edit, run};

pub(super) const SITES: [&str; 2] = ["fra", "nyc"];
pub(super) const WELL: i32 = 0;
pub(super) const WRONG: i32 = 4;
pub(super) const UNASKED: i32 = 5;

/// What `doctor --json` told.
pub(super) struct Told {
    pub(super) ended: Ended,
    checks: Vec<Value>,
}

pub(super) fn doctor(lab: &Lab, args: &[&str]) -> Result<Told> {
    Told::of(run(lab, &[&["doctor", "--json"], args].concat())?)
}

/// Something is broken: it is told so, and the exit code is that of the worst.
pub(super) fn broken(lab: &Lab, code: i32, found: &str, asked: &str, answer: &str) -> Result<Told> {
    let told = doctor(lab, &[])?;
    told.told(found, asked, answer)?;
    told.ends(code)?;
    Ok(told)
}

/// With `site.toml` changed in one place, and put back.
pub(super) fn edited(
    lab: &Lab,
    from: &str,
    to: &str,
    see: impl FnOnce() -> Result<()>,
) -> Result<()> {
    edit(lab, "site.toml", from, to)?;
    see()?;
    edit(lab, "site.toml", to, from)
}

impl Told {
    pub(super) fn of(ended: Ended) -> Result<Self> {
        let lines = ended.stdout.lines().map(serde_json::from_str);
        let checks: Vec<Value> = lines
            .collect::<Result<_, _>>()
            .with_context(|| ended.to_string())?;
        for check in &checks {
            let of = |key: &str| check[key].as_str().unwrap_or_default();
            ensure!(
                check["v"] == 1 && !of("asked").is_empty() && !of("answer").is_empty(),
                "{check}"
            );
            let is_bad = ["wrong", "unasked"].contains(&of("found"));
            ensure!(!is_bad || !of("cure").is_empty(), "what to do? {check}");
        }
        Ok(Self { ended, checks })
    }

    /// Fails unless a check of this name found so, and answered something with these words.
    pub(super) fn told(&self, found: &str, asked: &str, answer: &str) -> Result<Cured<'_>> {
        let is_it = |check: &&Value| {
            let says =
                |key: &str, word: &str| check[key].as_str().is_some_and(|it| it.contains(word));
            check["asked"] == asked && check["found"] == found && says("answer", answer)
        };
        let check = self.checks.iter().find(is_it);
        check
            .map(Cured)
            .with_context(|| format!("no line of {found}, {asked:?}, {answer:?}: {}", self.ended))
    }

    pub(super) fn ends(&self, code: i32) -> Result<()> {
        ensure!(
            self.ended.code == Some(code),
            "{code} is due: {}",
            self.ended
        );
        Ok(())
    }

    /// Any of its lines.
    pub(super) fn cures(&self, cure: &str) -> Result<()> {
        let says = |check: &Value| check["cure"].as_str().is_some_and(|it| it.contains(cure));
        ensure!(
            self.checks.iter().any(says),
            "nobody cures it by {cure:?}: {}",
            self.ended
        );
        Ok(())
    }
}

/// One line that was looked for.
pub(super) struct Cured<'a>(&'a Value);

impl Cured<'_> {
    pub(super) fn cures(&self, cure: &str) -> Result<()> {
        let says = self.0["cure"].as_str().is_some_and(|it| it.contains(cure));
        ensure!(says, "it is not cured by {cure:?}: {}", self.0);
        Ok(())
    }
}

pub(super) fn two() -> FleetOptions {
    FleetOptions {
        min_in_service: Some(1),
        ..FleetOptions::default()
    }
}

pub(super) fn fleet(spec: LabSpec, options: &FleetOptions) -> Result<Lab> {
    let lab = Lab::up(spec)?;
    lab.push_as(&Push::new(ImageKind::WebHealthcheck, "web", "master").version("v1"))?;
    lab.fleet(options)?;
    lab.start_services(options)?;
    lab.wait_serving()?;
    Ok(lab)
}

/// A key that may change addresses, and not the marker; its text.
pub(super) fn weak_key(lab: &Lab) -> Result<String> {
    let weak = Bind::key_file(&lab.dir, WEAK_KEY);
    let key = lab.fleet_dir().join("tsig.key");
    std::fs::copy(&weak, &key)?;
    execute(&["chmod", "600", &key.display().to_string()])?;
    std::fs::read_to_string(weak).context("failed to read the weak key")
}
