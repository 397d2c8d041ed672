//! What people say, and may therefore be done.
use super::World;
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::plan::{Mode, Options, Plan};
use crate::model::id::SiteName;
use crate::sim::trace::Who;

impl World {
    /// Tells what a person typed at the coordinator that sits here.
    pub(crate) fn asked(&mut self, plan: &Plan) {
        if self.trace.is_some() {
            let sites: Vec<&str> = plan.sites().map(SiteName::as_str).collect();
            let words = typed(plan.playbook.as_str(), &plan.mode, &sites, &plan.options);
            self.told(Who::Person, format!("{}: cleanslate {words}", self.seat));
        }
    }

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

impl World {
    /// Whether a person's word was among what a coordinator was told: that a site goes in which was
    /// tried, or that all is to end. A pause that aborts when its time has come was such a word.
    pub(crate) fn hears_a_word(&mut self, machine: &Coordinator, input: &Input, events: &[Event]) {
        let is_resumed = matches!(input, Input::Command(Command::Resume { .. }));
        let rotation = machine.state().running();
        for event in events {
            if let Event::VisitStarted { site, .. } = event {
                self.ghosts.said_in.remove(site);
            } else if let Event::TrialAccepted { site, .. } = event
                && is_resumed
            {
                self.ghosts.said_in.insert(site.clone(), self.now);
            } else if let Event::AbortRequested {
                is_superseded: false,
                ..
            } = event
            {
                let id = rotation.map(|rotation| rotation.plan.id.clone());
                self.ghosts.ended_by_word.extend(id);
            }
        }
    }
}

/// A request as a command line.
fn typed(playbook: &str, mode: &Mode, sites: &[&str], options: &Options) -> String {
    let named = |command: &str| [&[command], sites].concat().join(" ");
    let command = match mode {
        Mode::Rotate => format!("rotate {playbook}"),
        Mode::Rebuild => named("rebuild"),
        Mode::Restore { unverified: false } => named("restore"),
        Mode::Restore { unverified: true } => named("restore --unverified"),
        Mode::Recover => "recover".to_owned(),
        Mode::Withdraw => named("withdraw"),
        Mode::Cordon { cordoned: true } => named("cordon"),
        Mode::Cordon { cordoned: false } => named("uncordon"),
        Mode::TakeOver => "take-over".to_owned(),
    };
    let takes_over = matches!(mode, Mode::Recover | Mode::TakeOver);
    let flags = [
        (options.restore, " --restore"),
        (options.below_floor, " --below-floor"),
        (
            options.take_over && !takes_over,
            ", and the marker is to be taken over at once",
        ),
    ];
    let said = flags.iter().filter(|(is_said, _)| *is_said);
    let said: String = said.map(|(_, flag)| *flag).collect();
    format!("{command}{said}")
}
