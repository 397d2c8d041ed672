//! Several files become one tree: overrides are merged, `extends` and `include` carried out.
mod extends;
mod include;
mod index;
mod merge;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::document::node::{Entry, Kind, Merging, NODES_MAX, Node};
use super::document::reader::{Reader, whole_file};
use super::files::cannot_read;
use crate::config::sources::Sources;
use merge::merged;

/// Files read for one project: far above any, and an end to files that include each other.
const FILES_MAX: usize = 200;

/// Services of one file: far above any. What extends one another is looked for among them.
const SERVICES_MAX: usize = 1000;

/// Reads files and puts them together.
pub(crate) struct Gatherer<'g, 'r> {
    reader: &'g mut Reader<'r>,
    sources: &'g mut Sources,
    /// Those that services were extended from, by path.
    extended: BTreeMap<PathBuf, Option<Node>>,
    files: usize,
    /// Copied so far: what extends one another grows with every step.
    nodes: usize,
}

/// Who names a file: where it stands, or `site.toml`, which has been asked about it already.
type NamedAt = Option<Range<usize>>;

impl<'g, 'r> Gatherer<'g, 'r> {
    pub(crate) fn new(reader: &'g mut Reader<'r>, sources: &'g mut Sources) -> Gatherer<'g, 'r> {
        Gatherer {
            reader,
            sources,
            extended: BTreeMap::new(),
            files: 0,
            nodes: 0,
        }
    }

    /// The tree of the project; `None`: a file could not be read, and that was reported.
    pub(crate) fn gather(&mut self, files: &[PathBuf]) -> Option<Node> {
        let folder = files
            .first()
            .and_then(|first| first.parent())
            .unwrap_or(Path::new(""))
            .to_owned();
        self.project(files, &folder, &None, &mut Vec::new())
    }

    /// One project: its files, each over the ones before it, and what they include. `above`: the
    /// files that include it, outermost first.
    fn project(
        &mut self,
        files: &[PathBuf],
        folder: &Path,
        named_at: &NamedAt,
        above: &mut Vec<PathBuf>,
    ) -> Option<Node> {
        let mut tree: Option<Node> = None;
        let mut all_read = true;
        for path in files {
            let Some(mut node) = self.file(path, folder, named_at) else {
                all_read = false;
                continue;
            };
            self.extend_services(&mut node, path);
            tree = Some(match tree {
                None => node.settled(),
                Some(base) => merged(self.reader, base, node),
            });
        }
        let mut tree = tree.filter(|_| all_read)?;
        above.extend(files.iter().cloned());
        self.include(&mut tree, above);
        above.truncate(above.len() - files.len());
        Some(tree)
    }

    /// The tree of one file.
    fn file(&mut self, path: &Path, folder: &Path, named_at: &NamedAt) -> Option<Node> {
        self.files += 1;
        if self.files > FILES_MAX {
            let message = format!("a project of more than {FILES_MAX} files");
            self.refuse(path, named_at, message);
            return None;
        }
        let text = match self.sources.read_text(path) {
            Ok(text) => text,
            Err(error) => {
                match named_at {
                    Some(span) => cannot_read(self.reader, span, path, &error),
                    None => self.refuse(path, named_at, format!("cannot read the file: {error}")),
                }
                return None;
            }
        };
        let tree = self.reader.parse(path, folder, text)?;
        let services = tree.entry("services");
        let many = services.filter(|services| services.value.entries().len() > SERVICES_MAX);
        if let Some(services) = many {
            let message = format!("more than {SERVICES_MAX} services in one file");
            self.reader.error(&services.key_span, message);
            return None;
        }
        Some(tree)
    }

    fn refuse(&mut self, path: &Path, named_at: &NamedAt, message: String) {
        match named_at {
            Some(span) => self.reader.error(span, message),
            None => self.reader.push(whole_file(path, message, None)),
        }
    }

    /// Whether so much more may be copied.
    fn has_room(&mut self, node: &Node, span: &Range<usize>) -> bool {
        if self.nodes > NODES_MAX {
            return false;
        }
        self.nodes += node.size();
        if self.nodes > NODES_MAX {
            let message = "what the files extend and include is too large for a project";
            self.reader.error(span, message);
            return false;
        }
        true
    }
}

impl Node {
    /// Without what was reset: nothing stands below it.
    fn settled(self) -> Node {
        let kind = match self.kind {
            Kind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .filter(|entry| entry.value.merging != Merging::Reset)
                    .map(|entry| Entry {
                        value: entry.value.settled(),
                        ..entry
                    })
                    .collect(),
            ),
            Kind::List(items) => Kind::List(
                items
                    .into_iter()
                    .filter(|item| item.merging != Merging::Reset)
                    .map(Node::settled)
                    .collect(),
            ),
            Kind::Null | Kind::Scalar(_) => self.kind,
        };
        Node {
            kind,
            merging: Merging::Usual,
            ..self
        }
    }

    /// How many nodes it is.
    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Null | Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Node::size).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    /// The entry of that key, if it is a map that has one.
    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Of a map; of anything else, none.
    fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => None,
        }
    }

    /// Takes the entry of that key out.
    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entries = self.entries_mut()?;
        let at = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(at))
    }
}

/// Whether Compose would fetch it from elsewhere.
fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("oci:")
}

#[cfg(test)]
mod tests;
