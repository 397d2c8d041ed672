//! The faults stop: everything must end, and what is out must come back.
use std::collections::BTreeSet;

use super::playing::Night;
use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, Options};
use crate::model::fleet::Site;
use crate::model::id::{HostName, SiteName};
use crate::model::inventory::{Container, ContainerState, Role};
use crate::model::marker::Marker;
use crate::sim::invariants::Violation;
use crate::sim::trace::Who;
use crate::sim::world::{Faults, digest};

/// For so long is a TTL remembered that was served. In milliseconds.
const DAY: u64 = 24 * 3_600_000;

impl Night {
    /// The faults stop. Everything ends within a bound, and what is still out is owed and said;
    /// one more recovery and one more night bring everything back.
    pub(super) fn heals(&mut self) {
        if !self.crew.world.hurt.is_empty() {
            return;
        }
        self.told(Who::World, "every fault stops; everything must come back");
        // A server that went back comes forward when it would have: not in the middle of a drain.
        let secondary_stands_until = self.crew.world.faults.secondary_stands_until;
        self.crew.world.faults = Faults {
            secondary_stands_until,
            ..Faults::default()
        };
        self.crew.world.ghosts.broken.clear();
        self.crew.world.transfers.clear();
        self.crew.world.pass(self.crew.world.now + 1);
        self.crew.all_awake();
        for seat in 0..self.crew.count() {
            self.crew.sit(seat);
            self.resumes();
        }
        self.ends();
        self.crew.world.pass(secondary_stands_until);
        self.crew.world.set_ttl(self.crew.world.fleet.dns.ttl);
        // What is under way when a zone is restored may hit a site that no marker calls dirty any
        // more: nobody can know, and it does so before the last night.
        if self.crew.world.ghosts.is_restored {
            while self.crew.world.is_late_before(u64::MAX) {}
        }
        self.crew.sit(0);
        let names: Vec<SiteName> = self.crew.world.fleet.sites.keys().cloned().collect();
        for _ in 0..2 {
            self.asked(Mode::Recover, None);
            for name in &names {
                self.mends(name);
            }
        }
        self.asked(Mode::Recover, None);
        self.lets_a_day_pass();
        self.asked(Mode::Rotate, None);
        self.looks_at_the_end(&names);
    }

    /// Where a TTL that somebody set is larger than the longest drain, the next night would wait
    /// for its day to be over.
    fn lets_a_day_pass(&mut self) {
        let world = &mut self.crew.world;
        let dns = &world.fleet.dns;
        let declared = dns.ttl.max(dns.ttl_was);
        if world.ttl_high > declared && world.ttl_high.duration() > world.playbook.drain.at_most {
            world.ttl_high = declared;
            world.pass(world.now + DAY);
            self.told(
                Who::World,
                "a day passes: resolvers have forgotten the larger TTL",
            );
        }
    }

    /// A person brings one site back that cannot come back by itself.
    fn mends(&mut self, name: &SiteName) {
        // Held, or taken out by hand: people put back what people took.
        if !self.crew.world.serves(name) {
            let restore = Mode::Restore { unverified: false };
            self.asked(restore, Some(vec![name.clone()]));
        }
        // A restored zone may serve more dirty sites than the floor lets go: out of DNS a dirty one
        // has to come back by itself.
        let is_dirty = |marker: Marker| marker.dirty.contains(name);
        let world = &self.crew.world;
        let is_kept_in =
            world.ghosts.is_restored && world.serves(name) && world.marker().is_some_and(is_dirty);
        if is_kept_in || !world.answers(name, &BTreeSet::new()) {
            // Where others are gone too, nothing else is left to say.
            let options = Options {
                take_over: true,
                below_floor: true,
                ..Options::default()
            };
            self.clears();
            self.begins(Mode::Rebuild, Some(vec![name.clone()]), options);
            self.ends();
        }
        let is_cordoned = |marker: Marker| marker.cordon.contains(name);
        if self.crew.world.marker().is_some_and(is_cordoned) {
            let uncordon = Mode::Cordon { cordoned: false };
            self.asked(uncordon, Some(vec![name.clone()]));
        }
    }

    fn looks_at_the_end(&mut self, names: &[SiteName]) {
        if !self.crew.world.hurt.is_empty() {
            return;
        }
        let end = self.end();
        if end != Some(RotationEnd::Completed) {
            self.broken("comes back", self.of_the_last_night(end.as_ref()));
        }
        for name in names {
            if !self.crew.world.ghosts.is_whole(&self.crew.world.view, name) {
                self.broken("comes back", format!("{name} is not in DNS"));
            }
        }
        if let Some(what) = self.of_another_night() {
            self.broken("comes back", what);
        }
        if let Some(marker) = self.crew.world.marker() {
            let is_idle = marker.holder.is_none() && marker.rotation.is_none();
            if !is_idle || !marker.out.is_empty() || !marker.dirty.is_empty() {
                self.broken("owes nothing", format!("{marker:?}"));
            }
        }
    }

