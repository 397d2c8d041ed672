//! Between verify and restore, where the playbook says `hold`: a person tries the site by hand.
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::Turn;
use super::progress::Story;
use crate::coordinator::event::VisitKind;
use crate::coordinator::guards::Guard;
use crate::coordinator::state::{Stage, Trial, Visit};

impl Story<'_> {
    /// Whether a person is to try what was just verified before it goes in. What stays out needs
    /// no word, and what a person puts in as it stands has had one.
    pub(super) fn is_to_be_tried(&self, trial: Trial) -> bool {
        let goes_in = self.visit.kind != VisitKind::AsItStands
            && !self.visit.stays_out(self.plan())
            && Guard::TrialsHold.stands();
        let is_said = trial == Trial::Accepted || self.rotation.aborted_by.is_some();
        self.ctx.playbook.verify.hold && goes_in && !is_said
    }
}

impl Visit {
    /// It waits for as long as it takes: no time is right at which it would go in untried, and none
    /// at which it would be given up.
    pub(crate) fn trial_begun(&mut self, turn: &mut Turn<'_>) {
        self.stage = Stage::OnTrial {
            since: turn.now.wall,
            addresses: self.to_be_tried_at(turn),
        };
    }

    /// The word was said. Meanwhile anything may have happened: it is verified once more.
    pub(crate) fn trial_over(&mut self, turn: &mut Turn<'_>) {
        let Stage::OnTrial { since, .. } = self.stage else {
            return;
        };
        let lasted = turn.now.wall.duration_since(since);
        self.on_trial += Duration::try_from(lasted).unwrap_or_default();
        let trial = Trial::Accepted;
        if self.recreates() {
            self.inspect(turn, trial);
        } else {
            let token = turn.mint();
            self.stage = Stage::Verifying { token, trial };
        }
    }

    /// All of its addresses, but those of hosts left out by name.
    fn to_be_tried_at(&self, turn: &Turn<'_>) -> BTreeSet<IpAddr> {
        let ctx = turn.ctx;
        let without = ctx.left_out_addresses(&self.site, &turn.plan.options);
        let keys = ctx.fleet.rrsets_of(&self.site).into_iter();
        let all = keys.flat_map(|key| ctx.fleet.addresses_of(&self.site, &key));
        all.filter(|address| !without.contains(address)).collect()
    }
}
