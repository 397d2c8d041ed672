//! One process's ownership of a fleet: configuration read, store held, journal replayed.
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::adapters::Adapters;
use super::archive::Archive;
use super::audit::{self, Asking, changed, sums};
use super::clock::Clock;
use super::control::Control;
use super::cues::Cues;
use super::freeze;
use super::journal::{self, JournalError};
use super::night::{Ask, Finish, Night, Notice, RunError};
use super::past::{self, Past, ROOT};
use super::release;
use super::request::Request;
use super::schedule::{Run, next_run};
use super::survey::{ImageSource, Observations, observe};
use super::tokens::Watched;
use crate::api::audit::What;
use crate::api::status::NextRun;
use crate::api::story::planned;
use crate::config::report::Report;
use crate::config::{self, Loaded};
use crate::coordinator::event::Event;
use crate::coordinator::input::{Command, Input};
use crate::coordinator::machine::Coordinator;
use crate::coordinator::outcome::Problem;
use crate::coordinator::plan::{Mode, Options, Plan, Wish, plan};
use crate::coordinator::state::State;
use crate::model::fleet::Fleet;
use crate::model::id::{PlaybookName, RotationId, SiteName};
use crate::model::playbook::Playbook;
use crate::model::time::{Now, Ttl};
use crate::store::{By, Occupant, Reader, Store, StoreError};

/// How long an interrupted rotation may be continued by asking for the same playbook, where none of
/// its sites waits for its quiet hours.
const CONTINUED_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);

/// Where things are, and what the process was given.
#[derive(Clone, Debug)]
pub struct Paths {
    pub config: PathBuf,
    pub state: PathBuf,
    pub options: config::Options,
    /// Docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// As typed, for whoever finds the store in use.
    pub command: String,
    /// Who began this process.
    pub by: By,
}

/// Why a fleet could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the configuration is wrong")]
    Config(Report),
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Journal(JournalError),
    #[error("{}", .0.what)]
    Adapters(Problem),
}

/// A rotation whose process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    pub rotation: RotationId,
    pub playbook: PlaybookName,
    pub mode: Mode,
    pub began: Timestamp,
    /// When the quiet hours of the last of its sites are over that was not visited yet; when it
    /// began, where it waits for none.
    pub windows_until: Timestamp,
}

/// Who hears of a rotation, and whom it hears.
pub struct Ears<'a> {
    pub control: &'a mut Control,
    pub notices: mpsc::UnboundedSender<Notice>,
    pub asks: &'a mut mpsc::Receiver<Ask>,
}

/// The fleet, owned by this process.
pub struct Session {
    paths: Paths,
    pub config: Loaded,
    pub store: Store,
    pub adapters: Arc<Adapters>,
    clock: Clock,
    state: State,
    owner: Occupant,
    /// Hooks that are being told.
    telling: JoinSet<()>,
    /// Whether this process begins what the schedules plan.
    pub(super) is_serving: bool,
}

impl Session {
    /// Reads the configuration, takes the store and replays its journal. Contacts nothing.
    ///
    /// # Errors
    /// [`OpenError`]; a store in use names who uses it.
    pub fn open(paths: Paths) -> Result<Session, OpenError> {
        let config = config::load(&paths.config, &paths.options).map_err(OpenError::Config)?;
        let clock = Clock::start();
        let by = Occupant {
            pid: std::process::id(),
            user: paths.by.who.clone(),
            command: paths.command.clone(),
            since: clock.now().wall,
        };
        let store = Store::open(&paths.state, &config.fleet.name, &by).map_err(OpenError::Store)?;
        let adapters = adapters(&config.fleet, clock, &paths).map_err(OpenError::Adapters)?;
        let mut session = Session {
            paths,
            config,
            store,
            adapters,
            clock,
            state: State::default(),
            owner: by,
            telling: JoinSet::new(),
            is_serving: false,
        };
        session.state = session.recent().map_err(OpenError::Journal)?.state();
        session.tell_first_tokens().map_err(OpenError::Store)?;
        let (state, now) = (session.state.clone(), clock.now().wall);
        let kept = release::keep_passed(&mut session.store, &state, now);
        kept.map_err(OpenError::Journal)?;
        let started = session.started().map_err(OpenError::Store)?;
        let by = session.paths.by.clone();
        session.audit(by, &started).map_err(OpenError::Journal)?;
        Ok(session)
    }

