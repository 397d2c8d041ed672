//! `decide`, `commit`, `outstanding`: the machine's whole interface.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::awaited::{self, Awaited};
use super::caution::Caution;
use super::context::Context;
use super::effect::Effect;
use super::event::Event;
use super::input::{Command, Input};
use super::outcome::{Outcome, Problem};
use super::state::{Hold, State};
use super::visit::{self, Story};
use super::{command, lane, rotation};
use crate::model::fleet::Fleet;
use crate::model::id::{HolderId, Token};
use crate::model::playbook::Playbook;
use crate::model::time::{Now, Ttl};

/// The coordinator: state, and the configuration of the rotation in hand.
#[derive(Clone, Debug)]
pub struct Coordinator {
    fleet: Arc<Fleet>,
    playbook: Arc<Playbook>,
    holder: HolderId,
    ttl_high: Ttl,
    state: State,
    awaiting: BTreeSet<Token>,
    released: BTreeSet<Token>,
}

/// Facts that follow from one input, not yet durable.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a decision has no effect until it is committed"]
pub struct Decision {
    pub events: Vec<Event>,
    /// The machine once they are true; `None` where nothing follows.
    next: Option<Next>,
}

/// What a decision changes of the machine.
#[derive(Clone, Debug, PartialEq)]
struct Next {
    state: State,
    fleet: Arc<Fleet>,
    playbook: Arc<Playbook>,
}

/// An input that the state does not allow: nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub problem: Problem,
}

/// More facts than can follow from one input: a rule that undoes what another does.
const MOST_EVENTS: usize = 10_000;

impl Coordinator {
    /// A machine with nothing behind it.
    pub fn new(
        fleet: impl Into<Arc<Fleet>>,
        playbook: impl Into<Arc<Playbook>>,
        holder: HolderId,
        ttl_high: Ttl,
    ) -> Coordinator {
        Coordinator {
            fleet: fleet.into(),
            playbook: playbook.into(),
            holder,
            ttl_high,
            state: State::default(),
            awaiting: BTreeSet::new(),
            released: BTreeSet::new(),
        }
    }

    /// Takes in the configuration of the next rotation. Only between rotations.
    pub fn configure(
        &mut self,
        fleet: impl Into<Arc<Fleet>>,
        playbook: impl Into<Arc<Playbook>>,
        ttl_high: Ttl,
    ) {
        self.fleet = fleet.into();
        self.playbook = playbook.into();
        self.ttl_high = ttl_high;
    }

    /// Begins from what lasted.
    pub fn remember(&mut self, state: State) {
        self.state = state;
    }

    /// Rebuilds the state from the journal; no effects are run.
    pub fn replay(&mut self, events: impl IntoIterator<Item = (Event, Now)>) {
        for (event, at) in events {
            self.apply(&event, at);
        }
    }

