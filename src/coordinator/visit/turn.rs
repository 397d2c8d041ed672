//! What a visit changes itself with.
use crate::coordinator::context::Context;
use crate::coordinator::plan::Plan;
use crate::coordinator::safety::{self, Presence};
use crate::coordinator::state::{State, Wait};
use crate::model::id::{SiteName, Token};
use crate::model::time::{Mono, Now};

/// The state around a visit while it takes a fact in. The visit itself, and its rotation, are out
/// of it meanwhile.
pub(crate) struct Turn<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) ctx: &'a Context<'a>,
    /// The plan that this visit follows.
    pub(crate) plan: &'a Plan,
    pub(crate) now: Now,
}

impl Turn<'_> {
    pub(super) fn mint(&mut self) -> Token {
        self.state.mint()
    }

    /// A wait that ends at `until`.
    pub(super) fn wait(&mut self, until: Mono) -> Wait {
        self.state.wait(until)
    }

    /// Whether any address of `site` stood in DNS when it was last proven.
    pub(super) fn is_in_dns(&self, site: &SiteName) -> bool {
        let fleet = self.ctx.fleet;
        let view = self.state.view.as_ref();
        view.is_some_and(|view| safety::presence(fleet, view, site) != Presence::None)
    }
}
