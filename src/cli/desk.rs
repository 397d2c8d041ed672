//! What every command works with: flags, output, clocks, paths.
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::api::actor::Actor;
use crate::api::client::{Client, ClientError, Remote};
use crate::api::when::When;
use crate::api::wire::{Command, Reply};
use crate::config::{self, Loaded};
use crate::coordinator::outcome::Problem;
use crate::daemon::adapters::Adapters;
use crate::daemon::clock::Clock;
use crate::daemon::{Asking, Paths, Session, Supervised};
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::text::Secret;
use crate::model::way::Way;
use crate::store::{By, Occupant};

/// A process's own things.
pub(crate) struct Desk {
    pub(crate) global: Global,
    pub(crate) output: Output,
    pub(crate) clock: Clock,
    pub(crate) when: When,
    environment: BTreeMap<String, Secret>,
    has_warned: Cell<bool>,
    remote: OnceCell<Remote>,
}

impl Desk {
    pub(crate) fn new(global: Global) -> Desk {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((text(key)?, Secret::from(text(value)?))))
            .collect();
        Desk {
            output: Output::new(&global),
            clock: Clock::start(),
            when: When::local(),
            environment,
            has_warned: Cell::new(false),
            remote: OnceCell::new(),
            global,
        }
    }

    /// The configuration; its warnings are said once a process.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let loaded = config::load(&self.global.config, &self.options())?;
        let is_new = !self.has_warned.replace(true);
        if is_new && !loaded.warnings.is_empty() && self.output.shows_progress() {
            let text = loaded.warnings.render(self.output.has_color());
            self.output.say(text.trim_end());
        }
        Ok(loaded)
    }

    pub(crate) fn options(&self) -> config::Options {
        config::Options {
            environment: self.environment.clone(),
            base: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// Every outside system of the fleet. Contacts nothing.
    pub(crate) fn adapters(&self, fleet: &Fleet) -> Result<Adapters, Failure> {
        let adapters = Adapters::new(Arc::new(fleet.clone()), self.clock, self.docker_config());
        adapters.map_err(|problem| Failure {
            exit: Exit::Usage,
            said: super::failure::Said::Problems(vec![problem]),
        })
    }

    /// Takes the store.
    pub(crate) fn session(&self) -> Result<Session, Failure> {
        // Warnings are said once, here.
        self.load()?;
        Ok(Session::open(self.paths())?)
    }

    /// Where things are, and who began this process.
    pub(crate) fn paths(&self) -> Paths {
        Paths {
            config: self.global.config.clone(),
            state: self.state_dir(),
            options: self.options(),
            docker_config: self.docker_config(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            by: self.by(),
        }
    }

    /// The configuration, unless a coordinator on another machine is asked, which has its own.
    pub(crate) fn here(&self) -> Result<Option<Loaded>, Failure> {
        match self.global.api {
            Some(_) => Ok(None),
            None => self.load().map(Some),
        }
    }

    /// A connection to the coordinator that runs, if one does: that of `--api`, or `here`.
    pub(crate) async fn coordinator(
        &self,
        here: Option<&Loaded>,
    ) -> Result<Option<Client>, Failure> {
        match here {
            Some(loaded) => {
                let socket = self.folder(&loaded.fleet).join("control.sock");
                Ok(Client::connect(&socket).await?)
            }
            None => Ok(Some(self.remote()?.connect().await?)),
        }
    }

    /// What the coordinator of `--api` answers.
    pub(crate) async fn answered<T: DeserializeOwned>(
        &self,
        command: &Command,
    ) -> Result<T, Failure> {
        let mut client = self.remote()?.connect().await?;
        match client.request(command).await? {
            Reply::Ok(value) => serde_json::from_value(value).map_err(|error| {
                let why = error.to_string();
                ClientError::Unreadable { why }.into()
            }),
            Reply::Refused(refusal) => Err(ClientError::Refused(refusal).into()),
        }
    }

    /// Where the fleet's store is.
    pub(crate) fn folder(&self, fleet: &Fleet) -> PathBuf {
        self.state_dir().join(fleet.name.as_str())
    }

    /// Refuses `--api` for what is done on this machine.
    pub(crate) fn may_be_elsewhere(&self, may: bool) -> Result<(), Failure> {
        if may || self.global.api.is_none() {
            return Ok(());
        }
        let what = "no coordinator on another machine can be asked that";
        let cure = "leave out --api, on the machine where it runs";
        Err(Failure::new(Exit::Usage, what, cure))
    }

    fn remote(&self) -> Result<Remote, Failure> {
        if let Some(remote) = self.remote.get() {
            return Ok(remote.clone());
        }
        let url = self.global.api.as_deref().unwrap_or_default();
        let remote = Remote::new(url, self.token()?, self.global.ca.as_deref());
        let remote = remote.map_err(|error| {
            let cure = "see --api and --ca in `cleanslate --help`";
            Failure::new(Exit::Usage, error.to_string(), cure)
        })?;
        Ok(self.remote.get_or_init(|| remote).clone())
    }

    fn token(&self) -> Result<Secret, Failure> {
        let cure = "make one with `cleanslate token create` where the coordinator runs, then \
                    --token-file FILE";
        let none = |what: String| Failure::new(Exit::Usage, what, cure);
        let Some(file) = &self.global.token_file else {
            let variable = self.environment.get("CLEANSLATE_TOKEN").cloned();
            return variable.ok_or_else(|| none("--api needs a token".to_owned()));
        };
        let text = std::fs::read_to_string(file);
        let text =
            text.map_err(|error| none(format!("cannot read {}: {error}", file.display())))?;
        Ok(Secret::from(text.trim().to_owned()))
    }

    /// `--state`, else where the user keeps such things.
    pub(crate) fn state_dir(&self) -> PathBuf {
        if let Some(dir) = &self.global.state {
            return dir.clone();
        }
        if rustix::process::geteuid().is_root() {
            return PathBuf::from("/var/lib/cleanslate");
        }
        self.path("XDG_STATE_HOME")
            .or_else(|| Some(self.path("HOME")?.join(".local/state")))
            .unwrap_or_default()
            .join("cleanslate")
    }

    /// When what is written now was made, for what must come out the same each time: the time that
    /// packagers name, else now.
    pub(crate) fn build_time(&self) -> jiff::Timestamp {
        let named = self.environment.get("SOURCE_DATE_EPOCH");
        let seconds = named.and_then(|named| named.reveal_text().parse().ok());
        let named = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        named.unwrap_or_else(|| self.clock.now().wall)
    }

    /// Whoever supervises this process, if somebody does.
    pub(crate) fn supervised(&self) -> Supervised {
        Supervised {
            socket: self.path("NOTIFY_SOCKET").map(PathBuf::into_os_string),
            has_watchdog: self.path("WATCHDOG_USEC").is_some(),
        }
    }

    fn docker_config(&self) -> Option<PathBuf> {
        let dir = self
            .path("DOCKER_CONFIG")
            .or_else(|| Some(self.path("HOME")?.join(".docker")))?;
        Some(dir.join("config.json"))
    }

    /// Who asks, for the journal. Needs a runtime.
    pub(crate) fn user(&self) -> String {
        Actor::own().map_or_else(|_| "unknown".to_owned(), |actor| actor.user)
    }

    /// The same for the audit, and whether a person typed it.
    pub(crate) fn by(&self) -> By {
        let way = match self.output.is_terminal {
            true => Way::Terminal,
            false => Way::Program,
        };
        By {
            who: self.user(),
            way,
            pid: Some(std::process::id()),
        }
    }

    /// This process, for whoever finds the store in use.
    pub(crate) fn occupant(&self) -> Occupant {
        Occupant {
            pid: std::process::id(),
            user: self.user(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            since: self.clock.now().wall,
        }
    }

    /// Something that this process does itself, as it was typed.
    pub(crate) fn asking(&self, command: &Command) -> Asking {
        Asking {
            by: self.by(),
            command: command.clone(),
        }
    }

    fn path(&self, variable: &str) -> Option<PathBuf> {
        let value = self.environment.get(variable)?.reveal_text();
        (!value.is_empty()).then(|| Path::new(&value).to_owned())
    }
}

/// Refuses a site that the fleet does not have.
pub(crate) fn known_site(fleet: &Fleet, site: &SiteName) -> Result<(), Failure> {
    if fleet.sites.contains_key(site) {
        return Ok(());
    }
    let names: Vec<&str> = fleet.sites.keys().map(SiteName::as_str).collect();
    Err(Failure {
        exit: Exit::Usage,
        said: super::failure::Said::Problems(vec![Problem {
            what: format!("no site is called {site}"),
            cure: format!("use one of: {}", names.join(", ")),
            is_transient: false,
        }]),
    })
}