    /// Everything that follows from the journal.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What time it is.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Where moves of tags are asked for.
    pub(super) fn release_place(&mut self) -> release::Place<'_> {
        release::Place {
            adapters: &self.adapters,
            loaded: &self.config,
            store: &mut self.store,
            barred: &self.state.barred,
            now: self.clock.now(),
        }
    }

    /// What the schedules begin next.
    pub(super) fn next_run(&self) -> Option<NextRun> {
        next_run(&self.config, self.clock.now().wall, self.is_serving)
    }

    /// The rotation whose process died, where there is one.
    pub fn interrupted(&self) -> Option<Interrupted> {
        let rotation = self
            .state
            .rotation
            .as_ref()
            .filter(|rotation| rotation.end.is_none())?;
        let windows = &rotation.plan.windows;
        let left = windows
            .iter()
            .filter(|(site, _)| !rotation.ended.contains_key(*site));
        let closes = left.map(|(_, window)| window.closes).max();
        Some(Interrupted {
            windows_until: closes.unwrap_or(rotation.began),
            rotation: rotation.plan.id.clone(),
            playbook: rotation.plan.playbook.clone(),
            mode: rotation.plan.mode.clone(),
            began: rotation.began,
        })
    }

    /// Looks at the world for a plan.
    pub async fn observe(&self, sites: &BTreeSet<SiteName>, source: ImageSource) -> Observations {
        observe(
            &self.adapters,
            &self.config.fleet,
            sites,
            source,
            &self.state,
        )
        .await
    }

    /// The sites a wish is about, as far as they can be told before the marker is read.
    pub fn sites_of(&self, wish: &Wish, playbook: &Playbook) -> BTreeSet<SiteName> {
        let named = wish.sites.clone().or_else(|| playbook.sites.clone());
        match named {
            Some(named) => named.into_iter().collect(),
            None => self.config.fleet.sites.keys().cloned().collect(),
        }
    }

    /// Whether asking for this playbook continues an interrupted rotation.
    pub fn continues(&self, playbook: &PlaybookName, mode: &Mode) -> bool {
        let now = self.clock.now().wall;
        self.interrupted().is_some_and(|interrupted| {
            interrupted.playbook == *playbook
                && interrupted.mode == Mode::Rotate
                && *mode == Mode::Rotate
                && (now.duration_since(interrupted.began) < CONTINUED_WITHIN
                    || now < interrupted.windows_until)
        })
    }

    /// Continues or ends what was interrupted. `supersede`: the visit in hand is brought to
    /// safety, the rest is dropped.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn resume(
        &mut self,
        supersede: bool,
        asking: Option<Asking>,
        ears: Ears<'_>,
    ) -> Result<Option<Finish>, RunError> {
        let rotation = self.state.rotation.as_ref();
        let Some(interrupted) = rotation.filter(|rotation| rotation.end.is_none()) else {
            return Ok(None);
        };
        let (fleet, playbook) = past::kept(&self.store, &interrupted.plan, &self.paths.options)?;
        let mut first = vec![Input::Started];
        if supersede {
            first.push(Input::Command(Command::Supersede));
        }
        let finish = self.drive((fleet, playbook), (first, asking), ears).await?;
        Ok(Some(finish))
    }

    /// Begins a planned rotation and drives it to its end. It is not begun on a disk so full that
    /// its journal might not be finished.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn begin(
        &mut self,
        plan: Plan,
        asking: Asking,
        ears: Ears<'_>,
    ) -> Result<Finish, RunError> {
        self.store.check_reserve().map_err(JournalError::Store)?;
        let files: Vec<_> = self
            .config
            .snapshot
            .files
            .iter()
            .map(|(path, content)| (path.clone(), content.to_vec()))
            .chain([(PathBuf::from(ROOT), path_bytes(&self.config.snapshot.root))])
            .collect();
        self.store
            .keep_config(&plan.id, &files)
            .map_err(JournalError::Store)?;
        let fleet = plan.treat(self.config.fleet.clone());
        let playbook = self.playbook(&plan.playbook)?;
        let first = vec![Input::Command(Command::Begin {
            plan: Box::new(plan),
        })];
        self.drive((fleet, playbook), (first, Some(asking)), ears)
            .await
    }

    /// Lets what a person asks pass where no freeze holds it, or they set it aside.
    ///
    /// # Errors
    /// [`RunError::Rule`], *freeze*; [`RunError::Unknown`] where there is no such playbook.
    pub fn heed_freeze(&self, request: &mut Request) -> Result<(), RunError> {
        let playbook = self.playbook(&request.playbook)?;
        let now = self.clock.now().wall;
        freeze::heed(request, &self.config.fleet, &playbook, now).map_err(RunError::Rule)
    }

    /// A plan for what a person asks, as [`Session::plan`] makes it.
    ///
    /// # Errors
    /// As [`Session::plan`], and [`Session::heed_freeze`].
    pub async fn plan_asked(
        &self,
        mut request: Request,
        id: RotationId,
        actor: String,
    ) -> Result<Plan, RunError> {
        self.heed_freeze(&mut request)?;
        Box::pin(self.plan(request, id, actor)).await
    }

    /// A plan for a request, on what is seen now.
    ///
    /// # Errors
    /// [`RunError::Blocked`] with every reason; [`RunError::Refused`] where the marker cannot be
    /// read; [`RunError::Unknown`] where there is no such playbook.
    pub async fn plan(
        &self,
        request: Request,
        id: RotationId,
        actor: String,
    ) -> Result<Plan, RunError> {
        let playbook = self.playbook(&request.playbook)?;
        let source = request.source;
        if source == ImageSource::Registry {
            release::heed_act(&self.store)?;
        }
        let wish = request.wish(id, actor);
        let sites = self.sites_of(&wish, &playbook);
        let observed = self.observe(&sites, source).await;
        let survey = observed
            .survey(&self.config.fleet, self.clock.now().wall)
            .map_err(RunError::Refused)?;
        plan(&self.config.fleet, &playbook, wish, &survey).map_err(RunError::Blocked)
    }

    /// A rotation of the sites that the last one did not complete; `None`: it completed all.
    ///
    /// # Errors
    /// [`RunError::Refused`] where there was none.
    pub fn retried(
        &self,
        reason: String,
        any_hour: bool,
        in_freeze: bool,
    ) -> Result<Option<Request>, RunError> {
        let nothing = || {
            RunError::Refused(Problem {
                what: "there is no rotation to be retried".to_owned(),
                cure: "begin one with `cleanslate rotate`".to_owned(),
                is_transient: true,
            })
        };
        let rotations = self.store.rotations().map_err(JournalError::Store)?;
        let last = rotations.last().ok_or_else(nothing)?;
        let events = past::events_of(&self.store, &last.rotation)?;
        let plan = events.iter().find_map(|(event, _)| planned(event));
        let playbook = plan.ok_or_else(nothing)?.playbook.clone();
        let is_known = |site: &SiteName| self.config.fleet.sites.contains_key(site);
        let left: Vec<SiteName> = past::left(&events).into_iter().filter(is_known).collect();
        Ok((!left.is_empty()).then(|| Request {
            reason: Some(reason),
            in_freeze,
            options: Options {
                any_hour,
                ..Options::default()
            },
            ..Request::rotate(&playbook, Some(left))
        }))
    }

    /// The facts of the last run of a playbook's schedule; none where there was none.
    pub(super) fn last_of(&self, playbook: &PlaybookName) -> Result<Vec<(Event, Now)>, RunError> {
        let rotations = self.store.rotations().map_err(JournalError::Store)?;
        let is_run = |id: &RotationId| Run::is_of(id, playbook);
        let last = rotations.iter().rev().find(|span| is_run(&span.rotation));
        Ok(match last {
            Some(last) => past::events_of(&self.store, &last.rotation)?,
            None => Vec::new(),
        })
    }

    /// Reads the configuration anew: it holds from the next rotation on. Where it is wrong, the
    /// one that was read before stays.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reload(&mut self) -> Result<(), OpenError> {
        let paths = &self.paths;
        let config = config::load(&paths.config, &paths.options).map_err(OpenError::Config)?;
        if config.fleet.name != self.config.fleet.name {
            return Err(OpenError::Adapters(Problem {
                what: format!(
                    "the fleet is called {} now, it was {}",
                    config.fleet.name, self.config.fleet.name
                ),
                cure: "another fleet has a store of its own: start a coordinator for it".to_owned(),
                is_transient: false,
            }));
        }
        let clock = self.clock;
        self.adapters = adapters(&config.fleet, clock, paths).map_err(OpenError::Adapters)?;
        let (old, new) = (sums(&self.config.snapshot), sums(&config.snapshot));
        self.config = config;
        let files = changed(&old, &new);
        let reloaded = self.audit(By::itself(), &What::Reloaded { files });
        reloaded.map_err(OpenError::Journal)
    }

    /// Tells the machine at rest what a person says: no rotation is needed for it, and no marker.
    /// The inner error is why it was not taken.
    ///
    /// # Errors
    /// Failures to read or write the journal.
    pub fn tell(
        &mut self,
        command: Command,
        asking: &Asking,
    ) -> Result<Result<(), Problem>, RunError> {
        let now = self.clock.now();
        let playbook = self.config.playbooks.values().next().cloned();
        let Some(playbook) = playbook else {
            return Ok(Err(no_playbook()));
        };
        let holder = self.store.holder().map_err(JournalError::Store)?;
        let fleet = self.config.fleet.clone();
        let mut coordinator = Coordinator::new(fleet, playbook, holder, Ttl(0));
        coordinator.remember(self.state.clone());
        let decision = match coordinator.decide(&Input::Command(command), now) {
            Ok(decision) => decision,
            Err(rejection) => return Ok(Err(rejection.problem)),
        };
        let events = decision.events.clone();
        let ctx = coordinator.context();
        let steps = audit::steps(&ctx, Arc::new(self.state.clone()), &events, now);
        let told = audit::told(&ctx, Some(asking), &steps, now);
        // Of a rotation whose process died; one that has ended has all its records.
        let interrupted = self.interrupted().map(|interrupted| interrupted.rotation);
        let store = &mut self.store;
        // Nothing is sent: whoever drives the next rotation asks for what it awaits.
        let effects = coordinator.commit(decision, now, |events| {
            journal::append(store, interrupted.as_ref(), (events, &told), now).map(drop)
        })?;
        drop(effects);
        self.state = coordinator.state().clone();
        Ok(Ok(()))
    }

    /// Writes to the audit what is about no rotation.
    ///
    /// # Errors
    /// Failures to write.
    pub fn audit(&mut self, by: By, what: &What) -> Result<(), JournalError> {
        let entry = audit::entry(by, self.clock.now().wall, what);
        Ok(self.store.audit(&[entry])?)
    }

    /// Writes to the audit that something was asked and not done.
    ///
    /// # Errors
    /// Failures to write.
    pub fn refused(&mut self, asking: &Asking, why: &[Problem]) -> Result<(), JournalError> {
        let entry = asking.failed(self.clock.now().wall, why);
        Ok(self.store.audit(&[entry])?)
    }

    /// Tokens may be older than the store: its audit begins with them.
    fn tell_first_tokens(&mut self) -> Result<(), StoreError> {
        if self.store.audit_end()?.0 > 0 {
            return Ok(());
        }
        let fleet = self.config.fleet.name.as_str();
        let mut none = Watched::nothing_of(&self.paths.state.join(fleet));
        none.tell(&mut self.store, self.clock.now().wall)
    }

    fn started(&self) -> Result<What, StoreError> {
        Ok(What::Started {
            command: self.paths.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            holder: self.store.holder()?,
            epoch: self.state.epoch.0,
            files: sums(&self.config.snapshot),
        })
    }

    /// Where things are.
    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Where the past is read by others than the loop.
    pub(super) fn archive(&self) -> Archive {
        Archive {
            state: self.paths.state.clone(),
            loaded: Arc::new(self.config.clone()),
            options: self.paths.options.clone(),
        }
    }

    /// Opens the control socket of this process.
    pub async fn listen(&self) -> Control {
        let fleet = self.config.fleet.name.as_str();
        let path = self.paths.state.join(fleet).join(SOCKET);
        Control::listen(path, self.owner.clone(), self.archive()).await
    }

    /// The playbook of that name.
    ///
    /// # Errors
    /// [`RunError::Unknown`] naming those there are.
    pub fn playbook(&self, name: &PlaybookName) -> Result<Playbook, RunError> {
        let known = &self.config.playbooks;
        known.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = known.keys().map(PlaybookName::as_str).collect();
            RunError::Unknown(Problem {
                what: format!("no playbook is called {name}"),
                cure: format!("use one of: {}", names.join(", ")),
                is_transient: false,
            })
        })
    }

    async fn drive(
        &mut self,
        (fleet, playbook): (Fleet, Playbook),
        (first, asking): (Vec<Input>, Option<Asking>),
        ears: Ears<'_>,
    ) -> Result<Finish, RunError> {
        let adapters = adapters(&fleet, self.clock, &self.paths).map_err(RunError::Refused)?;
        let holder = self.store.holder().map_err(JournalError::Store)?;
        let at = self.clock.now().wall;
        let ttl_high = ttl_high(&self.store, &fleet, at).map_err(JournalError::Store)?;
        let cues = Cues::start(&fleet, self.clock, &mut self.telling);
        let mut coordinator = Coordinator::new(fleet, playbook, holder.clone(), ttl_high);
        let (state, events) = journal::read(&self.store)?;
        coordinator.remember(state);
        coordinator.replay(events);
        let Ears {
            control,
            notices,
            asks,
        } = ears;
        // Its lines go on with the number that follows the rotation's last.
        control.goes_on(self.recent()?.storyteller());
        let ends = past::last_ends(&self.store)?;
        let night = Night {
            control,
            wants_to_stop: false,
            holder,
            config: &self.config,
            is_serving: self.is_serving,
            ends,
            coordinator: &mut coordinator,
            store: &mut self.store,
            adapters,
            clock: self.clock,
            notices,
            cues,
        };
        let finish = Box::pin(night.run(first, asking, asks)).await?;
        self.store
            .drop_config(&finish.rotation)
            .map_err(JournalError::Store)?;
        self.state = coordinator.state().clone();
        Ok(finish)
    }

    /// Waits until every hook was told what happened, which each has its own time for; no longer
    /// than a minute.
    pub async fn last_words(&mut self) {
        let telling = &mut self.telling;
        let all = async { while telling.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("not every hook was told");
        }
    }

    /// What lasts, and the rotation in hand.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn recent(&self) -> Result<Past, JournalError> {
        Past::recent(&self.store, &self.config, &self.paths.options)
    }
}

