//! Compose files of the corpus (`tests/compose`), made by cleanslate and by docker-compose: what the
//! engine then says of every container, network and volume is held against each other, field by
//! field. A difference is a fault, or stands in [`known`], and with its reason in `docs/compose.md`.
mod compare;
mod known;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use compare::{Difference, differences};
use known::KNOWN;
use stage::Stage;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compose");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compose.md");

/// How often a known difference was seen, by its reason.
type Seen = BTreeMap<&'static str, usize>;

#[test]
fn the_corpus_makes_what_docker_compose_makes() {
    hold_against_each_other();
}

#[test]
fn every_known_difference_is_in_the_page_with_its_reason() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    for known in KNOWN {
        assert!(
            page.contains(known.reason),
            "{PAGE} lacks: {}",
            known.reason
        );
    }
}

#[expect(clippy::print_stdout, reason = "`make compose` shows it")]
fn hold_against_each_other() {
    let files = corpus();
    assert!(files.len() >= 60, "{} files", files.len());
    let stage = Stage::new();
    let mut seen = Seen::new();
    let mut faults = Vec::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let found = match of_file(&stage, file) {
            Ok(found) => found,
            Err(why) => {
                faults.push(format!("{name}: {why}"));
                continue;
            }
        };
        let (known, unknown): (Vec<_>, Vec<_>) = found
            .iter()
            .partition(|difference| reason(difference).is_some());
        println!(
            "{name:30} {:3} known differences, {} others",
            known.len(),
            unknown.len()
        );
        for difference in known {
            *seen.entry(reason(difference).unwrap()).or_default() += 1;
        }
        for fault in unknown {
            println!("    {fault}");
            faults.push(format!("{name}: {fault}"));
        }
    }
    println!("\nKnown differences, and how often they were seen:");
    for (reason, times) in &seen {
        println!("{times:5}  {reason}");
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every file but those that are merged over another one.
fn corpus() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(CORPUS).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".override.yaml")
    });
    files.sort();
    files
}

/// `Err`: one of the two does not make it.
fn of_file(stage: &Stage, file: &Path) -> Result<Vec<Difference>, String> {
    let over = file.with_extension("override.yaml");
    let mut files = vec![file.to_owned()];
    files.extend(over.exists().then_some(over));
    let theirs = stage.by_docker_compose(&files)?;
    let ours = stage.by_cleanslate(&files)?;
    Ok(differences(&theirs, &ours))
}

fn reason(difference: &Difference) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| known.explains(difference));
    known.map(|known| known.reason)
}
