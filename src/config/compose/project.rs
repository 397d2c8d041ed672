//! A Compose file as a whole: its name, its services, and what they share.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::document::fields::Fields;
use super::document::node::{Entry, Kind};
use super::document::reader::{Reader, Value, whole_file};
use super::files::{Contents, FileKind, read_contents};
use super::gather::Gatherer;
use super::networks::{default_network, read_network};
use super::not_carried;
use super::order::{self, Names};
use super::resources::{check_key, read_volume};
use super::service::draft::{Draft, Scope, read_service};
use super::service::environment::EnvFiles;
use super::service::ports::check_published;
use crate::config::diagnostic::Diagnostic;
use crate::config::sources::Sources;
use crate::model::id::ProjectName;
use crate::model::service::{Keep, MountSource, Project, Service};
use crate::model::text::Secret;

/// A project to be read as one host runs it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The Compose files, each merged over those before it.
    pub files: Vec<PathBuf>,
    /// The project's name in `site.toml`; `None`: the file's `name`, else `fallback_name`.
    pub name: Option<ProjectName>,
    pub fallback_name: ProjectName,
    /// Everything that `${NAME}` may mean. The process's own environment is never asked.
    pub variables: BTreeMap<String, Variable>,
    pub after: BTreeSet<ProjectName>,
    /// Whether services are kept that do not say otherwise.
    pub keep: Keep,
}

/// The value of a variable for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub value: Secret,
    /// A secret may flow into the environment and the content of configs only.
    pub is_secret: bool,
}

/// Reads a project. It is `None` if any of the diagnostics is an error; all that is wrong is told
/// at once, except that a file that is no YAML tells its first fault only.
pub fn read(request: &Request, sources: &mut Sources) -> (Option<Project>, Vec<Diagnostic>) {
    let Some(path) = request.files.first() else {
        let message = "the project names no Compose file".to_owned();
        return (None, vec![whole_file(Path::new(""), message, None)]);
    };
    let mut reader = Reader::new(&request.variables);
    let Some(root) = Gatherer::new(&mut reader, sources).gather(&request.files) else {
        return (None, reader.into_diagnostics());
    };
    let value = Value {
        name: "a Compose file",
        node: &root,
    };
    let project = read_project(&mut reader, value, path, request, sources);
    let is_good = !reader.has_errors();
    (Some(project).filter(|_| is_good), reader.into_diagnostics())
}

fn read_project(
    reader: &mut Reader<'_>,
    root: Value<'_>,
    path: &Path,
    request: &Request,
    sources: &mut Sources,
) -> Project {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut fields = reader.fields(root);
    // Compose ignores it too, whatever it says.
    fields.take("version");
    let name = read_name(reader, &mut fields, request);
    let mut networks = read_shared(reader, fields.take_given("networks"), &name, read_network);
    let mut volumes = read_shared(reader, fields.take_given("volumes"), &name, read_volume);
    let mut contents = |reader: &mut Reader<'_>, value: Option<Value<'_>>, kind| match value {
        Some(value) => read_contents(reader, value, kind, sources),
        None => Contents::new(),
    };
    let scope = Scope {
        configs: contents(reader, fields.take_given("configs"), FileKind::Config),
        secrets: contents(reader, fields.take_given("secrets"), FileKind::Secret),
        networks: networks.keys().map(String::as_str).collect(),
        volumes: volumes.keys().map(String::as_str).collect(),
        keep: request.keep,
    };
    let mut files = EnvFiles {
        sources,
        variables: &request.variables,
    };
    let services = fields.take_given("services");
    let services = read_services(reader, services, &root.node.span, &scope, &mut files);
    fields.finish(reader, not_carried::FILE);
    networks
        .entry("default".to_owned())
        .or_insert_with(|| Some(default_network(&name)));
    let (used_networks, used_volumes) = used_by(&services);
    networks.retain(|key, _| used_networks.contains(key));
    volumes.retain(|key, _| used_volumes.contains(key));
    Project {
        after: request.after.clone(),
        services,
        networks: read_ones(networks),
        volumes: read_ones(volumes),
        config_files: request.files.clone(),
        working_dir: folder.to_owned(),
        name,
    }
}

