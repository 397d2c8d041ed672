//! What people say, and may therefore be done.
use super::World;
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Plan};

impl World {
    /// Notes what a person allowed with this plan: no rule is broken by what was asked for.
    pub(crate) fn allow(&mut self, machine: &Coordinator, plan: &Plan) {
        let holder = machine.context().holder.clone();
        if plan.options.take_over {
            self.ghosts.may_take_over.insert((holder, plan.id.clone()));
        }
        let puts_in = match plan.mode {
            Mode::Restore { .. } => true,
            Mode::Rotate | Mode::Rebuild => plan.options.restore,
            Mode::Recover | Mode::Withdraw | Mode::Cordon { .. } | Mode::TakeOver => false,
        };
        if puts_in {
            self.ghosts.asked_in.extend(plan.sites().cloned());
        }
        if plan.options.below_floor || plan.mode == (Mode::Restore { unverified: true }) {
            self.is_overridden = true;
        }
    }
}
