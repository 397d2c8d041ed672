//! Two coordinators at one fleet, and what may happen next: either of them hears its next answer,
//! dies, or begins; a message is late or comes twice; what is late arrives.
use crate::coordinator::effect::{Effect, EngineRequest, Request};
use crate::coordinator::input::{Command, Input};
use crate::coordinator::plan::{Mode, Options};
use crate::model::id::{ContainerId, HostName, SiteName};
use crate::sim::crew::Crew;
use crate::sim::invariants::Violation;
use crate::sim::world::{Later, Pace, World, fleet_of, playbook};
use crate::sim::zone;

/// Later than anything: what is late arrives when a move says so.
const SOME_DAY: u64 = u64::MAX / 4;

/// What somebody is going to ask their coordinator.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) mode: Mode,
    pub(super) sites: &'static [&'static str],
    pub(super) options: Options,
}

impl Ask {
    pub(super) fn of(mode: Mode, sites: &'static [&'static str]) -> Ask {
        Ask {
            mode,
            sites,
            options: Options::default(),
        }
    }

    /// With the word that another's marker may be taken.
    pub(super) fn taking_over(mode: Mode, sites: &'static [&'static str]) -> Ask {
        let options = Options {
            take_over: true,
            ..Options::default()
        };
        Ask {
            mode,
            sites,
            options,
        }
    }
}

/// How often each kind of trouble may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Left {
    pub(super) deaths: u8,
    /// Messages that are late, perhaps for ever, or come twice.
    pub(super) messages: u8,
    /// Starts that fail.
    pub(super) failures: u8,
    pub(super) aborts: u8,
    /// People who delete the marker.
    pub(super) deletions: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Begins(usize),
    Hears(usize),
    /// What was asked is carried out later, or never; nobody hears of it.
    IsLate(usize),
    /// It is carried out now, and once more later.
    Doubles(usize),
    /// What was to be started does not.
    Fails(usize),
    /// The process dies, another one reads its store. What it had asked for is lost, or late.
    Dies(usize, bool),
    Aborts(usize),
    /// A person deletes the marker.
    Deletes,
    /// What was late is carried out now.
    Arrives(usize),
    /// The public server follows the primary.
    Follows,
}

#[derive(Clone)]
pub(super) struct Table {
    pub(super) crew: Crew,
    /// What each seat is still going to be asked for.
    pub(super) asks: Vec<Option<Ask>>,
    pub(super) left: Left,
    /// Whether the public server follows when a move says so, and not at once.
    pub(super) lags: bool,
    /// Whether somebody has deleted the marker.
    pub(super) is_deleted: bool,
}

/// More steps than any rotation of three sites takes.
const MOST_STEPS: usize = 2_000;

impl Table {
    /// Three sites; each coordinator is asked for one thing, at any time.
    pub(super) fn of(asks: &[Ask], left: Left, lags: bool) -> Table {
        let mut world = World::of(fleet_of(&["fra", "nyc", "sin"], 1), playbook());
        world.pace = Pace::AtOnce;
        // Names of one length sort as they were made.
        world.serial = 1_000_000;
        world.faults.servers_lag = lags;
        let mut crew = Crew::of(world);
        for _ in asks.iter().skip(1) {
            crew.joins();
        }
        crew.sit(0);
        Table {
            crew,
            asks: asks.iter().cloned().map(Some).collect(),
            left,
            lags,
            is_deleted: false,
        }
    }

    /// Whoever sits at the desk plays on alone until nothing is in flight.
    pub(super) fn plays_on(&mut self) {
        for _ in 0..MOST_STEPS {
            if !self.crew.step_here() {
                break;
            }
        }
    }

