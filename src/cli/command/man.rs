//! `man`: one page a command, and one over all of them.
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use jiff::Timestamp;

use super::super::args::{self, EXIT_CODES};
use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};

/// Writes the manual: one page a command, and one over all of them
#[derive(Args, Debug)]
#[command(after_help = "\
Without a folder it prints the page over all commands.

Examples:
  cleanslate man | man -l -
  cleanslate man /usr/local/share/man/man1")]
pub(crate) struct Manual {
    /// The folder to write them into; it is made
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(desk: &Desk, args: &Manual) -> Outcome {
    let pages = pages(&day(desk.build_time()));
    let Some(dir) = &args.dir else {
        let overview = pages.into_iter().next().expect("there is one over all");
        desk.output.result(overview.text.trim_end());
        return Ok(Exit::Done);
    };
    write(dir, &pages).map_err(|error| {
        let what = format!(
            "the pages cannot be written into {}: {error}",
            dir.display()
        );
        Failure::new(
            Exit::Usage,
            what,
            "name a folder that this user may write to",
        )
    })?;
    let count = pages.len();
    desk.output
        .progress(&format!("{count} pages are in {}", dir.display()));
    Ok(Exit::Done)
}

fn write(dir: &Path, pages: &[Page]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for page in pages {
        std::fs::write(dir.join(format!("{}.1", page.name)), &page.text)?;
    }
    Ok(())
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// One page of section 1.
struct Page {
    /// `cleanslate-release-promote`.
    name: String,
    text: String,
}

/// The page over all commands first.
fn pages(day: &str) -> Vec<Page> {
    let mut command = args::command();
    command.build();
    let mut pages = vec![overview(&command, day)];
    for below in command.get_subcommands() {
        add(&mut pages, below, "cleanslate", day);
    }
    pages
}

fn add(pages: &mut Vec<Page>, command: &Command, above: &str, day: &str) {
    let name = format!("{above}-{}", command.get_name());
    pages.push(page(command, &name, day));
    for below in command.get_subcommands() {
        add(pages, below, &name, day);
    }
}

/// Of one command: what it is, its flags, its examples as they are typed.
fn page(command: &Command, name: &str, day: &str) -> Page {
    let after = command.get_after_help().map(ToString::to_string);
    let man = man(command, name, day);
    let mut text = head(&man);
    let mut roff = Roff::default();
    if let Some(after) = after {
        as_typed(&mut roff, "NOTES", &after);
    }
    roff.control("SH", ["SEE ALSO"]);
    let above = name
        .rsplit_once('-')
        .map_or("cleanslate", |(above, _)| above);
    let mut also = vec!["cleanslate".to_owned()];
    if above != "cleanslate" {
        also.push(above.to_owned());
    }
    also.extend(
        command
            .get_subcommands()
            .map(|below| format!("{name}-{}", below.get_name())),
    );
    references(&mut roff, &also);
    text.push_str(&roff.render());
    Page {
        name: name.to_owned(),
        text: tidy(&text),
    }
}

fn overview(command: &Command, day: &str) -> Page {
    let man = man(command, "cleanslate", day);
    let mut text = head(&man);
    let mut roff = Roff::default();
    roff.control("SH", ["COMMANDS"]);
    for below in command.get_subcommands() {
        roff.control("TP", []);
        let name = format!("cleanslate-{}", below.get_name());
        roff.text([bold(name), roman("(1)")]);
        let about = below.get_about().map(ToString::to_string);
        roff.text([roman(about.unwrap_or_default())]);
    }
    let codes = EXIT_CODES.split_once("\n\n");
    let codes = codes.map_or(EXIT_CODES, |(_, codes)| codes);
    as_typed(&mut roff, "EXIT STATUS", codes);
    terms(&mut roff, "FILES", &FILES);
    terms(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    roff.control("SH", ["SEE ALSO"]);
    references(
        &mut roff,
        &[
            "cleanslate-rotate".to_owned(),
            "cleanslate-doctor".to_owned(),
        ],
    );
    text.push_str(&roff.render());
    Page {
        name: "cleanslate".to_owned(),
        text: tidy(&text),
    }
}

/// As formatters like it: no break beside an empty line, and what is no ASCII by its number, which
/// needs no locale.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_empty = |at: Option<usize>| {
        let line = at.and_then(|at| lines.get(at));
        line.is_some_and(|line| line.is_empty() || *line == ".sp")
    };
    let mut tidy = String::new();
    for (at, line) in lines.iter().enumerate() {
        if *line == ".br" && (is_empty(at.checked_sub(1)) || is_empty(Some(at + 1))) {
            continue;
        }
        for c in line.chars() {
            match c.is_ascii() {
                true => tidy.push(c),
                false => tidy.push_str(&format!("\\[u{:04X}]", u32::from(c))),
            }
        }
        tidy.push('\n');
    }
    tidy
}

fn man(command: &Command, name: &str, day: &str) -> Man {
    // Its own sections come from here: what stands after the help is typed, not flowing text.
    let spoken = name.replace('-', " ");
    let command = command
        .clone()
        .name(name.to_owned())
        .bin_name(spoken)
        .after_help("")
        .after_long_help("");
    Man::new(command)
        .title(name.to_uppercase())
        .date(day)
        .source(concat!("cleanslate ", env!("CARGO_PKG_VERSION")))
        .manual("cleanslate")
}

fn head(man: &Man) -> String {
    let mut text = Vec::new();
    let written = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| man.render_options_section(&mut text));
    written.expect("writing into memory cannot fail");
    String::from_utf8(text).expect("names and help are text")
}

