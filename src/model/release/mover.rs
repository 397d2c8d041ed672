//! Carries out an act, one question or request at a time, and can be left off anywhere.
//!
//! Registries know no condition: what a tag names is read right before it is put elsewhere, and read
//! back after. Whatever is found is either old, new or somebody else's doing. Old and new say what is
//! left to do, whoever did the rest and however often it was done before; the third ends the act.
use super::act::{Act, End, Left, Phase};
use crate::model::image::{Digest, ImageRef};

/// So often a tag is put where it does not stay before somebody else is taken to put it back.
const PUTS: u32 = 3;

/// An act in hand. It does nothing by itself: whoever drives it does what it wants, and says what
/// came of it.
#[derive(Clone, Debug)]
pub struct Mover {
    act: Act,
    /// What each tag names, as far as it was read since it was last put.
    seen: Vec<Option<Option<Digest>>>,
    /// How often each was put, and the registry said that it was done.
    puts: Vec<u32>,
    /// What was read last: nothing is put that was not.
    just_read: Option<usize>,
    /// All are read once more before it ends.
    is_last_look: bool,
    has_to_record: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Write the act down, as it is now.
    Record(Act),
    /// Read what the tag of this move names.
    Read { at: usize },
    /// Put this manifest under the tag of this move.
    Put { at: usize, digest: Digest },
    /// Nothing.
    Nothing(End),
}

/// What follows from what was read.
enum Next {
    Read(usize),
    Put(usize, Digest),
    TurnBack(String),
    Stuck(Left),
    End(End),
}

impl Mover {
    /// Begins an act that is not written down yet.
    pub fn begin(act: Act) -> Mover {
        Mover {
            has_to_record: true,
            ..Mover::take_up(act)
        }
    }

    /// Goes on with one that is.
    pub fn take_up(act: Act) -> Mover {
        let count = act.moves.len();
        Mover {
            act,
            seen: vec![None; count],
            puts: vec![0; count],
            just_read: None,
            is_last_look: false,
            has_to_record: false,
        }
    }

    pub fn act(&self) -> &Act {
        &self.act
    }

    /// What is to be done next. It stays the same until one of the answers below is given.
    pub fn wants(&mut self) -> Want {
        loop {
            if self.has_to_record {
                return Want::Record(self.act.clone());
            }
            if let Some(end) = self.act.end() {
                return Want::Nothing(end.clone());
            }
            match self.next() {
                Next::Read(at) => return Want::Read { at },
                Next::Put(at, digest) if self.just_read == Some(at) => {
                    return Want::Put { at, digest };
                }
                Next::Put(at, _) => {
                    self.is_last_look = false;
                    return Want::Read { at };
                }
                Next::TurnBack(why) => self.turn_back(why),
                Next::Stuck(left) => self.stick(left),
                Next::End(_) if !self.is_last_look => {
                    self.is_last_look = true;
                    self.seen.fill(None);
                }
                Next::End(end) => self.turn(Phase::Ended(end)),
            }
        }
    }

    /// The act is written down.
    pub fn recorded(&mut self) {
        self.has_to_record = false;
    }

    /// The tag of a move names this now; `None`: there is no such tag.
    pub fn read(&mut self, at: usize, found: Option<Digest>) {
        if let Some(seen) = self.seen.get_mut(at) {
            *seen = Some(found);
            self.just_read = Some(at);
        }
    }

    /// The registry says that it was put.
    pub fn put(&mut self, at: usize) {
        if let Some(puts) = self.puts.get_mut(at) {
            *puts += 1;
        }
        self.unknown(at);
    }

    /// Nobody says whether it was put: reading it tells.
    pub fn unknown(&mut self, at: usize) {
        if let Some(seen) = self.seen.get_mut(at) {
            *seen = None;
        }
        self.just_read = None;
    }

    /// It cannot be put, now or ever.
    pub fn refused(&mut self, at: usize, why: String) {
        let Some(image) = self.act.moves.get(at).map(|it| it.image.clone()) else {
            return;
        };
        match self.act.phase {
            Phase::Forward => self.turn_back(why),
            Phase::Back { .. } => self.stick(Left { image, why }),
            Phase::Ended(_) => {}
        }
    }

    fn next(&self) -> Next {
        if let Some(at) = self.seen.iter().position(Option::is_none) {
            return Next::Read(at);
        }
        match &self.act.phase {
            Phase::Forward => self.forward(),
            Phase::Back { why, stuck } => self.back(why, stuck),
            Phase::Ended(end) => Next::End(end.clone()),
        }
    }

    fn forward(&self) -> Next {
        for (at, it, found) in self.found() {
            let is_old = *found == it.old;
            if !is_old && found.as_ref() != Some(&it.new) {
                return Next::TurnBack(elsewhere(&it.image, found.as_ref()));
            }
            if is_old && self.puts.get(at).is_some_and(|puts| *puts >= PUTS) {
                return Next::TurnBack(does_not_stay(&it.image));
            }
        }
        let mut found = self.found();
        match found.find(|(_, it, found)| found.as_ref() != Some(&it.new)) {
            Some((at, it, _)) => Next::Put(at, it.new.clone()),
            None => Next::End(End::Done),
        }
    }

    fn back(&self, why: &str, stuck: &[Left]) -> Next {
        let is_stuck = |image: &ImageRef| stuck.iter().any(|left| left.image == *image);
        let mut left = stuck.to_vec();
        for (at, it, found) in self.found().filter(|(_, it, _)| !is_stuck(&it.image)) {
            if *found == it.old {
                continue;
            }
            if found.as_ref() != Some(&it.new) {
                let (image, why) = (it.image.clone(), elsewhere(&it.image, found.as_ref()));
                left.push(Left { image, why });
                continue;
            }
            let Some(old) = it.old.clone() else {
                let why = format!("there was no {} before: it stays", it.image);
                let image = it.image.clone();
                left.push(Left { image, why });
                continue;
            };
            if self.puts.get(at).is_some_and(|puts| *puts >= PUTS) {
                let (image, why) = (it.image.clone(), does_not_stay(&it.image));
                return Next::Stuck(Left { image, why });
            }
            return Next::Put(at, old);
        }
        let why = why.to_owned();
        Next::End(End::Undone { why, left })
    }

    /// Every move, and what its tag was last seen to name.
    fn found(&self) -> impl Iterator<Item = (usize, &super::Move, &Option<Digest>)> {
        let moves = self.act.moves.iter().zip(&self.seen).enumerate();
        moves.filter_map(|(at, (it, seen))| Some((at, it, seen.as_ref()?)))
    }

    fn turn_back(&mut self, why: String) {
        let stuck = Vec::new();
        self.turn(Phase::Back { why, stuck });
    }

    fn stick(&mut self, left: Left) {
        if let Phase::Back { stuck, .. } = &mut self.act.phase {
            stuck.push(left);
            self.has_to_record = true;
        }
    }

    fn turn(&mut self, phase: Phase) {
        self.act.phase = phase;
        self.puts.fill(0);
        self.is_last_look = false;
        self.has_to_record = true;
    }
}

fn elsewhere(image: &ImageRef, found: Option<&Digest>) -> String {
    match found {
        Some(found) => format!("somebody else moved {image} to {found}"),
        None => format!("somebody else removed {image}"),
    }
}

fn does_not_stay(image: &ImageRef) -> String {
    format!("{image} does not stay where it is put: somebody else moves it")
}