/// Without a good name the fallback stands in, so that the rest of the file is read.
fn read_name(reader: &mut Reader<'_>, fields: &mut Fields<'_>, request: &Request) -> ProjectName {
    let of_file = fields.take_given("name").and_then(|value| {
        let text = reader.text(value)?;
        match text.parse::<ProjectName>() {
            Ok(name) => Some(name),
            Err(error) => {
                reader.error(&value.node.span, error.to_string());
                None
            }
        }
    });
    let named = request.name.clone().or(of_file);
    named.unwrap_or_else(|| request.fallback_name.clone())
}

/// The entries of `networks` or `volumes`. `None`: declared, but wrong; that was reported.
fn read_shared<T>(
    reader: &mut Reader<'_>,
    value: Option<Value<'_>>,
    project: &ProjectName,
    read_one: fn(&mut Reader<'_>, &Entry, &ProjectName) -> Option<T>,
) -> BTreeMap<String, Option<T>> {
    let mut shared = BTreeMap::new();
    for entry in value.map(|value| reader.entries(value)).unwrap_or_default() {
        if check_key(reader, entry) {
            shared.insert(entry.key.clone(), read_one(reader, entry, project));
        }
    }
    shared
}

fn read_ones<T>(shared: BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    shared
        .into_iter()
        .filter_map(|(key, one)| Some((key, one?)))
        .collect()
}

fn read_services(
    reader: &mut Reader<'_>,
    value: Option<Value<'_>>,
    root: &Range<usize>,
    scope: &Scope<'_>,
    files: &mut EnvFiles<'_>,
) -> Vec<Service> {
    let entries = value.map(|value| reader.entries(value)).unwrap_or_default();
    if entries.is_empty() {
        let span = value.map_or(root, |value| &value.node.span);
        reader.error(span, "the file declares no services");
    }
    let profiles = active_profiles(files.variables);
    let mut inactive = BTreeMap::new();
    for entry in entries {
        if let Some(of) = profiles_without(reader, entry, &profiles) {
            inactive.insert(entry.key.as_str(), of);
        }
    }
    let drafts: Vec<Draft> = entries
        .iter()
        .filter(|entry| !inactive.contains_key(entry.key.as_str()))
        .filter_map(|entry| read_service(reader, entry, scope, files))
        .collect();
    if !entries.is_empty() && inactive.len() == entries.len() {
        let message = "every service of the file is of a profile that is not asked for";
        let hint = "name one in the variable COMPOSE_PROFILES, in `vars` of site.toml";
        reader.error_with_hint(root, message, hint);
    }
    check_published(reader, &drafts);
    check_container_names(reader, &drafts);
    let names = Names {
        declared: entries.iter().map(|entry| entry.key.as_str()).collect(),
        inactive,
    };
    order::sort(reader, drafts, &names)
}

/// What `COMPOSE_PROFILES` names, by commas, as in Compose; here it is a variable like any other.
fn active_profiles(variables: &BTreeMap<String, Variable>) -> BTreeSet<String> {
    let named = variables.get("COMPOSE_PROFILES");
    let named = named.map(|variable| variable.value.reveal_text());
    let named = named.unwrap_or_default();
    let profiles = named.split(',').map(str::trim);
    profiles
        .filter(|profile| !profile.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The profiles of a service that has some, none of which is asked for: it is not read.
fn profiles_without(
    reader: &mut Reader<'_>,
    entry: &Entry,
    active: &BTreeSet<String>,
) -> Option<String> {
    let of = match &entry.value.kind {
        Kind::Map(keys) => keys.iter().find(|key| key.key == "profiles")?,
        Kind::Null | Kind::Scalar(_) | Kind::List(_) => return None,
    };
    let profiles = reader.texts(of.value());
    let is_active = profiles.is_empty()
        || active.contains("*")
        || profiles.iter().any(|profile| active.contains(profile));
    (!is_active).then(|| profiles.join(", "))
}

fn check_container_names(reader: &mut Reader<'_>, drafts: &[Draft]) {
    let mut names = BTreeMap::new();
    for draft in drafts {
        let Some(name) = &draft.service.container.container_name else {
            continue;
        };
        if let Some(other) = names.insert(name, &draft.service.name) {
            let message = format!("{other} has the \"container_name\" {name:?} too");
            reader.error(&draft.span, message);
        }
    }
}

/// The keys of the networks and volumes that any service has: Compose makes no others.
fn used_by(services: &[Service]) -> (BTreeSet<String>, BTreeSet<String>) {
    let containers = || services.iter().map(|service| &service.container);
    let networks = containers().flat_map(|container| &container.networks);
    let volumes = containers()
        .flat_map(|container| &container.mounts)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume { key, .. } => Some(key.clone()),
            MountSource::Bind { .. } | MountSource::Anonymous => None,
        });
    (
        networks
            .map(|attachment| attachment.network.clone())
            .collect(),
        volumes.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    #[test]
    fn the_name_is_that_of_the_fleet_file_then_of_the_file_then_of_the_fleet() {
        let mut fixture = Fixture::new();
        let named = "name: \"shop-${SITE}\"\nservices: { a: { image: a } }";
        assert_eq!(
            fixture
                .project("services: { a: { image: a } }")
                .name
                .as_str(),
            "edge"
        );
        assert_eq!(fixture.project(named).name.as_str(), "shop-fra");
        fixture.request.name = Some("web".parse().unwrap());
        let project = fixture.project(named);
        assert_eq!(project.name.as_str(), "web");
        assert_eq!(project.networks["default"].name, "web_default");
        assert_eq!(project.working_dir, fixture.folder.path());
        assert_eq!(project.config_files, fixture.request.files);
    }

    #[test]
    fn everything_wrong_with_a_file_is_told_at_once() {
        let source = "
version: \"3.9\"
name: My Shop
include: [other.yaml]
servics: {}
x-cleanslate: {}
services:
  web: { image: \"UPPER/case\", restart: allways, restart: always }
  db: { ports: [x] }
  \"bad name\": { image: a }
  empty:
  list: [a]
  x-web: { image: [a] }
  same1: { image: a, container_name: same }
  same2: { image: a, container_name: same }
volumes: [a]
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        3:7 a project name cannot hold 'M': use a-z, 0-9 and, not first, - and _
        4:11 cannot read "DIR/other.yaml": there is no such file
        5:1 unknown key "servics"
            = did you mean "services"?
        6:1 "x-cleanslate" means nothing here
            = it stands in a service
        8:17 "UPPER/case" is no image reference: a repository is written in lower case: a-z 0-9 . _ - /
        8:40 "restart" must be no, always, unless-stopped, on-failure or on-failure:TRIES, not "allways"
        8:49 "restart" is given twice
        9:3 "db" has no "image"
        9:17 "x" is no published port: the container's port is no port from 1 to 65535
            = the form is [IP:][HOST:]CONTAINER[/PROTOCOL], such as "8080:80"
        10:3 a service name cannot hold ' ': use a-z, A-Z, 0-9, ., _ and -
        11:3 "empty" has no "image"
        12:3 "list" has no "image"
        12:9 "list" must be a map, this is a list
        13:19 "image" must be text, this is a list
        15:3 same1 has the "container_name" "same" too
        16:10 "volumes" must be a map, this is a list
        "#);
    }

    #[test]
    fn what_is_no_compose_file_is_refused() {
        let errors = |source: &str| Fixture::new().errors(source);
        insta::assert_snapshot!(errors(""), @"1:1 the file declares no services");
        insta::assert_snapshot!(errors("services: {}"), @"1:11 the file declares no services");
        insta::assert_snapshot!(errors("just text"), @r#"
        1:1 "a Compose file" must be a map, this is text
        1:1 the file declares no services
        "#);
        insta::assert_snapshot!(errors("services:\n  web:\n\timage: a"), @"3:2 tabs disallowed within this context (block indentation)");
        insta::assert_snapshot!(errors("services:\n  web: { image: !reset null }"), @r#"2:3 "web" has no "image""#);
        let mut fixture = Fixture::new();
        fixture.request.files = vec![fixture.folder.path().join("none.yaml")];
        insta::assert_snapshot!(fixture.errors(""), @"none.yaml:cannot read the file: there is no such file");
        fixture.request.files.push("override.yaml".into());
        insta::assert_snapshot!(fixture.errors(""), @r"
        none.yaml:cannot read the file: there is no such file
        override.yaml:cannot read the file: there is no such file
        ");
        fixture.request.files.clear();
        insta::assert_snapshot!(fixture.errors(""), @"the project names no Compose file");
    }

    #[test]
    fn what_an_alias_repeats_is_told_once() {
        let source = "
x-base: &base { image: a, restrat: always }
services:
  a: *base
  b: { <<: *base, init: true }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        2:27 unknown key "restrat"
            = did you mean "restart"?
        "#);
    }
}
