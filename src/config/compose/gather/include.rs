//! `include`: the services, networks, volumes, configs and secrets of other files.
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::index::by_key;
use super::{Gatherer, is_remote};
use crate::config::compose::document::node::{Entry, Kind, Merging, Node};
use crate::config::compose::document::reader::Value;
use crate::config::compose::files::file_path;
use crate::config::compose::not_carried;

/// What is taken over from an included file; its name is its own.
const SECTIONS: [&str; 5] = ["services", "networks", "volumes", "configs", "secrets"];

/// One item of `include`.
struct Included {
    /// Each over the ones before it.
    files: Vec<PathBuf>,
    folder: PathBuf,
    span: Range<usize>,
}

impl Gatherer<'_, '_> {
    /// Takes what the tree includes into it.
    pub(super) fn include(&mut self, tree: &mut Node, above: &mut Vec<PathBuf>) {
        let Some(entry) = tree.remove("include") else {
            return;
        };
        for item in self.reader.list(entry.value()) {
            let Some(included) = self.included(item) else {
                continue;
            };
            if let Some(twice) = included.files.iter().find(|file| above.contains(*file)) {
                let message = format!("{:?} includes itself", twice.display().to_string());
                self.reader.error(&included.span, message);
                continue;
            }
            let named_at = Some(included.span.clone());
            let other = self.project(&included.files, &included.folder, &named_at, above);
            if let Some(other) = other
                && self.has_room(&other, &included.span)
            {
                self.take_over(tree, other, &included.span);
            }
        }
    }

    /// A path, or `{ path, project_directory }`, where `path` may be several.
    fn included(&mut self, item: Value<'_>) -> Option<Included> {
        let reader = &mut *self.reader;
        let span = item.node.span.clone();
        let (paths, folder) = match item.node.kind {
            Kind::Map(_) => {
                let mut fields = reader.fields(item);
                let paths = fields.take_given("path");
                let folder = fields.take_given("project_directory");
                fields.finish(reader, not_carried::INCLUDE);
                let Some(paths) = paths else {
                    reader.error(&span, "an item of \"include\" needs a \"path\"");
                    return None;
                };
                (reader.one_or_more(paths), folder)
            }
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => (vec![item], None),
        };
        let mut files = Vec::new();
        for path in paths {
            if reader.plain(path).is_some_and(|text| is_remote(&text)) {
                let hint = "copy it beside this file and name it";
                reader.error_with_hint(&path.node.span, "a file is read from the disk only", hint);
                return None;
            }
            files.push(file_path(reader, path)?);
        }
        let folder = match folder {
            Some(folder) => file_path(reader, folder)?,
            None => {
                let first = files.first().and_then(|first| first.parent());
                first.unwrap_or(Path::new("")).to_owned()
            }
        };
        Some(Included {
            files,
            folder,
            span,
        })
    }

    /// Two things of one name are refused, unless they are the same.
    fn take_over(&mut self, tree: &mut Node, mut other: Node, span: &Range<usize>) {
        for section in SECTIONS {
            let Some(mut theirs) = other.remove(section) else {
                continue;
            };
            if theirs.value.is_null() {
                continue;
            }
            let Some(entries) = theirs.value.entries_mut().map(std::mem::take) else {
                let message = format!("{section:?} must be a map");
                self.reader.error(&theirs.key_span, message);
                continue;
            };
            let Some(own) = section_of(tree, section, &theirs) else {
                // It is no map: whoever reads it says so.
                continue;
            };
            let places = by_key(own);
            for entry in entries {
                match places.get(&entry.key).and_then(|place| own.get(*place)) {
                    None => own.push(entry),
                    Some(same) if same.value.means(&entry.value) => (),
                    Some(conflicting) => self.conflict(conflicting, &entry, span),
                }
            }
        }
    }

    fn conflict(&mut self, own: &Entry, theirs: &Entry, span: &Range<usize>) {
        let message = format!(
            "{:?}, which this brings from {}, is declared in {} too",
            theirs.key,
            self.reader.place_of(&theirs.key_span),
            self.reader.place_of(&own.key_span)
        );
        let hint = "change it in a file that is merged over the included one: \
                    `path: [INCLUDED, OVERRIDE]`";
        self.reader.error_with_hint(span, message, hint);
    }
}

/// The entries of a section of the tree, made where there is none; `None`: it is no map.
fn section_of<'t>(tree: &'t mut Node, section: &str, theirs: &Entry) -> Option<&'t mut Vec<Entry>> {
    let sections = tree.entries_mut()?;
    let at = sections.iter().position(|own| own.key == section);
    let at = at.unwrap_or_else(|| {
        sections.push(Entry {
            key: section.to_owned(),
            key_span: theirs.key_span.clone(),
            value: empty_map(theirs.value.span.clone()),
        });
        sections.len() - 1
    });
    let value = &mut sections.get_mut(at)?.value;
    if value.is_null() {
        *value = empty_map(value.span.clone());
    }
    value.entries_mut()
}

fn empty_map(span: Range<usize>) -> Node {
    Node {
        span,
        kind: Kind::Map(Vec::new()),
        merging: Merging::Usual,
    }
}

impl Node {
    /// Whether both say the same, wherever they stand.
    fn means(&self, other: &Node) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Scalar(one), Kind::Scalar(other)) => one == other,
            (Kind::List(one), Kind::List(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.means(other))
            }
            (Kind::Map(one), Kind::Map(other)) => {
                let is_same = |(one, other): (&Entry, &Entry)| {
                    one.key == other.key && one.value.means(&other.value)
                };
                one.len() == other.len() && one.iter().zip(other).all(is_same)
            }
            (Kind::Null | Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => false,
        }
    }
}
