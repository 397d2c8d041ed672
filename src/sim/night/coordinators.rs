//! Coordinators die, freeze, multiply, and lose what they knew.
use super::happening::lasting;
use super::playing::Night;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::plan::{Mode, Options};
use crate::sim::faults::Fault;
use crate::sim::world::Torn;

/// More coordinators than this are no other than two and one more.
const MOST_SEATS: usize = 3;

impl Night {
    /// Somebody who acts is picked first: all of them may be hit.
    pub(super) fn picks(&mut self) {
        let seats = self.crew.count();
        let seat = usize::try_from(self.chance.below(seats as u64)).unwrap_or(0);
        self.crew.sit(seat);
    }

    /// A coordinator dies, over an answer where `torn` says so, and comes back.
    pub(super) fn kills(&mut self, fault: Fault, torn: Option<Torn>, later: u64) {
        self.picks();
        if let Some(torn) = torn {
            self.crew.step_torn(torn);
        }
        let seat = self.crew.seat();
        let over = match torn {
            None => "",
            Some(Torn::BeforeSync) => " before its last decision is on disk",
            Some(Torn::AfterSync) => " right after its last decision is on disk",
        };
        if self.chance.one_in(2) {
            let after = lasting(later);
            let words = format!(
                "{seat} dies{over}, and comes back; what it had asked for is carried out {after} later"
            );
            self.notes(fault, words);
            self.crew.leaves_late(later);
        } else {
            let words = format!("{seat} dies{over}, and comes back; what it had asked for is lost");
            self.notes(fault, words);
        }
        self.crew.comes_back();
        if self.chance.one_in(4) {
            self.crew.hears(&Input::Command(Command::Supersede));
        }
    }

    /// Another one sits down beside, and takes the marker over; the first one works on.
    pub(super) fn somebody_takes_over(&mut self, later: u64) {
        if self.crew.count() < MOST_SEATS {
            self.crew.joins();
        } else {
            self.picks();
        }
        if self.crew.machine().state().running().is_some() {
            return;
        }
        let options = Options {
            take_over: self.chance.below(4) > 0,
            wait_s: later / 20,
            ..Options::default()
        };
        let modes = [Mode::Rotate, Mode::Recover, Mode::TakeOver];
        let mode = self.chance.of_these(&modes).cloned();
        let words = format!(
            "somebody sits down at {}, beside the others",
            self.crew.seat()
        );
        self.notes(Fault::TakeOvers, words);
        self.begins(mode.unwrap_or(Mode::Recover), None, options);
    }

    /// One stands still, or goes on.
    pub(super) fn freezes(&mut self, later: u64) {
        self.picks();
        let (seat, stands) = (self.crew.seat(), self.crew.is_awake());
        self.crew.awake(!stands);
        if !stands {
            self.notes(
                Fault::Freezes,
                format!("{seat} wakes, and goes on where it was"),
            );
        } else if self.chance.one_in(2) {
            // What it had sent is carried out meanwhile, and once more as it wakes.
            let after = lasting(later);
            let words =
                format!("{seat} stands still; what it had asked for is carried out {after} later");
            self.notes(Fault::Freezes, words);
            let queue = self.crew.world.queue.clone();
            self.crew.leaves_late(later);
            self.crew.world.queue = queue;
        } else {
            self.notes(Fault::Freezes, format!("{seat} stands still"));
        }
    }

    /// A copy of the store is taken to another machine, and runs there too.
    pub(super) fn copies_store(&mut self) {
        if self.crew.count() >= MOST_SEATS {
            return;
        }
        self.picks();
        let from = self.crew.seat();
        self.crew.joins_on_a_copy();
        let words = format!(
            "{} runs on a copy of the store of {from}, beside it",
            self.crew.seat()
        );
        self.notes(Fault::StoreCopied, words);
        self.crew.comes_back();
    }

    pub(super) fn comes_back_old(&mut self) {
        self.picks();
        let all = self.crew.world.journal.len();
        let keep = usize::try_from(self.chance.below(all as u64)).unwrap_or(0);
        let lost = all - keep;
        let seat = self.crew.seat();
        let words =
            format!("{seat} dies, and comes back with a store that lacks the last {lost} events");
        self.notes(Fault::StoreOld, words);
        self.crew.world.journal.truncate(keep);
        self.crew.comes_back();
    }

    pub(super) fn loses_store(&mut self) {
        self.picks();
        let seat = self.crew.seat();
        self.notes(
            Fault::StoreLost,
            format!("{seat} dies, and comes back with an empty store"),
        );
        self.crew.world.journal.clear();
        self.crew.comes_back();
    }
}
