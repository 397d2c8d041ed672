//! The page as a whole: what it may be read by.
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::super::families::{Entry, Families, PREFIX};
use super::{at, metrics, take_in, world_begins};
use crate::api::metrics::{Containers, Look, Metrics, Runs};
use crate::coordinator::plan::{Mode, Options};
use crate::coordinator::tests::world::{World, site};
use prometheus_client::registry::Registry;

/// Every family, by the names that queries use.
pub(super) fn entries() -> Vec<Entry> {
    Families::new().register(&mut Registry::with_prefix(PREFIX), "1.2.3")
}

/// A page on which every family has a value.
pub(super) fn full_page() -> String {
    let mut world = World::new();
    world.faults.unhealthy.insert(site("sin"));
    let mut machine = world.coordinator();
    let plan = world.plan(Mode::Rotate, None, Options::default());
    world.begin(&mut machine, plan);
    world.run(&mut machine);
    let metrics = metrics();
    take_in(&metrics, &world, 0);
    let nightly = "nightly".parse().unwrap();
    let runs = Runs {
        last: Some(world_begins()),
        next: Some(world_begins()),
    };
    metrics.plan(&[(nightly, runs)].into());
    let nightly = "nightly".parse().unwrap();
    metrics.missed(&nightly, 1, world_begins());
    let now = world.time().wall;
    let engine = (site("fra"), "fra1".parse().unwrap());
    let look = Look {
        facts: 0,
        zone: None,
        engines: [(engine, Containers::Since(now))].into(),
    };
    metrics.looked(&world.fleet, &look, now);
    // A success is another night's.
    metrics.remember(crate::api::metrics::Remembered {
        last_success: [("nightly".parse().unwrap(), now)].into(),
        ..Default::default()
    });
    metrics.render(now)
}

/// Prometheus's own linter reads the older text format, in which a counter's family has the name of
/// its samples.
fn as_prometheus_text(page: &str) -> String {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let renamed: Vec<(&str, &str)> = types
        .filter_map(|line| {
            let (name, kind) = line.split_once(' ')?;
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => return None,
            };
            Some((name, suffix))
        })
        .collect();
    let mut text = String::new();
    for line in page.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let family = line
            .strip_prefix("# ")
            .and_then(|rest| rest.split(' ').nth(1));
        let suffix = renamed.iter().find(|(name, _)| Some(*name) == family);
        let line = match suffix {
            Some((name, suffix)) => {
                let line = line.replacen(name, &format!("{name}{suffix}"), 1);
                line.replace(" info", " gauge")
            }
            None => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What `promtool ARGS` says to `input`, where it finds something.
pub(super) fn promtool(args: &[&str], input: &str) -> Result<(), String> {
    let child = Command::new("promtool")
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("promtool: {error}: install it with `make setup` (Debian: prometheus)")
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(said)
    }
}

#[test]
fn prometheus_finds_nothing_wrong_with_the_page() {
    let page = full_page();
    let told: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            format!("{name}{suffix} {kind}")
        })
        .collect();
    let named: Vec<String> = entries()
        .iter()
        .map(|entry| format!("{} {}", entry.name, entry.kind))
        .collect();
    assert_eq!(told, named, "every family has a value here");
    assert!(page.ends_with("# EOF\n"), "{page}");
    let text = as_prometheus_text(&page);
    assert_eq!(promtool(&["check", "metrics"], &text), Ok(()), "{text}");
    let wrong = text.replace("cleanslate_retries_total", "cleanslate_retries");
    let refused = promtool(&["check", "metrics"], &wrong).unwrap_err();
    assert!(refused.contains("_total"), "{refused}");
}

/// Names are validated where they are read. Should one ever get through, it stays a value.
#[test]
fn whatever_a_label_holds_it_cannot_leave_its_line() {
    let (fleet, holder) = ("edge".parse().unwrap(), "holder-a".parse().unwrap());
    let hostile = "1\"} 9\n# HELP x\\";
    let page = Metrics::new(&fleet, hostile, holder, at("2026-11-22T12:00:00Z"))
        .render(at("2026-11-22T12:00:00Z"));
    let line = page
        .lines()
        .find(|line| line.starts_with("cleanslate_build_info"));
    let expected = r#"cleanslate_build_info{fleet="edge",version="1\"} 9\n# HELP x\\"} 1"#;
    assert_eq!(line, Some(expected));
    assert!(!page.contains("\n# HELP x"), "{page}");
}
