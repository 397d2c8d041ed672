//! Facts about the rotation as a whole.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Applying;
use crate::coordinator::event::{PauseEnd, RotationEnd, VisitEnd, VisitKind};
use crate::coordinator::guards::Guard;
use crate::coordinator::intent::Intent;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, Plan, recreates};
use crate::coordinator::safety::{Presence, presence};
use crate::coordinator::state::{
    Barred, Ending, EvidenceWork, Hold, Lane, Pause, Rotation, Stage, Visit, Wait, WindowWait,
};
use crate::coordinator::visit::Turn;
use crate::model::id::SiteName;
use crate::model::image::Pins;
use crate::model::time::Ttl;

impl Applying<'_> {
    /// Every wait starts anew: nothing of the former process's clock or effects is left.
    pub(super) fn started(&mut self) {
        if !Guard::EpochRaisedAtStart.stands() {
            return;
        }
        self.state.hold = Hold::None;
        self.state.lane = Lane::Free;
        let now = self.now.mono;
        let Some(rotation) = self.state.rotation_mut() else {
            return;
        };
        rotation.has_acquired = false;
        rotation.stood = None;
        rotation.take_over_from = None;
        rotation.prefetch.clear();
        rotation.others.clear();
        rotation.window = None;
        let wait = Duration::from_secs(rotation.plan.options.wait_s.max(60));
        rotation.patience = now.plus(wait);
        match rotation.pause.take() {
            Some(Pause {
                ends: PauseEnd::Start,
                ..
            })
            | None => {}
            Some(pause) => self.keep_paused(pause),
        }
    }

    pub(super) fn paused(&mut self, actor: &str, reason: &str, ends: &PauseEnd) {
        self.keep_paused(Pause {
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            since: self.now.wall,
            ends: ends.clone(),
            wait: None,
        });
    }

    fn keep_paused(&mut self, pause: Pause) {
        let wait = match pause.ends {
            PauseEnd::Word | PauseEnd::Start => None,
            PauseEnd::Time { at, .. } => Some(self.wait_until(at)),
        };
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.pause = Some(Pause { wait, ..pause });
        }
    }

    /// People say until when by the wall clock; it is waited for by our own.
    fn wait_until(&mut self, at: Timestamp) -> Wait {
        let left = at.duration_since(self.now.wall);
        let left = Duration::try_from(left).unwrap_or_default();
        self.state.wait(self.now.mono.plus(left))
    }

    pub(super) fn window_awaited(&mut self, opens: Timestamp) {
        let wait = self.wait_until(opens);
        let since = self.now.wall;
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.window = Some(WindowWait { since, wait });
        }
    }

    pub(super) fn resumed(&mut self) {
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.pause = None;
        }
    }

    pub(super) fn planned(&mut self, plan: &Plan) {
        let mut prefetch = BTreeMap::new();
        if recreates(self.ctx.playbook, &plan.mode) {
            for site in plan.sites() {
                for host in self.ctx.hosts(site, &plan.options) {
                    prefetch.insert((site.clone(), host), self.state.mint());
                }
            }
        }
        // A marker that the last rotation could not give back is taken anew, with a new epoch.
        self.state.hold = Hold::None;
        self.state.lane = Lane::Free;
        self.state.rotation = Some(Arc::new(Rotation {
            plan: Arc::new(plan.clone()),
            began: self.now.wall,
            alone_since: self.now.wall,
            ttl_high: self.ctx.ttl_high.max(self.ctx.fleet.dns.ttl),
            patience: self.now.mono.plus(Duration::from_secs(plan.options.wait_s)),
            stood: None,
            take_over_from: None,
            wave: 0,
            visits: BTreeMap::new(),
            ended: BTreeMap::new(),
            ending: None,
            aborted_by: None,
            pause: None,
            window: None,
            end: None,
            has_acquired: false,
            has_held: false,
            is_released: false,
            refusal: None,
            prefetch,
            others: BTreeMap::new(),
            writes: VecDeque::new(),
            asked: BTreeMap::new(),
            urgent: BTreeSet::new(),
        }));
    }

    /// Its sites are visited next, on their own plan, whether they were visited before or not: after
    /// the visits in hand, and before whatever has not begun.
    pub(super) fn rebuild_queued(&mut self, plan: &Plan) {
        let Some(rotation) = self.state.rotation_mut() else {
            return;
        };
        let is_free = |site: &&SiteName| !rotation.visits.contains_key(*site);
        let sites: Vec<SiteName> = plan.sites().filter(is_free).cloned().collect();
        let is_asked = |site: &SiteName| sites.contains(site);
        let waiting: Vec<SiteName> = rotation.next_sites().cloned().collect();
        let own = Arc::new(plan.clone());
        let waves = &mut Arc::make_mut(&mut rotation.plan).waves;
        for wave in waves.iter_mut().skip(rotation.wave) {
            wave.retain(|site| !is_asked(site));
        }
        let in_hand = waves.get_mut(rotation.wave).map(std::mem::take);
        let (rest, begun): (Vec<_>, Vec<_>) = in_hand
            .into_iter()
            .flatten()
            .partition(|site| waiting.contains(site));
        let alone = sites.iter().map(|site| vec![site.clone()]);
        let next = [begun].into_iter().chain(alone).chain([rest]);
        let from = rotation.wave.min(waves.len());
        let until = (from + 1).min(waves.len());
        waves.splice(from..until, next.filter(|wave| !wave.is_empty()));
        rotation.window = None;
        let by_person = |pause: &Pause| pause.ends != PauseEnd::Start;
        let is_urgent = rotation.pause.as_ref().is_some_and(by_person);
        for site in sites {
            rotation.ended.remove(&site);
            rotation.asked.insert(site.clone(), Arc::clone(&own));
            if is_urgent {
                rotation.urgent.insert(site);
            }
        }
    }

    /// A person who ends a rotation wants its sites in. Where nobody did, those that are to be tried
    /// by hand still are.
    pub(super) fn abort_requested(
        &mut self,
        actor: &str,
        reason: Option<&String>,
        is_superseded: bool,
    ) {
        let reason = reason.cloned();
        let reason = reason.unwrap_or_else(|| format!("asked by {actor}"));
        if let Some(rotation) = self.state.rotation_mut().filter(|_| !is_superseded) {
            rotation.aborted_by = Some(actor.to_owned());
        }
        self.end_with(Ending::Aborted { reason });
    }

    /// The marker is to say that a person took it out.
    pub(super) fn trial_refused(&mut self, site: &SiteName) {
        if let Some(rotation) = self.state.rotation_mut() {
            let site = site.clone();
            rotation.writes.push_back(Intent::Hold { site });
        }
    }

    /// What failed at one site is not planned for any.
    pub(super) fn bar(&mut self, site: &SiteName, failed: &Pins, problem: &Problem) {
        let Some(rotation) = &self.state.rotation else {
            return;
        };
        let rotation = rotation.plan_of(site).id.clone();
        let barred = Arc::make_mut(&mut self.state.barred);
        for (image, digest) in failed {
            barred.entry(digest.clone()).or_insert_with(|| Barred {
                image: image.clone(),
                site: site.clone(),
                rotation: rotation.clone(),
                at: self.now.wall,
                why: problem.what.clone(),
            });
        }
    }

    /// The first reason counts. What wants to leave DNS and was not sent does not leave any more.
    pub(super) fn end_with(&mut self, ending: Ending) {
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.ending.get_or_insert(ending);
        }
        let Some(rotation) = &self.state.rotation else {
            return;
        };
        let is_dropped = match self.state.lane.intent() {
            Some(Intent::Acquire) => rotation.visits.is_empty(),
            Some(Intent::Withdraw { .. } | Intent::Hold { .. }) => true,
            Some(Intent::Dirty { site }) => {
                let visit = rotation.visits.get(site);
                visit.is_some_and(|visit| visit.can_go_back())
            }
            Some(
                Intent::Refresh
                | Intent::Restore { .. }
                | Intent::Clean { .. }
                | Intent::PutBack { .. }
                | Intent::WithdrawAgain { .. }
                | Intent::Expel { .. }
                | Intent::Cordon { .. }
                | Intent::Uncordon { .. }
                | Intent::Release,
            )
            | None => false,
        };
        if is_dropped {
            self.let_go();
        }
    }

    pub(super) fn wave_ended(&mut self, wave: usize) {
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.wave = wave + 1;
            rotation.others.clear();
            rotation.window = None;
        }
    }

    pub(super) fn ended(&mut self, end: &RotationEnd) {
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.end = Some(end.clone());
            rotation.prefetch.clear();
            rotation.others.clear();
            rotation.window = None;
        }
        self.state.lane = Lane::Free;
    }

    pub(super) fn visit_started(
        &mut self,
        site: &SiteName,
        kind: VisitKind,
        scale: &BTreeMap<String, u32>,
    ) {
        let Some(mut rotation) = self.state.rotation.take() else {
            return;
        };
        let mut visit = self.new_visit(site, kind, scale, rotation.ttl_high);
        let (ctx, now) = (self.ctx, self.now);
        let plan = rotation.plan_of(site);
        visit.begin(&mut Turn {
            state: self.state,
            ctx,
            plan,
            now,
        });
        let begun = Arc::make_mut(&mut rotation);
        begun.window = None;
        begun.visits.insert(site.clone(), Arc::new(visit));
        self.state.rotation = Some(rotation);
    }

    pub(super) fn visit_ended(
        &mut self,
        site: &SiteName,
        end: VisitEnd,
        problem: Option<&Problem>,
    ) {
        let now = self.now.wall;
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.visits.remove(site);
            rotation.urgent.remove(site);
            rotation.alone_since = now;
            rotation.ended.insert(site.clone(), (end, problem.cloned()));
        }
        self.watch_others();
        self.watch_too(site);
    }

    /// Where others are watched, a site whose visit has ended is one of them from now on.
    fn watch_too(&mut self, site: &SiteName) {
        let Some(rotation) = &self.state.rotation else {
            return;
        };
        let is_one = !rotation.others.is_empty()
            && !rotation.others.contains_key(site)
            && self.serving(rotation).contains(site);
        if is_one {
            let token = self.state.mint();
            if let Some(rotation) = self.state.rotation_mut() {
                rotation.others.insert(site.clone(), token);
            }
        }
    }

    pub(super) fn other_failed(&mut self, site: &SiteName, problems: &[Problem]) {
        if !Guard::OthersWatched.stands() {
            return;
        }
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.others.remove(site);
        }
        let first = problems.first().map_or("", |problem| problem.what.as_str());
        let cause = Problem {
            what: format!("{site} stopped answering while another site was out: {first}"),
            cure: format!(
                "look at {site}: `cleanslate status`; where more sites seem to fail, suspect this \
                 machine's own way to them first: nothing was taken out for it"
            ),
            is_transient: false,
        };
        self.end_with(Ending::Halted {
            cause,
            site: Some(site.clone()),
        });
    }

    /// Sites in service are watched while a visited one is out and could still go back.
    pub(super) fn watch_others(&mut self) {
        let Some(rotation) = &self.state.rotation else {
            return;
        };
        let mut visits = rotation.visits.values();
        let can_go_back = visits.any(|visit| visit.is_out_and_whole());
        let is_watched = can_go_back && !rotation.is_ending() && rotation.plan.mode == Mode::Rotate;
        let is_so_already = is_watched != rotation.others.is_empty();
        if is_so_already {
            return;
        }
        let mut others = BTreeMap::new();
        if is_watched {
            for site in self.serving(rotation) {
                others.insert(site, self.state.mint());
            }
        }
        if let Some(rotation) = self.state.rotation_mut() {
            rotation.others = others;
        }
    }

    fn serving(&self, rotation: &Rotation) -> BTreeSet<SiteName> {
        let cordoned = self.state.marker.as_ref().map(|marker| &marker.cordon);
        let is_serving = |site: &&SiteName| {
            let view = self.state.view.as_ref();
            let presence = view.map(|view| presence(self.ctx.fleet, view, site));
            let is_in = presence.is_some_and(|presence| presence != Presence::None);
            is_in
                && cordoned.is_none_or(|cordoned| !cordoned.contains(*site))
                && !rotation.visits.contains_key(*site)
        };
        self.ctx
            .fleet
            .sites
            .keys()
            .filter(is_serving)
            .cloned()
            .collect()
    }

    fn new_visit(
        &mut self,
        site: &SiteName,
        kind: VisitKind,
        scale: &BTreeMap<String, u32>,
        ttl: Ttl,
    ) -> Visit {
        Visit {
            site: site.clone(),
            kind,
            began: self.now.wall,
            step_since: self.now.wall,
            stage: Stage::Readying,
            hosts: BTreeMap::new(),
            attempt: 1,
            writes: 0,
            looks_behind: 0,
            remakes: 0,
            taken: BTreeSet::new(),
            taking: BTreeSet::new(),
            ttl,
            answering: BTreeSet::new(),
            looked: self.now.mono,
            is_sick: false,
            condemned: BTreeSet::new(),
            serving: BTreeMap::new(),
            evidence: EvidenceWork::NotAsked,
            drained: None,
            is_touched: self.state.is_dirty(site),
            is_before_done: false,
            hook: None,
            heard: BTreeSet::new(),
            measure: self.state.mint(),
            scale_from: scale.clone(),
            out_since: None,
            recreate_since: None,
            on_trial: Duration::ZERO,
            rollback: None,
        }
    }
}
