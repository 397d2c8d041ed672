//! `configs` and `secrets`: files that are copied into containers.
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::document::node::{Entry, Kind};
use super::document::reader::{Reader, Value};
use super::not_carried;
use super::resources::check_key;
use super::service::mounts::Mounts;
use super::text::quantity;
use crate::config::sources::{SourceError, Sources};
use crate::model::service::FileMount;
use crate::model::text::Secret;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Config,
    Secret,
}

/// The files of one kind, by key. `None`: declared, but not to be had; that was reported.
pub(crate) type Contents = BTreeMap<String, Option<Secret>>;

/// The top-level `configs` or `secrets`, every file read.
pub(crate) fn read_contents(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    kind: FileKind,
    sources: &mut Sources,
) -> Contents {
    let mut contents = Contents::new();
    for entry in reader.entries(value) {
        if check_key(reader, entry) {
            let content = read_content(reader, entry, kind, sources);
            contents.insert(entry.key.clone(), content);
        }
    }
    contents
}

fn read_content(
    reader: &mut Reader<'_>,
    entry: &Entry,
    kind: FileKind,
    sources: &mut Sources,
) -> Option<Secret> {
    const BY_FILE: &str = "name a file: `file: ./NAME`";
    let mut fields = reader.fields(entry.value());
    let file = fields.take("file");
    let content = match kind {
        FileKind::Config => fields.take("content"),
        FileKind::Secret => None,
    };
    let variable = fields.take_given("environment");
    let others = fields.len();
    fields.finish(reader, not_carried::CONTENT);
    match (file, content, variable) {
        (Some(file), None, None) => read_file(reader, file, kind, sources),
        (None, Some(content), None) => reader.secret(content).map(|text| Secret::from(text.value)),
        (None, None, Some(variable)) => reader.variable(variable),
        (Some(_), Some(other), _) | (_, Some(_), Some(other)) | (Some(_), None, Some(other)) => {
            let message = format!("{:?} does not go with another source", other.name);
            reader.error(&other.node.span, message);
            None
        }
        (None, None, None) => {
            if others == 0 {
                reader.error_with_hint(&entry.key_span, "there is no content", BY_FILE);
            }
            None
        }
    }
}

fn read_file(
    reader: &mut Reader<'_>,
    file: Value<'_>,
    kind: FileKind,
    sources: &mut Sources,
) -> Option<Secret> {
    let path = file_path(reader, file)?;
    let content = match kind {
        FileKind::Config => sources.read(&path).map(|bytes| Secret::new(bytes.to_vec())),
        FileKind::Secret => sources.read_secret(&path),
    };
    match content {
        Ok(content) => Some(content),
        Err(error) => {
            cannot_read(reader, &file.node.span, &path, &error);
            None
        }
    }
}

