//! Facts about the marker and the RRsets.
use std::sync::Arc;

use super::{Applying, change};
use crate::coordinator::intent::Intent;
use crate::coordinator::lane::{Proven, owed_records};
use crate::coordinator::outcome::Problem;
use crate::coordinator::retry;
use crate::coordinator::safety::{Refusal, declared_records, present_records};
use crate::coordinator::state::{Ending, Hold, Lane, Rotation, Visit};
use crate::coordinator::visit::Turn;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{ZoneChange, ZoneView};
use crate::model::time::{Mono, Ttl};

impl Applying<'_> {
    pub(super) fn change_begun(&mut self, intent: &Intent) {
        let token = self.state.mint();
        self.state.lane = Lane::Looking {
            intent: intent.clone(),
            attempt: 1,
            token,
        };
    }

    /// From here on it may be applied, whatever is heard of it.
    pub(super) fn change_decided(&mut self, intent: &Intent, change: &Arc<ZoneChange>, ttl: Ttl) {
        let (intent, decided) = (intent.clone(), self.now.mono);
        self.state.epoch = self.state.epoch.max(change.marker.epoch);
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.ttl_high = rotation.ttl_high.max(ttl);
        }
        if let Some(site) = intent.site() {
            if !change.add.is_empty() {
                self.state.drained.remove(site);
            }
            self.visit(site, |visit, _| visit.taking.clone_from(&change.delete));
        }
        let token = self.state.mint();
        self.state
            .lane
            .sent(intent, Arc::clone(change), ttl, decided, token);
    }

    pub(super) fn change_not_needed(&mut self, intent: &Intent, view: &Arc<ZoneView>) {
        self.state.lane = Lane::Free;
        self.state.view = Some(Arc::clone(view));
        if let Some(site) = intent.site() {
            self.visit(site, |visit, turn| visit.not_needed(turn, intent));
        }
    }

    pub(super) fn change_delayed(&mut self, why: &str, until: Mono) {
        // A read that failed: another holder's marker must be seen to stand anew.
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.stood = None;
        }
        let wait = self.state.wait(until);
        self.state.lane.delayed(wait, why);
        self.let_go_unwanted();
    }

    /// A visit that has turned back wants its change no more.
    pub(super) fn let_go_unwanted(&mut self) {
        if !self.is_wanted() {
            self.let_go();
        }
    }

    /// Whether the change in hand is still what its visit wants: while it was out, the visit may
    /// have turned back.
    fn is_wanted(&self) -> bool {
        let (Some(intent), Some(rotation)) = (self.state.lane.intent(), &self.state.rotation)
        else {
            return true;
        };
        let visit = intent.site().and_then(|site| rotation.visits.get(site));
        let is_asked = rotation.writes.front() == Some(intent);
        is_asked
            || visit.is_none_or(|visit| {
                let plan = rotation.plan_of(&visit.site);
                visit.wants(plan).as_ref() == Some(intent)
            })
    }

    pub(super) fn change_proven(&mut self, intent: &Intent, marker: &Marker, view: &Arc<ZoneView>) {
        let proven = self.state.lane.take_proven(&marker.nonce);
        let decided = proven
            .as_ref()
            .map_or(self.now.mono, |proven| proven.decided);
        self.hold(intent, marker, decided);
        let before = proven
            .as_ref()
            .and_then(|proven| proven.change.expect_marker.as_ref());
        if *intent == Intent::Acquire && before != self.state.marker.as_ref() {
            // Others wrote since this store last did: what it knows of drains is old.
            self.state.drained.clear();
            self.check_left_out(view);
        }
        self.state.marker = Some(marker.clone());
        self.state.view = Some(Arc::clone(view));
        match intent {
            Intent::Acquire => self.acquired(),
            Intent::Release => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.is_released = true;
                }
            }
            Intent::Restore { site } | Intent::PutBack { site } => {
                self.remember_left_out(site, view);
                self.written(site, intent, proven.as_ref());
            }
            Intent::Withdraw { site }
            | Intent::Dirty { site }
            | Intent::Clean { site }
            | Intent::WithdrawAgain { site }
            | Intent::Expel { site }
            | Intent::Hold { site }
            | Intent::Cordon { site }
            | Intent::Uncordon { site } => self.written(site, intent, proven.as_ref()),
            Intent::Refresh => {}
        }
    }

    pub(super) fn change_refused(&mut self, intent: &Intent, refusal: &Refusal) {
        self.state.lane = Lane::Free;
        let problem = refusal.problem();
        match intent {
            Intent::Acquire => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.ending = Some(Ending::NotAcquired {
                        why: problem.what.clone(),
                    });
                    rotation.refusal = Some(problem);
                }
            }
            Intent::Release => self.not_released(&problem),
            Intent::Refresh => {
                let again = self.state.wait(self.now.mono.plus(retry::REFRESH_AGAIN));
                if let Hold::Held { refresh, .. } = &mut self.state.hold {
                    *refresh = again;
                }
            }
            Intent::Withdraw { site }
            | Intent::Dirty { site }
            | Intent::Restore { site }
            | Intent::Clean { site }
            | Intent::PutBack { site }
            | Intent::WithdrawAgain { site }
            | Intent::Expel { site }
            | Intent::Hold { site }
            | Intent::Cordon { site }
            | Intent::Uncordon { site } => {
                self.is_asked_no_more(intent);
                self.visit(site, |visit, turn| visit.refused(turn, intent, &problem));
            }
        }
    }

    /// Another holder's marker: how long it has stood counts from the first of the reads that all
    /// answered and all showed it.
    pub(super) fn marker_held(&mut self, marker: &Marker, until: Mono) {
        let now = self.now.mono;
        let wait = self.state.wait(until);
        let Some(rotation) = self.state.rotation_mut() else {
            return;
        };
        let stood = rotation.stood.take().filter(|(seen, _)| seen == marker);
        let (marker, since) = stood.unwrap_or_else(|| (marker.clone(), now));
        rotation.stood = Some((marker.clone(), since));
        self.state.lane = Lane::Contended {
            marker,
            since,
            wait,
        };
    }

    pub(super) fn deposed(&mut self, refusal: &Refusal) {
        self.state.lane = Lane::Free;
        self.state.hold = Hold::None;
        if let Some(rotation) = self.state.rotation_mut() {
            let why = format!("{}: {}", refusal.rule, refusal.why);
            rotation.ending = Some(Ending::Deposed { why });
        }
    }

    /// A change that was looked at and not sent is let go; whoever wants it still begins it anew.
    pub(super) fn let_go(&mut self) {
        if self.state.lane.is_unsent() {
            self.state.lane = Lane::Free;
        }
    }

    fn hold(&mut self, intent: &Intent, marker: &Marker, decided: Mono) {
        let refresh = self.state.wait(decided.plus(retry::REFRESH_EVERY));
        self.state.hold = match (std::mem::take(&mut self.state.hold), intent) {
            (_, Intent::Release) => Hold::None,
            (Hold::Held { .. } | Hold::None, Intent::Acquire) | (Hold::None, _) => Hold::Held {
                epoch: marker.epoch,
                nonce: marker.nonce.clone(),
                refreshed: decided,
                refresh,
            },
            (Hold::Held { epoch, nonce, .. }, _) => Hold::Held {
                epoch,
                nonce,
                refreshed: decided,
                refresh,
            },
        };
    }

    fn acquired(&mut self) {
        let Some(mut rotation) = self.state.rotation.take() else {
            return;
        };
        let changed = Arc::make_mut(&mut rotation);
        changed.has_acquired = true;
        changed.has_held = true;
        changed.take_over_from = None;
        changed.stood = None;
        let mut visits = std::mem::take(&mut changed.visits);
        for visit in visits.values_mut() {
            let (ctx, now) = (self.ctx, self.now);
            let plan = changed.plan_of(&visit.site);
            let mut turn = Turn {
                state: self.state,
                ctx,
                plan,
                now,
            };
            change(visit, &mut turn, Visit::rebase);
        }
        changed.visits = visits;
        self.state.rotation = Some(rotation);
        self.watch_others();
    }

    fn written(&mut self, site: &SiteName, intent: &Intent, proven: Option<&Proven>) {
        self.is_asked_no_more(intent);
        self.visit(site, |visit, turn| visit.written(turn, intent, proven));
    }

    fn is_asked_no_more(&mut self, intent: &Intent) {
        let is_next = |rotation: &Rotation| rotation.writes.front() == Some(intent);
        if self.state.rotation.as_deref().is_some_and(is_next)
            && let Some(rotation) = self.state.rotation_mut()
        {
            rotation.writes.pop_front();
        }
    }

    /// The rotation is over all the same; the marker says that it is ours until another takes it.
    fn not_released(&mut self, problem: &Problem) {
        self.state.hold = Hold::None;
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.is_released = true;
            rotation.refusal = Some(Problem {
                what: format!("the marker was not given back: {}", problem.what),
                cure: format!(
                    "{}; the next rotation of this coordinator takes it at once, another one \
                     after half an hour",
                    problem.cure
                ),
                is_transient: problem.is_transient,
            });
        }
    }

    /// Others may have put back what was left out here, or taken it out of the fleet.
    fn check_left_out(&mut self, view: &ZoneView) {
        let fleet = self.ctx.fleet;
        self.state.left_out.retain(|site, records| {
            let (declared, present) = (
                declared_records(fleet, site),
                present_records(fleet, view, site),
            );
            records.retain(|record| declared.contains(record) && !present.contains(record));
            !records.is_empty()
        });
    }

    /// Remembers what stays out with the hosts left out by name, and forgets what came back.
    fn remember_left_out(&mut self, site: &SiteName, view: &ZoneView) {
        let Some(rotation) = &self.state.rotation else {
            return;
        };
        let absent = self
            .ctx
            .left_out_addresses(site, &rotation.plan_of(site).options);
        let present = present_records(self.ctx.fleet, view, site);
        let mut out = owed_records(self.state, self.ctx, site);
        out.retain(|record| absent.contains(&record.1) && !present.contains(record));
        if out.is_empty() {
            self.state.left_out.remove(site);
        } else {
            self.state.left_out.insert(site.clone(), out);
        }
    }
}
