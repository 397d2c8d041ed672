//! `extends`: a service begins with the keys of another one.
use std::path::{Path, PathBuf};

use super::merge::merged_at;
use super::{Gatherer, is_remote};
use crate::config::compose::document::node::{Entry, Kind, Node};
use crate::config::compose::document::reader::Value;
use crate::config::compose::files::file_path;

/// Far deeper than anybody's, and safe on any stack.
const CHAIN_MAX: usize = 50;

/// Which service is extended.
struct Base {
    service: String,
    /// `None`: one of the same file.
    file: Option<PathBuf>,
}

impl Gatherer<'_, '_> {
    /// Carries out every `extends` of the services of a file.
    pub(super) fn extend_services(&mut self, file: &mut Node, path: &Path) {
        let extends: Vec<String> = file
            .entry("services")
            .map(|services| services.value.entries())
            .unwrap_or_default()
            .iter()
            .filter(|service| service.value.entry("extends").is_some())
            .map(|service| service.key.clone())
            .collect();
        // From the file as it was written: what extends a service that extends another one finds
        // that one as it was, too, and goes on from there.
        let written = (!extends.is_empty()).then(|| file.clone());
        for name in extends {
            let Some(written) = &written else { return };
            let extended = self.extended(written, path, &name, &mut Vec::new());
            let services = file.entries_mut().into_iter().flatten();
            let services = services.filter(|entry| entry.key == "services");
            let entries = services.filter_map(|entry| entry.value.entries_mut());
            for service in entries.flatten().filter(|service| service.key == name) {
                // Where it cannot be extended, that was reported, and it is read as it stands.
                match &extended {
                    Some(node) => service.value = node.clone(),
                    None => drop(service.value.remove("extends")),
                }
            }
        }
    }

    /// The service `name` of a file with all that it extends; `None`: that was reported.
    fn extended(
        &mut self,
        file: &Node,
        path: &Path,
        name: &str,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Option<Node> {
        let service = file.entry("services")?.value.entry(name)?;
        let mut own = service.value.clone();
        let Some(extends) = own.remove("extends") else {
            return Some(own);
        };
        let link = (path.to_owned(), name.to_owned());
        if chain.contains(&link) {
            let names: Vec<&str> = chain.iter().map(|(_, name)| name.as_str()).collect();
            let message = format!("{} and {name} extend each other", names.join(", "));
            self.reader.error(&extends.key_span, message);
            return None;
        }
        if chain.len() == CHAIN_MAX {
            let message = format!("services extend each other more than {CHAIN_MAX} deep");
            self.reader.error(&extends.key_span, message);
            return None;
        }
        chain.push(link);
        let base = self.base(extends.value())?;
        let inherited = match &base.file {
            None => self.inherited(file, path, &base, &extends, chain),
            Some(other) => {
                let tree = self.extended_file(other, &extends)?;
                self.inherited(&tree, other, &base, &extends, chain)
            }
        }?;
        if !self.has_room(&inherited, &extends.key_span) {
            return None;
        }
        let at = ["services", name];
        Some(merged_at(self.reader, &at, inherited.settled(), own))
    }

    fn inherited(
        &mut self,
        file: &Node,
        path: &Path,
        base: &Base,
        extends: &Entry,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Option<Node> {
        let services = file.entry("services").map(|services| &services.value);
        let services = services.map(Node::entries).unwrap_or_default();
        if services.iter().any(|entry| entry.key == base.service) {
            return self.extended(file, path, &base.service, chain);
        }
        let place = path.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("the service {:?} is not in {place}", base.service);
        let names = services.iter().map(|entry| entry.key.as_str());
        self.reader
            .unknown(&extends.value.span, message, &base.service, names, "");
        None
    }

    /// The tree of a file that is extended from, read once.
    fn extended_file(&mut self, path: &Path, extends: &Entry) -> Option<Node> {
        if let Some(tree) = self.extended.get(path) {
            return tree.clone();
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let named_at = Some(extends.value.span.clone());
        let tree = self.file(path, &folder, &named_at);
        self.extended.insert(path.to_owned(), tree.clone());
        tree
    }

    /// `SERVICE`, or `{ service, file }`.
    fn base(&mut self, value: Value<'_>) -> Option<Base> {
        let reader = &mut *self.reader;
        if let Kind::Scalar(_) = value.node.kind {
            return Some(Base {
                service: reader.text(value)?,
                file: None,
            });
        }
        let mut fields = reader.fields(value);
        let service = fields.text(reader, "service");
        let file = fields.take_given("file");
        fields.finish(reader, &[]);
        let Some(service) = service else {
            reader.error(&value.node.span, "\"extends\" needs a \"service\"");
            return None;
        };
        let Some(file) = file else {
            return Some(Base {
                service,
                file: None,
            });
        };
        if reader.plain(file).is_some_and(|text| is_remote(&text)) {
            let hint = "copy it beside this file and name it";
            reader.error_with_hint(&file.node.span, "a file is read from the disk only", hint);
            return None;
        }
        let file = file_path(reader, file)?;
        Some(Base {
            service,
            file: Some(file),
        })
    }
}
