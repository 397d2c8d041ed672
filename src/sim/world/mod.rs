//! The whole pretend outside: a primary and the public server that follows it, resolvers with
//! caches, users, an engine a host, a registry, people; in virtual time. Faults are switches. What
//! must never happen is looked for at every decision and every effect, and noted in `hurt`.
mod dns;
mod engines;
pub(crate) mod faults;
pub(crate) mod fleet;
mod ghosts;
mod late;
mod pace;
mod people;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use faults::{BadImage, Faults, HooksSay};
pub(crate) use fleet::{fleet_of, playbook};
pub(crate) use ghosts::Ghosts;
pub(crate) use late::Later;
pub(crate) use pace::Pace;

use super::invariants::{self, Violation};
use super::trace::{Decided, Entry, Seat, What, Who};
use super::zone;
use crate::coordinator::effect::{Effect, HookCall, ProbeManner, Request};
use crate::coordinator::event::Event;
use crate::coordinator::input::Input;
use crate::coordinator::machine::{Coordinator, Rejection};
use crate::coordinator::outcome::{HookAnswer, Outcome, ProbeOutcome, Problem, TrafficOutcome};
use crate::coordinator::plan::Survey;
use crate::coordinator::state::State;
use crate::model::fleet::{Fleet, Site};
use crate::model::id::{Epoch, HostName, SiteName};
use crate::model::image::Digest;
use crate::model::inventory::Container;
use crate::model::marker::Marker;
use crate::model::playbook::Playbook;
use crate::model::rrset::{MarkerSeen, RrSet, ZoneView};
use crate::model::time::{Mono, Now, Ttl};

/// The digest that stands for the `n`th version of every image.
pub(crate) fn digest(n: u8) -> Digest {
    let text = format!("sha256:{}", format!("{n:02x}").repeat(32));
    text.parse().expect("64 hex digits make a digest")
}

/// What belongs to one coordinator: its journal, and what it has asked for.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    /// Whose desk it is.
    pub(crate) seat: Seat,
    pub(crate) journal: Vec<(Event, Now)>,
    pub(crate) queue: Vec<(u64, Effect)>,
    /// By so many milliseconds its clock is behind the world's: it stood still.
    pub(crate) lag: u64,
}

/// Where the journal of a decision is when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Torn {
    /// Nothing of it is on disk.
    BeforeSync,
    /// It is on disk, and nothing that follows from it was asked for.
    AfterSync,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) playbook: Arc<Playbook>,
    /// What the primary serves.
    pub(crate) view: Arc<ZoneView>,
    pub(crate) secondary: Arc<ZoneView>,
    /// Versions of the zone on their way to the secondary, and when each arrives.
    pub(crate) transfers: VecDeque<(u64, Arc<ZoneView>)>,
    pub(crate) engines: BTreeMap<HostName, Vec<Container>>,
    /// The version that the tag of every image stands for.
    pub(crate) tag: u8,
    pub(crate) faults: Faults,
    /// Milliseconds since the world began.
    pub(crate) now: u64,
    /// By so many milliseconds the wall clock is wrong.
    pub(crate) wall_skew: i64,
    pub(crate) pace: Pace,
    /// By so many milliseconds the clock of whoever sits at the desk is behind.
    pub(crate) lag: u64,
    /// The largest TTL that was ever served.
    pub(crate) ttl_high: Ttl,
    pub(crate) serial: u64,
    pub(crate) queue: Vec<(u64, Effect)>,
    pub(crate) later: Vec<(u64, Later)>,
    /// Sites in DNS, fewest ever.
    pub(crate) fewest: usize,
    pub(crate) journal: Vec<(Event, Now)>,
    /// What must never happen and did.
    pub(crate) hurt: Vec<Violation>,
    pub(crate) is_behind: bool,
    /// What only an all-seeing onlooker knows.
    pub(crate) ghosts: Ghosts,
    /// Whether somebody said `--below-floor` or `--unverified`.
    pub(crate) is_overridden: bool,
    /// What each prune was told to keep.
    pub(crate) kept_images: Vec<(HostName, BTreeSet<Digest>)>,
    /// The images that each host has a copy of.
    copies: BTreeMap<HostName, BTreeSet<Digest>>,
    /// Probes, with the addresses that were left out of them.
    pub(crate) probed: Vec<(SiteName, ProbeManner, BTreeSet<IpAddr>)>,
    /// So much longer does each effect take, by turns.
    pub(crate) delays: Vec<u64>,
    /// Who sits at the desk.
    pub(crate) seat: Seat,
    /// What happened, where somebody wants to read it.
    pub(crate) trace: Option<Vec<Entry>>,
}

