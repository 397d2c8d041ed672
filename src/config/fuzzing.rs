//! Any octets as the files of a configuration. All are in memory: nothing is read from the disk.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::compose::{self, Request, Variable};
use super::diagnostic::{Diagnostic, Findings};
use super::load::load_with;
use super::playbook::{check_fit, read};
use super::report::{Collected, Report};
use super::site::keyfile;
use super::sources::Sources;
use super::{Loaded, Options};
use crate::dns;
use crate::fuzzing::Bundle;
use crate::model::fleet::Fleet;
use crate::model::service::Keep;
use crate::model::text::Secret;

const FOLDER: &str = "/fleet";

/// The files of a fleet that holds, for what an input leaves out.
const GOOD: [(&str, &str); 3] = [
    (
        "site.toml",
        include_str!("../../tests/wrong/fleet/site.toml"),
    ),
    (
        "compose.yaml",
        include_str!("../../tests/wrong/fleet/compose.yaml"),
    ),
    ("tsig.key", include_str!("../../tests/wrong/fleet/tsig.key")),
];

/// A value that no report may show; an input does not have it by chance.
const SECRET: &str = "Zq7-hunter2-vK";

/// Reads a configuration whose `site.toml` this is.
///
/// # Panics
/// Where a report is empty, is shown with control characters, or shows a secret.
pub(crate) fn site_toml(input: &[u8]) {
    let environment = BTreeMap::from([("SECRET".to_owned(), Secret::from(SECRET))]);
    let options = Options {
        environment,
        base: PathBuf::from(FOLDER),
    };
    let sources = Sources::memory(files(&Bundle::of(input), "site.toml"));
    match load_with(path("site.toml"), sources, &options) {
        Ok(Loaded {
            fleet, warnings, ..
        }) => {
            assert!(!warnings.diagnostics().iter().any(Diagnostic::is_error));
            check_report(&warnings, input);
            check_secret(&format!("{fleet:?}"), input);
        }
        Err(report) => {
            assert!(report.diagnostics().iter().any(Diagnostic::is_error));
            check_report(&report, input);
        }
    }
}

/// Reads a playbook of a fleet that holds.
///
/// # Panics
/// As for [`site_toml`].
pub(crate) fn playbook(input: &[u8]) {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    let fleet = FLEET.get_or_init(|| {
        let sources = Sources::memory(good().collect());
        let loaded = load_with(path("site.toml"), sources, &Options::default());
        loaded.expect("the fleet holds").fleet
    });
    let path = path("playbooks/nightly.toml");
    let mut sources = Sources::memory(BTreeMap::from([(path.clone(), input.into())]));
    let mut findings = Findings::new(&path);
    let Ok(text) = sources.read_text(&path) else {
        return;
    };
    let name = "nightly".parse().expect("it is a name");
    match read(name, &text, &mut findings) {
        Some(file) => check_fit(&file, fleet, &mut findings),
        None => assert!(findings.has_errors()),
    }
    let mut collected = Collected::default();
    collected.add(findings);
    check_report(&collected.into_report(&sources, Path::new(FOLDER)), input);
}

/// Reads a project whose Compose file this is; with a file `override.yaml`, that is merged over it.
///
/// # Panics
/// Where a file is neither taken nor refused, a place is not in its file, and as for
/// [`site_toml`].
pub(crate) fn compose_file(input: &[u8]) {
    let files = files(&Bundle::of(input), "compose.yaml");
    let names = ["compose.yaml", "override.yaml"].map(path);
    let mut sources = Sources::memory(files.clone());
    let request = Request {
        files: names
            .into_iter()
            .filter(|name| files.contains_key(name))
            .collect(),
        name: None,
        fallback_name: "edge".parse().expect("it is a name"),
        variables: variables(),
        after: BTreeSet::new(),
        keep: Keep::No,
    };
    let (project, diagnostics) = compose::read(&request, &mut sources);
    assert_eq!(
        project.is_none(),
        diagnostics.iter().any(Diagnostic::is_error)
    );
    for Diagnostic { path, span, .. } in &diagnostics {
        if let (Some(text), Some(span)) = (sources.text_of(path), span) {
            assert!(text.get(span.clone()).is_some(), "{span:?} of {path:?}");
        }
    }
    let mut collected = Collected::default();
    collected.extend(diagnostics);
    check_report(&collected.into_report(&sources, Path::new(FOLDER)), input);
    check_secret(&format!("{project:?}"), input);
}

/// Reads a key file. A key that is taken can sign.
///
/// # Panics
/// Where it cannot.
pub(crate) fn key_file(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match keyfile::parse(&text) {
        Ok(key) => {
            assert!(!key.secret.reveal().is_empty());
            dns::fuzzing::sign_with(&key);
        }
        Err(error) => drop((error.to_string(), error.hint())),
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn good() -> impl Iterator<Item = (PathBuf, Arc<[u8]>)> {
    GOOD.into_iter()
        .map(|(name, text)| (path(name), text.as_bytes().into()))
}

/// The good files, with those of the input in their places.
fn files(bundle: &Bundle<'_>, main: &str) -> BTreeMap<PathBuf, Arc<[u8]>> {
    let mut files: BTreeMap<PathBuf, Arc<[u8]>> = good().collect();
    files.insert(path(main), bundle.main.into());
    let others = bundle.others.iter();
    files.extend(others.map(|(name, content)| (path(name), Arc::from(*content))));
    files
}

fn variables() -> BTreeMap<String, Variable> {
    let variable = |(name, value, is_secret): (&str, &str, bool)| {
        let value = Secret::from(value);
        (name.to_owned(), Variable { value, is_secret })
    };
    let variables = [
        ("CHANNEL", "master", false),
        ("COMPOSE_PROFILES", "debug", false),
        ("EMPTY", "", false),
        ("HOST", "fra1", false),
        ("PASSWORD", SECRET, true),
        ("PORT", "8080", false),
        ("SITE", "fra", false),
    ];
    variables.map(variable).into()
}

fn check_report(report: &Report, input: &[u8]) {
    let plain = report.render(false);
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!plain.contains(steers), "{plain:?}");
    check_secret(&plain, input);
    check_secret(&report.render(true), input);
}

fn check_secret(shown: &str, input: &[u8]) {
    let has_it = |text: &[u8]| {
        text.windows(SECRET.len())
            .any(|here| here == SECRET.as_bytes())
    };
    assert!(!has_it(shown.as_bytes()) || has_it(input), "{shown}");
}
