//! A small pretend outside: a primary and a secondary, an engine a host, virtual time. Faults are
//! switches. What must never happen is looked for at every change, and noted in `hurt`.
mod dns;
mod engines;
mod fleet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

pub(crate) use fleet::{fleet, fleet_of, playbook, project, service};

use crate::coordinator::effect::{Effect, EngineRequest, ProbeManner, Request};
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::{Outcome, ProbeOutcome, Problem, TrafficOutcome};
use crate::coordinator::plan::{Mode, Options, Plan, Survey, Wish, plan};
use crate::coordinator::safety::Feet;
use crate::model::fleet::Fleet;
use crate::model::id::{ContainerId, Epoch, HostName, Nonce, SiteName};
use crate::model::image::Digest;
use crate::model::inventory::Container;
use crate::model::marker::Marker;
use crate::model::playbook::Playbook;
use crate::model::rrset::{MarkerSeen, RrSet, ZoneChange, ZoneView};
use crate::model::time::{Mono, Now, Ttl, millis};
use crate::sim::zone;

pub(crate) fn site(name: &str) -> SiteName {
    name.parse().unwrap()
}

pub(crate) fn digest(n: u8) -> Digest {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

/// What the world does wrong.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Faults {
    /// Answers to UPDATEs are lost; they are applied all the same.
    pub(crate) lose_answers: bool,
    /// UPDATEs are lost on the way, their sender hears nothing.
    pub(crate) lose_requests: u32,
    /// The next UPDATEs get no answer, and are applied so many milliseconds later.
    pub(crate) late_updates: VecDeque<u64>,
    /// Until then the primary cannot be reached.
    pub(crate) primary_silent_until: u64,
    /// Until then the secondary follows nothing.
    pub(crate) secondary_stands_until: u64,
    pub(crate) servers_lag: bool,
    pub(crate) failing_probes: BTreeSet<SiteName>,
    pub(crate) unhealthy: BTreeSet<SiteName>,
    /// Containers of these sites exit while they are watched.
    pub(crate) crashing: BTreeSet<SiteName>,
    pub(crate) unready: BTreeSet<SiteName>,
    /// Engines that cannot be reached.
    pub(crate) down: BTreeSet<HostName>,
    /// The next removals are carried out so many milliseconds later, their answer is lost.
    pub(crate) late_clears: VecDeque<u64>,
    /// The next removals take so many milliseconds.
    pub(crate) slow_clears: VecDeque<u64>,
    /// So many preparations are proofs: a network must be remade first.
    pub(crate) proofs: u32,
    pub(crate) busy: bool,
    pub(crate) traffic_unknown: bool,
    pub(crate) no_traffic: bool,
    pub(crate) before_fails: bool,
    pub(crate) evidence_hangs: bool,
    pub(crate) prune_fails: bool,
}

/// What belongs to one coordinator: its journal, and what it has asked for.
#[derive(Default)]
pub(crate) struct Desk {
    journal: Vec<(Event, Now)>,
    queue: Vec<(u64, Effect)>,
}

/// What was asked for by somebody who hears no answer.
#[derive(Debug)]
enum Later {
    Update(Box<ZoneChange>),
    Clear {
        site: SiteName,
        host: HostName,
        ids: Vec<ContainerId>,
    },
}

pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) playbook: Playbook,
    /// What the primary serves.
    pub(crate) view: ZoneView,
    pub(crate) secondary: ZoneView,
    pub(crate) engines: BTreeMap<HostName, Vec<Container>>,
    pub(crate) faults: Faults,
    pub(crate) now: u64,
    serial: u64,
    queue: Vec<(u64, Effect)>,
    later: Vec<(u64, Later)>,
    /// Sites in DNS, fewest ever.
    pub(crate) fewest: usize,
    pub(crate) journal: Vec<(Event, Now)>,
    /// What must never happen and did.
    pub(crate) hurt: Vec<String>,
    /// Since when no name server has had the site.
    left: BTreeMap<SiteName, u64>,
    pub(crate) is_behind: bool,
    /// Sites that a person put into DNS, and no UPDATE of ours has touched since.
    put_in_by_hand: BTreeSet<SiteName>,
    nonces: BTreeSet<Nonce>,
    /// Whether somebody said `--below-floor` or `--unverified`.
    pub(crate) is_overridden: bool,
    /// What each prune was told to keep.
    pub(crate) kept_images: Vec<(HostName, BTreeSet<Digest>)>,
    /// Probes, with the addresses that were left out of them.
    pub(crate) probed: Vec<(SiteName, ProbeManner, BTreeSet<IpAddr>)>,
    /// So much longer does each effect take, by turns.
    pub(crate) delays: Vec<u64>,
}

