//! One tree over another, by Compose's rules: <https://github.com/compose-spec/compose-spec/blob/main/13-merge.md>,
//! and `override/merge.go` of compose-go where it says less.
use std::collections::BTreeMap;

use super::index::{by_identity, by_key, identity};
use crate::config::compose::document::node::{Entry, Kind, Merging, Node};
use crate::config::compose::document::reader::{Reader, Value};

/// What becomes of two values at one place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The later one alone.
    Replace,
    /// `KEY: VALUE` and `KEY=VALUE`, each key once.
    Assignments,
    /// One item is a list of one; each item once.
    Items,
    /// A list of names is a map of them.
    Names,
    /// A map of hosts is a list of them.
    Hosts,
    /// Options are merged where the driver is the same.
    Logging,
    /// Each subnet once.
    Subnets,
    /// Maps by key, lists one behind the other, anything else replaced.
    Deep,
}

fn rule(at: &[&str]) -> Rule {
    match at {
        ["services", _, "command" | "entrypoint"]
        | ["services", _, "healthcheck", "test"]
        | ["services", _, "ulimits", _] => Rule::Replace,
        [
            "services",
            _,
            "annotations" | "environment" | "labels" | "sysctls",
        ]
        | ["services", _, "deploy", "labels"]
        | ["networks" | "volumes", _, "labels"] => Rule::Assignments,
        [
            "services",
            _,
            "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "tmpfs",
        ] => Rule::Items,
        ["services", _, "depends_on" | "networks"] => Rule::Names,
        ["services", _, "extra_hosts"] => Rule::Hosts,
        ["services", _, "logging"] => Rule::Logging,
        ["networks", _, "ipam", "config"] => Rule::Subnets,
        _ => Rule::Deep,
    }
}

/// A file over the ones before it.
pub(super) fn merged(reader: &mut Reader<'_>, base: Node, over: Node) -> Node {
    merged_at(reader, &[], base, over)
}

/// The value `over` at that place, over `base`, of which nothing is reset any more.
pub(super) fn merged_at(reader: &mut Reader<'_>, at: &[&str], base: Node, over: Node) -> Node {
    if over.merging == Merging::Override {
        return over.settled();
    }
    let rule = rule(at);
    if rule == Rule::Replace {
        return over.settled();
    }
    // Nothing at all says nothing.
    if over.is_null() {
        return base;
    }
    if base.is_null() {
        return over.settled();
    }
    match rule {
        Rule::Assignments => items(at, reader, as_assignments(base), as_assignments(over)),
        Rule::Items => items(at, reader, as_items(base), as_items(over)),
        Rule::Hosts => items(at, reader, as_hosts(base), as_hosts(over)),
        Rule::Names => {
            let (base, over) = (as_names(reader, base), as_names(reader, over));
            deep(reader, at, base, over)
        }
        Rule::Logging if !have_one_driver(reader, &base, &over) => over.settled(),
        Rule::Subnets => subnets(reader, at, base, over),
        Rule::Logging | Rule::Deep | Rule::Replace => deep(reader, at, base, over),
    }
}