impl Drop for Session {
    /// A process that is killed says nothing: the next one begins without this.
    fn drop(&mut self) {
        if let Err(error) = self.audit(By::itself(), &What::Stopped {}) {
            tracing::debug!(%error, "the audit was not told of the end");
        }
    }
}

/// How long the end of a process waits for hooks that are being told.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// The control socket's name in the fleet's folder.
pub const SOCKET: &str = "control.sock";

/// The largest TTL of the last day before `at`. Before a day was seen, `[dns].ttl_was` stands in.
///
/// # Errors
/// [`StoreError::Corrupt`] if what is remembered is damaged.
pub fn ttl_high(store: &Reader, fleet: &Fleet, at: Timestamp) -> Result<Ttl, StoreError> {
    let day_ago = at - jiff::SignedDuration::from_hours(24);
    let seen = store.largest_ttl_since(day_ago)?.unwrap_or(Ttl(0));
    let known_for_a_day = store
        .ttls_known_since()?
        .is_some_and(|since| since <= day_ago);
    let at_least = if known_for_a_day {
        fleet.dns.ttl
    } else {
        fleet.dns.ttl_was
    };
    Ok(seen.max(at_least))
}

/// A new rotation's id: `NAME-YYYYMMDDTHHMMSS-XXXX`, the time in UTC, the end random.
pub fn rotation_id(name: &str, at: Timestamp) -> RotationId {
    let random: String = crate::dns::nonce().as_str().chars().take(4).collect();
    let text = format!("{name}-{}-{random}", at.strftime("%Y%m%dT%H%M%S"));
    text.parse()
        .expect("a playbook's name, digits and letters make a rotation id")
}

fn no_playbook() -> Problem {
    Problem {
        what: "there is not one playbook".to_owned(),
        cure: "see `cleanslate check`".to_owned(),
        is_transient: false,
    }
}

fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

fn adapters(fleet: &Fleet, clock: Clock, paths: &Paths) -> Result<Arc<Adapters>, Problem> {
    let fleet = Arc::new(fleet.clone());
    Ok(Arc::new(Adapters::new(
        fleet,
        clock,
        paths.docker_config.clone(),
    )?))
}
