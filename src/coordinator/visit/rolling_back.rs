//! What a site runs after its new images failed: those that passed there last, from its hosts' own
//! copies.
use std::collections::BTreeSet;

use super::Turn;
use super::progress::Story;
use crate::coordinator::event::{Event, VisitEnd};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::{Rollback, Stage, Visit};
use crate::model::fleet::Host;
use crate::model::image::{ImageRef, Pins};
use crate::model::playbook::FailureThen;

impl Story<'_> {
    /// The visit begins again with what passed at its site last, and the rotation is over: no other
    /// site takes what failed. `None`: nothing that passed there is known, or nothing else than
    /// what failed.
    pub(super) fn rollback(&self, problem: &Problem) -> Option<Vec<Event>> {
        let (failed, pins) = self.failed_and_good()?;
        // Where nothing of them was started, it was not the images.
        let barred = if self.was_started() {
            failed
        } else {
            Pins::new()
        };
        let problem = Problem {
            cure: self.cure(&problem.cure, &barred),
            ..problem.clone()
        };
        let halted = self.halted(&problem);
        let begun = Event::RollbackBegun {
            site: self.site(),
            problem,
            pins,
            barred,
        };
        Some(vec![begun, halted])
    }

    /// Those of the site's digests that are not those that passed there last, and what passed.
    fn failed_and_good(&self) -> Option<(Pins, Pins)> {
        let (visit, fleet) = (self.visit, self.ctx.fleet);
        let is_asked = match self.ctx.playbook.failure.then {
            FailureThen::Quarantine => false,
            FailureThen::LastGood => visit.is_touched && visit.recreates(),
        };
        if !is_asked || visit.rollback.is_some() {
            return None;
        }
        let last = self.state.last_good.get(&visit.site)?;
        let planned = fleet.pins_of(&visit.site, visit.pins(self.plan()));
        let hosts = fleet.sites.get(&visit.site)?.hosts.iter();
        let remade: BTreeSet<ImageRef> = hosts.flat_map(Host::remade_images).collect();
        let (mut failed, mut good) = (Pins::new(), planned);
        for (image, digest) in &mut good {
            // What is kept was not made anew, and is none of this.
            if remade.contains(image) {
                let passed = last.get(image)?.clone();
                let planned = std::mem::replace(digest, passed);
                if planned != *digest {
                    failed.insert(image.clone(), planned);
                }
            }
        }
        (!failed.is_empty()).then_some((failed, good))
    }

    /// Whether another site's visit has shown meanwhile that this one's images are bad, and there
    /// are others to go on with.
    pub(super) fn has_barred(&self) -> bool {
        let is_barred = |failed: &Pins| {
            let mut digests = failed.values();
            digests.any(|digest| self.state.barred.contains_key(digest))
        };
        self.failed_and_good()
            .is_some_and(|(failed, _)| is_barred(&failed))
    }

    /// Emptied, and about to start what failed elsewhere meanwhile.
    pub(super) fn rolls_back_unstarted(&self) -> Vec<Event> {
        let barred = &self.state.barred;
        let planned = self.visit.pins(self.plan()).iter();
        let known = planned.filter_map(|(image, digest)| Some((image, barred.get(digest)?)));
        let first = known.map(|(image, barred)| Problem {
            what: format!("{image} failed at {}: {}", barred.site, barred.why),
            cure: "see there".to_owned(),
            is_transient: false,
        });
        let rollback = first.take(1).find_map(|problem| self.rollback(&problem));
        rollback.unwrap_or_default()
    }

    /// The site was restored, broke its soak, and is out again.
    pub(super) fn out_again(&self, problem: &Problem) -> Vec<Event> {
        let rollback = self.rollback(problem);
        let ends = || self.ends(VisitEnd::Quarantined, &self.after_rollback(problem));
        rollback.unwrap_or_else(ends)
    }

    /// What went wrong, with what had gone wrong before.
    pub(super) fn after_rollback(&self, problem: &Problem) -> Problem {
        let Some(before) = &self.visit.rollback else {
            return problem.clone();
        };
        Problem {
            what: format!(
                "{}; that was with the images that passed there last, and before with the new \
                 ones: {}",
                problem.what, before.problem.what
            ),
            ..problem.clone()
        }
    }

    /// Rolled back, and nobody has asked for the end of the rotation.
    pub(super) fn is_rolled_back_unasked(&self) -> bool {
        self.visit.rollback.is_some() && self.rotation.aborted_by.is_none()
    }

    fn cure(&self, cure: &str, barred: &Pins) -> String {
        let clear = |digest| format!("`cleanslate release clear {digest} --reason TEXT`");
        let mut clears: Vec<String> = barred.values().map(clear).collect();
        clears.dedup();
        if clears.is_empty() {
            return cure.to_owned();
        }
        let pinned = self.plan().pinned().remove(&self.visit.site);
        let is_pinned = |pinned: &Pins| barred.keys().all(|image| pinned.contains_key(image));
        let way = match pinned.as_ref().is_some_and(is_pinned) {
            true => format!("pin {} to", self.visit.site),
            false => "move the tag to".to_owned(),
        };
        format!(
            "{cure}; then {way} an image that works, or where it was not the image: {}",
            clears.join(", ")
        )
    }

    /// Whether containers of these images were started in the attempt that failed.
    fn was_started(&self) -> bool {
        matches!(
            self.visit.stage,
            Stage::Starting { .. }
                | Stage::Inspecting { .. }
                | Stage::Verifying { .. }
                | Stage::OutAgain { .. }
        )
    }
}

impl Visit {
    /// It begins anew where its containers are made, and with users where some came back.
    pub(crate) fn rollback_begun(&mut self, turn: &mut Turn<'_>, pins: &Pins, problem: &Problem) {
        if matches!(self.stage, Stage::OutAgain { .. }) {
            self.drained = None;
        }
        self.rollback = Some(Rollback {
            pins: pins.clone(),
            problem: problem.clone(),
        });
        self.attempt = 1;
        self.looks_behind = 0;
        self.recreate_since = Some(turn.now.mono);
        self.attempt_begun(turn);
    }
}
