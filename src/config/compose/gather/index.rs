//! When two items of a list are the same thing, of which the later one counts.
use std::collections::BTreeMap;

use crate::config::compose::document::node::{Entry, Kind, Node};
use crate::config::compose::document::reader::{Reader, Value};
use crate::config::compose::service::paths::clean;
use crate::config::compose::service::ports;

/// What makes the item of the list at that place the thing that it is; `None`: it is itself alone.
pub(super) fn identity(reader: &Reader<'_>, at: &[&str], item: &Node) -> Option<String> {
    match at {
        [
            "services",
            _,
            "annotations"
            | "environment"
            | "labels"
            | "sysctls"
            | "cap_add"
            | "cap_drop"
            | "dns"
            | "dns_opt"
            | "dns_search"
            | "links"
            | "profiles"
            | "external_links"
            | "group_add"
            | "security_opt"
            | "device_cgroup_rules",
        ]
        | ["services", _, "deploy", "labels"]
        | ["services", _, "networks", _, "aliases" | "link_local_ips"]
        | ["networks" | "volumes", _, "labels"] => {
            let text = text_of(reader, item)?;
            let is_assignment = matches!(
                at,
                [.., "annotations" | "environment" | "labels" | "sysctls"]
            );
            match text.split_once('=') {
                Some((key, _)) if is_assignment => Some(key.to_owned()),
                Some(_) | None => Some(text),
            }
        }
        ["services", _, "expose" | "extra_hosts" | "label_file"] => text_of(reader, item),
        ["services", _, "tmpfs"] => {
            let text = text_of(reader, item)?;
            clean(text.split(':').next()?)
        }
        ["services", _, "env_file"] => {
            field(reader, item, "path").or_else(|| text_of(reader, item))
        }
        ["services", _, "volumes"] => {
            let target = field(reader, item, "target").or_else(|| {
                let text = text_of(reader, item)?;
                let mut parts = text.split(':');
                let first = parts.next()?.to_owned();
                Some(parts.next().map_or(first, str::to_owned))
            })?;
            clean(&target)
        }
        ["services", _, "devices"] => field(reader, item, "target").or_else(|| {
            let text = text_of(reader, item)?;
            let mut parts = text.split(':');
            let host = parts.next()?.to_owned();
            let container = parts.next().filter(|part| part.starts_with('/'));
            Some(container.map_or(host, str::to_owned))
        }),
        ["services", _, "configs"] => grant(reader, item, ""),
        ["services", _, "secrets"] => grant(reader, item, "/run/secrets"),
        ["services", _, "ports"] => ports::identity(reader, item),
        _ => None,
    }
}

/// Where each of the items is, by what it is; of two the first.
pub(super) fn by_identity(
    reader: &Reader<'_>,
    at: &[&str],
    items: &[Node],
) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        if let Some(id) = identity(reader, at, item) {
            places.entry(id).or_insert(place);
        }
    }
    places
}

/// Where each entry is, by its key; of two the first.
pub(super) fn by_key(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        places.entry(entry.key.clone()).or_insert(place);
    }
    places
}

/// Where a config or a secret is put.
fn grant(reader: &Reader<'_>, item: &Node, folder: &str) -> Option<String> {
    let source = text_of(reader, item).or_else(|| field(reader, item, "source"))?;
    let target = field(reader, item, "target").unwrap_or(source);
    if target.starts_with('/') {
        return Some(target);
    }
    Some(format!("{folder}/{target}"))
}

fn field(reader: &Reader<'_>, item: &Node, key: &str) -> Option<String> {
    reader.plain(item.entry(key)?.value())
}

/// With its variables filled in, or as it stands where that cannot be done.
fn text_of(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let Kind::Scalar(text) = &node.kind else {
        return None;
    };
    let value = Value { name: "", node };
    Some(reader.plain(value).unwrap_or_else(|| text.clone()))
}