    pub(super) fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for seat in 0..self.asks.len() {
            self.moves_of(seat, &mut moves);
        }
        moves.extend((0..self.crew.world.later.len()).map(Move::Arrives));
        if self.is_behind() {
            moves.push(Move::Follows);
        }
        if self.left.deletions > 0 && self.crew.world.marker().is_some() {
            moves.push(Move::Deletes);
        }
        moves
    }

    fn moves_of(&self, seat: usize, moves: &mut Vec<Move>) {
        if self.asks[seat].is_some() {
            moves.push(Move::Begins(seat));
            return;
        }
        let is_running = self.crew.machine_at(seat).state().running().is_some();
        if is_running && self.left.deaths > 0 {
            moves.push(Move::Dies(seat, false));
            if self
                .crew
                .queue_at(seat)
                .iter()
                .any(|(_, effect)| is_write(effect))
            {
                moves.push(Move::Dies(seat, true));
            }
        }
        if is_running && self.left.aborts > 0 {
            moves.push(Move::Aborts(seat));
        }
        let Some(next) = self.next(seat).filter(|next| self.is_answered(next)) else {
            return;
        };
        moves.push(Move::Hears(seat));
        if self.left.messages > 0 && is_write(next) {
            moves.extend([Move::IsLate(seat), Move::Doubles(seat)]);
        }
        if self.left.failures > 0 && is_start(next) {
            moves.push(Move::Fails(seat));
        }
    }

    /// Whether nobody has anything in hand.
    pub(super) fn is_quiet(&self) -> bool {
        let has_next = |seat| self.next(seat).is_some_and(|next| self.is_answered(next));
        let is_idle = |seat: usize| self.asks[seat].is_none() && !has_next(seat);
        !self.is_behind() && (0..self.asks.len()).all(is_idle)
    }

    /// The public server answers who waits for it when it has followed.
    fn is_answered(&self, effect: &Effect) -> bool {
        !(self.is_behind() && matches!(effect.request, Request::AwaitServers { .. }))
    }

    fn is_behind(&self) -> bool {
        self.lags && self.crew.world.secondary.serial != self.crew.world.view.serial
    }

    /// What must never happen and did. Two rules are about how long ago something was, which no
    /// clock that may stand still can say.
    pub(super) fn violation(&self) -> Option<Violation> {
        let is_of_time = |hurt: &&Violation| {
            let rule = hurt.invariant;
            rule == "others answer" || rule == "stale is silent"
        };
        let mut hurt = self.crew.world.hurt.iter().filter(|hurt| !is_of_time(hurt));
        hurt.next().cloned()
    }

    fn next(&self, seat: usize) -> Option<&Effect> {
        self.next_due(seat).map(|(_, effect)| effect)
    }

    fn next_due(&self, seat: usize) -> Option<&(u64, Effect)> {
        let queue = self.crew.queue_at(seat).iter();
        queue.min_by_key(|(due, effect)| (*due, effect.token))
    }

    pub(super) fn plays(&mut self, what: Move) {
        match what {
            Move::Begins(seat) => self.begins(seat),
            Move::Hears(seat) => self.hears(seat),
            Move::IsLate(seat) => self.is_late(seat),
            Move::Doubles(seat) => {
                self.left.messages -= 1;
                self.crew.sit(seat);
                let twice = self.next(seat).cloned();
                self.hears(seat);
                self.keep_for_later(twice);
            }
            Move::Fails(seat) => {
                self.left.failures -= 1;
                let sites: Vec<SiteName> = self.crew.world.fleet.sites.keys().cloned().collect();
                self.crew.world.faults.unhealthy.extend(sites);
                self.hears(seat);
                self.crew.world.faults.unhealthy.clear();
            }
            Move::Dies(seat, is_late) => self.dies(seat, is_late),
            Move::Aborts(seat) => {
                self.left.aborts -= 1;
                self.crew.sit(seat);
                let (actor, reason) = ("ana".to_owned(), None);
                self.crew
                    .hears(&Input::Command(Command::Abort { actor, reason }));
            }
            Move::Deletes => {
                self.left.deletions -= 1;
                self.is_deleted = true;
                self.crew.world.write_marker(None);
            }
            Move::Arrives(index) => {
                let (_, late) = self.crew.world.later.remove(index);
                self.crew.world.later.insert(0, (self.crew.world.now, late));
                self.crew.world.is_late_before(self.crew.world.now);
            }
            Move::Follows => {
                self.crew.world.faults.servers_lag = false;
                self.crew.world.pass(self.crew.world.now);
                self.crew.world.faults.servers_lag = true;
            }
        }
        self.forget_journal();
        self.goes_on_alone();
        self.forget_what_cannot_be();
    }

    /// Whoever dies is succeeded by one who knows what it knew: nobody reads it again.
    fn forget_journal(&mut self) {
        self.crew.world.journal.clear();
    }

    /// What concerns nobody else happens at once: in which order with the acts of others it does
    /// makes no difference to anybody.
    fn goes_on_alone(&mut self) {
        for seat in 0..self.asks.len() {
            while self
                .next_due(seat)
                .is_some_and(|(due, next)| *due <= self.crew.world.now && is_private(next))
            {
                self.hears(seat);
            }
        }
    }

    fn begins(&mut self, seat: usize) {
        self.crew.sit(seat);
        let Some(ask) = self.asks[seat].take() else {
            return;
        };
        self.asks(&ask);
    }

    /// Whoever sits at the desk is asked. What cannot be planned is not begun.
    pub(super) fn asks(&mut self, ask: &Ask) {
        let sites = ask.sites.iter().map(|site| site.parse());
        let sites: Vec<SiteName> = sites.collect::<Result<_, _>>().expect("names of sites");
        let sites = (!sites.is_empty()).then_some(sites);
        if let Ok(plan) = self
            .crew
            .planned(ask.mode.clone(), sites, ask.options.clone())
        {
            self.crew.begins(plan);
        }
    }

    /// One answer. Everybody else's clock stands still meanwhile: each may have been frozen.
    fn hears(&mut self, seat: usize) {
        self.crew.sit(seat);
        let before = self.crew.world.now;
        self.crew.step_here();
        self.forget_journal();
        self.crew.others_stood_still(self.crew.world.now - before);
    }

    fn is_late(&mut self, seat: usize) {
        self.left.messages -= 1;
        self.crew.sit(seat);
        let faults = &mut self.crew.world.faults;
        faults.late_updates.push_back(SOME_DAY);
        faults.late_clears.push_back(SOME_DAY);
        faults.late_requests.push_back(SOME_DAY);
        self.hears(seat);
        let faults = &mut self.crew.world.faults;
        faults.late_updates.clear();
        faults.late_clears.clear();
        faults.late_requests.clear();
    }

    fn dies(&mut self, seat: usize, is_late: bool) {
        self.left.deaths -= 1;
        self.crew.sit(seat);
        if is_late {
            let queue = std::mem::take(&mut self.crew.world.queue);
            let writes = queue.into_iter().filter(|(_, effect)| is_write(effect));
            for (_, effect) in writes {
                self.keep_for_later(Some(effect));
            }
        }
        self.crew.world.queue.clear();
        self.crew.is_succeeded();
    }

    fn keep_for_later(&mut self, effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        let queue = std::mem::replace(&mut self.crew.world.queue, vec![(0, effect)]);
        self.crew.leaves_late(SOME_DAY);
        self.crew.world.queue = queue;
    }

    /// Nobody knows a marker twice, and no engine gives an id twice: what was decided on one that
    /// is gone does nothing, whenever it arrives.
    fn forget_what_cannot_be(&mut self) {
        let stands = zone::marker(&self.crew.world.view);
        let engines = &self.crew.world.engines;
        let is_there = |host: &HostName, id: &ContainerId| {
            let there = engines.get(host).into_iter().flatten();
            there.into_iter().any(|container| container.id == *id)
        };
        self.crew.world.later.retain(|(_, late)| match late {
            Later::Update(change) => change.expect_marker.as_ref() == stands,
            Later::Engine { host, request, .. } => match request {
                EngineRequest::Clear { containers, .. } | EngineRequest::Discard { containers } => {
                    containers.iter().any(|id| is_there(host, id))
                }
                EngineRequest::Start { containers } => {
                    containers.iter().any(|made| is_there(host, &made.id))
                }
                EngineRequest::Prepare(_) => true,
                EngineRequest::TakeInventory
                | EngineRequest::Pull { .. }
                | EngineRequest::TakeEvidence { .. }
                | EngineRequest::Watch { .. }
                | EngineRequest::Prune { .. } => false,
            },
        });
    }
}

