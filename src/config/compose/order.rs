//! What services wait for, and the order that follows from it.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::document::fields::Fields;
use super::document::node::Kind;
use super::document::reader::{Reader, Value};
use super::service::draft::Draft;
use super::service::neighbours::{service_shared, split_link};
use crate::model::id::ServiceName;
use crate::model::service::{Condition, Dependency, Service};

/// A wish for another service, before it is known to exist.
pub(crate) struct Link {
    to: String,
    span: Range<usize>,
    dependency: Dependency,
}

const CONDITIONS: [(&str, Condition); 3] = [
    ("service_started", Condition::Started),
    ("service_healthy", Condition::Healthy),
    (
        "service_completed_successfully",
        Condition::CompletedSuccessfully,
    ),
];

/// `depends_on`, and what the keys imply that name another service.
pub(crate) fn read_links(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Vec<Link> {
    let mut links = Vec::new();
    if let Some(value) = fields.take_given("depends_on") {
        links = read_depends_on(reader, value);
    }
    for (to, span, restart) in implied(reader, fields) {
        if !links.iter().any(|link| link.to == to) {
            let dependency = Dependency {
                condition: Condition::Started,
                is_required: true,
                restart,
            };
            links.push(Link {
                to,
                span,
                dependency,
            });
        }
    }
    links
}

/// As Compose does: a new namespace, and a new address, need their guests anew.
fn implied(reader: &Reader<'_>, fields: &Fields<'_>) -> Vec<(String, Range<usize>, bool)> {
    let mut found = Vec::new();
    for key in ["network_mode", "pid", "ipc"] {
        let value = fields.peek(key);
        let text = value.and_then(|value| Some((reader.plain(value)?, value)));
        if let Some((text, value)) = text
            && let Some(to) = text.strip_prefix("service:")
        {
            found.push((to.to_owned(), value.node.span.clone(), true));
        }
    }
    for (item, text) in peek_items(reader, fields, "links") {
        let (to, _) = split_link(&text);
        found.push((to.to_owned(), item.node.span.clone(), true));
    }
    for (item, text) in peek_items(reader, fields, "volumes_from") {
        if let Some(to) = service_shared(&text) {
            found.push((to.to_owned(), item.node.span.clone(), false));
        }
    }
    found
}

/// The texts of a list that is taken elsewhere.
fn peek_items<'n>(reader: &Reader<'_>, fields: &Fields<'n>, key: &str) -> Vec<(Value<'n>, String)> {
    let items = fields.peek(key).map(|value| match &value.node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null | Kind::Scalar(_) | Kind::Map(_) => &[],
    });
    let items = items.unwrap_or_default().iter();
    let text = |node| {
        let value = Value {
            name: "a service",
            node,
        };
        Some((value, reader.plain(value)?))
    };
    items.filter_map(text).collect()
}

fn read_depends_on(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    if let Kind::Map(_) = value.node.kind {
        for entry in reader.entries(value) {
            let (to, span) = (entry.key.clone(), entry.key_span.clone());
            links.push(Link {
                to,
                span,
                dependency: read_dependency(reader, entry.value()),
            });
        }
        return links;
    }
    for item in reader.list(value) {
        let Some(to) = reader.text(item) else {
            continue;
        };
        let span = item.node.span.clone();
        if links.iter().any(|link| link.to == to) {
            reader.error(&span, format!("{to:?} is given twice"));
        }
        let dependency = Dependency {
            condition: Condition::Started,
            is_required: true,
            restart: false,
        };
        links.push(Link {
            to,
            span,
            dependency,
        });
    }
    links
}

fn read_dependency(reader: &mut Reader<'_>, value: Value<'_>) -> Dependency {
    let mut fields = reader.fields(value);
    let condition = fields
        .take_given("condition")
        .and_then(|value| reader.word(value, &CONDITIONS));
    let required = fields.flag(reader, "required");
    let restart = fields.flag(reader, "restart");
    fields.finish(reader, &[]);
    Dependency {
        condition: condition.unwrap_or(Condition::Started),
        is_required: required.unwrap_or(true),
        restart: restart.unwrap_or(false),
    }
}

