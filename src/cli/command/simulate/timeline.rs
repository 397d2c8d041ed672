//! A night in words, moment by moment: when, who, which site, what.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::api::narrate::{Narrator, aside};
use crate::api::public::Public;
use crate::api::when::When;
use crate::api::words::words;
use crate::model::fleet::Fleet;
use crate::sim::trace::{Decided, Entry, Seat, What, Who};

/// Before what a person does about the line above.
const CURE: &str = "  cure: ";

/// One line of a night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Moment {
    /// Since the night began.
    pub(super) seconds: u64,
    /// `a`, `b`, `c`: a coordinator; `world`, `person`; `RULE`: it was broken.
    pub(super) who: String,
    pub(super) site: Option<String>,
    pub(super) text: String,
    /// How often in a row.
    pub(super) times: u64,
}

/// The lines of a night. What only repeats the line before is counted.
pub(super) fn moments(fleet: &Fleet, entries: &[Entry]) -> Vec<Moment> {
    let mut narrators: BTreeMap<Seat, Narrator> = BTreeMap::new();
    let mut moments: Vec<Moment> = Vec::new();
    for entry in entries {
        for moment in told(fleet, &mut narrators, entry) {
            // A refusal and the end that follows from it have one cure.
            let is_said = |said: &Moment| said.site == moment.site && said.text == moment.text;
            if moment.text.starts_with(CURE) && moments.iter().rev().take(3).any(is_said) {
                continue;
            }
            let is_again = |last: &&mut Moment| {
                (&last.who, &last.site, &last.text) == (&moment.who, &moment.site, &moment.text)
            };
            match moments.last_mut().filter(is_again) {
                Some(last) => last.times += 1,
                None => moments.push(moment),
            }
        }
    }
    moments
}

fn told(fleet: &Fleet, narrators: &mut BTreeMap<Seat, Narrator>, entry: &Entry) -> Vec<Moment> {
    let moment = |who: String, site: Option<String>, text: String| Moment {
        seconds: entry.at.mono.0 / 1_000,
        who,
        site,
        text,
        times: 1,
    };
    let who = entry.who.to_string();
    match (&entry.what, entry.who) {
        (What::Fault { words, .. } | What::Told(words), _) => {
            vec![moment(who, None, words.clone())]
        }
        (What::Broken(violation), _) => vec![moment(
            "RULE".to_owned(),
            None,
            format!("broken: {violation}"),
        )],
        (What::Decided(decided), Who::Coordinator(seat)) => {
            let narrator = narrators.entry(seat).or_default();
            let said = said(fleet, narrator, decided, entry);
            said.into_iter()
                .map(|(site, text)| moment(who.clone(), site, text))
                .collect()
        }
        (What::Decided(_), Who::World | Who::Person) => Vec::new(),
    }
}

/// What a coordinator says of what it decided.
fn said(
    fleet: &Fleet,
    narrator: &mut Narrator,
    decided: &Decided,
    entry: &Entry,
) -> Vec<(Option<String>, String)> {
    let Decided {
        event,
        before,
        after,
    } = decided;
    // Event lines name no time of day but in waits, which are none of these.
    let when = When {
        zone: TimeZone::UTC,
    };
    let Some(line) = narrator.tell(fleet, event, before, after, entry.at.wall) else {
        let aside = aside(event, before).into_iter();
        return aside
            .map(|aside| (aside.site.map(|site| site.to_string()), aside.text))
            .collect();
    };
    let site = line.site.as_ref().map(ToString::to_string);
    let text = words(&line, &when, entry.at.wall);
    let next = cure(&line.public);
    let next = next.filter(|cure| !cure.is_empty());
    let next = next.map(|cure| (site.clone(), format!("{CURE}{cure}")));
    let mut said = vec![(site, text)];
    said.extend(next);
    said
}

/// What a person does about it.
fn cure(public: &Public) -> Option<String> {
    if let Public::RotationHalted { cure, next, .. } = public {
        return Some(match next.as_str() {
            "cleanslate status" => cure.clone(),
            next => format!("{cure}; {next}"),
        });
    }
    if let Public::SiteSkipped { cure, .. }
    | Public::PutBack { cure, .. }
    | Public::RollingBack { cure, .. }
    | Public::RolledBack { cure, .. }
    | Public::SiteQuarantined { cure, .. }
    | Public::WithdrawRefused { cure, .. } = public
    {
        return Some(cure.clone());
    }
    None
}

/// The moments as text, broken to `width` columns where there is one.
pub(super) fn text(moments: &[Moment], width: Option<usize>) -> String {
    let sites = moments.iter().filter_map(|moment| moment.site.as_ref());
    let site = sites.map(|site| site.len()).max().unwrap_or(0).max(1);
    let lines = moments.iter().map(|moment| {
        let at = clock(Duration::from_secs(moment.seconds));
        let of = moment.site.as_deref().unwrap_or("");
        let head = format!("{at}  {:<6}  {of:<site$}  ", moment.who);
        let times = match moment.times {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        wrapped(&head, &format!("{}{times}", moment.text), width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `00:04:31`.
fn clock(since: Duration) -> String {
    let seconds = since.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Breaks between words; what follows stands under what came before.
fn wrapped(head: &str, text: &str, width: Option<usize>) -> String {
    let indent = head.chars().count();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(24));
    let mut lines = vec![String::new()];
    let leading = text.len() - text.trim_start().len();
    let mut length = 0;
    for word in text.split_whitespace() {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > room {
            lines.push(" ".repeat(indent + leading));
            length = leading;
        } else if length > 0 {
            lines.last_mut().expect("there is one").push(' ');
            length += 1;
        } else {
            lines
                .last_mut()
                .expect("there is one")
                .push_str(&" ".repeat(leading));
            length = leading;
        }
        lines.last_mut().expect("there is one").push_str(word);
        length += word_length;
    }
    format!("{head}{}", lines.join("\n")).trim_end().to_owned()
}
