//! Coordinators in one world: who sits where, who is awake, who dies and comes back with which
//! store. Whoever drives them says what happens; the clock is one for all.
use super::trace::Seat;
use super::world::{Desk, World};
#[cfg(test)]
use crate::coordinator::effect::Effect;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Blocked, Mode, Options, Plan, Survey, Wish, plan};
use crate::model::id::SiteName;

/// A world with one to three coordinators.
#[derive(Clone)]
pub(crate) struct Crew {
    pub(crate) world: World,
    members: Vec<Member>,
    /// Who sits at the world's desk.
    at: usize,
}

/// A coordinator: what it knows, and what it has in hand.
#[derive(Clone)]
struct Member {
    holder: String,
    machine: Coordinator,
    desk: Desk,
    is_awake: bool,
}

impl Crew {
    /// One coordinator, `a`, that has done nothing yet.
    pub(crate) fn of(world: World) -> Crew {
        let mut crew = Crew {
            world,
            members: Vec::new(),
            at: 0,
        };
        let machine = crew.world.coordinator_called("holder-a");
        crew.members.push(Member {
            holder: "holder-a".to_owned(),
            machine,
            desk: Desk::default(),
            is_awake: true,
        });
        crew
    }

    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn seat(&self) -> Seat {
        self.world.seat
    }

    pub(crate) fn machine(&self) -> &Coordinator {
        &self.members[self.at].machine
    }

    pub(crate) fn machines(&self) -> impl Iterator<Item = &Coordinator> {
        self.members.iter().map(|member| &member.machine)
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.members[self.at].is_awake
    }

    pub(crate) fn sit(&mut self, seat: usize) {
        if seat == self.at {
            return;
        }
        self.world.swap(&mut self.members[self.at].desk);
        self.world.swap(&mut self.members[seat].desk);
        self.at = seat;
    }

    /// Another one sits down, on a store of its own.
    pub(crate) fn joins(&mut self) {
        let letter = ["a", "b", "c"][self.members.len().min(2)];
        self.joins_as(format!("holder-{letter}"), Desk::default());
    }

    /// Another one sits down, on a copy of the store of whoever sits at the desk, and under its
    /// name.
    pub(crate) fn joins_on_a_copy(&mut self) {
        let holder = self.members[self.at].holder.clone();
        let desk = Desk {
            journal: self.world.journal.clone(),
            ..Desk::default()
        };
        self.joins_as(holder, desk);
    }

    fn joins_as(&mut self, holder: String, desk: Desk) {
        let machine = self.world.coordinator_called(&holder);
        let seat = Seat(u8::try_from(self.members.len()).unwrap_or(u8::MAX));
        self.members.push(Member {
            holder,
            machine,
            desk: Desk { seat, ..desk },
            is_awake: true,
        });
        self.sit(self.members.len() - 1);
    }

    /// Whoever sits at the desk stands still from now on, or goes on.
    pub(crate) fn awake(&mut self, is_awake: bool) {
        self.members[self.at].is_awake = is_awake;
    }

    pub(crate) fn all_awake(&mut self) {
        for member in &mut self.members {
            member.is_awake = true;
        }
    }

    /// The process at the desk dies and comes back with its store.
    pub(crate) fn comes_back(&mut self) {
        let member = &mut self.members[self.at];
        member.machine = self.world.dead_called(&member.holder);
        member.is_awake = true;
        self.hears(&Input::Started);
    }

    /// Which member's turn is next, and when. `None`: nothing is in flight that anybody awaits.
    pub(crate) fn next(&self) -> Option<(u64, usize)> {
        let due = |seat: usize| {
            if seat == self.at {
                return self.world.next_due();
            }
            let queue = &self.members[seat].desk.queue;
            queue.iter().map(|(at, _)| *at).min()
        };
        let awake = (0..self.members.len()).filter(|seat| self.members[*seat].is_awake);
        awake.filter_map(|seat| Some((due(seat)?, seat))).min()
    }

    /// The next thing happens to whoever is awake. `false`: nothing is in flight.
    pub(crate) fn step(&mut self) -> bool {
        let Some((_, next)) = self.next() else {
            return false;
        };
        self.sit(next);
        self.world.step(&mut self.members[next].machine)
    }

