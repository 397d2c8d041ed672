//! `doctor`: asks every real thing whether a rotation would work.
use clap::Args;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::Outcome;
use super::super::follow::signals;
use super::super::memory::Memory;
use super::super::output::Output;
use crate::config::{self, Loaded};
use crate::daemon::doctor::{self, Check, Found, Own, Section, examine};
use crate::model::fleet::Fleet;
use crate::model::rrset::RecordName;

/// Asks every name server, engine, registry and probe, and proves the DNS rights
///
/// Changes nothing: rights are proved by an UPDATE that adds what is there and deletes what is
/// not. Exits 4 where something is wrong, 5 where something could not be asked; what is only noted
/// does not count.
#[derive(Args, Debug)]
#[command(after_help = "\
With --scratch it also proves, on a name at which nothing stands, that the primary carries conditional
updates out as every rotation needs it, and takes away what it wrote there.

Examples:
  cleanslate doctor
  cleanslate doctor --grants
  cleanslate doctor --scratch scratch.example.com")]
pub(crate) struct Doctor {
    /// Prints the server configuration that grants just what is needed
    #[arg(long, conflicts_with = "scratch")]
    grants: bool,
    /// Writes to this unused name of the zone, to see that conditional updates are kept
    #[arg(long, value_name = "NAME")]
    scratch: Option<RecordName>,
}

pub(crate) async fn run(desk: &Desk, args: &Doctor) -> Outcome {
    if args.grants {
        desk.output.result(&grants(&desk.load()?.fleet));
        return Ok(Exit::Done);
    }
    // Its warnings are checks like others.
    let loaded = config::load(&desk.global.config, &desk.options())?;
    let adapters = desk.adapters(&loaded.fleet)?;
    let mut told = Told::new(&desk.output);
    told.section(&here(desk, &loaded));
    let own = own(desk, &loaded);
    for section in Box::pin(examine(&adapters, desk.clock, &own)).await {
        told.section(&section);
    }
    if let Some(name) = &args.scratch {
        let mut interrupts = signals(tokio::signal::unix::SignalKind::interrupt())?;
        let stop = async {
            interrupts.recv().await;
        };
        told.title("conditional updates");
        let tell = |check| told.check(&check, SCRATCH_WIDTH);
        Box::pin(doctor::scratch(&adapters, name, stop, tell)).await;
    }
    told.end();
    Ok(exit(&told.found))
}

/// This machine's own.
fn here(desk: &Desk, loaded: &Loaded) -> Section {
    let warnings = loaded.warnings.diagnostics().iter().map(|warning| {
        let asked = warning.path.file_name().unwrap_or(warning.path.as_os_str());
        let check = Check::noted(asked.to_string_lossy(), warning.message.clone());
        match &warning.hint {
            Some(hint) => check.cured_by(hint.clone()),
            None => check,
        }
    });
    let mut checks: Vec<Check> = warnings.collect();
    let owner = doctor::owner(&desk.folder(&loaded.fleet));
    let (state, fleet) = (desk.state_dir(), &loaded.fleet.name);
    checks.extend(doctor::store(&state, fleet, owner.as_ref()));
    Section {
        title: "here",
        checks,
    }
}

/// A store that cannot be read is told by its own check.
fn own(desk: &Desk, loaded: &Loaded) -> Own {
    let memory = Memory::open(desk, loaded).ok().flatten();
    let nightly = loaded.playbooks.iter();
    let mut nightly = nightly.filter(|(name, _)| name.as_str() == "nightly");
    Own {
        holder: memory.as_ref().map(|memory| memory.holder.clone()),
        marker: memory.and_then(|memory| memory.state(loaded).ok()?.marker),
        is_live: doctor::owner(&desk.folder(&loaded.fleet)).is_some(),
        playbook: nightly.next().map(|(_, playbook)| playbook.clone()),
    }
}

fn exit(found: &[Found]) -> Exit {
    let of = |found: &Found| match found {
        Found::Well | Found::Noted => Exit::Done,
        Found::Wrong => Exit::Refused,
        Found::Unasked => Exit::Later,
    };
    found.iter().map(of).fold(Exit::Done, Exit::worse)
}

fn grants(fleet: &Fleet) -> String {
    let grants = crate::dns::grants(&fleet.dns);
    format!(
        "BIND:\n{}\nKnot:\n{}\nPowerDNS:\n{}",
        grants.bind, grants.knot, grants.powerdns
    )
}