impl World {
    /// Everything well: every site in DNS, every host with what it should run, made by somebody
    /// else long ago.
    pub(crate) fn of(fleet: Fleet, playbook: Playbook) -> World {
        let mut rrsets = BTreeMap::new();
        for key in fleet.rrsets() {
            let addresses: BTreeSet<IpAddr> = fleet
                .sites
                .keys()
                .flat_map(|site| fleet.addresses_of(site, &key))
                .collect();
            let ttl = (!addresses.is_empty()).then_some(fleet.dns.ttl);
            rrsets.insert(key, RrSet { addresses, ttl });
        }
        let records = fleet.dns.records.keys();
        let markers = records
            .map(|name| (name.clone(), MarkerSeen::Absent))
            .collect();
        let view = Arc::new(ZoneView {
            rrsets,
            markers,
            serial: 1,
        });
        let mut world = World {
            secondary: Arc::clone(&view),
            view,
            transfers: VecDeque::new(),
            engines: BTreeMap::new(),
            tag: 2,
            faults: Faults::default(),
            now: 0,
            wall_skew: 0,
            pace: Pace::default(),
            lag: 0,
            ttl_high: fleet.dns.ttl.max(fleet.dns.ttl_was),
            serial: 0,
            queue: Vec::new(),
            later: Vec::new(),
            fewest: fleet.sites.len(),
            journal: Vec::new(),
            hurt: Vec::new(),
            is_behind: false,
            ghosts: Ghosts::of(&fleet),
            is_overridden: false,
            kept_images: Vec::new(),
            copies: BTreeMap::new(),
            probed: Vec::new(),
            delays: Vec::new(),
            seat: Seat::default(),
            trace: None,
            fleet: fleet.into(),
            playbook: playbook.into(),
        };
        world.found_containers();
        world
    }

    pub(crate) fn time(&self) -> Now {
        let mono = self.now - self.lag;
        let passed = match self.pace {
            Pace::Usual => i64::try_from(mono).unwrap_or(i64::MAX),
            // For people only: it would tell states apart that are alike.
            Pace::AtOnce => 0,
        };
        let wall = 1_800_000_000_000 + passed + self.wall_skew;
        Now {
            mono: Mono(mono),
            wall: jiff::Timestamp::from_millisecond(wall).unwrap_or(jiff::Timestamp::MAX),
        }
    }

    pub(crate) fn coordinator_called(&self, holder: &str) -> Coordinator {
        let (fleet, playbook) = (Arc::clone(&self.fleet), Arc::clone(&self.playbook));
        let holder = holder.parse().expect("a holder's name is a label");
        Coordinator::new(fleet, playbook, holder, self.ttl_high)
    }

    /// What is seen of the world before planning.
    pub(crate) fn survey(&self) -> Survey {
        let images = self.fleet.images().into_iter();
        let tag = digest(self.tag);
        let pins = self.fleet.sites.values().flat_map(Site::declared_pins);
        let pins = pins.map(|(image, digest)| (image.by_digest(&digest), Ok(digest)));
        Survey {
            at: self.time().wall,
            marker: self.marker(),
            digests: images
                .map(|image| (image, Ok(tag.clone())))
                .chain(pins)
                .collect(),
            highest_epoch: self.highest_label(),
            ..Survey::default()
        }
    }

    pub(crate) fn marker(&self) -> Option<Marker> {
        zone::marker(&self.view).cloned()
    }

    /// Tells the machine something and starts what it asks for.
    ///
    /// # Errors
    /// [`Rejection`] where its state does not allow it; nothing has happened then.
    pub(crate) fn tell(
        &mut self,
        machine: &mut Coordinator,
        input: &Input,
    ) -> Result<(), Rejection> {
        self.tell_torn(machine, input, None)
    }

    /// The same, by a process that dies over it where `torn` says so.
    pub(crate) fn tell_torn(
        &mut self,
        machine: &mut Coordinator,
        input: &Input,
        torn: Option<Torn>,
    ) -> Result<(), Rejection> {
        let now = self.time();
        let mut decision = machine.decide(input, now)?;
        if decision.events.is_empty() || torn == Some(Torn::BeforeSync) {
            return Ok(());
        }
        // The journal is here: nobody else writes them down.
        let events = std::mem::take(&mut decision.events);
        self.ghosts.acts(machine.state(), &events);
        self.hears_a_word(machine, input, &events);
        let before = self.trace.is_some().then(|| machine.state().clone());
        let Ok(effects) = machine.commit(decision, now, |_| Ok::<(), std::convert::Infallible>(()));
        if let Some(before) = before {
            self.decided(machine, before, &events);
        }
        invariants::decided(self, machine, &events, &effects);
        self.journal
            .extend(events.into_iter().map(|event| (event, now)));
        if torn == Some(Torn::AfterSync) {
            return Ok(());
        }
        for effect in effects {
            self.start(effect);
        }
        let awaited = machine.awaited_tokens();
        self.queue
            .retain(|(_, effect)| awaited.contains(&effect.token));
        Ok(())
    }