/// The path that `value` names, from the folder of the file that it stands in.
pub(crate) fn file_path(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PathBuf> {
    let text = reader.text(value)?;
    if text.is_empty() || text.starts_with('~') {
        let message = format!("{text:?} is no path");
        let hint = "paths are absolute, or relative to the Compose file's folder";
        reader.error_with_hint(&value.node.span, message, hint);
        return None;
    }
    let relative = text.strip_prefix("./").unwrap_or(&text);
    Some(reader.folder_of(&value.node.span).join(relative))
}

pub(crate) fn cannot_read(
    reader: &mut Reader<'_>,
    span: &Range<usize>,
    path: &Path,
    error: &SourceError,
) {
    reader.error(span, format!("cannot read \"{}\": {error}", path.display()));
}

/// `configs` or `secrets` of a service: keys, or `{ source, target, uid, gid, mode }`.
pub(crate) fn read_grants(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    kind: FileKind,
    contents: &Contents,
    mounts: &mut Mounts<'_>,
) -> Vec<FileMount> {
    let mut files = Vec::new();
    for item in reader.list(value) {
        let grant = match item.node.kind {
            Kind::Map(_) => Grant::read(reader, item),
            Kind::Null | Kind::Scalar(_) | Kind::List(_) => reader.text(item).map(Grant::of_source),
        };
        let Some(grant) = grant else { continue };
        let Some(content) = contents.get(&grant.source) else {
            let (message, hint) = kind.undeclared(&grant.source);
            let declared = contents.keys().map(String::as_str);
            reader.unknown(&item.node.span, message, &grant.source, declared, &hint);
            continue;
        };
        let target = kind.target(&grant);
        if let (Some(target), Some(content)) = (mounts.claim(reader, item, &target), content) {
            let Grant { mode, uid, gid, .. } = grant;
            files.push(FileMount {
                target,
                content: content.clone(),
                mode,
                uid,
                gid,
            });
        }
    }
    files
}

struct Grant {
    source: String,
    target: Option<String>,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Grant {
    fn of_source(source: String) -> Grant {
        Grant {
            source,
            target: None,
            mode: 0o444,
            uid: 0,
            gid: 0,
        }
    }

    fn read(reader: &mut Reader<'_>, item: Value<'_>) -> Option<Grant> {
        let mut fields = reader.fields(item);
        let source = fields.take("source").and_then(|value| reader.text(value));
        let target = fields.text(reader, "target");
        let mode = fields.parsed(reader, "mode", quantity::MODE, quantity::mode);
        let mut id = |key| {
            let value = fields.take_given(key)?;
            reader.parsed(value, "a number", |text| text.parse().ok())
        };
        let (uid, gid) = (id("uid"), id("gid"));
        fields.finish(reader, &[]);
        let Some(source) = source else {
            reader.error(
                &item.node.span,
                format!("an item of {:?} needs a \"source\"", item.name),
            );
            return None;
        };
        let mode = mode.unwrap_or(0o444);
        let (uid, gid) = (uid.unwrap_or_default(), gid.unwrap_or_default());
        Some(Grant {
            source,
            target,
            mode,
            uid,
            gid,
        })
    }
}

impl FileKind {
    /// Configs stand at the root and secrets in `/run/secrets`, under their key, unless the file
    /// says otherwise.
    fn target(self, grant: &Grant) -> String {
        let folder = match self {
            FileKind::Config => "",
            FileKind::Secret => "/run/secrets",
        };
        match &grant.target {
            Some(target) if target.starts_with('/') => target.clone(),
            Some(target) => format!("{folder}/{target}"),
            None => format!("{folder}/{}", grant.source),
        }
    }

    fn undeclared(self, key: &str) -> (String, String) {
        let (noun, section) = match self {
            FileKind::Config => ("config", "configs"),
            FileKind::Secret => ("secret", "secrets"),
        };
        (
            format!("the {noun} {key:?} is not declared"),
            format!("declare it under the top-level `{section}`: `{key}: {{ file: ./{key} }}`"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, errors};

    const SECTIONS: &str = "
configs:
  nginx: { file: ./nginx.conf }
  inline: { content: \"site=${SITE} password=${PASSWORD}\" }
secrets:
  key: { file: key.pem }
services:
  web:
    image: web
";

    fn fixture() -> Fixture {
        Fixture::new()
            .with_file("nginx.conf", "worker ${SITE};")
            .with_file("key.pem", "PEM")
    }

    fn files(keys: &str) -> Vec<(String, String)> {
        let project = fixture().project(&format!("{SECTIONS}{keys}"));
        let files = &project.services[0].container.files;
        assert!(!format!("{project:?}").contains("hunter2"));
        files
            .iter()
            .map(|file| (format!("{file:?}"), file.content.reveal_text()))
            .collect()
    }

    #[test]
    fn configs_and_secrets_are_read_and_placed() {
        insta::assert_debug_snapshot!(
            files(
                "    configs: [nginx, { source: inline, target: /etc/a, uid: \"101\", gid: 101, mode: 0440 }]\n    \
                 secrets: [key, { source: key, target: other, mode: 0400 }, { source: key, target: /k }]\n"
            ),
            @r#"
        [
            (
                "/nginx 444 0:0 [15 bytes, not shown]",
                "worker ${SITE};",
            ),
            (
                "/etc/a 440 101:101 [25 bytes, not shown]",
                "site=fra password=hunter2",
            ),
            (
                "/run/secrets/key 444 0:0 [3 bytes, not shown]",
                "PEM",
            ),
            (
                "/run/secrets/other 400 0:0 [3 bytes, not shown]",
                "PEM",
            ),
            (
                "/k 444 0:0 [3 bytes, not shown]",
                "PEM",
            ),
        ]
        "#
        );
    }

    #[test]
    fn what_cannot_be_copied_in_is_refused() {
        let source = "
configs:
  a: { file: ./missing }
  b: { environment: X }
  c: { external: true }
  d: {}
  e: { file: nginx.conf, content: x }
  f: { file: ~/x }
  g: { file: . }
secrets:
  s: { content: x }
  t: { external: true, name: u }
services:
  web:
    image: web
    configs: [a, aa, { target: /x }, { source: e, mode: 440 }]
    secrets: [{ source: s, target: /x, userid: 5 }, { source: t, target: /x }]
";
        insta::assert_snapshot!(fixture().errors(source), @r#"
        3:14 cannot read "DIR/missing": there is no such file
        4:21 the variable "X" is not defined
            = did you mean "N"?
        5:8 "external" is a key of Compose that is not carried out here
            = name a file: `file: ./NAME`
        6:3 there is no content
            = name a file: `file: ./NAME`
        7:35 "content" does not go with another source
        8:14 "~/x" is no path
            = paths are absolute, or relative to the Compose file's folder
        9:14 cannot read "DIR/.": it is a folder, a file is needed
        11:8 unknown key "content"
        12:8 "external" is a key of Compose that is not carried out here
            = name a file: `file: ./NAME`
        12:24 "name" is a key of Compose that is not carried out here
            = remove it: it is of Swarm, and an engine alone has no use for it
        16:18 the config "aa" is not declared
            = did you mean "a"?
        16:22 an item of "configs" needs a "source"
        16:57 "mode" must be an octal file mode such as 0440, not "440"
        17:40 unknown key "userid"
        17:53 something else is mounted at "/x" already
        "#);
        insta::assert_snapshot!(errors("secrets: [nowhere]"), @r#"
        4:15 the secret "nowhere" is not declared
            = declare it under the top-level `secrets`: `nowhere: { file: ./nowhere }`
        "#);
    }
}