/// The names of a file's services.
pub(crate) struct Names<'n> {
    /// All keys of `services`, also of those that could not be read.
    pub(crate) declared: Vec<&'n str>,
    /// Those whose profiles are not asked for, with these.
    pub(crate) inactive: BTreeMap<&'n str, String>,
}

/// The services in such an order that each stands after those it waits for; where that leaves a
/// choice, in the order of the file.
pub(crate) fn sort(
    reader: &mut Reader<'_>,
    mut drafts: Vec<Draft>,
    names: &Names<'_>,
) -> Vec<Service> {
    settle_links(reader, &mut drafts, names);
    check_health(reader, &drafts);
    let order = match topological(&drafts) {
        Ok(order) => order,
        Err(cycle) => {
            report_cycle(reader, &drafts, &cycle);
            return Vec::new();
        }
    };
    let mut services: Vec<Option<Service>> = drafts
        .into_iter()
        .map(|draft| Some(draft.service))
        .collect();
    order
        .into_iter()
        .filter_map(|at| services.get_mut(at).and_then(Option::take))
        .collect()
}

fn settle_links(reader: &mut Reader<'_>, drafts: &mut [Draft], names: &Names<'_>) {
    for draft in drafts {
        for link in &draft.links {
            let is_optional = !link.dependency.is_required;
            if let Some(profiles) = names.inactive.get(link.to.as_str()) {
                if !is_optional {
                    let message = format!("the service {:?} is of the profile {profiles}", link.to);
                    let hint = "name it in the variable COMPOSE_PROFILES, in `vars` of site.toml, \
                                or write `required: false`";
                    reader.error_with_hint(&link.span, message, hint);
                }
            } else if !names.declared.contains(&link.to.as_str()) {
                let message = format!("the service {:?} is not in this file", link.to);
                let declared = names.declared.iter().copied();
                reader.unknown(&link.span, message, &link.to, declared, "");
            } else if let Ok(name) = link.to.parse::<ServiceName>() {
                draft
                    .service
                    .depends_on
                    .insert(name, link.dependency.clone());
            }
        }
    }
}

/// Who waits for the health of a service without a healthcheck waits for ever.
fn check_health(reader: &mut Reader<'_>, drafts: &[Draft]) {
    let disabled: BTreeSet<&str> = drafts
        .iter()
        .filter(|draft| {
            let healthcheck = draft.service.container.healthcheck.as_ref();
            healthcheck.is_some_and(|check| check.test.first().is_some_and(|word| word == "NONE"))
        })
        .map(|draft| draft.service.name.as_str())
        .collect();
    for link in drafts.iter().flat_map(|draft| &draft.links) {
        if link.dependency.condition == Condition::Healthy && disabled.contains(link.to.as_str()) {
            let message = format!(
                "{:?} is never healthy: its healthcheck is disabled",
                link.to
            );
            reader.error(&link.span, message);
        }
    }
}

/// Positions in `drafts`; the error is a cycle, each waiting for the next and the last for the
/// first.
fn topological(drafts: &[Draft]) -> Result<Vec<usize>, Vec<usize>> {
    let at: BTreeMap<&ServiceName, usize> = drafts
        .iter()
        .enumerate()
        .map(|(at, draft)| (&draft.service.name, at))
        .collect();
    let waits_for: Vec<BTreeSet<usize>> = drafts
        .iter()
        .map(|draft| {
            draft
                .service
                .depends_on
                .keys()
                .filter_map(|to| at.get(to).copied())
                .collect()
        })
        .collect();
    let mut awaited_by = vec![Vec::new(); drafts.len()];
    for (from, targets) in waits_for.iter().enumerate() {
        for to in targets {
            awaited_by[*to].push(from);
        }
    }
    let mut open: Vec<usize> = waits_for.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..drafts.len()).filter(|at| open[*at] == 0).collect();
    let mut order = Vec::new();
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for from in &awaited_by[next] {
            open[*from] -= 1;
            if open[*from] == 0 {
                ready.insert(*from);
            }
        }
    }
    match (0..drafts.len()).find(|at| open[*at] > 0) {
        None => Ok(order),
        Some(start) => Err(cycle_from(start, &waits_for, &open)),
    }
}

