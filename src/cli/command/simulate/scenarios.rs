//! The stories of `docs/scenarios`: each is played, and goes as it is written down there.
use std::path::{Path, PathBuf};

use super::timeline::{moments, text};
use crate::sim::scenario::{Played, Script, play};

/// Columns of a transcript.
const WIDTH: usize = 118;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenarios")
}

/// Every story, by the name of its file.
fn stories() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    files.into_iter().map(read).collect()
}

/// What is wrong with a story, if anything is.
fn wrong(text_of_file: &str, bless: impl Fn(&str)) -> Option<String> {
    let script = match Script::read(text_of_file) {
        Ok(script) => script,
        Err(wrong) => return Some(wrong.to_string()),
    };
    let Played {
        fleet,
        entries,
        wrong,
    } = play(&script);
    let told = text(&moments(&fleet, &entries), Some(WIDTH));
    if let Some(wrong) = wrong {
        let last: Vec<&str> = told.lines().rev().take(12).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Some(format!("{wrong}\n  it went:\n{}", last.join("\n")));
    }
    let file = script.with(&told);
    if file == text_of_file {
        return None;
    }
    bless(&file);
    let written = script.transcript.unwrap_or_default();
    let mut lines = written.trim_end().lines().zip(told.lines());
    let other = lines.find(|(written, told)| written != told);
    Some(match other {
        _ if written.is_empty() => "it has no transcript".to_owned(),
        Some((written, told)) => format!("written: {written}\n  told:    {told}"),
        None => "one of both goes on where the other has ended".to_owned(),
    })
}

#[test]
fn every_story_goes_as_it_is_written_down() {
    let is_blessed = std::env::var_os("CLEANSLATE_BLESS").is_some_and(|value| value == "1");
    let mut all = Vec::new();
    for (path, text) in stories() {
        let bless = |file: &str| {
            if is_blessed {
                std::fs::write(&path, file).unwrap();
            }
        };
        all.extend(wrong(&text, bless).map(|wrong| format!("{}: {wrong}", path.display())));
    }
    let cure = "CLEANSLATE_BLESS=1 writes transcripts anew: read what changed";
    assert!(all.is_empty(), "{}\n{cure}", all.join("\n"));
}

/// A row that leads nowhere, and a story that no row leads to, are mistakes.
#[test]
fn the_index_leads_to_every_story_and_calls_it_by_its_title() {
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let linked: std::collections::BTreeSet<String> = index
        .split('[')
        .filter_map(|rest| rest.split_once("](")?.1.split_once(".txt)"))
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut titles = Vec::new();
    let mut there = std::collections::BTreeSet::new();
    for (path, text) in stories() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        titles.push(format!(
            "[{}]({name}.txt)",
            Script::read(&text).unwrap().title
        ));
        there.insert(name);
    }
    assert_eq!(linked, there);
    let missing: Vec<&String> = titles
        .iter()
        .filter(|title| !index.contains(*title))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_line_that_cannot_be_played_is_named_with_its_cure() {
    let wrong = |acts: &str| {
        let script = Script::read(&format!("A title\n\nfleet fra nyc\n{acts}\n")).unwrap();
        play(&script).wrong.unwrap().to_string()
    };
    let all = [
        "a: until withdrawn moon",
        "a: dances",
        "frogs: fall",
        "wait long",
        "person: sets ttl low",
        "engine: fra7 down",
        "a: rotate\na: to the end\nexpect in DNS nyc",
        "a: comes back with that copy",
    ];
    insta::assert_snapshot!(all.map(wrong).join("\n"), @r#"
    line 4: `until withdrawn moon` does not happen
      cure: wait for something that does: a journal's event, by its name
    line 4: a cannot do `dances`
      cure: write one of: rotate, rebuild SITE, restore SITE, withdraw SITE, cordon SITE, uncordon SITE, recover, take-over (each with --take-over, --below-floor, --unverified, --restore, --wait TIME), abort, pause [--for TIME], resume [SITE], told to end, supersede, until EVENT [SITE], step, to the end, freezes, wakes, requests land after TIME, dies, dies before|after its decision is on disk, comes back, comes back without its store, keeps a copy of its store, comes back with that copy, comes back with a copy of b's store
    line 4: nobody is called frogs
      cure: use a, b, c, a site, primary, secondary, update, answers, engine, removal, request, traffic, clock, tags or person
    line 4: "long" is no time
      cure: write 90s, 10m or 2h
    line 4: "low" is no number
      cure: write 1, 2, …
    line 4: no host is called fra7
      cure: use one of: fra1, nyc1
    line 6: expected in DNS nyc, found: fra nyc
      cure: mend the story, or the coordinator
    line 4: there is no copy
      cure: write `a: keeps a copy of its store` before
    "#);
}
