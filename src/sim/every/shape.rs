//! What a table comes to, as a number: two that differ only in names nobody has seen twice, or in
//! how late it is, are the same.
//!
//! It reads what `Debug` writes, piece by piece. Identities (nonces, ids of containers and
//! rotations, tokens) are numbered in the order in which they come, sequence numbers by rank; epochs
//! are told as they are, for the next one may be another's; times are told from the clock of their
//! owner; prose is left out.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::table::Table;
use crate::coordinator::machine::Coordinator;
use crate::model::marker::Marker;
use crate::sim::world::{Ghosts, Later, World};

/// The number of a table.
pub(super) fn shape(table: &Table) -> u64 {
    let mut hasher = DefaultHasher::new();
    told(table).hash(&mut hasher);
    table.left.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn told(table: &Table) -> String {
    let mut text = Text::default();
    let world = &table.crew.world;
    for (n, asks) in table.asks.iter().enumerate() {
        text.clock = world.now - table.crew.lag_at(n);
        text.coordinator(table.crew.machine_at(n), asks.is_some());
        text.puts(&asks.is_some());
        let queue = table.crew.queue_at(n).iter();
        let mut queue: Vec<_> = queue
            .map(|(due, effect)| (due - world.now, effect.token))
            .collect();
        queue.sort_unstable();
        text.puts(&queue);
        text.tokens.clear();
    }
    text.clock = 0;
    text.puts(&world.view);
    if table.lags {
        text.puts(&world.secondary);
    }
    text.puts(&world.engines);
    // It arrives in any order.
    let by_itself = |(_, late): &(u64, Later)| Text::of(late);
    let mut later: Vec<&(u64, Later)> = world.later.iter().collect();
    later.sort_by_cached_key(|late| by_itself(late));
    for (_, late) in later {
        text.puts(late);
    }
    text.onlooker(&world.ghosts, world);
    text.ranked()
}

/// In milliseconds, and one more: older looks are all alike.
const LOOK_HOLDS: u64 = 60_001;

#[derive(Default)]
struct Text {
    out: String,
    clock: u64,
    ids: BTreeMap<String, usize>,
    tokens: BTreeMap<u64, usize>,
    /// Numbers of which only the order counts, each with its place in the text.
    ranked: Vec<(usize, Number, u64)>,
    /// The quoted text that is being written.
    quoted: Option<String>,
    /// What the next number is.
    number: Number,
    /// How deep within what is left out; 0: nothing is.
    depth: usize,
    is_skipping: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    #[default]
    Plain,
    Mono,
    /// A time that matters for as long as a look holds.
    Look,
    /// A time that matters until it has come.
    Deadline,
    Token,
    Seq,
    Serial,
    LeftOut,
}

impl Text {
    /// What something comes to by itself.
    fn of(what: &dyn Debug) -> String {
        let mut text = Text::default();
        text.puts(what);
        text.ranked()
    }

    /// The text, with the rank of each number of which only the order counts.
    fn ranked(self) -> String {
        let kinds = [Number::Seq, Number::Serial];
        let of = |kind: Number| {
            let all = self.ranked.iter().filter(move |(_, of, _)| *of == kind);
            all.map(|(_, _, number)| *number).collect::<BTreeSet<u64>>()
        };
        let orders = kinds.map(of);
        let mut text = String::with_capacity(self.out.len() + 4 * self.ranked.len());
        let mut from = 0;
        for (at, kind, number) in &self.ranked {
            text.push_str(&self.out[from..*at]);
            from = *at;
            let order = kinds.iter().position(|known| known == kind);
            let rank = order.map(|order| orders[order].range(..number).count());
            write!(text, "{rank:?}").expect("text takes text");
        }
        text.push_str(&self.out[from..]);
        text
    }

    /// A plan is told by what was seen before planning: the rest follows from what was asked, and
    /// its id stands in the marker. Of a coordinator that has ended, and is asked for nothing more,
    /// what it believes is told: it makes no move, and is asked at rest to bring everything back.
    fn coordinator(&mut self, machine: &Coordinator, will_be_asked: bool) {
        let state = machine.state();
        if let Some(rotation) = state.running() {
            let plan = &rotation.plan;
            let highest = Some(plan.highest_epoch).filter(|highest| *highest > state.epoch);
            self.puts(state);
            self.puts(&(highest, &plan.waves));
        } else if !will_be_asked {
            let lists = |marker: &Marker| (marker.out.clone(), marker.dirty.clone());
            let owed = state.marker.as_ref().map(lists);
            self.puts(&(owed, state.held().is_some(), &state.lane, &state.drained));
        }
    }

    fn puts(&mut self, what: &dyn Debug) {
        write!(self, "{what:?}").expect("text takes text");
        self.out.push('\n');
    }

    /// What was proven when, as far as a rule asks for it.
    fn onlooker(&mut self, ghosts: &Ghosts, world: &World) {
        let sites: Vec<_> = world.fleet.sites.keys().collect();
        for site in sites {
            let told = (
                ghosts.cached_for(site, world.now),
                ghosts.is_verified(site),
                ghosts.is_started_since_dirty(site),
                ghosts.put_in_by_hand.contains(site),
                ghosts.taken_out.contains(site),
                ghosts.asked_in.contains(site),
            );
            self.puts(&told);
        }
        self.puts(&ghosts.may_take_over);
        self.puts(&(
            ghosts.is_memory_lost,
            ghosts.is_zone_suspect,
            world.is_overridden,
        ));
    }

    fn number(&mut self, digits: &str) {
        let number = std::mem::take(&mut self.number);
        let value = digits.parse().unwrap_or(u64::MAX);
        match number {
            Number::Plain => self.out.push_str(digits),
            Number::LeftOut => {}
            Number::Token => {
                let next = self.tokens.len();
                let n = *self.tokens.entry(value).or_insert(next);
                write!(self.out, "#{n}").expect("text takes text");
            }
            Number::Mono => {
                let from = i128::from(value) - i128::from(self.clock);
                write!(self.out, "{from}").expect("text takes text");
            }
            Number::Look => {
                let age = self.clock.saturating_sub(value).min(LOOK_HOLDS);
                write!(self.out, "{age}").expect("text takes text");
            }
            Number::Deadline => {
                let left = value.saturating_sub(self.clock);
                write!(self.out, "{left}").expect("text takes text");
            }
            Number::Seq | Number::Serial => {
                self.ranked.push((self.out.len(), number, value));
            }
        }
    }

    fn close(&mut self, quoted: &str) {
        if quoted.contains(' ') {
            return;
        }
        if is_identity(quoted) {
            let next = self.ids.len();
            let n = match self.ids.get(quoted) {
                Some(n) => *n,
                None => *self.ids.entry(quoted.to_owned()).or_insert(next),
            };
            return write!(self.out, "@{n}").expect("text takes text");
        }
        self.out.push_str(quoted);
    }
}

/// Nonces are base32 of numbers; what is made in a night ends in a number.
fn is_identity(quoted: &str) -> bool {
    let is_minted = |(kind, serial): (&str, &str)| {
        !kind.is_empty() && serial.bytes().all(|digit| digit.is_ascii_digit())
    };
    quoted.starts_with("AAAA") || quoted.rsplit_once('-').is_some_and(is_minted)
}

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.is_skipping {
            self.skip(piece);
            return Ok(());
        }
        if let Some(quoted) = &mut self.quoted {
            if piece != "\"" {
                quoted.push_str(piece);
            } else if let Some(quoted) = self.quoted.take() {
                self.close(&quoted);
            }
            return Ok(());
        }
        match piece.bytes().next() {
            None => return Ok(()),
            Some(b'"') => {
                self.quoted = Some(String::new());
                return Ok(());
            }
            Some(b'0'..=b'9') => {
                self.number(piece);
                return Ok(());
            }
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(piece),
            Some(_) => {}
        }
        self.out.push_str(piece);
        Ok(())
    }
}

