//! What coordinators do in a story, and what is done to them.
use std::time::Duration;

use super::acts::ms;
use super::play::Scene;
use super::script::{Line, Wrong};
use crate::coordinator::event::{Event, PauseEnd, Then};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::SiteName;
use crate::sim::trace::Who;
use crate::sim::world::Torn;

/// More answers than any story waits for.
const MOST_STEPS: usize = 50_000;

const ACTS: &str = "rotate, rebuild SITE, restore SITE, withdraw SITE, cordon SITE, uncordon SITE, \
     recover, take-over (each with --take-over, --below-floor, --unverified, --restore, --wait TIME), \
     abort, pause [--for TIME], resume [SITE], told to end, supersede, until EVENT [SITE], step, to the end, freezes, wakes, requests land after TIME, dies, \
     dies before|after its decision is on disk, comes back, comes back without its store, \
     keeps a copy of its store, comes back with that copy, comes back with a copy of b's store";

impl Scene {
    pub(super) fn coordinator(&mut self, line: &Line) -> Result<(), Wrong> {
        self.sits(&line.subject);
        let words = line.spoken();
        match words.as_slice() {
            [
                "rotate" | "rebuild" | "restore" | "withdraw" | "cordon" | "uncordon" | "recover"
                | "take-over",
                ..,
            ] => self.asked(line, &words),
            ["abort"] => {
                let (actor, reason) = ("ana".to_owned(), None);
                self.told(line, Command::Abort { actor, reason })
            }
            ["pause"] => self.told(line, pause(PauseEnd::Word)),
            ["told", "to", "end"] => self.hears(line, "is told to end", pause(PauseEnd::Start)),
            ["pause", "--for", time] => {
                let later = Duration::from_millis(ms(line, time)?);
                let at = self.crew.world.time().wall.checked_add(later);
                let at = at.map_err(|error| line.wrong(error.to_string(), "say less"))?;
                let then = Then::Resume;
                self.told(line, pause(PauseEnd::Time { at, then }))
            }
            ["resume", site @ ..] => {
                let site = site.first().map(|name| self.site(line, name));
                let command = Command::Resume {
                    actor: "ana".to_owned(),
                    reason: None,
                    site: site.transpose()?,
                };
                self.told(line, command)
            }
            ["supersede"] => self.told(line, Command::Supersede),
            ["until", "sends", intent, site @ ..] => {
                self.until(line, |event| is_sent(event, intent, site.first()))
            }
            ["until", "proves", intent, site @ ..] => {
                self.until(line, |event| is_proven(event, intent, site.first()))
            }
            ["until", "withdrawn", site] => {
                self.until(line, |event| is_proven(event, "withdraw", Some(site)))
            }
            ["until", "restored", site] => {
                self.until(line, |event| is_proven(event, "restore", Some(site)))
            }
            ["until", "dirty", site] => {
                self.until(line, |event| is_proven(event, "dirty", Some(site)))
            }
            ["until", name, site @ ..] => {
                self.until(line, |event| is_called(event, name, site.first()))
            }
            ["step"] => {
                self.crew.step_here();
                Ok(())
            }
            ["to", "the", "end"] => self.comes_to_its_end(line),
            _ => self.fate(line, &words),
        }
    }

    /// Dies, freezes, comes back.
    fn fate(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        let seat = self.crew.seat();
        match words {
            ["freezes"] => {
                self.is_told(format!("{seat} stands still"));
                self.crew.awake(false);
            }
            ["wakes"] => {
                self.is_told(format!("{seat} goes on where it was"));
                self.crew.awake(true);
            }
            ["requests", "land", "after", time] => {
                let after = ms(line, time)?;
                self.is_told(format!(
                    "what {seat} had asked for will be carried out {time} later"
                ));
                let queue = self.crew.world.queue.clone();
                self.crew.leaves_late(after);
                self.crew.world.queue = queue;
            }
            ["dies"] => self.dies(None),
            ["dies", "before", ..] => self.dies(Some(Torn::BeforeSync)),
            ["dies", "after", ..] => self.dies(Some(Torn::AfterSync)),
            ["keeps", "a", "copy", "of", "its", "store"] => {
                let journal = self.crew.world.journal.clone();
                self.stores.insert(self.crew.at(), journal);
                self.crew
                    .world
                    .told(Who::Person, format!("keeps a copy of the store of {seat}"));
            }
            ["comes", "back"] => self.comes_back("with its store"),
            ["comes", "back", "without", "its", "store"] => {
                self.crew.world.journal.clear();
                self.comes_back("with an empty store");
            }
            ["comes", "back", "with", "that", "copy"] => {
                let Some(store) = self.stores.get(&self.crew.at()).cloned() else {
                    return Err(line.wrong(
                        "there is no copy",
                        format!("write `{seat}: keeps a copy of its store` before"),
                    ));
                };
                self.crew.world.journal = store;
                self.comes_back("with the copy of its store");
            }
            ["comes", "back", "with", "a", "copy", "of", whose, "store"] => {
                let from = whose.trim_end_matches("'s");
                let from = letter(from).ok_or_else(|| {
                    line.wrong(format!("nobody is called {from}"), "use a's, b's or c's")
                })?;
                self.crew.takes_a_copy_of(from);
                self.comes_back(&format!("with a copy of {whose} store"));
            }
            _ => {
                let what = format!("{seat} cannot do `{}`", words.join(" "));
                return Err(line.wrong(what, format!("write one of: {ACTS}")));
            }
        }
        Ok(())
    }