/// Whether something changes when it is carried out.
fn is_write(effect: &Effect) -> bool {
    match &effect.request {
        Request::Update(_) => true,
        Request::Engine { request, .. } => match request {
            EngineRequest::Prepare(_)
            | EngineRequest::Discard { .. }
            | EngineRequest::Clear { .. }
            | EngineRequest::Start { .. } => true,
            EngineRequest::TakeInventory
            | EngineRequest::Pull { .. }
            | EngineRequest::TakeEvidence { .. }
            | EngineRequest::Watch { .. }
            | EngineRequest::Prune { .. } => false,
        },
        Request::ReadPrimary
        | Request::AskServers { .. }
        | Request::AwaitServers { .. }
        | Request::ResolveImages { .. }
        | Request::Probe { .. }
        | Request::Measure { .. }
        | Request::AwaitQuiet { .. }
        | Request::JudgeTraffic { .. }
        | Request::AwaitTraffic { .. }
        | Request::RunBefore { .. }
        | Request::CallHook(_)
        | Request::Sleep { .. } => false,
    }
}

/// Whether it neither changes nor reads what others change.
fn is_private(effect: &Effect) -> bool {
    match &effect.request {
        Request::Engine { request, .. } => match request {
            EngineRequest::Pull { .. }
            | EngineRequest::TakeEvidence { .. }
            | EngineRequest::Watch { .. }
            | EngineRequest::Prune { .. } => true,
            EngineRequest::TakeInventory
            | EngineRequest::Prepare(_)
            | EngineRequest::Discard { .. }
            | EngineRequest::Clear { .. }
            | EngineRequest::Start { .. } => false,
        },
        Request::ResolveImages { .. }
        | Request::Measure { .. }
        | Request::AwaitQuiet { .. }
        | Request::JudgeTraffic { .. }
        | Request::AwaitTraffic { .. }
        | Request::RunBefore { .. }
        | Request::CallHook(_)
        | Request::Sleep { .. } => true,
        Request::ReadPrimary
        | Request::Update(_)
        | Request::AskServers { .. }
        | Request::AwaitServers { .. }
        | Request::Probe { .. } => false,
    }
}

fn is_start(effect: &Effect) -> bool {
    let Request::Engine { request, .. } = &effect.request else {
        return false;
    };
    matches!(request, EngineRequest::Start { .. })
}
