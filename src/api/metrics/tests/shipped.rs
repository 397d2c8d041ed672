//! What is shipped beside the program: alerts, dashboard and the table of the documentation speak
//! of what there is.
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::page::{entries, full_page, promtool};

const ALERTS: &str = include_str!("../../../../monitoring/alerts.yml");
const ALERTS_TEST: &str = include_str!("../../../../monitoring/alerts_test.yml");
const DASHBOARD: &str = include_str!("../../../../monitoring/dashboard.json");
const DOCUMENTATION: &str = include_str!("../../../../docs/monitoring.md");

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(ALERTS).unwrap();
    rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// Every `expr` of a dashboard, and the queries of its variables.
fn queries(value: &serde_json::Value, found: &mut Vec<String>) {
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            match value.as_str() {
                Some(text) if ["expr", "definition"].contains(&key.as_str()) => {
                    found.push(text.to_owned());
                }
                _ => queries(value, found),
            }
        }
    }
    for value in value.as_array().into_iter().flatten() {
        queries(value, found);
    }
}

fn dashboard() -> Vec<String> {
    let mut found = Vec::new();
    queries(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    found
}

/// The metrics that a query names.
fn named(query: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(move |c| !is_of_name(c));
    words.filter(|word| word.starts_with("cleanslate_"))
}

/// The names that queries may use, each with its labels.
fn samples() -> BTreeMap<String, BTreeSet<String>> {
    let page = full_page();
    let mut samples: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').unwrap();
        let (labels, _) = labels.split_once('}').unwrap();
        let keys = labels
            .split(',')
            .map(|label| label.split_once('=').unwrap().0.to_owned());
        samples.entry(name.to_owned()).or_default().extend(keys);
    }
    samples
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let samples = samples();
    let queries: Vec<String> = rules()
        .into_iter()
        .map(|rule| rule.expr)
        .chain(dashboard())
        .collect();
    assert!(queries.len() > 40, "{queries:?}");
    let mut seen = BTreeSet::new();
    for query in &queries {
        let names: Vec<&str> = named(query).collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            assert!(samples.contains_key(name), "there is no {name}: {query}");
            seen.insert(name.trim_end_matches("_bucket").to_owned());
        }
    }
    // And what there is can be seen.
    let all: BTreeSet<String> = entries().into_iter().map(|entry| entry.name).collect();
    assert_eq!(seen, all);
}

#[test]
fn every_alert_says_what_to_do_and_has_been_seen_to_fire_and_not_to_fire() {
    #[derive(Deserialize)]
    struct Suite {
        tests: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        alert_rule_test: Vec<Expected>,
    }
    #[derive(Deserialize)]
    struct Expected {
        alertname: String,
        exp_alerts: Vec<serde_json::Value>,
    }
    let suite: Suite = serde_saphyr::from_str(ALERTS_TEST).unwrap();
    let tried: BTreeSet<(String, bool)> = suite
        .tests
        .into_iter()
        .flat_map(|case| case.alert_rule_test)
        .map(|expected| (expected.alertname, expected.exp_alerts.is_empty()))
        .collect();
    for rule in rules() {
        let alert = &rule.alert;
        for is_silent in [true, false] {
            assert!(
                tried.contains(&(alert.clone(), is_silent)),
                "{alert}: silent: {is_silent}"
            );
        }
        for key in ["summary", "description", "next"] {
            assert!(rule.annotations.contains_key(key), "{alert} lacks {key}");
        }
        assert!(rule.annotations["next"].contains("cleanslate "), "{alert}");
        let severity = rule.labels["severity"].as_str();
        assert!(
            ["warning", "critical"].contains(&severity),
            "{alert}: {severity}"
        );
        assert!(
            DOCUMENTATION.contains(&format!("| `{alert}` |")),
            "{alert} is not told"
        );
    }
    assert_eq!(promtool(&["check", "rules", "alerts.yml"], ""), Ok(()));
    assert_eq!(promtool(&["test", "rules", "alerts_test.yml"], ""), Ok(()));
}

#[test]
fn prometheus_understands_every_query_of_the_dashboard() {
    let queries = dashboard();
    let queries = queries
        .iter()
        .filter(|query| !query.starts_with("label_values("));
    let rules: Vec<serde_json::Value> = queries
        .enumerate()
        .map(|(number, query)| {
            let expr = query.replace("$fleet", "edge");
            serde_json::json!({ "record": format!("q{number}"), "expr": expr })
        })
        .collect();
    let file = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(promtool(&["check", "rules", path], ""), Ok(()));
    std::fs::write(path, file.to_string().replace("sum by", "sum bye")).unwrap();
    assert!(promtool(&["check", "rules", path], "").is_err());
}

#[test]
fn panels_lie_beside_each_other_and_have_a_number_each() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{title}");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(taken.insert((x, y)), "{title} lies on another one");
            }
        }
    }
}

#[test]
fn the_documentation_has_every_metric_with_its_type_and_labels() {
    let rows = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `cleanslate_"));
    let told: Vec<[String; 3]> = rows
        .map(|row| {
            let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
            let mut next = || cells.next().unwrap();
            [next().trim_matches('`').to_owned(), next(), next()]
        })
        .collect();
    let samples = samples();
    let expected: Vec<[String; 3]> = entries()
        .into_iter()
        .map(|entry| {
            let of_histogram = format!("{}_count", entry.name);
            let labels = samples
                .get(&entry.name)
                .or_else(|| samples.get(&of_histogram));
            let labels = labels.unwrap().iter().filter(|key| *key != "fleet");
            let mut labels: Vec<&str> = labels.map(String::as_str).collect();
            // The noun first, then its words.
            labels.sort_by_key(|key| !["site", "playbook"].contains(key));
            [entry.name, entry.kind.to_owned(), labels.join(", ")]
        })
        .collect();
    assert_eq!(told, expected);
}
