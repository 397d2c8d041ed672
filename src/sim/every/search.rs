//! Every state that can be reached, each once. Moves are tried out on copies; states are told
//! apart by their shapes (hash compaction, as in Wolper and Leroy, "Reliable hashing without
//! collision detection", 1993: of a hundred million states one in ten thousand runs loses one).
#![expect(
    clippy::disallowed_types,
    reason = "threads share what was seen, of which nobody asks an order: no state is in it"
)]
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::shape::shape;
use super::table::{Move, Table};
use crate::coordinator::guards;

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) states: u64,
    pub(super) moves: u64,
    /// States in which nobody has anything in hand; each was brought to a good end.
    pub(super) quiet: u64,
    /// The longest way that was gone.
    pub(super) depth: u64,
    /// Ways to what must not be, by the rule that is broken.
    pub(super) bad: BTreeMap<String, (String, Vec<Move>)>,
    /// Whether it was cut before it had seen everything.
    pub(super) is_cut: bool,
}

/// The way to a state, shared by all that go on from it.
#[derive(Debug)]
struct Way {
    last: Move,
    before: Option<Arc<Way>>,
    length: u64,
}

struct Here {
    table: Table,
    way: Option<Arc<Way>>,
}

const SHARDS: usize = 64;

type Seen = Vec<Mutex<HashSet<u64>>>;

struct Search<'s> {
    seen: Seen,
    waiting: Mutex<Vec<Here>>,
    busy: AtomicUsize,
    is_cut: AtomicBool,
    states: AtomicUsize,
    most: usize,
    until: Until,
    judge: &'s (dyn Fn(&Table) -> Option<String> + Sync),
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Everywhere,
    /// To the first harm that is found, which need not be the nearest.
    Harm,
}

/// Goes everywhere from `start`. `judge` is asked in quiet states what is wrong with them.
pub(super) fn search(
    start: Table,
    most: usize,
    until: Until,
    judge: &(dyn Fn(&Table) -> Option<String> + Sync),
) -> Found {
    let search = Search {
        seen: (0..SHARDS).map(|_| Mutex::default()).collect(),
        waiting: Mutex::new(vec![Here {
            table: start,
            way: None,
        }]),
        busy: AtomicUsize::new(0),
        is_cut: AtomicBool::new(false),
        states: AtomicUsize::new(0),
        most,
        until,
        judge,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let without = guards::switched_off();
    let mut found = Found::default();
    std::thread::scope(|scope| {
        let search = &search;
        let work = move || guards::off(without, || search.work());
        let working: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worked in working {
            found.add(worked.join().unwrap());
        }
    });
    found.is_cut = search.is_cut.load(Ordering::Relaxed);
    found
}

impl Search<'_> {
    fn work(&self) -> Found {
        let mut found = Found::default();
        let mut own: Vec<Here> = Vec::new();
        loop {
            if self.is_cut.load(Ordering::Relaxed) {
                return found;
            }
            let next = own.pop().or_else(|| self.takes());
            let Some(here) = next else {
                if self.busy.load(Ordering::SeqCst) == 0 && self.waiting.lock().unwrap().is_empty()
                {
                    return found;
                }
                std::thread::yield_now();
                continue;
            };
            self.busy.fetch_add(1, Ordering::SeqCst);
            self.expands(&here, &mut own, &mut found);
            if own.len() > 1 && self.waiting.lock().unwrap().is_empty() {
                self.waiting.lock().unwrap().push(own.remove(0));
            }
            self.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn takes(&self) -> Option<Here> {
        self.waiting.lock().unwrap().pop()
    }

    fn expands(&self, here: &Here, own: &mut Vec<Here>, found: &mut Found) {
        if self.states.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.is_cut.store(true, Ordering::Relaxed);
            return;
        }
        found.states += 1;
        let length = here.way.as_ref().map_or(0, |way| way.length);
        found.depth = found.depth.max(length);
        if here.table.is_quiet() {
            found.quiet += 1;
            if let Some(flaw) = (self.judge)(&here.table) {
                let rule = flaw.split(':').next().unwrap_or_default().to_owned();
                self.finds(found, rule, flaw, here.way.as_ref());
            }
        }
        for last in here.table.moves() {
            found.moves += 1;
            let mut table = here.table.clone();
            table.plays(last);
            let way = Some(Arc::new(Way {
                last,
                before: here.way.clone(),
                length: length + 1,
            }));
            if let Some(violation) = table.violation() {
                let rule = violation.invariant.to_owned();
                self.finds(found, rule, violation.what, way.as_ref());
                continue;
            }
            if self.is_new(&table) {
                own.push(Here { table, way });
            }
        }
    }

    fn finds(&self, found: &mut Found, rule: String, what: String, way: Option<&Arc<Way>>) {
        found.note(rule, what, way);
        if self.until == Until::Harm {
            self.is_cut.store(true, Ordering::Relaxed);
        }
    }

    fn is_new(&self, table: &Table) -> bool {
        let shape = shape(table);
        let shard = usize::try_from(shape % SHARDS as u64).unwrap_or(0);
        self.seen[shard].lock().unwrap().insert(shape)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found {
            states,
            moves,
            quiet,
            depth,
            ..
        } = self;
        let cut = if self.is_cut { ", cut" } else { "" };
        write!(
            f,
            "{states} states, {moves} moves, {quiet} at rest, the longest way {depth}{cut}"
        )?;
        for (rule, (what, moves)) in &self.bad {
            write!(f, "\n  {rule}: {what}\n    {moves:?}")?;
        }
        Ok(())
    }
}

impl Found {
    /// Keeps the shortest way to each kind of harm.
    fn note(&mut self, rule: String, what: String, way: Option<&Arc<Way>>) {
        let mut moves = Vec::new();
        let mut at = way;
        while let Some(way) = at {
            moves.push(way.last);
            at = way.before.as_ref();
        }
        moves.reverse();
        let is_shorter = |(_, known): &(String, Vec<Move>)| moves.len() < known.len();
        if self.bad.get(&rule).is_none_or(is_shorter) {
            self.bad.insert(rule, (what, moves));
        }
    }

    fn add(&mut self, other: Found) {
        self.states += other.states;
        self.moves += other.moves;
        self.quiet += other.quiet;
        self.depth = self.depth.max(other.depth);
        for (rule, (what, moves)) in other.bad {
            let is_shorter = |(_, known): &(String, Vec<Move>)| moves.len() < known.len();
            if self.bad.get(&rule).is_none_or(is_shorter) {
                self.bad.insert(rule, (what, moves));
            }
        }
    }
}
