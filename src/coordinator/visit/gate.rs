//! The gates of a visit: it goes on when each hook there has agreed, or need not.
use std::time::Duration;

use super::Turn;
use super::progress::Story;
use crate::coordinator::event::Event;
use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::{HookAnswer, Outcome, Problem};
use crate::coordinator::retry;
use crate::coordinator::state::{AskedHook, HookTurn, Visit};
use crate::model::hook::{Gate, HookFailure, On, Terms};
use crate::model::id::{HookName, Token};
use crate::model::time::Mono;

impl Story<'_> {
    /// `then`, once every hook of the gate was heard; until then the next one is asked. While
    /// `is_held` nobody is asked.
    pub(super) fn pass(&self, gate: Gate, is_held: bool, then: Event) -> Vec<Event> {
        match (self.unheard(gate), self.visit.asked_at_gate()) {
            (None, _) => vec![then],
            (Some(_), Some(_)) => Vec::new(),
            (Some(_), None) if is_held => Vec::new(),
            (Some(next), None) => vec![self.ask(next)],
        }
    }

    /// Whether every hook of the gate was heard.
    pub(super) fn is_open(&self, gate: Gate) -> bool {
        self.unheard(gate).is_none()
    }

    /// The next hook of the gate that was not heard.
    fn unheard(&self, gate: Gate) -> Option<&HookName> {
        let mut names = self
            .ctx
            .fleet
            .gate(gate, &self.visit.site)
            .map(|hook| &hook.name);
        let unheard = names.find(|name| !self.visit.heard.contains(*name));
        unheard.filter(|_| Guard::GatesHold.stands())
    }

    fn ask(&self, hook: &HookName) -> Event {
        let (site, hook) = (self.site(), hook.clone());
        Event::HookAsked { site, hook }
    }

    /// What a hook said, or the end of the pause before it is asked again; `None`: neither.
    pub(super) fn on_hook(&self, token: Token, outcome: &Outcome) -> Option<Vec<Event>> {
        let asked = self.visit.asked_at_gate()?;
        match (&asked.turn, outcome) {
            (HookTurn::Theirs(awaited), Outcome::Hook(answer)) if *awaited == token => {
                Some(self.heard(asked, answer))
            }
            (HookTurn::Later { wait, .. }, Outcome::Woke) if wait.token == token => {
                Some(vec![self.ask(&asked.hook)])
            }
            (HookTurn::Theirs(_) | HookTurn::Later { .. }, _) => None,
        }
    }

    fn heard(&self, asked: &AskedHook, answer: &HookAnswer) -> Vec<Event> {
        match answer {
            HookAnswer::Agreed => vec![self.ended(asked, None)],
            HookAnswer::Failed(problem) => self.hook_failed(asked, problem),
            HookAnswer::NotYet { why, after } => {
                let left = self.patience_with(asked);
                if left.is_zero() {
                    return self.hook_failed(asked, &self.still_not(asked, why));
                }
                let after = after.unwrap_or(retry::HOOK_AGAIN_AFTER);
                let after = after.clamp(retry::HOOK_AGAIN_AT_LEAST, retry::HOOK_AGAIN_AT_MOST);
                vec![Event::HookDeferred {
                    site: self.site(),
                    hook: asked.hook.clone(),
                    why: why.clone(),
                    until: self.now.mono.plus(after.min(left)),
                }]
            }
        }
    }

    /// For how much longer it may say *not yet*.
    fn patience_with(&self, asked: &AskedHook) -> Duration {
        let most = self.terms(asked).map(|terms| terms.defer_at_most);
        let waited = self.now.mono.since(asked.since);
        most.unwrap_or_default().saturating_sub(waited)
    }

    fn still_not(&self, asked: &AskedHook, why: &str) -> Problem {
        let (hook, site) = (&asked.hook, &self.visit.site);
        let waited = self.now.mono.since(asked.since).as_secs();
        Problem {
            what: format!("hook {hook} still says of {site}, after {waited} s: not yet ({why})"),
            cure: format!(
                "see what {hook} waits for; more time is defer_at_most of [[hook]] {hook}"
            ),
            is_transient: true,
        }
    }

    /// It is passed over where its terms say so. Else the site is brought to safety from where it
    /// stands; one that is back in service has passed, and is the last.
    fn hook_failed(&self, asked: &AskedHook, problem: &Problem) -> Vec<Event> {
        let halts = self
            .terms(asked)
            .is_some_and(|terms| terms.failure == HookFailure::Halt);
        let mut events = vec![self.ended(asked, Some(problem.clone()))];
        if halts {
            match asked.gate {
                Gate::BeforeWithdraw => {
                    events.extend([self.not_ready(problem), self.halted(problem)]);
                }
                Gate::BeforeRecreate => events.extend(self.give_up(problem)),
                Gate::AfterRestore => {
                    let site = self.site();
                    events.extend([Event::Soaked { site }, self.halted(problem)]);
                }
            }
        }
        events
    }

    fn ended(&self, asked: &AskedHook, problem: Option<Problem>) -> Event {
        let (site, hook) = (self.site(), asked.hook.clone());
        Event::HookEnded {
            site,
            hook,
            problem,
        }
    }

    fn terms(&self, asked: &AskedHook) -> Option<Terms> {
        let hooks = &self.ctx.fleet.hooks;
        let hook = hooks.iter().find(|hook| hook.name == asked.hook)?;
        match hook.on {
            On::Gate(_, terms) => Some(terms),
            On::Cue(_) => None,
        }
    }
}

impl Visit {
    /// The hook that was asked at the gate where the visit stands.
    pub(crate) fn asked_at_gate(&self) -> Option<&AskedHook> {
        let asked = self.hook.as_ref();
        asked.filter(|asked| self.stage.gate() == Some(asked.gate))
    }

    /// Asked again after a *not yet*, it is still asked since it first was.
    pub(crate) fn hook_asked(&mut self, turn: &mut Turn<'_>, hook: &HookName) {
        let again = self
            .asked_at_gate()
            .filter(|asked| asked.hook == *hook)
            .map(|asked| asked.since);
        let since = again.unwrap_or(turn.now.mono);
        self.hook = self.stage.gate().map(|gate| AskedHook {
            hook: hook.clone(),
            gate,
            since,
            turn: HookTurn::Theirs(turn.mint()),
        });
    }

    pub(crate) fn hook_deferred(&mut self, turn: &mut Turn<'_>, why: &str, until: Mono) {
        if let Some(asked) = &mut self.hook {
            asked.turn = HookTurn::Later {
                wait: turn.wait(until),
                why: why.to_owned(),
            };
        }
    }

    pub(crate) fn hook_ended(&mut self, hook: &HookName) {
        self.hook = None;
        self.heard.insert(hook.clone());
    }
}