    /// When the next thing happens to whoever sits at the desk; `None`: nothing is in flight.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.queue.iter().map(|(at, _)| *at).min()
    }

    /// One thing happens. `false`: nothing is in flight.
    pub(crate) fn step(&mut self, machine: &mut Coordinator) -> bool {
        self.step_torn(machine, None)
    }

    /// The same, for a process that dies over the answer where `torn` says so.
    pub(crate) fn step_torn(&mut self, machine: &mut Coordinator, torn: Option<Torn>) -> bool {
        let Some(at) = self.first_due() else {
            return false;
        };
        if self.is_late_before(self.queue[at].0) {
            return true;
        }
        let (effect, outcome) = self.carried_out(at, machine);
        match outcome {
            Some(outcome) => {
                let token = effect.token;
                let told = self.tell_torn(machine, &Input::Outcome { token, outcome }, torn);
                debug_assert!(told.is_ok(), "an answer is never rejected");
            }
            None => self.start(effect),
        }
        true
    }

    /// The next request is carried out, for a process that dies before it hears the answer.
    #[cfg(test)]
    pub(crate) fn step_unheard(&mut self, machine: &Coordinator) {
        if let Some(at) = self.first_due() {
            self.carried_out(at, machine);
        }
    }

    /// Which of the queue is due next.
    fn first_due(&self) -> Option<usize> {
        let due = self.queue.iter().enumerate();
        due.min_by_key(|(_, (due, effect))| (*due, effect.token))
            .map(|(at, _)| at)
    }

    fn carried_out(&mut self, at: usize, machine: &Coordinator) -> (Effect, Option<Outcome>) {
        let (due, effect) = self.queue.swap_remove(at);
        self.pass(due);
        self.ghosts.acting = machine.state().epoch;
        let outcome = self.carry_out(&effect.request);
        (effect, outcome)
    }

    /// The process dies. What it had asked for is lost.
    pub(crate) fn dead_called(&mut self, holder: &str) -> Coordinator {
        self.queue.clear();
        let mut machine = self.coordinator_called(holder);
        machine.replay(self.journal.iter().cloned());
        machine
    }

    /// Another coordinator sits down; the one before waits where it is.
    pub(crate) fn swap(&mut self, desk: &mut Desk) {
        std::mem::swap(&mut self.journal, &mut desk.journal);
        std::mem::swap(&mut self.queue, &mut desk.queue);
        std::mem::swap(&mut self.lag, &mut desk.lag);
        std::mem::swap(&mut self.seat, &mut desk.seat);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, at: u64) {
        self.now = self.now.max(at);
        if self.is_behind || !self.transfers.is_empty() {
            self.follow();
        }
    }

    /// `None`: nothing to tell yet.
    pub(crate) fn carry_out(&mut self, request: &Request) -> Option<Outcome> {
        Some(match request {
            Request::ReadPrimary => self.read_primary(),
            Request::Update(change) => Outcome::Update(self.update(change)),
            Request::AskServers { .. } => Outcome::Servers(self.servers()),
            Request::AwaitServers { follow, .. } => self.followed(follow),
            Request::Engine {
                site,
                host,
                request,
            } => Outcome::Engine(self.engine(site, host, request)?),
            Request::Probe {
                site,
                manner,
                without,
            } => self.probe(site, *manner, without)?,
            Request::AwaitQuiet { .. } | Request::JudgeTraffic { .. }
                if self.faults.traffic_unknown =>
            {
                let why = "no meter".to_owned();
                Outcome::Traffic(TrafficOutcome::Unknown { why })
            }
            Request::JudgeTraffic { site, .. } if self.is_busy(site) => {
                let packets = Some(48.3);
                Outcome::Traffic(TrafficOutcome::Busy { packets })
            }
            Request::AwaitQuiet { site, .. } if self.is_busy(site) => return None,
            Request::AwaitQuiet { .. } | Request::JudgeTraffic { .. } => {
                Outcome::Traffic(TrafficOutcome::Quiet { packets: 0.1 })
            }
            Request::AwaitTraffic { .. } if self.faults.no_traffic => return None,
            Request::AwaitTraffic { .. } => {
                Outcome::Traffic(TrafficOutcome::Back { packets: 100.0 })
            }
            Request::RunBefore { .. } if self.faults.before_fails => {
                Outcome::Before(Err(problem("before: exit 1")))
            }
            Request::RunBefore { .. } => Outcome::Before(Ok(())),
            Request::CallHook(call) => Outcome::Hook(self.hook(call)),
            Request::Sleep { .. } => Outcome::Woke,
            Request::ResolveImages { .. } | Request::Measure { .. } => return None,
        })
    }

    /// What a hook says.
    fn hook(&mut self, call: &HookCall) -> HookAnswer {
        let answer = match self.faults.hooks {
            HooksSay::Yes => HookAnswer::Agreed,
            HooksSay::NotYet => HookAnswer::NotYet {
                why: "not now".to_owned(),
                after: None,
            },
            HooksSay::No => HookAnswer::Failed(problem("hook: exit 1")),
        };
        self.ghosts.hook_said(call, &answer);
        answer
    }

    /// Whether users are still seen at a site: honest ones, and those whose resolver keeps an
    /// answer for longer than its TTL.
    fn is_busy(&self, site: &SiteName) -> bool {
        self.faults.busy || self.ghosts.overstays(site, self.now, self.faults.overstay)
    }

    fn probe(
        &mut self,
        site: &SiteName,
        manner: ProbeManner,
        without: &BTreeSet<IpAddr>,
    ) -> Option<Outcome> {
        if manner != ProbeManner::Watch {
            self.probed.push((site.clone(), manner, without.clone()));
        }
        let is_failing = self.faults.failing_probes.contains(site)
            || self.is_bad(site, BadImage::FailsProbes)
            || !self.answers(site, without);
        match manner {
            ProbeManner::Watch if !is_failing => None,
            ProbeManner::Look | ProbeManner::Verify { .. } if !is_failing => {
                self.ghosts.passed(site, manner, self.now);
                Some(Outcome::Probe(ProbeOutcome::Passed))
            }
            ProbeManner::Watch | ProbeManner::Look | ProbeManner::Verify { .. } => {
                if manner == ProbeManner::Watch {
                    self.ghosts.broke(site);
                }
                let problems = vec![trouble(
                    "front: HTTP 500",
                    "see why the site does not answer",
                )];
                Some(Outcome::Probe(ProbeOutcome::Failing { problems }))
            }
        }
    }

    /// Whether something runs on every host of the site, but those left out by their addresses.
    pub(crate) fn answers(&self, site: &SiteName, without: &BTreeSet<IpAddr>) -> bool {
        let site = self.fleet.sites.get(site).into_iter();
        let hosts = site.flat_map(|site| &site.hosts);
        let mut asked = hosts.filter(|host| {
            let address = host.address.as_ref();
            address.is_none_or(|address| !without.contains(address))
        });
        asked.all(|host| {
            let services = host.projects.iter().flat_map(|project| &project.services);
            if services.map(|service| service.replicas).sum::<u32>() == 0 {
                return true;
            }
            let there = self.engines.get(&host.name).into_iter().flatten();
            there.into_iter().any(Container::is_running)
        })
    }

    pub(crate) fn highest_label(&self) -> Epoch {
        let marks = self
            .engines
            .values()
            .flatten()
            .filter_map(|container| container.mark.as_ref());
        marks.map(|mark| mark.epoch).max().unwrap_or_default()
    }

    pub(crate) fn hosts_of(&self, site: &SiteName) -> Vec<HostName> {
        let site = self.fleet.sites.get(site).into_iter();
        let hosts = site.flat_map(|site| &site.hosts);
        hosts.map(|host| host.name.clone()).collect()
    }

    /// Something happened that no coordinator decided.
    pub(crate) fn told(&mut self, who: Who, words: String) {
        self.traced(who, What::Told(words));
    }

    pub(crate) fn traced(&mut self, who: Who, what: What) {
        let at = self.time();
        if let Some(trace) = &mut self.trace {
            trace.push(Entry { at, who, what });
        }
    }

    fn decided(&mut self, machine: &Coordinator, mut before: State, events: &[Event]) {
        for event in events {
            let mut after = before.clone();
            after.apply(&machine.context(), event, self.time());
            let decided = Decided {
                event: event.clone(),
                before,
                after: after.clone(),
            };
            let who = Who::Coordinator(self.seat);
            self.traced(who, What::Decided(Box::new(decided)));
            before = after;
        }
    }

    /// Notes what must never happen and did.
    pub(crate) fn note(&mut self, violation: Violation) {
        self.traced(Who::World, What::Broken(violation.clone()));
        self.hurt.push(violation);
    }
}

pub(crate) fn problem(what: &str) -> Problem {
    trouble(what, "mend it")
}

/// A problem with a cure of its own.
pub(crate) fn trouble(what: &str, cure: &str) -> Problem {
    Problem {
        what: what.to_owned(),
        cure: cure.to_owned(),
        is_transient: true,
    }
}

/// The TTL of an RRset in milliseconds.
pub(crate) fn ttl_ms(ttl: Ttl) -> u64 {
    u64::from(ttl.0) * 1_000
}