impl World {
    pub(crate) fn new() -> World {
        World::of(fleet(), playbook())
    }

    pub(crate) fn of(fleet: Fleet, playbook: Playbook) -> World {
        let mut rrsets = BTreeMap::new();
        for key in fleet.rrsets() {
            let addresses: BTreeSet<IpAddr> = fleet
                .sites
                .keys()
                .flat_map(|site| fleet.addresses_of(site, &key))
                .collect();
            let ttl = (!addresses.is_empty()).then_some(Ttl(30));
            rrsets.insert(key, RrSet { addresses, ttl });
        }
        let records = fleet.dns.records.keys();
        let markers = records
            .map(|name| (name.clone(), MarkerSeen::Absent))
            .collect();
        let view = ZoneView {
            rrsets,
            markers,
            serial: 1,
        };
        let mut world = World {
            secondary: view.clone(),
            view,
            engines: BTreeMap::new(),
            faults: Faults::default(),
            now: 0,
            serial: 0,
            queue: Vec::new(),
            later: Vec::new(),
            fewest: fleet.sites.len(),
            journal: Vec::new(),
            hurt: Vec::new(),
            left: BTreeMap::new(),
            is_behind: false,
            put_in_by_hand: BTreeSet::new(),
            nonces: BTreeSet::new(),
            is_overridden: false,
            kept_images: Vec::new(),
            probed: Vec::new(),
            delays: Vec::new(),
            fleet,
            playbook,
        };
        world.found_containers();
        world
    }

    pub(crate) fn time(&self) -> Now {
        let wall = 1_800_000_000_000 + i64::try_from(self.now).unwrap();
        Now {
            mono: Mono(self.now),
            wall: jiff::Timestamp::from_millisecond(wall).unwrap(),
        }
    }

    pub(crate) fn coordinator(&self) -> Coordinator {
        self.coordinator_called("holder-a")
    }

    pub(crate) fn coordinator_called(&self, holder: &str) -> Coordinator {
        let (fleet, playbook) = (self.fleet.clone(), self.playbook.clone());
        Coordinator::new(fleet, playbook, holder.parse().unwrap(), Ttl(30))
    }

