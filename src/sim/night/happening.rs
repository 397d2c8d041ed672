//! What a fault does when it happens: one is drawn, it hits somebody, and it is told in words.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::playing::Night;
use super::stage::CLOCK_SET_BACK;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::intent::Intent;
use crate::coordinator::state::{Rotation, Stage as VisitStage, State, Visit};
use crate::model::id::{HostName, SiteName};
use crate::model::rrset::ZoneChange;
use crate::model::time::{Ttl, span};
use crate::sim::faults::Fault;
use crate::sim::trace::{What, Who};
use crate::sim::world::{BadImage, HooksSay, Later, Torn, digest};

/// What chance drew for a fault: whom it hits, and for how long (in milliseconds).
struct Drawn {
    site: SiteName,
    host: HostName,
    later: u64,
}

impl Night {
    pub(super) fn something_happens(&mut self) {
        let faults = std::mem::take(&mut self.report.faults);
        let fault = self.chance.of_these(&faults).copied();
        self.report.faults = faults;
        if let Some(fault) = fault {
            let (site, host) = (self.site(), self.host());
            let later = self.chance.below(90_000);
            let drawn = Drawn { site, host, later };
            self.happens(fault, &drawn);
        }
    }

    /// It happened, and is counted.
    pub(super) fn notes(&mut self, fault: Fault, words: impl Into<String>) {
        *self.report.happened.entry(fault).or_insert(0) += 1;
        let who = if fault.is_by_people() {
            Who::Person
        } else {
            Who::World
        };
        let words = words.into();
        self.crew.world.traced(who, What::Fault { fault, words });
    }

    /// A switch is turned, on or off.
    fn turns(&mut self, fault: Fault, is_on: bool, on: &str, off: &str) {
        self.notes(fault, if is_on { on } else { off });
    }

    fn happens(&mut self, fault: Fault, drawn: &Drawn) {
        match fault {
            Fault::LostUpdates
            | Fault::LostAnswers
            | Fault::LateUpdates
            | Fault::DoubledUpdates
            | Fault::PrimarySilent
            | Fault::SecondaryStands
            | Fault::SecondaryLags
            | Fault::Overstaying => self.servers_fail(fault, drawn),
            Fault::SecondaryGoesBack => self.secondary_goes_back(),
            Fault::ProbesFail
            | Fault::StartsFail
            | Fault::Crashing
            | Fault::Unready
            | Fault::EngineDown
            | Fault::LateRemovals
            | Fault::SlowRemovals
            | Fault::LateRequests
            | Fault::Proofs
            | Fault::WrongImages
            | Fault::EvidenceHangs
            | Fault::PruneFails => self.sites_fail(fault, drawn),
            Fault::Busy => {
                let busy = &mut self.crew.world.faults.busy;
                *busy = !*busy;
                let is_on = *busy;
                self.turns(
                    fault,
                    is_on,
                    "traffic does not end",
                    "traffic ends as it should",
                );
            }
            Fault::TrafficUnknown => {
                let unknown = &mut self.crew.world.faults.traffic_unknown;
                *unknown = !*unknown;
                let is_on = *unknown;
                let off = "traffic can be measured again";
                self.turns(fault, is_on, "traffic cannot be measured", off);
            }
            Fault::NoTraffic => {
                let no_traffic = &mut self.crew.world.faults.no_traffic;
                *no_traffic = !*no_traffic;
                let is_on = *no_traffic;
                let off = "traffic comes back";
                self.turns(fault, is_on, "no traffic comes back to restored sites", off);
            }
            Fault::Hooks => self.hooks_object(),
            Fault::BadImages => self.releases_badly(),
            Fault::Kills
            | Fault::TornDecisions
            | Fault::TakeOvers
            | Fault::Freezes
            | Fault::ClockJumps
            | Fault::StoreCopied
            | Fault::StoreOld
            | Fault::StoreLost => self.coordinators_fail(fault, drawn.later),
            Fault::Aborts
            | Fault::Nsupdate
            | Fault::Queued
            | Fault::Cordons
            | Fault::TagsMove
            | Fault::BelowFloor
            | Fault::ZoneRestored
            | Fault::MarkerDeleted
            | Fault::TtlChanged
            | Fault::Pauses
            | Fault::Trials => self.people_act(fault, drawn),
        }
    }

