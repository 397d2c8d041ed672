//! Compose files and their surroundings, for the tests of this folder.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Request, Variable, read};
use crate::config::diagnostic::Diagnostic;
use crate::config::sources::Sources;
use crate::model::service::{Keep, Project, Service};
use crate::model::text::Secret;

/// A folder with a Compose file, and what is asked of it.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) request: Request,
}

impl Fixture {
    /// `PASSWORD` is the one secret variable.
    pub(crate) fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let variable = |value: &str, is_secret| Variable {
            value: Secret::from(value),
            is_secret,
        };
        let variables = [
            ("CHANNEL", variable("master", false)),
            ("EMPTY", variable("", false)),
            ("HOST", variable("fra1", false)),
            ("N", variable("2", false)),
            ("PASSWORD", variable("hunter2", true)),
            ("PORT", variable("8080", false)),
            ("SITE", variable("fra", false)),
        ];
        let request = Request {
            files: vec![folder.path().join("compose.yaml")],
            name: None,
            fallback_name: "edge".parse().unwrap(),
            variables: BTreeMap::from(variables.map(|(name, value)| (name.to_owned(), value))),
            after: BTreeSet::new(),
            keep: Keep::No,
        };
        Fixture { folder, request }
    }

    pub(crate) fn with_file(self, name: &str, content: &str) -> Fixture {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn read(&self, source: &str) -> (Option<Project>, Vec<Diagnostic>) {
        std::fs::write(self.folder.path().join("compose.yaml"), source).unwrap();
        read(&self.request, &mut Sources::disk())
    }

    /// The project of a file without errors.
    pub(crate) fn project(&self, source: &str) -> Project {
        let (project, diagnostics) = self.read(source);
        assert!(diagnostics.is_empty(), "{}", self.shown(&diagnostics));
        project.unwrap()
    }

    /// What is wrong with a file, as `LINE:COLUMN message`, the marked text and the hint.
    pub(crate) fn errors(&self, source: &str) -> String {
        let (project, diagnostics) = self.read(source);
        assert!(project.is_none() && !diagnostics.is_empty(), "{project:?}");
        self.shown(&diagnostics)
    }

    fn shown(&self, diagnostics: &[Diagnostic]) -> String {
        let lines: Vec<String> = diagnostics
            .iter()
            .map(|found| self.line_of(found))
            .collect();
        lines
            .join("\n")
            .replace(&*self.folder.path().to_string_lossy(), "DIR")
    }

    fn line_of(&self, found: &Diagnostic) -> String {
        let mut line = match found.path.file_name().and_then(|name| name.to_str()) {
            Some("compose.yaml") | None => String::new(),
            Some(name) => format!("{name}:"),
        };
        if let Some(span) = &found.span {
            line.push_str(&place(&found.path, span.start));
        }
        line.push_str(&found.message);
        if let Some(hint) = &found.hint {
            line.push_str(&format!("\n    = {}", hint.replace('\n', "\n      ")));
        }
        line
    }
}

fn place(path: &Path, at: usize) -> String {
    let source = std::fs::read_to_string(path).unwrap();
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{line}:{column} ")
}

/// The service `web` of a file where it has an image and `keys`, between volumes and networks
/// named `data` and `back`.
pub(crate) fn service(keys: &str) -> Service {
    let mut project = Fixture::new().project(&file(keys));
    project.services.remove(0)
}

/// What is wrong with such a file. The keys begin in line 4, column 5.
pub(crate) fn errors(keys: &str) -> String {
    Fixture::new().errors(&file(keys))
}

/// Asserts that two ways to write the keys of a service mean the same.
pub(crate) fn assert_same(keys: &str, other_keys: &str) {
    assert_eq!(service(keys), service(other_keys), "\n{keys}\n{other_keys}");
}

fn file(keys: &str) -> String {
    let keys = keys.replace('\n', "\n    ");
    format!(
        "services:\n  web:\n    image: web\n    {keys}\nvolumes: {{ data: {{}} }}\n\
         networks: {{ back: {{}} }}\n"
    )
}