    fn is_told(&mut self, words: String) {
        self.crew.world.told(Who::World, words);
    }

    /// Whoever was not there yet sits down.
    pub(super) fn sits(&mut self, name: &str) {
        let seat = letter(name).unwrap_or(0);
        while self.crew.count() <= seat {
            self.crew.joins();
        }
        self.crew.sit(seat);
    }

    fn dies(&mut self, torn: Option<Torn>) {
        let seat = self.crew.seat();
        if let Some(torn) = torn {
            self.crew.step_torn(torn);
        }
        let over = match torn {
            None => "",
            Some(Torn::BeforeSync) => " before its last decision is on disk",
            Some(Torn::AfterSync) => " right after its last decision is on disk",
        };
        self.is_told(format!("{seat} dies{over}"));
        self.crew.world.queue.clear();
        self.crew.awake(false);
    }

    fn comes_back(&mut self, with: &str) {
        let seat = self.crew.seat();
        self.is_told(format!("{seat} is started again, {with}"));
        self.seen
            .insert(self.crew.at(), self.crew.world.journal.len());
        self.crew.comes_back();
    }

    fn told(&mut self, line: &Line, command: Command) -> Result<(), Wrong> {
        let words = format!("cleanslate {}", line.words.join(" "));
        self.hears(line, &words, command)
    }

    /// Somebody wants something of the process.
    fn hears(&mut self, line: &Line, words: &str, command: Command) -> Result<(), Wrong> {
        let seat = self.crew.seat();
        self.crew
            .world
            .told(Who::Person, format!("{seat}: {words}"));
        match self.crew.hears(&Input::Command(command)) {
            true => Ok(()),
            false => Err(line.wrong(format!("{seat} rejects it"), "ask while its rotation runs")),
        }
    }

    /// A person types a command.
    fn asked(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        let mut options = Options::default();
        let (mut named, mut is_unverified) = (Vec::new(), false);
        let mut rest = words[1..].iter();
        while let Some(word) = rest.next() {
            match *word {
                "--take-over" => options.take_over = true,
                "--now" => options.any_hour = true,
                "--below-floor" => options.below_floor = true,
                "--restore" => options.restore = true,
                "--unverified" => is_unverified = true,
                "--wait" => {
                    let time = rest.next().copied().unwrap_or("");
                    options.wait_s = ms(line, time)? / 1_000;
                }
                "--without" => {
                    let host = rest.next().copied().unwrap_or("");
                    options.without.insert(self.host(line, host)?);
                }
                name => named.push(self.site(line, name)?),
            }
        }
        let mode = match words[0] {
            "rotate" => Mode::Rotate,
            "rebuild" => Mode::Rebuild,
            "restore" => Mode::Restore {
                unverified: is_unverified,
            },
            "withdraw" => Mode::Withdraw,
            "cordon" => Mode::Cordon { cordoned: true },
            "uncordon" => Mode::Cordon { cordoned: false },
            "recover" => Mode::Recover,
            _ => Mode::TakeOver,
        };
        if matches!(mode, Mode::Recover | Mode::TakeOver) {
            options.take_over = true;
        }
        if self.crew.machine().state().running().is_some() {
            return self.asked_meanwhile(line, &mode, named.first().cloned(), options);
        }
        let sites = (!named.is_empty()).then_some(named);
        let plan = self.crew.planned(mode, sites, options).map_err(|blocked| {
            let whats = blocked.reasons.iter().map(|reason| reason.what.as_str());
            line.wrong(
                whats.collect::<Vec<_>>().join("; "),
                "ask for something that has a plan",
            )
        })?;
        match self.crew.begins(plan) {
            true => Ok(()),
            false => Err(line.wrong("it is rejected", "ask when nothing runs there")),
        }
    }