    /// Every tag moves to an image that is bad everywhere.
    pub(super) fn releases_badly(&mut self) {
        let (how, words) = match self.chance.below(3) {
            0 => (BadImage::Dies, "exits when it is started"),
            1 => (BadImage::FailsProbes, "answers nobody"),
            _ => (BadImage::DiesLater, "exits in service"),
        };
        self.notes(
            Fault::BadImages,
            format!("a new release that {words}: every tag moves"),
        );
        let tag = self.moves_tags();
        self.crew.world.faults.bad_images.insert(digest(tag), how);
    }

    pub(super) fn moves_tags(&mut self) -> u8 {
        let tag = self.crew.world.tag.wrapping_add(1) % 90 + 2;
        self.crew.world.tag = tag;
        self.crew.world.faults.bad_images.remove(&digest(tag));
        let images = self.crew.world.fleet.images().into_iter();
        let moved = images.map(|image| (image, digest(tag))).collect();
        self.crew.hears(&Input::TagsMoved { moved });
        tag
    }

    fn hooks_object(&mut self) {
        let (say, words) = match self.chance.below(3) {
            0 => (HooksSay::NotYet, "hooks say not yet from now on"),
            1 => (HooksSay::No, "hooks fail from now on"),
            _ => (HooksSay::Yes, "hooks agree from now on"),
        };
        self.crew.world.faults.hooks = say;
        self.notes(Fault::Hooks, words.to_owned());
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the faults of one kind; `happens` lists them all"
    )]
    fn servers_fail(&mut self, fault: Fault, drawn: &Drawn) {
        let (now, later) = (self.crew.world.now, drawn.later);
        let faults = &mut self.crew.world.faults;
        let words = match fault {
            Fault::LostUpdates => {
                faults.lose_requests += 1;
                "the next UPDATE will be lost on its way".to_owned()
            }
            Fault::LostAnswers => {
                faults.lose_answers = !faults.lose_answers;
                let lose = faults.lose_answers;
                let on = "answers to UPDATEs are lost from now on";
                (if lose {
                    on
                } else {
                    "answers to UPDATEs arrive again"
                })
                .to_owned()
            }
            Fault::LateUpdates => {
                faults.late_updates.push_back(later);
                format!("the next UPDATE will be under way for {}", lasting(later))
            }
            Fault::DoubledUpdates => {
                faults.doubled_updates.push_back(later * 3);
                let after = lasting(later * 3);
                format!("the next UPDATE will arrive once more, {after} later")
            }
            Fault::PrimarySilent => {
                let factor = if self.chance.one_in(8) { 30 } else { 1 };
                faults.primary_silent_until = now + later * factor;
                let lasts = lasting(later * factor);
                format!("the primary cannot be reached for {lasts}")
            }
            Fault::SecondaryStands => {
                let until = &mut faults.secondary_stands_until;
                *until = (*until).max(now + later);
                format!("the secondary follows nothing for {}", lasting(later))
            }
            Fault::SecondaryLags => {
                faults.transfer_lag = later * 3 / 2;
                let lag = lasting(later * 3 / 2);
                format!("each version of the zone takes {lag} to the secondary from now on")
            }
            _ => {
                faults.overstay = later * 5;
                let by = lasting(later * 5);
                format!("some resolvers keep answers for {by} longer than the TTL")
            }
        };
        self.notes(fault, words);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the faults of one kind; `happens` lists them all"
    )]
    fn sites_fail(&mut self, fault: Fault, drawn: &Drawn) {
        let Drawn { site, host, later } = drawn;
        let faults = &mut self.crew.world.faults;
        let either = |is_on: bool, on: String, off: String| if is_on { on } else { off };
        let words = match fault {
            Fault::ProbesFail => either(
                toggle(&mut faults.failing_probes, site),
                format!("{site} fails its probes"),
                format!("{site} passes its probes again"),
            ),
            Fault::StartsFail => either(
                toggle(&mut faults.unhealthy, site),
                format!("containers of {site} do not start"),
                format!("containers of {site} start again"),
            ),
            Fault::Crashing => either(
                toggle(&mut faults.crashing, site),
                format!("containers of {site} restart in service"),
                format!("containers of {site} run without restarts again"),
            ),
            Fault::Unready => either(
                toggle(&mut faults.unready, site),
                format!("a port is held at {site}"),
                format!("the port at {site} is free again"),
            ),
            Fault::EngineDown => either(
                toggle(&mut faults.down, host),
                format!("the engine of {host} cannot be reached"),
                format!("the engine of {host} answers again"),
            ),
            Fault::LateRemovals => {
                faults.late_clears.push_back(*later);
                let after = lasting(*later);
                format!("the next removal is carried out {after} after its sender gave up")
            }
            Fault::SlowRemovals => {
                faults.slow_clears.push_back(later * 20);
                format!("the next removal takes {}", lasting(later * 20))
            }
            Fault::LateRequests => {
                faults.late_requests.push_back(*later);
                let after = lasting(*later);
                format!("the next creation or start comes {after} after its sender gave up")
            }
            Fault::Proofs => {
                faults.proofs += 1;
                "a network must be remade before the next containers fit".to_owned()
            }
            Fault::WrongImages => {
                faults.wrong_images += 1;
                "the next containers will be made from another image than asked".to_owned()
            }
            Fault::EvidenceHangs => {
                faults.evidence_hangs = !faults.evidence_hangs;
                let on = "`docker diff` does not end from now on";
                either(
                    faults.evidence_hangs,
                    on.to_owned(),
                    "`docker diff` ends again".to_owned(),
                )
            }
            _ => {
                faults.prune_fails = !faults.prune_fails;
                let on = "old images cannot be removed";
                either(
                    faults.prune_fails,
                    on.to_owned(),
                    "old images can be removed".to_owned(),
                )
            }
        };
        self.notes(fault, words);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the faults of one kind; `happens` lists them all"
    )]
    fn coordinators_fail(&mut self, fault: Fault, later: u64) {
        match fault {
            Fault::Kills => self.kills(fault, None, later),
            Fault::TornDecisions => {
                let torn = if self.chance.one_in(2) {
                    Torn::BeforeSync
                } else {
                    Torn::AfterSync
                };
                self.kills(fault, Some(torn), later);
            }
            Fault::TakeOvers => self.somebody_takes_over(later),
            Fault::Freezes => self.freezes(later),
            Fault::StoreCopied => self.copies_store(),
            Fault::StoreOld => self.comes_back_old(),
            Fault::StoreLost => self.loses_store(),
            _ => self.clock_jumps(later),
        }
    }

    /// Between the last look and the removal nobody could see it: that is not promised.
    fn secondary_goes_back(&mut self) {
        let mut under_way = self.crew.world.later.iter();
        let may_go = under_way.any(|(_, late)| matches!(late, Later::Engine { .. }));
        if !self.is_at_last_look() && !may_go {
            let lasts = self.bounds.goes_back_for;
            let words = format!(
                "the secondary restarts from an old file, for {}",
                lasting(lasts)
            );
            self.notes(Fault::SecondaryGoesBack, words);
            let (copy, until) = (self.copy.clone(), self.crew.world.now + lasts);
            self.crew.world.secondary_goes_back(&copy, until);
        }
    }

    fn clock_jumps(&mut self, later: u64) {
        let now = self.crew.world.now;
        if self.chance.one_in(2) {
            // A server that went back and comes forward between two looks is not promised.
            let forward = self.crew.world.faults.secondary_stands_until;
            let flaps = (now..now + later * 10).contains(&forward);
            if flaps && self.report.faults.contains(&Fault::SecondaryGoesBack) {
                return;
            }
            self.notes(
                Fault::ClockJumps,
                format!("everything stands still for {}", lasting(later * 10)),
            );
            self.crew.world.pass(now + later * 10);
        } else {
            let jump = i64::try_from(later * 1_000).unwrap_or(0) - CLOCK_SET_BACK.cast_signed();
            let (by, whither) = (
                lasting(jump.unsigned_abs()),
                if jump < 0 { "behind" } else { "ahead" },
            );
            self.notes(
                Fault::ClockJumps,
                format!("the wall clock is {by} {whither} from now on"),
            );
            self.crew.world.wall_skew = jump;
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the faults of one kind; `happens` lists them all"
    )]
    fn people_act(&mut self, fault: Fault, drawn: &Drawn) {
        let Drawn { site, later, .. } = drawn;
        match fault {
            Fault::Aborts if self.chance.one_in(3) => {
                let (actor, reason) = ("ana".to_owned(), None);
                self.tells(fault, "abort", Command::Abort { actor, reason });
            }
            Fault::Nsupdate => self.takes_in_hand(site),
            Fault::Queued => self.queues(site),
            Fault::Cordons => {
                let site = site.clone();
                let (words, intent) = if self.chance.one_in(2) {
                    (format!("cordon {site}"), Intent::Cordon { site })
                } else {
                    (format!("uncordon {site}"), Intent::Uncordon { site })
                };
                self.tells(fault, &words, Command::Write { intent });
            }
            Fault::TagsMove => {
                self.notes(fault, "a new release: every tag moves");
                self.moves_tags();
            }
            Fault::ZoneRestored => {
                if self.chance.one_in(3) {
                    self.told(Who::Person, "takes a copy of the zone");
                    self.copy = self.crew.world.view.clone();
                } else if self.chance.one_in(3) {
                    self.notes(fault, "restores the zone from an older copy");
                    let copy = self.copy.clone();
                    self.crew.world.restore_zone(&copy);
                }
            }
            Fault::MarkerDeleted if self.chance.one_in(4) => {
                self.notes(fault, "deletes the marker");
                self.crew.world.write_marker(None);
            }
            Fault::TtlChanged => self.changes_ttl(),
            Fault::Pauses => self.pauses(*later),
            Fault::Trials => self.tries(),
            // A person who thinks better of it; the floor is overridden by those who withdraw a
            // site, when nothing runs.
            _ => {}
        }
    }

    /// What no coordinator can see is not promised: no prerequisite states a TTL, so one that
    /// changes under an UPDATE that adds is changed back by it; one that comes and goes between
    /// two looks was never there.
    fn changes_ttl(&mut self) {
        if self.is_adding() {
            return;
        }
        let ttl = self.crew.world.fleet.dns.ttl;
        let is_calm = self
            .crew
            .machines()
            .all(|machine| machine.state().running().is_none());
        let ttl = if is_calm {
            ttl
        } else {
            Ttl(ttl.0.saturating_mul(4))
        };
        self.notes(
            Fault::TtlChanged,
            format!("sets the TTL of every record to {ttl}"),
        );
        self.crew.world.set_ttl(ttl);
    }

    /// Whether an UPDATE is out that adds records.
    fn is_adding(&self) -> bool {
        let adds = |change: &Arc<ZoneChange>| !change.add.is_empty();
        let mut states = self.crew.machines().map(|machine| machine.state());
        states.any(|state: &State| state.lane.changes().iter().any(adds))
            || self.crew.world.has_late_update(adds)
    }

    /// Whether anybody has had, or is having, a last look at a site.
    fn is_at_last_look(&self) -> bool {
        let marker = self.crew.world.marker();
        let is_dirty = marker.is_some_and(|marker| !marker.dirty.is_empty());
        let looks = |visit: &Arc<Visit>| {
            let is_looking = matches!(
                visit.stage,
                VisitStage::LastLook { .. } | VisitStage::Dirtying { .. }
            );
            visit.is_touched || is_looking
        };
        let visits = |rotation: &Rotation| rotation.visits.values().any(looks);
        let mut running = self
            .crew
            .machines()
            .filter_map(|machine| machine.state().running());
        is_dirty || running.any(visits)
    }
}

/// So many milliseconds, for people.
pub(super) fn lasting(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// Puts it in, or takes it out. `true`: it is in now.
fn toggle<T: Ord + Clone>(set: &mut BTreeSet<T>, item: &T) -> bool {
    let was_in = set.remove(item);
    if !was_in {
        set.insert(item.clone());
    }
    !was_in
}