    /// Everything that follows from the journal.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The configuration of the rotation in hand.
    pub fn context(&self) -> Context<'_> {
        Context {
            fleet: &self.fleet,
            playbook: &self.playbook,
            holder: &self.holder,
            ttl_high: self.ttl_high,
        }
    }

    /// What follows from one input. Changes nothing.
    ///
    /// # Errors
    /// [`Rejection`] where the state does not allow it.
    pub fn decide(&self, input: &Input, now: Now) -> Result<Decision, Rejection> {
        let mut next = self.react(input, now)?;
        let (mut fleet, mut playbook) = (Arc::clone(&self.fleet), Arc::clone(&self.playbook));
        for event in &next {
            tighten(&mut fleet, &mut playbook, event);
        }
        let ctx = Context {
            fleet: &fleet,
            playbook: &playbook,
            ..self.context()
        };
        let mut events = Vec::new();
        if next.is_empty() {
            return Ok(Decision { events, next: None });
        }
        let mut state = self.state.clone();
        while !next.is_empty() && events.len() < MOST_EVENTS {
            for event in next.drain(..) {
                state.apply(&ctx, &event, now);
                events.push(event);
            }
            next = rotation::advance(&state, &ctx, now);
        }
        debug_assert!(
            events.len() < MOST_EVENTS,
            "facts follow each other for ever"
        );
        let next = Some(Next {
            state,
            fleet,
            playbook,
        });
        Ok(Decision { events, next })
    }

    /// Makes a decision durable with `journal`, then true, and only then hands out the effects
    /// that may start.
    ///
    /// # Errors
    /// Whatever `journal` returns; the machine is then as it was, and must not be used further.
    pub fn commit<E>(
        &mut self,
        decision: Decision,
        now: Now,
        journal: impl FnOnce(&[Event]) -> Result<(), E>,
    ) -> Result<Vec<Effect>, E> {
        let Some(next) = decision.next else {
            return Ok(Vec::new());
        };
        journal(&decision.events)?;
        self.state = next.state;
        self.fleet = next.fleet;
        self.playbook = next.playbook;
        Ok(self.release(now))
    }

    /// The effects that may start and were not handed out yet in this process. After a replay
    /// this is how work is taken up again.
    pub fn release(&mut self, now: Now) -> Vec<Effect> {
        let Awaited {
            tokens,
            mut effects,
            ..
        } = Awaited::new(&self.state, &self.context(), &self.released);
        effects.retain(|effect| awaited::may_start(&self.state, &effect.request, now));
        self.awaiting = tokens;
        self.released.retain(|token| self.awaiting.contains(token));
        self.released
            .extend(effects.iter().map(|effect| effect.token));
        effects
    }

    /// The tokens whose effects were awaited at the last release; anything else in flight is
    /// called off.
    pub fn awaited_tokens(&self) -> &BTreeSet<Token> {
        &self.awaiting
    }

    fn apply(&mut self, event: &Event, now: Now) {
        tighten(&mut self.fleet, &mut self.playbook, event);
        let ctx = Context {
            fleet: &self.fleet,
            playbook: &self.playbook,
            holder: &self.holder,
            ttl_high: self.ttl_high,
        };
        self.state.apply(&ctx, event, now);
    }

    fn react(&self, input: &Input, now: Now) -> Result<Vec<Event>, Rejection> {
        match input {
            Input::Started => Ok(vec![Event::Started]),
            Input::Moved { why } => Ok(lane::moved(&self.state, why)),
            Input::Command(Command::Reread { fleet, playbook }) => {
                let running = self.state.running();
                let caution = running.and_then(|_| Caution::of(&self.context(), fleet, playbook));
                let tightened = caution.map(|caution| Event::Tightened { caution });
                Ok(tightened.into_iter().collect())
            }
            Input::Command(command) => command::accept(&self.state, command),
            Input::Outcome { token, outcome } => Ok(self.heard(*token, outcome, now)),
            Input::TagsMoved { moved } => Ok(vec![Event::TagMoved {
                moved: moved.clone(),
            }]),
        }
    }

    /// What an answer means to whoever awaits its token; nothing where nobody does.
    fn heard(&self, token: Token, outcome: &Outcome, now: Now) -> Vec<Event> {
        let (state, ctx) = (&self.state, &self.context());
        let Some(rotation) = state.running() else {
            return Vec::new();
        };
        if state.lane.token() == Some(token) {
            return lane::react(state, ctx, outcome, now);
        }
        if let Hold::Held { refresh, .. } = &state.hold
            && refresh.token == token
        {
            return vec![Event::RefreshDue];
        }
        for visit in rotation.visits.values() {
            let story = Story {
                state,
                ctx,
                rotation,
                visit,
                now,
            };
            let events = visit::react(&story, token, outcome);
            if !events.is_empty() {
                return events;
            }
        }
        rotation::react(rotation, token, outcome)
    }
}

/// The configuration of a rotation changes by facts alone, so that a replay goes by the same.
fn tighten(fleet: &mut Arc<Fleet>, playbook: &mut Arc<Playbook>, event: &Event) {
    if let Event::Tightened { caution } = event {
        caution.applied(Arc::make_mut(fleet), Arc::make_mut(playbook));
    }
}
