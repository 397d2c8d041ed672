//! `site.toml` and everything it names → the fleet and its playbooks, or every reason why not.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Findings};
use super::playbook::{BUILT_IN, PlaybookFile, check_fit, for_fleet, is_needed, read};
use super::reading::{Reading, quoted};
use super::report::{Collected, Report};
use super::resolve::resolve;
use super::site::SiteFile;
use super::sources::{Snapshot, SourceError, Sources};
use super::table::{Table, parse};
use crate::model::fleet::Fleet;
use crate::model::id::PlaybookName;
use crate::model::playbook::Playbook;
use crate::model::text::Secret;

/// What a configuration may use of the process it is read in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For secrets written `{ env = "…" }`; for nothing else.
    pub environment: BTreeMap<String, Secret>,
    /// Files below it are shown relative to it; usually the working directory.
    pub base: PathBuf,
}

/// A configuration that holds.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub fleet: Fleet,
    /// The built-in ones too.
    pub playbooks: BTreeMap<PlaybookName, Playbook>,
    pub warnings: Report,
    /// Every file it was read from, except secrets.
    pub snapshot: Snapshot,
}

/// Reads `path`, usually `site.toml`, and everything it names. Contacts nothing.
pub fn load(path: &Path, options: &Options) -> Result<Loaded, Report> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    load_with(path, Sources::disk(), options)
}

/// The configuration of a snapshot, as it was then; secrets are read anew from their places.
pub fn load_from(snapshot: &Snapshot, options: &Options) -> Result<Loaded, Report> {
    load_with(snapshot.root.clone(), Sources::replay(snapshot), options)
}

/// The configuration at `path` of `sources`.
pub(super) fn load_with(
    path: PathBuf,
    mut sources: Sources,
    options: &Options,
) -> Result<Loaded, Report> {
    let mut collected = Collected::default();
    let read = read_all(&path, &mut sources, options, &mut collected);
    let has_errors = collected.has_errors();
    let report = collected.into_report(&sources, &options.base);
    match read {
        Some((fleet, playbooks)) if !has_errors => Ok(Loaded {
            fleet,
            playbooks,
            warnings: report,
            snapshot: sources.into_snapshot(path),
        }),
        Some(_) | None => Err(report),
    }
}

type Read = (Fleet, BTreeMap<PlaybookName, Playbook>);

/// Reads every file, also where an earlier one is wrong: a person wants all mistakes at once.
fn read_all(
    path: &Path,
    sources: &mut Sources,
    options: &Options,
    collected: &mut Collected,
) -> Option<Read> {
    let mut reading = Reading {
        findings: Findings::new(path),
        sources,
        environment: &options.environment,
        folder: path.parent().unwrap_or(Path::new("/")).to_owned(),
    };
    let file = read_site_file(path, &mut reading);
    let mut elsewhere = Vec::new();
    let fleet = file
        .as_ref()
        .and_then(|file| resolve(file, &mut reading, &mut elsewhere));
    let folder = playbook_folder(file.as_ref(), &mut reading);
    collected.add(reading.findings);
    collected.extend(elsewhere);
    let playbooks = read_playbooks(&folder, sources, fleet.as_ref(), collected);
    Some((fleet?, playbooks))
}

fn read_site_file(path: &Path, reading: &mut Reading<'_>) -> Option<SiteFile> {
    let text = match reading.sources.read_text(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the file cannot be read: {error}");
            let finding = reading.findings.error(None, message);
            if error == SourceError::NotFound {
                finding.hint("`cleanslate init` writes one; --config FILE names another");
            }
            return None;
        }
    };
    let document = parse(&text, &mut reading.findings)?;
    let file = SiteFile::read(Table::root(&document), &mut reading.findings)?;
    // What the tables say together is looked at only once each is right by itself.
    (!reading.findings.has_errors()).then_some(file)
}

/// Where the playbooks are; a folder that is named must be there.
fn playbook_folder(file: Option<&SiteFile>, reading: &mut Reading<'_>) -> PathBuf {
    let Some(written) = file.and_then(|file| file.fleet.playbooks.as_ref()) else {
        return reading.path("playbooks");
    };
    let folder = reading.path(written.get_ref());
    if let Err(error) = reading.sources.list(&folder, "toml") {
        let message = format!("cannot read the folder {}: {error}", quoted(&folder));
        reading.findings.error(written.span(), message);
    }
    folder
}

fn read_playbooks(
    folder: &Path,
    sources: &mut Sources,
    fleet: Option<&Fleet>,
    collected: &mut Collected,
) -> BTreeMap<PlaybookName, Playbook> {
    let mut playbooks = BTreeMap::new();
    let mut own = Vec::new();
    for path in sources.list(folder, "toml").unwrap_or_default() {
        let mut findings = Findings::new(&path);
        let read = read_own(&path, sources, &mut findings);
        own.push(stem(&path));
        if let (Some(file), Some(fleet)) = (&read, fleet) {
            check_fit(file, fleet, &mut findings);
        }
        collected.add(findings);
        playbooks.extend(read.map(|file| (file.playbook.name.clone(), file.playbook)));
    }
    for (name, text) in BUILT_IN {
        if !own.iter().any(|own| own == name) {
            let read = read_built_in(name, text, folder, fleet, collected);
            playbooks.extend(read.map(|playbook| (playbook.name.clone(), playbook)));
        }
    }
    playbooks
}

fn read_own(path: &Path, sources: &mut Sources, findings: &mut Findings) -> Option<PlaybookFile> {
    let name: PlaybookName = match stem(path).parse() {
        Ok(name) => name,
        Err(error) => {
            findings
                .error(None, format!("{error}"))
                .hint("a playbook is called as its file");
            return None;
        }
    };
    match sources.read_text(path) {
        Ok(text) => read(name, &text, findings),
        Err(error) => {
            findings.error(None, format!("the file cannot be read: {error}"));
            None
        }
    }
}

/// A built-in playbook, if it fits the fleet. It is nobody's file: what does not fit is said of
/// the file that could take its place.
fn read_built_in(
    name: &str,
    text: &str,
    folder: &Path,
    fleet: Option<&Fleet>,
    collected: &mut Collected,
) -> Option<Playbook> {
    let path = folder.join(format!("{name}.toml"));
    let mut findings = Findings::new(&path);
    let mut file = read(name.parse().ok()?, text, &mut findings)?;
    if let Some(fleet) = fleet {
        file.playbook = for_fleet(file.playbook, fleet)?;
        check_fit(&file, fleet, &mut findings);
    }
    let (_, found, _) = findings.into_parts();
    let fits = found.is_empty();
    let say = |mut found: Diagnostic| {
        found.span = None;
        found.label = None;
        found.message = format!(
            "the built-in playbook {name} does not fit: {}",
            found.message
        );
        if !is_needed(name) {
            found.severity = super::diagnostic::Severity::Warning;
            found.hint = found
                .hint
                .map(|hint| format!("it is left out; to have it, {hint}"));
        }
        found
    };
    collected.extend(found.into_iter().map(say).collect());
    fits.then_some(file.playbook)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