/// Whoever is still open waits for another that is: following them ends in a cycle.
fn cycle_from(start: usize, waits_for: &[BTreeSet<usize>], open: &[usize]) -> Vec<usize> {
    let mut path = vec![start];
    let mut at = start;
    while let Some(next) = waits_for[at].iter().copied().find(|to| open[*to] > 0) {
        if let Some(begin) = path.iter().position(|seen| *seen == next) {
            return path.split_off(begin);
        }
        path.push(next);
        at = next;
    }
    path
}

fn report_cycle(reader: &mut Reader<'_>, drafts: &[Draft], cycle: &[usize]) {
    let name = |at: &usize| drafts[*at].service.name.as_str();
    let mut names: Vec<&str> = cycle.iter().map(name).collect();
    names.extend(cycle.first().map(name));
    let message = format!("services wait for each other: {}", names.join(" → "));
    if let Some(first) = cycle.first() {
        reader.error(&drafts[*first].span, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    #[test]
    fn a_service_stands_after_those_it_waits_for() {
        let source = "
services:
  web: { image: w, depends_on: [db, cache] }
  worker:
    image: w
    depends_on:
      migrate: { condition: service_completed_successfully }
      web: { condition: service_started, restart: true, required: false }
  proxy: { image: p, network_mode: \"service:web\", pid: \"service:sidecar\" }
  migrate: { image: m, depends_on: { db: { condition: service_healthy } } }
  cache: { image: c }
  db: { image: d }
  sidecar: { image: s, depends_on: }
";
        let project = Fixture::new().project(source);
        let shown: Vec<String> = project
            .services
            .iter()
            .map(|service| {
                let of = |(name, d): (&_, &crate::model::service::Dependency)| {
                    format!(" {name}({:?} {} {})", d.condition, d.is_required, d.restart)
                };
                format!(
                    "{}:{}",
                    service.name,
                    service.depends_on.iter().map(of).collect::<String>()
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        cache:
        db:
        web: cache(Started true false) db(Started true false)
        migrate: db(Healthy true false)
        worker: migrate(CompletedSuccessfully true false) web(Started false true)
        sidecar:
        proxy: sidecar(Started true true) web(Started true true)
        ");
    }

    #[test]
    fn what_can_never_start_is_refused() {
        let source = "
services:
  outside: { image: o, depends_on: [a] }
  a: { image: a, depends_on: [c] }
  b: { image: b, depends_on: { a: { condition: service_started } } }
  c: { image: c, network_mode: \"service:b\" }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @"4:3 services wait for each other: a → c → b → a");
        let source = "
services:
  a: { image: a, depends_on: [a] }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @"3:3 services wait for each other: a → a");
        let source = "
services:
  web: { image: w, depends_on: { databse: { condition: service_helthy }, cache: { condition: service_healthy, wait: 1 } } }
  database: { image: d }
  cache: { image: c, healthcheck: { disable: true } }
  job: { image: j, depends_on: [cache, cache, nowhere] }
";
        insta::assert_snapshot!(Fixture::new().errors(source), @r#"
        3:34 the service "databse" is not in this file
            = did you mean "database"?
        3:56 "condition" must be service_started or service_healthy or service_completed_successfully, not "service_helthy"
            = did you mean "service_healthy"?
        3:74 "cache" is never healthy: its healthcheck is disabled
        3:111 unknown key "wait"
        6:40 "cache" is given twice
        6:47 the service "nowhere" is not in this file
        "#);
    }
}