    /// Who sits at the `seat`.
    #[cfg(test)]
    pub(crate) fn machine_at(&self, seat: usize) -> &Coordinator {
        &self.members[seat].machine
    }

    /// What whoever has that seat has asked for, and when each is answered.
    #[cfg(test)]
    pub(crate) fn queue_at(&self, seat: usize) -> &[(u64, Effect)] {
        if seat == self.at {
            &self.world.queue
        } else {
            &self.members[seat].desk.queue
        }
    }

    /// By so many milliseconds the clock of whoever has that seat is behind.
    #[cfg(test)]
    pub(crate) fn lag_at(&self, seat: usize) -> u64 {
        if seat == self.at {
            self.world.lag
        } else {
            self.members[seat].desk.lag
        }
    }

    /// Everybody but whoever sits at the desk stood still for so many milliseconds.
    #[cfg(test)]
    pub(crate) fn others_stood_still(&mut self, millis: u64) {
        let others = self.members.iter_mut().enumerate();
        for (_, other) in others.filter(|(seat, _)| *seat != self.at) {
            other.desk.lag += millis;
            for (due, _) in &mut other.desk.queue {
                *due += millis;
            }
        }
    }

    /// The process at the desk dies, and another one knows all that it knew: what a replay of the
    /// journal is, other tests hold.
    #[cfg(test)]
    pub(crate) fn is_succeeded(&mut self) {
        let member = &mut self.members[self.at];
        let mut heir = self.world.coordinator_called(&member.holder);
        heir.remember(member.machine.state().clone());
        member.machine = heir;
        self.hears(&Input::Started);
    }

    /// The next thing happens to whoever sits at the desk, awake or not. `false`: it has nothing
    /// in flight.
    #[cfg(test)]
    pub(crate) fn step_here(&mut self) -> bool {
        let member = &mut self.members[self.at];
        self.world.step(&mut member.machine)
    }

    /// Whoever sits at the desk gets a copy of another's store, and its name with it.
    #[cfg(test)]
    pub(crate) fn takes_a_copy_of(&mut self, from: usize) {
        if from != self.at {
            self.members[self.at].holder = self.members[from].holder.clone();
            self.world.journal = self.members[from].desk.journal.clone();
        }
    }

    /// The next thing happens to whoever sits at the desk, as `torn` says.
    pub(crate) fn step_torn(&mut self, torn: super::world::Torn) {
        let member = &mut self.members[self.at];
        self.world.step_torn(&mut member.machine, Some(torn));
    }

    /// `false`: it was rejected.
    /// What whoever sits here had asked for is carried out so much later, in its name.
    pub(crate) fn leaves_late(&mut self, after: u64) {
        self.world.ghosts.acting = self.machine().state().epoch;
        self.world.carry_out_late(after);
    }

    pub(crate) fn hears(&mut self, input: &Input) -> bool {
        let member = &mut self.members[self.at];
        self.world.tell(&mut member.machine, input).is_ok()
    }

    pub(crate) fn planned(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Result<Plan, Blocked> {
        self.world.serial += 1;
        let id = format!("nightly-{}", self.world.serial);
        let wish = Wish {
            id: id.parse().expect("a rotation's id"),
            mode,
            sites,
            options,
            actor: "sim".to_owned(),
            reason: None,
        };
        let survey = Survey {
            barred: self.machine().state().barred.clone(),
            ..self.world.survey()
        };
        plan(&self.world.fleet, &self.world.playbook, wish, &survey)
    }

    /// Whoever sits at the desk begins it, where nothing runs there.
    pub(crate) fn begins(&mut self, plan: Plan) -> bool {
        let machine = &mut self.members[self.at].machine;
        if machine.state().running().is_some() {
            return false;
        }
        let (fleet, playbook) = (self.world.fleet.clone(), self.world.playbook.clone());
        machine.configure(fleet, playbook, self.world.ttl_high);
        self.world.allow(machine, &plan);
        self.world.asked(&plan);
        let plan = Box::new(plan);
        self.hears(&Input::Command(Command::Begin { plan }))
    }
}
