//! What people do in a night: they ask for things, some of them in the middle of it, and edit the
//! zone.
use std::time::Duration;

use super::playing::Night;
use crate::coordinator::event::{PauseEnd, Then};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::plan::{Mode, Options, Plan};
use crate::model::id::SiteName;
use crate::model::time::span;
use crate::sim::faults::Fault;
use crate::sim::trace::Who;

impl Night {
    pub(super) fn planned(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Option<Plan> {
        self.crew.planned(mode, sites, options).ok()
    }

    pub(super) fn begins(&mut self, mode: Mode, sites: Option<Vec<SiteName>>, options: Options) {
        self.clears_or_not();
        let Some(plan) = self.planned(mode, sites, options) else {
            return;
        };
        let (id, now) = (plan.id.clone(), self.crew.world.now);
        if self.crew.begins(plan) {
            self.report.rotations += 1;
            self.first.get_or_insert((id, now));
        }
    }

    /// Whoever wants something to begin hears what is barred. They say that it was not the image, or
    /// release another one, or leave it at that.
    fn clears_or_not(&mut self) {
        if self.crew.machine().state().barred.is_empty() {
            return;
        }
        match self.chance.below(4) {
            0 => {}
            1 => {
                self.told(Who::Person, "releases what is mended: every tag moves");
                self.moves_tags();
            }
            _ => self.clears(),
        }
    }

    /// A person says of all that is barred that it was not the image.
    pub(super) fn clears(&mut self) {
        let barred = self.crew.machine().state().barred.clone();
        for digest in barred.keys() {
            let seat = self.crew.seat();
            let words = format!("{seat}: cleanslate release clear {}", digest.short());
            self.told(Who::Person, &words);
            self.crew.hears(&Input::Command(Command::Clear {
                digest: digest.clone(),
                actor: "ana".to_owned(),
                reason: "it was the network".to_owned(),
            }));
        }
    }

    /// Nothing runs: a person asks for something.
    pub(super) fn asks(&mut self) {
        self.picks();
        let modes = [
            Mode::Rotate,
            Mode::Rotate,
            Mode::Recover,
            Mode::Rebuild,
            Mode::Restore { unverified: false },
            Mode::Withdraw,
            Mode::Cordon { cordoned: true },
            Mode::Cordon { cordoned: false },
        ];
        let mode = self.chance.of_these(&modes).cloned();
        let mode = mode.unwrap_or(Mode::Rotate);
        let one = Some(vec![self.site()]);
        let sites = if let Mode::Rotate | Mode::Recover = mode {
            None
        } else {
            one
        };
        let has_below = self.report.faults.contains(&Fault::BelowFloor);
        let options = Options {
            take_over: self.chance.one_in(2),
            below_floor: has_below && mode == Mode::Withdraw && self.chance.one_in(2),
            restore: mode == Mode::Rebuild && self.chance.one_in(2),
            ..Options::default()
        };
        if options.below_floor {
            self.notes(Fault::BelowFloor, "overrides the floor");
        }
        self.begins(mode, sites, options);
    }

    /// A person who edits the zone takes out no more than the floor lets.
    pub(super) fn takes_in_hand(&mut self, site: &SiteName) {
        let is_in = self.chance.one_in(2);
        if is_in || (self.crew.world.in_dns() > 2 && self.leaves_others(site)) {
            let what = if is_in { "into" } else { "out of" };
            let words = format!("puts {site} {what} DNS by hand, without a look at the marker");
            self.notes(Fault::Nsupdate, words);
            self.crew.world.by_hand(site, is_in);
        }
    }

    /// Whether every record of the site is served by others too.
    fn leaves_others(&self, site: &SiteName) -> bool {
        let (fleet, view) = (&self.crew.world.fleet, &self.crew.world.view);
        let mut keys = fleet.rrsets_of(site).into_iter();
        keys.all(|key| {
            let own = fleet.addresses_of(site, &key);
            let set = view.rrsets.get(&key);
            set.is_some_and(|set| set.addresses.is_empty() || !set.addresses.is_subset(&own))
        })
    }

    pub(super) fn queues(&mut self, site: &SiteName) {
        let plan = self.planned(Mode::Rebuild, Some(vec![site.clone()]), Options::default());
        if let Some(plan) = plan {
            let plan = Box::new(plan);
            let words = format!("rebuild {site}");
            self.tells(Fault::Queued, &words, Command::QueueRebuild { plan });
        }
    }

    /// A pause by word, or one that ends by itself; the end of a process between two steps; or a
    /// pause is over.
    pub(super) fn pauses(&mut self, later: u64) {
        let state = self.crew.machine().state();
        let is_paused = state.running().is_some_and(|it| it.pause.is_some());
        let (actor, reason) = ("ana".to_owned(), "a look at it".to_owned());
        if is_paused && self.chance.one_in(2) {
            let reason = None;
            let command = Command::Resume {
                actor,
                reason,
                site: None,
            };
            self.tells(Fault::Pauses, "resume", command);
            return;
        }
        let at = self.crew.world.time().wall;
        let later = Duration::from_millis(later * 4);
        let at = at.checked_add(later).unwrap_or(at);
        let ends = [
            PauseEnd::Word,
            PauseEnd::Start,
            PauseEnd::Time {
                at,
                then: Then::Resume,
            },
            PauseEnd::Time {
                at,
                then: Then::Abort,
            },
        ];
        let ends = self.chance.of_these(&ends).cloned();
        let ends = ends.unwrap_or(PauseEnd::Word);
        let words = match &ends {
            PauseEnd::Word => "pause".to_owned(),
            PauseEnd::Start => "serve is told to end".to_owned(),
            PauseEnd::Time { then, .. } => {
                let then = match then {
                    Then::Resume => "resume",
                    Then::Abort => "abort",
                };
                format!("pause --for {} --then {then}", span(later))
            }
        };
        let command = Command::Pause {
            actor,
            reason,
            ends,
        };
        self.tells(Fault::Pauses, &words, command);
    }

    /// Whoever paused a rotation resumes it.
    pub(super) fn resumes(&mut self) {
        let state = self.crew.machine().state();
        if state.running().is_some_and(|it| it.pause.is_some()) {
            let (actor, reason) = ("ana".to_owned(), None);
            self.crew.hears(&Input::Command(Command::Resume {
                actor,
                reason,
                site: None,
            }));
        }
    }

    /// A person tries a site that waits for it, and likes it or not.
    pub(super) fn tries(&mut self) {
        let Some(site) = self.on_trial() else {
            return;
        };
        let actor = "ana".to_owned();
        if self.chance.below(3) > 0 {
            let words = format!("resume {site}");
            self.tells(Fault::Trials, &words, accepted(site));
        } else {
            let reason = "it shows last week's prices".to_owned();
            let words = format!("withdraw {site} --reason \"{reason}\"");
            let command = Command::Refuse {
                site,
                actor,
                reason,
            };
            self.tells(Fault::Trials, &words, command);
        }
    }

    /// Whoever has not tried a site yet does so, and likes it.
    pub(super) fn tries_all(&mut self) {
        while let Some(site) = self.on_trial() {
            let (seat, words) = (self.crew.seat(), format!("cleanslate resume {site}"));
            self.told(Who::Person, &format!("{seat}: {words}"));
            if !self.crew.hears(&Input::Command(accepted(site))) {
                return;
            }
        }
    }

    fn on_trial(&self) -> Option<SiteName> {
        let rotation = self.crew.machine().state().running()?;
        rotation.on_trial().next().cloned()
    }

    /// Said to the coordinator at the desk while its rotation runs; elsewhere there is nobody who
    /// could hear it.
    pub(super) fn tells(&mut self, fault: Fault, words: &str, command: Command) {
        if self.crew.machine().state().running().is_some() {
            let seat = self.crew.seat();
            self.notes(fault, format!("{seat}: cleanslate {words}"));
            self.crew.hears(&Input::Command(command));
        }
    }
}

fn accepted(site: SiteName) -> Command {
    Command::Resume {
        actor: "ana".to_owned(),
        reason: None,
        site: Some(site),
    }
}
