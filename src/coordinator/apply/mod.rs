//! `apply`: the only mutation, live and on replay. Read [`Applying::take_in`] as the list of all
//! that can become true.
mod change;
mod rotation;

use std::sync::Arc;

use super::context::Context;
use super::event::Event;
use super::state::{Ending, Hold, State, Visit};
use super::visit::Turn;
use crate::model::id::SiteName;
use crate::model::time::Now;

impl State {
    /// Takes one fact in. `now` is the time at which it became one.
    pub fn apply(&mut self, ctx: &Context<'_>, event: &Event, now: Now) {
        Applying {
            state: self,
            ctx,
            now,
        }
        .take_in(event);
    }
}

/// A state that is taking a fact in.
struct Applying<'a> {
    state: &'a mut State,
    ctx: &'a Context<'a>,
    now: Now,
}

impl Applying<'_> {
    fn take_in(&mut self, event: &Event) {
        match event {
            Event::Started => self.started(),
            Event::Planned { plan } => self.planned(plan),
            Event::AbortRequested {
                actor,
                reason,
                is_superseded,
            } => self.abort_requested(actor, reason.as_ref(), *is_superseded),
            Event::Paused {
                actor,
                reason,
                ends,
            } => self.paused(actor, reason, ends),
            Event::Resumed { .. } => self.resumed(),
            Event::RebuildQueued { plan } => self.rebuild_queued(plan),
            Event::WriteRequested { intent } => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.writes.push_back(intent.clone());
                }
            }

            Event::ChangeBegun { intent } => self.change_begun(intent),
            Event::ChangeDecided {
                intent,
                change,
                ttl,
            } => {
                self.change_decided(intent, change, *ttl);
            }
            Event::ChangeNotNeeded { intent, view } => self.change_not_needed(intent, view),
            Event::ChangeAnswered { outcome } => {
                let token = self.state.mint();
                self.state.lane.answered(outcome, token);
            }
            Event::FenceDecided { change } => {
                let token = self.state.mint();
                self.state.lane.fencing(Arc::clone(change), token);
            }
            Event::ChangeProven {
                intent,
                marker,
                view,
            } => {
                self.change_proven(intent, marker, view);
            }
            Event::ChangeDelayed { why, until } => self.change_delayed(why, *until),
            Event::LookDue => {
                let token = self.state.mint();
                self.state.lane.looks_again(token);
            }
            Event::RefreshDue => {
                if let Hold::Held { refresh, .. } = &mut self.state.hold {
                    refresh.is_over = true;
                }
            }
            Event::ChangeRefused { intent, refusal } => self.change_refused(intent, refusal),
            Event::MarkerHeld { marker, until } => self.marker_held(marker, *until),
            Event::TakeOverAllowed { from } => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.take_over_from = Some(from.clone());
                }
            }
            Event::Deposed { refusal } => self.deposed(refusal),

            Event::VisitStarted { site, kind, scale } => self.visit_started(site, *kind, scale),
            Event::HostLooked {
                site,
                host,
                inventory,
            } => {
                self.visit(site, |visit, turn| visit.host_looked(turn, host, inventory));
            }
            Event::HostPulled { site, host } => {
                self.visit(site, |visit, turn| visit.host_pulled(turn, host));
            }
            Event::HostPrepared {
                site,
                host,
                made,
                is_proof,
            } => {
                self.visit(site, |visit, turn| {
                    visit.host_prepared(turn, host, made, *is_proof)
                });
            }
            Event::HostUnready {
                site,
                host,
                problems,
            } => {
                self.visit(site, |visit, turn| visit.host_unready(turn, host, problems));
            }
            Event::Prefetched {
                site,
                host,
                problem: _,
            } => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.prefetch.remove(&(site.clone(), host.clone()));
                }
            }
            Event::Ready { site } => self.visit(site, Visit::ready),
            Event::Probed { site, of, problems } => {
                self.visit(site, |visit, _| visit.probed(of, problems));
            }
            Event::WithdrawBegun {
                site,
                answering,
                is_sick,
            } => {
                self.visit(site, |visit, _| visit.withdraw_begun(answering, *is_sick));
            }
            Event::LookExpired { site } => {
                self.let_go();
                self.visit(site, Visit::look_expired);
            }
            Event::ReadyFirst { site } => self.visit(site, |visit, _| visit.ready_first()),
            Event::Followed { site, ttl } => {
                self.visit(site, |visit, turn| visit.followed(turn, *ttl));
            }
            // What follows from it is a fact of its own.
            Event::Behind {
                site: _,
                servers: _,
            } => {}
            Event::DrainedAtLeast { site } => self.visit(site, Visit::drained_at_least),
            Event::DrainedAtMost { site } => self.visit(site, Visit::drained_at_most),
            Event::DrainUnknown { site, why } => {
                self.visit(site, |visit, _| visit.drain_unknown(why));
            }
            Event::QuietSeen { site, packets } => {
                self.visit(site, |visit, _| visit.quiet_seen(*packets));
            }
            Event::Drained {
                site,
                reason,
                packets: _,
                seconds: _,
            } => {
                self.visit(site, |visit, turn| visit.drained(turn, *reason));
            }
            Event::EvidenceTaken {
                site,
                host,
                containers: _,
            } => {
                self.visit(site, |visit, _| visit.evidence_taken(host));
            }
            Event::HookAsked { site, hook } => {
                self.visit(site, |visit, turn| visit.hook_asked(turn, hook));
            }
            Event::HookDeferred {
                site,
                hook: _,
                why,
                until,
            } => {
                self.visit(site, |visit, turn| visit.hook_deferred(turn, why, *until));
            }
            Event::HookEnded {
                site,
                hook,
                problem: _,
            } => {
                self.visit(site, |visit, _| visit.hook_ended(hook));
            }
            Event::BeforeBegun { site } => self.visit(site, Visit::before_begun),
            Event::BeforeEnded { site, problem } => {
                self.visit(site, |visit, _| visit.before_ended(problem.as_ref()));
            }
            Event::LastLookBegun { site } => self.visit(site, Visit::last_look_begun),
            Event::ServersLooked { site } => self.visit(site, |visit, _| visit.servers_looked()),
            Event::LookedBehind { site, why: _ } => self.visit(site, Visit::looked_behind),
            Event::PutBackByHand { site } => {
                self.let_go();
                self.visit(site, Visit::was_put_back_by_hand);
            }
            Event::LastInventory {
                site,
                host,
                inventory,
            } => {
                self.visit(site, |visit, _| visit.last_inventory(host, inventory));
            }
            Event::LastLookPassed { site } => self.visit(site, Visit::last_look_passed),
            Event::RemakeBegun { site } => self.visit(site, Visit::remake_begun),
            Event::ClearBegun {
                site,
                level,
                containers,
            } => {
                self.visit(site, |visit, turn| {
                    visit.clear_begun(turn, *level, containers)
                });
            }
            Event::HostCleared {
                site,
                host,
                removed: _,
                hooks: _,
            } => {
                self.visit(site, |visit, _| visit.cleared(host));
            }
            Event::HostUncleared {
                site,
                host,
                problem: _,
                hooks: _,
            } => {
                self.visit(site, |visit, _| visit.uncleared(host));
            }
            Event::StartBegun { site, level } => {
                self.visit(site, |visit, turn| visit.start_begun(turn, *level));
            }
            Event::HostStarted { site, host, .. } => {
                self.visit(site, |visit, _| visit.started(host))
            }
            Event::HostNotStarted {
                site,
                host,
                problem: _,
                hooks: _,
            } => {
                self.visit(site, |visit, _| visit.not_started(host));
            }
            Event::Recreated {
                site,
                containers: _,
                scale: _,
                seconds: _,
            } => {
                self.visit(site, Visit::recreated);
            }
            Event::VerifyBegun { site } => self.visit(site, Visit::verify_begun),
            Event::HostVerified {
                site,
                host,
                problems,
            } => {
                self.visit(site, |visit, _| visit.host_verified(host, problems));
            }
            Event::TrialBegun { site } => self.visit(site, Visit::trial_begun),
            Event::TrialAccepted {
                site,
                actor: _,
                reason: _,
            }
            | Event::TrialWaived { site } => self.visit(site, Visit::trial_over),
            Event::TrialRefused {
                site,
                actor: _,
                reason: _,
            } => self.trial_refused(site),
            Event::Verified { site } => self.visit(site, |visit, _| visit.verified()),
            Event::AttemptFailed {
                site,
                problem,
                attempt: _,
                until,
            } => {
                self.visit(site, |visit, turn| {
                    visit.attempt_failed(turn, problem, *until)
                });
            }
            Event::AttemptBegun { site } => self.visit(site, Visit::attempt_begun),
            Event::RollbackBegun {
                site,
                problem,
                pins,
                barred,
            } => {
                self.bar(site, barred, problem);
                self.visit(site, |visit, turn| {
                    visit.rollback_begun(turn, pins, problem)
                });
            }
            Event::WriteAgain { site } => self.visit(site, Visit::write_again),
            Event::SoakBegun { site } => self.visit(site, Visit::soak_begun),
            Event::TrafficSeen {
                site,
                packets,
                unknown: _,
            } => {
                self.visit(site, |visit, _| visit.traffic_seen(*packets));
            }
            Event::SoakTimeOver { site } => self.visit(site, |visit, _| visit.soak_time_over()),
            Event::SoakBroken { site, problem } => {
                self.visit(site, |visit, turn| visit.soak_broken(turn, problem));
            }
            Event::Soaked { site } => self.visit(site, Visit::soaked),
            Event::HostPruned {
                site,
                host,
                images: _,
                bytes: _,
            } => {
                self.visit(site, |visit, _| visit.pruned(host));
            }
            Event::PutBackBegun { site, problem } => {
                self.visit(site, |visit, turn| visit.put_back_begun(turn, problem));
            }
            Event::DiscardBegun { site, end, problem } => {
                self.visit(site, |visit, turn| {
                    visit.discard_begun(turn, *end, problem.as_ref())
                });
            }
            Event::HostDiscarded {
                site,
                host,
                problem: _,
            } => {
                self.visit(site, |visit, _| visit.discarded(host));
            }
            Event::VisitEnded { site, end, problem } => {
                self.visit_ended(site, *end, problem.as_ref());
            }

            Event::OtherSiteFailed { site, problems } => self.other_failed(site, problems),
            // The machine changes what decisions are made with.
            Event::Tightened { caution: _ } | Event::TagMoved { moved: _ } => {}
            Event::Halted { cause, site } => {
                self.end_with(Ending::Halted {
                    cause: cause.clone(),
                    site: site.clone(),
                });
            }
            Event::WaveEnded { wave } => self.wave_ended(*wave),
            Event::WindowAwaited { opens } => self.window_awaited(*opens),
            Event::WindowDue => {
                if let Some(rotation) = self.state.rotation_mut() {
                    rotation.window = None;
                }
            }
            Event::Ended { end } => self.ended(end),
            Event::Cleared {
                digest,
                actor: _,
                reason: _,
            } => {
                Arc::make_mut(&mut self.state.barred).remove(digest);
            }
        }
    }

    /// A fact about one visit. It sees the rest of the state, but itself.
    fn visit(&mut self, site: &SiteName, take_in: impl FnOnce(&mut Visit, &mut Turn<'_>)) {
        let Some(mut rotation) = self.state.rotation.take() else {
            return;
        };
        let changed = Arc::make_mut(&mut rotation);
        if let Some(mut visit) = changed.visits.remove(site) {
            let plan = changed.plan_of(site);
            let (ctx, now) = (self.ctx, self.now);
            let mut turn = Turn {
                state: self.state,
                ctx,
                plan,
                now,
            };
            change(&mut visit, &mut turn, take_in);
            changed.visits.insert(site.clone(), visit);
        }
        self.state.rotation = Some(rotation);
        self.let_go_unwanted();
        self.watch_others();
    }
}

/// A visit takes a fact in; where its step is another then, that step's clock starts.
fn change(
    visit: &mut Arc<Visit>,
    turn: &mut Turn<'_>,
    take_in: impl FnOnce(&mut Visit, &mut Turn<'_>),
) {
    let visit = Arc::make_mut(visit);
    let before = visit.stage.step();
    take_in(visit, turn);
    if visit.stage.step() != before {
        visit.step_since = turn.now.wall;
    }
}