impl Text {
    /// Some words say what the number after them is.
    fn word(&mut self, word: &str) {
        match word {
            "Mono" if self.number == Number::Plain => self.number = Number::Mono,
            "looked" => self.number = Number::Look,
            "patience" | "until" => self.number = Number::Deadline,
            "recreate_since" | "tokens" => self.number = Number::LeftOut,
            "None" => self.number = Number::Plain,
            "Token" => self.number = Number::Token,
            "seq" => self.number = Number::Seq,
            "serial" => self.number = Number::Serial,
            "plan" => self.is_skipping = true,
            _ => {}
        }
    }

    /// Leaves one field out.
    fn skip(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                b'{' | b'(' | b'[' => self.depth += 1,
                b'}' | b')' | b']' => self.depth -= 1,
                _ => continue,
            }
            if self.depth == 0 {
                self.is_skipping = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Mono;

    fn text(clock: u64, what: &dyn Debug) -> String {
        let mut text = Text {
            clock,
            ..Text::default()
        };
        text.puts(what);
        text.ranked()
    }

    #[test]
    fn what_only_tells_paths_apart_is_not_told() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "it is only told")]
        struct Of {
            seq: u64,
        }
        #[derive(Debug)]
        #[expect(dead_code, reason = "it is only told")]
        struct One {
            at: Mono,
            markers: [Of; 2],
            id: &'static str,
            other: &'static str,
            tokens: u64,
            why: &'static str,
            plan: (u8, [u8; 2]),
            attempt: u32,
        }
        let one = |at, seq, id, other, tokens, plan| One {
            at: Mono(at),
            markers: [Of { seq: 9 }, Of { seq }],
            id,
            other,
            tokens,
            why: "nobody knows",
            plan: (plan, [plan; 2]),
            attempt: 3,
        };
        let told = text(100, &one(90, 3, "fra1-7", "fra1-8", 4, 1));
        assert_eq!(told, text(300, &one(290, 5, "fra1-9", "fra1-4", 5, 2)));
        assert_ne!(told, text(300, &one(291, 5, "fra1-9", "fra1-4", 5, 2)));
        assert_ne!(told, text(300, &one(290, 12, "fra1-9", "fra1-4", 5, 2)));
        assert_ne!(told, text(300, &one(290, 5, "fra1-9", "fra1-9", 5, 2)));
        assert!(told.contains("at: Mono(-10)"), "{told}");
        assert!(told.contains("id: @0, other: @1"), "{told}");
        assert!(told.contains("attempt: 3"), "{told}");
    }
}