/// Names of proofs are longer than most, and come one by one.
const SCRATCH_WIDTH: usize = 58;
/// A longer name pushes its own answer to the right, and nobody else's.
const WIDEST: usize = 52;

/// What was told so far, and to whom.
struct Told<'a> {
    output: &'a Output,
    found: Vec<Found>,
    /// The last cure that was shown: what one line cures is not told line by line.
    cure: Option<String>,
}

impl<'a> Told<'a> {
    fn new(output: &'a Output) -> Told<'a> {
        Told {
            output,
            found: Vec::new(),
            cure: None,
        }
    }

    fn section(&mut self, section: &Section) {
        self.title(section.title);
        let lengths = section
            .checks
            .iter()
            .map(|check| check.asked.chars().count());
        let width = lengths.filter(|length| *length <= WIDEST).max();
        for check in &section.checks {
            self.check(check, width.unwrap_or_default());
        }
    }

    fn title(&mut self, title: &str) {
        self.cure = None;
        if !self.output.is_json {
            let gap = if self.found.is_empty() { "" } else { "\n" };
            self.output
                .result(&format!("{gap}{}", self.output.paint("1", title)));
        }
    }

    fn check(&mut self, check: &Check, width: usize) {
        self.found.push(check.found);
        if self.output.is_json {
            return self.output.json(check);
        }
        self.output.result(&self.text(check, width));
        self.cure.clone_from(&check.cure);
    }

    fn text(&self, check: &Check, width: usize) -> String {
        let (style, mark) = match check.found {
            Found::Well => ("32", "ok"),
            Found::Noted => ("36", "note"),
            Found::Unasked => ("33", "no answer"),
            Found::Wrong => ("31;1", "wrong"),
        };
        let mark = self.output.paint(style, &format!("{mark:9}"));
        let asked = printable(&check.asked);
        let answer = printable(&check.answer).replace('\n', " ");
        let line = format!("  {mark}  {asked:width$}  {answer}");
        match &check.cure {
            Some(cure) if self.cure.as_ref() != Some(cure) => {
                let cure = printable(cure).replace('\n', "\n               ");
                format!(
                    "{line}\n             {} {cure}",
                    self.output.paint("36", "→")
                )
            }
            Some(_) | None => line,
        }
    }

    fn end(&self) {
        if self.output.is_json {
            return;
        }
        let count = |found| self.found.iter().filter(|it| **it == found).count();
        let others = [
            (count(Found::Wrong), "wrong"),
            (count(Found::Unasked), "without an answer"),
            (count(Found::Noted), "noted"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let others: String = others
            .map(|(count, what)| format!(", {count} {what}"))
            .collect();
        self.output.result(&format!(
            "\n{} checks: {} ok{others}",
            self.found.len(),
            count(Found::Well)
        ));
    }
}

/// What others wrote may steer a terminal: texts of records, answers of registries.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_beats_what_could_not_be_asked_and_a_note_counts_for_nothing() {
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(&[Found::Well, Found::Noted]), Exit::Done);
        assert_eq!(exit(&[Found::Well, Found::Unasked]), Exit::Later);
        let all = [Found::Unasked, Found::Wrong, Found::Noted, Found::Well];
        assert_eq!(exit(&all), Exit::Refused);
    }

    #[test]
    fn a_cure_is_told_once_where_several_need_it() {
        let args = ["cleanslate", "--color", "never", "doctor"];
        let matches = super::super::super::args::command().get_matches_from(args);
        let cli =
            <super::super::super::args::Cli as clap::FromArgMatches>::from_arg_matches(&matches);
        let output = Output::new(&cli.unwrap().global);
        let mut told = Told::new(&output);
        let one = Check::wrong("a", "is \u{1b}[2J bad", "grant it:\nthis\nand that");
        assert_eq!(
            told.text(&one, 4),
            "  wrong      a     is \u{fffd}[2J bad\n             → grant it:\n               this\n               \
             and that"
        );
        told.cure.clone_from(&one.cure);
        let two = Check {
            asked: "b".to_owned(),
            ..one
        };
        assert_eq!(told.text(&two, 4), "  wrong      b     is \u{fffd}[2J bad");
    }
}