    pub(crate) fn wish(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Wish {
        self.serial += 1;
        Wish {
            id: format!("nightly-{}", self.serial).parse().unwrap(),
            mode,
            sites,
            options,
            actor: "test".to_owned(),
            reason: None,
        }
    }

    pub(crate) fn survey(&self) -> Survey {
        let images = self.fleet.images().into_iter();
        Survey {
            marker: self.marker(),
            digests: images.map(|image| (image, Ok(digest(2)))).collect(),
            highest_epoch: self.highest_label(),
            feet: Feet::default(),
            silent: Vec::new(),
        }
    }

    pub(crate) fn plan(
        &mut self,
        mode: Mode,
        sites: Option<Vec<SiteName>>,
        options: Options,
    ) -> Plan {
        let wish = self.wish(mode, sites, options);
        plan(&self.fleet, &self.playbook, wish, &self.survey()).unwrap()
    }

    pub(crate) fn marker(&self) -> Option<Marker> {
        zone::marker(&self.view)
    }

    /// Tells the machine something and starts what it asks for.
    pub(crate) fn tell(&mut self, machine: &mut Coordinator, input: &Input) {
        let now = self.time();
        let decision = machine.decide(input, now).unwrap();
        if decision.events.is_empty() {
            return;
        }
        let events = decision.events.clone();
        let effects = machine.commit(decision, now, |_| Ok::<(), ()>(())).unwrap();
        self.journal
            .extend(events.into_iter().map(|event| (event, now)));
        for effect in effects {
            self.start(effect);
        }
        let awaited = machine.awaited_tokens();
        self.queue
            .retain(|(_, effect)| awaited.contains(&effect.token));
    }

    pub(crate) fn begin(&mut self, machine: &mut Coordinator, plan: Plan) {
        let plan = Box::new(plan);
        self.tell(machine, &Input::Command(Command::Begin { plan }));
    }

    pub(crate) fn abort(&mut self, machine: &mut Coordinator) {
        let (actor, reason) = ("ana".to_owned(), None);
        self.tell(machine, &Input::Command(Command::Abort { actor, reason }));
    }

    /// One thing happens. `false`: nothing is in flight.
    pub(crate) fn step(&mut self, machine: &mut Coordinator) -> bool {
        self.queue.sort_by_key(|(at, effect)| (*at, effect.token));
        let Some(next) = self.queue.first().map(|(at, _)| *at) else {
            return false;
        };
        if self.is_late_before(next) {
            return true;
        }
        let (at, effect) = self.queue.remove(0);
        self.pass(at);
        match self.carry_out(&effect.request) {
            Some(outcome) => {
                let token = effect.token;
                self.tell(machine, &Input::Outcome { token, outcome });
            }
            None => self.start(effect),
        }
        true
    }

    pub(crate) fn run(&mut self, machine: &mut Coordinator) {
        for _ in 0..20_000 {
            if !self.step(machine) {
                return;
            }
        }
        let visits = machine.state().rotation.as_ref().map(|r| r.visits.clone());
        let stages: Vec<_> = visits
            .unwrap_or_default()
            .into_values()
            .map(|v| v.stage)
            .collect();
        let last = self.journal.iter().rev().take(12);
        let last: Vec<String> = last
            .map(|(event, _)| format!("{event:?}").chars().take(120).collect())
            .collect();
        panic!(
            "it never ends: {:?} {stages:?} {last:#?}",
            machine.state().lane
        );
    }

    /// Steps on until a fact is true.
    pub(crate) fn until(&mut self, machine: &mut Coordinator, is_it: impl Fn(&Event) -> bool) {
        let from = self.journal.len();
        while !self
            .journal
            .iter()
            .skip(from)
            .any(|(event, _)| is_it(event))
        {
            assert!(
                self.step(machine),
                "it ended before: {:?}",
                self.journal.last()
            );
        }
    }

    /// The process dies; another one reads the journal.
    pub(crate) fn crash(&mut self) -> Coordinator {
        let mut machine = self.dead();
        self.tell(&mut machine, &Input::Started);
        machine
    }

    /// The process dies. What it had asked for is lost.
    pub(crate) fn dead(&mut self) -> Coordinator {
        self.queue.clear();
        let mut machine = self.coordinator();
        machine.replay(self.journal.clone());
        machine
    }

    /// What was asked for and not answered is carried out all the same, so much later.
    pub(crate) fn carry_out_late(&mut self, after: u64) {
        for (_, effect) in std::mem::take(&mut self.queue) {
            match effect.request {
                Request::Update(change) => {
                    self.later.push((self.now + after, Later::Update(change)));
                }
                Request::Engine {
                    site,
                    host,
                    request:
                        EngineRequest::Clear {
                            containers: ids, ..
                        },
                } => self
                    .later
                    .push((self.now + after, Later::Clear { site, host, ids })),
                Request::Engine { .. }
                | Request::ReadPrimary
                | Request::AskServers { .. }
                | Request::AwaitServers { .. }
                | Request::ResolveImages { .. }
                | Request::Probe { .. }
                | Request::Measure { .. }
                | Request::AwaitQuiet { .. }
                | Request::JudgeTraffic { .. }
                | Request::AwaitTraffic { .. }
                | Request::RunBefore { .. }
                | Request::Sleep { .. } => {}
            }
        }
    }

    /// A desk whose store is a copy of this one's, as it is now.
    pub(crate) fn copied(&self) -> Desk {
        Desk {
            journal: self.journal.clone(),
            queue: Vec::new(),
        }
    }

    /// Another coordinator sits down; the one before freezes where it is.
    pub(crate) fn swap(&mut self, desk: &mut Desk) {
        std::mem::swap(&mut self.journal, &mut desk.journal);
        std::mem::swap(&mut self.queue, &mut desk.queue);
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, at: u64) {
        self.now = self.now.max(at);
        if self.is_behind {
            self.follow();
        }
    }

    fn is_late_before(&mut self, next: u64) -> bool {
        self.later.sort_by_key(|(at, _)| *at);
        if self.later.first().is_none_or(|(at, _)| *at > next) {
            return false;
        }
        let (at, late) = self.later.remove(0);
        self.pass(at);
        match late {
            Later::Update(change) => {
                self.apply_update(&change);
            }
            Later::Clear { site, host, ids } => self.clear(&site, &host, &ids),
        }
        true
    }

    fn start(&mut self, effect: Effect) {
        let Some(takes) = self.takes(&effect.request) else {
            return;
        };
        let turn = self.queue.len() + self.journal.len();
        let by_turn = self.delays.get(turn % self.delays.len().max(1)).copied();
        let is_clear = matches!(
            effect.request,
            Request::Engine {
                request: EngineRequest::Clear { .. },
                ..
            }
        );
        let slow = is_clear
            .then(|| self.faults.slow_clears.pop_front())
            .flatten();
        let is_timer = matches!(effect.request, Request::Sleep { .. });
        let longer = slow.or(by_turn.filter(|_| !is_timer)).unwrap_or(0);
        self.queue.push((self.now + takes + longer, effect));
    }

    /// How long an effect takes, in milliseconds; `None`: it is never answered.
    fn takes(&self, request: &Request) -> Option<u64> {
        match request {
            Request::Sleep { until } => Some(until.0.saturating_sub(self.now)),
            Request::Measure { .. } => None,
            Request::AwaitQuiet { .. } => Some(10_000),
            Request::AwaitTraffic { .. } => Some(3_000),
            Request::Probe {
                manner: ProbeManner::Watch,
                ..
            } => Some(20_000),
            Request::Engine {
                request: EngineRequest::Watch { .. },
                ..
            } => Some(20_000),
            Request::Engine {
                request: EngineRequest::TakeEvidence { .. },
                ..
            } if self.faults.evidence_hangs => None,
            Request::AwaitServers { within, .. } => Some(self.follows_after(millis(*within))),
            Request::ReadPrimary
            | Request::Update(_)
            | Request::AskServers { .. }
            | Request::ResolveImages { .. }
            | Request::Engine { .. }
            | Request::Probe { .. }
            | Request::JudgeTraffic { .. }
            | Request::RunBefore { .. } => Some(5),
        }
    }

    /// `None`: nothing to tell yet.
    fn carry_out(&mut self, request: &Request) -> Option<Outcome> {
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
            Request::JudgeTraffic { .. } if self.faults.busy => {
                let packets = Some(48.3);
                Outcome::Traffic(TrafficOutcome::Busy { packets })
            }
            Request::AwaitQuiet { .. } if self.faults.busy => return None,
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
            Request::Sleep { .. } => Outcome::Woke,
            Request::ResolveImages { .. } | Request::Measure { .. } => return None,
        })
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
        let is_failing = self.faults.failing_probes.contains(site);
        match manner {
            ProbeManner::Watch if !is_failing => None,
            ProbeManner::Look | ProbeManner::Verify if !is_failing => {
                Some(Outcome::Probe(ProbeOutcome::Passed))
            }
            ProbeManner::Watch | ProbeManner::Look | ProbeManner::Verify => {
                let problems = vec![problem("front: HTTP 500")];
                Some(Outcome::Probe(ProbeOutcome::Failing { problems }))
            }
        }
    }

    fn highest_label(&self) -> Epoch {
        let marks = self
            .engines
            .values()
            .flatten()
            .filter_map(|container| container.mark.as_ref());
        marks.map(|mark| mark.epoch).max().unwrap_or_default()
    }

    fn hosts_of(&self, site: &SiteName) -> Vec<HostName> {
        self.fleet.sites[site]
            .hosts
            .iter()
            .map(|host| host.name.clone())
            .collect()
    }
}

pub(crate) fn problem(what: &str) -> Problem {
    Problem {
        what: what.to_owned(),
        cure: "mend it".to_owned(),
        is_transient: true,
    }
}