    /// How a night ended in which nothing went wrong any more.
    fn of_the_last_night(&self, end: Option<&RotationEnd>) -> String {
        let end = match end {
            None => "has no end".to_owned(),
            Some(RotationEnd::Completed) => "completed".to_owned(),
            Some(RotationEnd::Halted) => "halted".to_owned(),
            Some(RotationEnd::Aborted { reason }) => format!("was aborted, {reason}"),
            Some(RotationEnd::NotAcquired { why }) => format!("did not get the marker, {why}"),
            Some(RotationEnd::Deposed { why }) => format!("was deposed, {why}"),
        };
        let ended = self.ended().into_iter();
        let whys = ended.filter_map(|(site, (_, problem))| {
            let Problem { what, cure, .. } = problem?;
            Some(format!("; {site}: {what} ({cure})"))
        });
        format!(
            "a last night without faults {end}{}",
            whys.collect::<String>()
        )
    }

    /// Something at a site of this playbook that the last night left as it was.
    fn of_another_night(&self) -> Option<String> {
        let world = &self.crew.world;
        let playbook = &world.playbook;
        if !playbook.recreate.containers {
            return None;
        }
        let is_visited = |site: &SiteName| {
            let sites = playbook.sites.as_ref();
            sites.is_none_or(|sites| sites.contains(site))
        };
        let sites = world.fleet.sites.values();
        let mut visited = sites.filter(|site| is_visited(&site.name));
        let there = |host: &HostName| world.engines.get(host).into_iter().flatten();
        let tag = digest(world.tag);
        let old = |site: &Site| {
            let own = site.pinned(world.time().wall);
            let planned = |container: &Container| {
                let mut services = site.services();
                let service = services.find(|service| service.name == container.service);
                let pin = service.and_then(|service| own.get(&service.image));
                container.digests.contains(pin.unwrap_or(&tag))
            };
            let is_new = |container: &&Container| {
                // What was made late and never started goes with the next night.
                container.role == Role::Kept
                    || container.state == ContainerState::Created
                    || (planned(container) && container.is_healthy())
            };
            let mut all = site.hosts.iter().flat_map(|host| there(&host.name));
            let old = all.find(|container| !is_new(container))?;
            Some(format!("{} is not of tonight", old.id.as_str()))
        };
        visited.find_map(old)
    }

    fn broken(&mut self, invariant: &'static str, what: String) {
        self.crew.world.note(Violation { invariant, what });
    }

    fn asked(&mut self, mode: Mode, sites: Option<Vec<SiteName>>) {
        let options = Options {
            take_over: true,
            any_hour: true,
            ..Options::default()
        };
        self.clears();
        self.begins(mode, sites, options);
        self.ends();
    }

    /// Everybody's rotation ends.
    fn ends(&mut self) {
        let from = self.crew.world.now;
        for _ in 0..self.bounds.most_steps {
            self.tries_all();
            if !self.crew.world.hurt.is_empty() || !self.step() {
                break;
            }
        }
        if !self.crew.world.hurt.is_empty() {
            return;
        }
        let seat = self.crew.at();
        for open in 0..self.crew.count() {
            self.crew.sit(open);
            let state = self.crew.machine().state();
            if let Some(rotation) = state.running() {
                let (id, lane) = (&rotation.plan.id, &state.lane);
                let waits = state.rotation_waits();
                let waits = waits.map_or_else(|| format!("{lane:?}"), |waits| waits.why);
                let what = format!("{id} goes on for ever, waiting for {waits}");
                self.broken("ends", what);
            }
            let unsaid = self.ended().into_iter().find(|(_, (end, problem))| {
                let is_said = *end == VisitEnd::Completed || *end == VisitEnd::LeftOut;
                !is_said && problem.is_none()
            });
            if let Some((site, (end, _))) = unsaid {
                self.broken("says why", format!("{site} {end:?}"));
            }
        }
        self.crew.sit(seat);
        let took = self.crew.world.now - from;
        if took > self.bounds.longest {
            self.broken("ends", format!("after {took} ms"));
        }
    }

    fn ended(&self) -> Vec<(SiteName, (VisitEnd, Option<Problem>))> {
        let state = self.crew.machine().state();
        let ended = state.rotation.iter().flat_map(|rotation| &rotation.ended);
        ended
            .map(|(site, end)| (site.clone(), end.clone()))
            .collect()
    }

    fn end(&self) -> Option<RotationEnd> {
        let state = self.crew.machine().state();
        state.rotation.as_ref()?.end.clone()
    }
}