    /// The same, of a rotation that runs.
    fn asked_meanwhile(
        &mut self,
        line: &Line,
        mode: &Mode,
        site: Option<SiteName>,
        options: Options,
    ) -> Result<(), Wrong> {
        let none = || line.wrong("a site is missing", "name one");
        let command = match mode {
            Mode::Cordon { cordoned: true } => Command::Write {
                intent: Intent::Cordon {
                    site: site.ok_or_else(none)?,
                },
            },
            Mode::Cordon { cordoned: false } => Command::Write {
                intent: Intent::Uncordon {
                    site: site.ok_or_else(none)?,
                },
            },
            Mode::Rebuild => {
                let site = site.ok_or_else(none)?;
                let plan = self.crew.planned(Mode::Rebuild, Some(vec![site]), options);
                let plan =
                    plan.map_err(|_| line.wrong("there is no plan", "ask for another site"))?;
                Command::QueueRebuild {
                    plan: Box::new(plan),
                }
            }
            Mode::Withdraw => Command::Refuse {
                site: site.ok_or_else(none)?,
                actor: "ana".to_owned(),
                reason: "it shows last week's prices".to_owned(),
            },
            Mode::Rotate | Mode::Restore { .. } | Mode::Recover | Mode::TakeOver => {
                let what = format!("a rotation runs at {}", self.crew.seat());
                return Err(line.wrong(what, "let it come to its end, or abort it"));
            }
        };
        self.told(line, command)
    }

    /// Everybody who is awake goes on, until this coordinator has decided such a fact.
    fn until(&mut self, line: &Line, is_it: impl Fn(&Event) -> bool) -> Result<(), Wrong> {
        let seat = self.crew.at();
        let from = self.seen.get(&seat).copied().unwrap_or(0);
        for _ in 0..MOST_STEPS {
            self.crew.sit(seat);
            let mut new = self.crew.world.journal.iter().skip(from);
            if let Some(at) = new.position(|(event, _)| is_it(event)) {
                // One answer may have decided the next thing, too.
                self.seen.insert(seat, from + at + 1);
                return Ok(());
            }
            if !self.crew.world.hurt.is_empty() || !self.crew.step() {
                break;
            }
        }
        let what = format!("`{}` does not happen", line.words.join(" "));
        Err(line.wrong(
            what,
            "wait for something that does: a journal's event, by its name",
        ))
    }

    /// Everybody who is awake goes on, until the rotation of this one has ended.
    fn comes_to_its_end(&mut self, line: &Line) -> Result<(), Wrong> {
        let seat = self.crew.at();
        for _ in 0..MOST_STEPS {
            self.crew.sit(seat);
            let is_over = self.crew.machine().state().running().is_none();
            if is_over || !self.crew.world.hurt.is_empty() {
                self.seen.insert(seat, self.crew.world.journal.len());
                return Ok(());
            }
            if !self.crew.step() {
                break;
            }
        }
        Err(line.wrong("it has no end", "look whether it is frozen or dead"))
    }
}

pub(super) fn letter(name: &str) -> Option<usize> {
    ["a", "b", "c"].iter().position(|letter| *letter == name)
}

/// The name of an event in the journal.
fn name_of(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}

fn is_called(event: &Event, name: &str, site: Option<&&str>) -> bool {
    let value = serde_json::to_value(event).unwrap_or_default();
    let is_site = site.is_none_or(|site| value["site"].as_str() == Some(*site));
    is_site && name_of(event) == name
}

fn is_sent(event: &Event, name: &str, site: Option<&&str>) -> bool {
    if let Event::ChangeDecided { intent, .. } = event {
        return is_intent(intent, name, site);
    }
    false
}

fn is_proven(event: &Event, name: &str, site: Option<&&str>) -> bool {
    if let Event::ChangeProven { intent, .. } = event {
        return is_intent(intent, name, site);
    }
    false
}

/// `withdraw nyc`, as the journal calls it.
fn is_intent(intent: &Intent, name: &str, site: Option<&&str>) -> bool {
    let value = serde_json::to_value(intent).unwrap_or_default();
    let called = value.as_str().map(str::to_owned);
    let called = called.or_else(|| Some(value.as_object()?.keys().next()?.clone()));
    let is_site = site.is_none_or(|site| intent.site().is_some_and(|of| of.as_str() == *site));
    is_site && called.as_deref() == Some(name)
}

fn pause(ends: PauseEnd) -> Command {
    let (actor, reason) = match ends {
        PauseEnd::Word | PauseEnd::Time { .. } => ("ana", "a look at it"),
        PauseEnd::Start => ("cleanslate", "the process was told to end"),
    };
    Command::Pause {
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        ends,
    }
}