/// Lines as they are, under a heading.
fn as_typed(roff: &mut Roff, heading: &str, lines: &str) {
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in lines.trim_end().lines() {
        // An empty line is a space in lines as they are; two of them are none of the language's.
        match line.is_empty() {
            true => roff.control("sp", []),
            false => roff.text([roman(line)]),
        };
    }
    roff.control("fi", []);
}

fn terms(roff: &mut Roff, heading: &str, terms: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

fn references(roff: &mut Roff, names: &[String]) {
    let last = names.len().saturating_sub(1);
    for (at, name) in names.iter().enumerate() {
        let end = if at == last { "(1)" } else { "(1)," };
        roff.control("BR", [name.as_str(), end]);
    }
}

const FILES: [(&str, &str); 8] = [
    (
        "site.toml",
        "The fleet: every site, record, probe and policy; --config names another.",
    ),
    (
        "compose.yaml",
        "What each host runs: an ordinary Compose file.",
    ),
    (
        "playbooks/NAME.toml",
        "How a rotation goes; nightly, rebuild, urgent, staging and drill are built in.",
    ),
    ("/etc/cleanslate", "Where the units look for them."),
    (
        "/var/lib/cleanslate/FLEET/journal.db",
        "The journal, where root or the units run it; else below the XDG state folder.",
    ),
    (
        "/var/lib/cleanslate/FLEET/control.sock",
        "How commands reach the coordinator or a running rotation.",
    ),
    ("cleanslate.service", "The coordinator, for systemd."),
    (
        "cleanslate-rotate@PLAYBOOK.timer",
        "One playbook by the clock, where no coordinator runs.",
    ),
];

const ENVIRONMENT: [(&str, &str); 6] = [
    (
        "CLEANSLATE_CONFIG, CLEANSLATE_STATE, …",
        "Every flag has a variable: --state DIR is CLEANSLATE_STATE=DIR. What is typed wins.",
    ),
    ("CLEANSLATE_TOKEN", "The token that --api needs."),
    (
        "CLEANSLATE_LOG",
        "What is logged, in the words of tracing-subscriber; -v is simpler.",
    ),
    (
        "DOCKER_CONFIG",
        "The folder of Docker's config.json, with the credentials of registries that site.toml names none for.",
    ),
    ("NO_COLOR", "No colour, if it is not empty."),
    (
        "XDG_STATE_HOME",
        "Where state is kept of users that are not root.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_is_named_on_the_one_over_all() {
        let pages = pages("2026-07-01");
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names[0], "cleanslate");
        for name in [
            "cleanslate-doctor",
            "cleanslate-release-promote",
            "cleanslate-man",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        let escaped = |name: &str| name.replace('-', "\\-");
        for command in args::command().get_subcommands() {
            let name = format!("cleanslate-{}", command.get_name());
            assert!(pages[0].text.contains(&escaped(&name)), "{name}");
        }
        for section in ["EXIT STATUS", "FILES", "ENVIRONMENT", "COMMANDS"] {
            assert!(pages[0].text.contains(section), "{section}");
        }
        assert!(pages.iter().all(|page| page.text.contains("2026-07-01")));
    }
}