fn deep(reader: &mut Reader<'_>, at: &[&str], base: Node, over: Node) -> Node {
    match (&base.kind, &over.kind) {
        (Kind::Map(_), Kind::Map(_)) => entries(reader, at, base, over),
        (Kind::List(_), Kind::List(_)) => items(at, reader, base, over),
        (Kind::Scalar(_), Kind::Scalar(_)) => over,
        (Kind::Null | Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => {
            let message = format!(
                "this is {}, and {} in {}, which it is merged over",
                over.describe(),
                base.describe(),
                reader.place_of(&base.span)
            );
            reader.error_with_hint(&over.span, message, "`!override` replaces a value whole");
            base
        }
    }
}

/// Maps: each key of both.
fn entries(reader: &mut Reader<'_>, at: &[&str], mut base: Node, over: Node) -> Node {
    let (Some(mine), Kind::Map(theirs)) = (base.entries_mut(), over.kind) else {
        return base;
    };
    let places = by_key(mine);
    for entry in theirs {
        let own = places
            .get(&entry.key)
            .and_then(|place| mine.get_mut(*place));
        match own {
            Some(own) if entry.value.merging == Merging::Reset => own.value = entry.value,
            None if entry.value.merging == Merging::Reset => (),
            None => mine.push(Entry {
                value: entry.value.settled(),
                ..entry
            }),
            Some(own) => {
                let inner: Vec<&str> = at.iter().copied().chain([entry.key.as_str()]).collect();
                let value = std::mem::replace(&mut own.value, nothing(over.span.clone()));
                own.value = merged_at(reader, &inner, value, entry.value);
                // Errors about the key point at whoever said it last.
                own.key_span = entry.key_span;
            }
        }
    }
    mine.retain(|own| own.value.merging != Merging::Reset);
    Node {
        span: over.span,
        ..base
    }
}

fn nothing(span: std::ops::Range<usize>) -> Node {
    Node {
        span,
        kind: Kind::Null,
        merging: Merging::Usual,
    }
}

/// Lists: one behind the other; what is the same thing as one before takes its place.
fn items(at: &[&str], reader: &Reader<'_>, base: Node, over: Node) -> Node {
    let (mut mine, theirs) = match (base.kind, over.kind) {
        (Kind::List(mine), Kind::List(theirs)) => (mine, theirs),
        // One of both is no list: whoever reads it says so.
        (kind @ Kind::List(_), Kind::Null) => return Node { kind, ..base },
        (_, kind) => return Node { kind, ..over },
    };
    let places = by_identity(reader, at, &mine);
    for item in theirs {
        let place = identity(reader, at, &item).and_then(|id| places.get(&id));
        match place.and_then(|place| mine.get_mut(*place)) {
            Some(place) if item.merging == Merging::Reset => place.merging = Merging::Reset,
            Some(place) => *place = item.settled(),
            None if item.merging == Merging::Reset => (),
            None => mine.push(item.settled()),
        }
    }
    mine.retain(|item| item.merging != Merging::Reset);
    Node {
        span: over.span,
        kind: Kind::List(mine),
        merging: Merging::Usual,
    }
}

/// Ranges: of one subnet, key by key.
fn subnets(reader: &mut Reader<'_>, at: &[&str], base: Node, over: Node) -> Node {
    let (mut mine, theirs) = match (base.kind, over.kind) {
        (Kind::List(mine), Kind::List(theirs)) => (mine, theirs),
        (_, kind) => return Node { kind, ..over },
    };
    let subnet = |reader: &Reader<'_>, node: &Node| reader.plain(node.entry("subnet")?.value());
    let mut places = BTreeMap::new();
    for (place, own) in mine.iter().enumerate() {
        places.extend(subnet(reader, own).map(|subnet| (subnet, place)));
    }
    for item in theirs {
        let place = subnet(reader, &item).and_then(|subnet| places.get(&subnet));
        match place.and_then(|place| mine.get_mut(*place)) {
            Some(own) => {
                let value = std::mem::replace(own, nothing(over.span.clone()));
                *own = deep(reader, at, value, item);
            }
            None => mine.push(item.settled()),
        }
    }
    Node {
        span: over.span,
        kind: Kind::List(mine),
        merging: Merging::Usual,
    }
}

/// Whether both name the same driver, or one of them names none.
fn have_one_driver(reader: &Reader<'_>, base: &Node, over: &Node) -> bool {
    let driver = |node: &Node| reader.plain(node.entry("driver")?.value());
    match (driver(base), driver(over)) {
        (Some(base), Some(over)) => base == over,
        (None, _) | (_, None) => true,
    }
}

/// `KEY: VALUE` as `KEY=VALUE`. What is no text stays, and whoever reads it says so.
fn as_assignments(node: Node) -> Node {
    as_list(node, |entry| {
        let (span, merging) = (entry.value.span.clone(), entry.value.merging);
        let kind = match entry.value.kind {
            Kind::Null => Kind::Scalar(entry.key),
            Kind::Scalar(text) => Kind::Scalar(format!("{}={text}", entry.key)),
            other @ (Kind::List(_) | Kind::Map(_)) => other,
        };
        let span = if span.is_empty() {
            entry.key_span
        } else {
            span
        };
        vec![Node {
            span,
            kind,
            merging,
        }]
    })
}

/// `HOST: ADDRESS` as `HOST=ADDRESS`; a host may have several.
fn as_hosts(node: Node) -> Node {
    as_list(node, |entry| {
        let key = entry.key;
        let addresses = match entry.value.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Scalar(_) | Kind::Map(_) => vec![entry.value],
        };
        let one = |address: Node| {
            let kind = match address.kind {
                Kind::Scalar(text) => Kind::Scalar(format!("{key}={text}")),
                other @ (Kind::Null | Kind::List(_) | Kind::Map(_)) => other,
            };
            Node { kind, ..address }
        };
        addresses.into_iter().map(one).collect()
    })
}

fn as_items(node: Node) -> Node {
    if let Kind::Scalar(_) = node.kind {
        return Node {
            span: node.span.clone(),
            merging: Merging::Usual,
            kind: Kind::List(vec![node]),
        };
    }
    node
}

fn as_list(node: Node, items_of: impl Fn(Entry) -> Vec<Node>) -> Node {
    let kind = match node.kind {
        Kind::Map(entries) => Kind::List(entries.into_iter().flat_map(items_of).collect()),
        other @ (Kind::Null | Kind::Scalar(_) | Kind::List(_)) => other,
    };
    Node { kind, ..node }
}

/// `[NAME]` as `{ NAME: }`.
fn as_names(reader: &mut Reader<'_>, node: Node) -> Node {
    let kind = match node.kind {
        Kind::List(items) => {
            let mut entries = Vec::new();
            for item in items {
                let value = Value {
                    name: "a name",
                    node: &item,
                };
                if let Some(key) = reader.text(value) {
                    entries.push(Entry {
                        key,
                        key_span: item.span.clone(),
                        value: Node {
                            kind: Kind::Null,
                            ..item
                        },
                    });
                }
            }
            Kind::Map(entries)
        }
        other @ (Kind::Null | Kind::Scalar(_) | Kind::Map(_)) => other,
    };
    Node { kind, ..node }
}
