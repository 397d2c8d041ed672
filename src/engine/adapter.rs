//! The engine of one host, as the daemon holds it.
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::client::Client;
use super::info::EngineInfo;
use super::packets::Packets;
use super::space::Space;
use crate::coordinator::effect::{EngineRequest, Preparation};
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::fleet::{Host, Registry};
use crate::model::id::{FleetName, SiteName};
use crate::model::image::ImageRef;
use crate::model::service::{Project, Service};

/// Whose engine it is, and what its host is to run.
pub struct HostContext {
    pub fleet: FleetName,
    pub site: SiteName,
    pub host: Host,
    /// By registry host; others are asked as the Docker configuration says.
    pub registries: BTreeMap<String, Registry>,
    /// Keys `cleanslate.spec`, so that no secret can be guessed back from a label.
    pub spec_key: [u8; 32],
}

/// How far a request has come, for bars; nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of the layers of one image that were downloaded, of those known so far.
    Pulling {
        image: ImageRef,
        bytes: u64,
        total: u64,
    },
    /// Containers created, of all to be created.
    Created { done: u32, of: u32 },
    /// Containers stopped and removed.
    Cleared { done: u32, of: u32 },
    /// Containers healthy, or completed.
    Healthy { done: u32, of: u32 },
}

/// The engine of one host. It connects when it is first asked.
pub struct Engine {
    context: Arc<HostContext>,
    client: OnceCell<Client>,
}

/// One request under way: whose it is, the connection, and where progress goes.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    pub(super) context: &'a HostContext,
    pub(super) client: &'a Client,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Engine {
    /// Contacts nothing yet.
    pub fn new(context: Arc<HostContext>) -> Engine {
        Engine {
            context,
            client: OnceCell::new(),
        }
    }

    /// Carries out one request, once. Dropping the future calls it off; what was sent to the
    /// engine by then may still be carried out.
    pub async fn carry_out(
        &self,
        request: &EngineRequest,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> EngineOutcome {
        match self.errand(&progress).await {
            Ok(errand) => Box::pin(errand.carry_out(request)).await,
            Err(problem) => EngineOutcome::Failed(problem),
        }
    }

    /// Every reason why `Prepare` would make nothing, as far as it shows without making anything.
    /// Whether the images are there is not asked: they are pulled first.
    pub async fn obstacles(&self, preparation: &Preparation) -> Vec<Problem> {
        match self.errand(&|_| {}).await {
            Ok(errand) => Box::pin(errand.obstacles(preparation)).await,
            Err(problem) => vec![problem],
        }
    }

    /// Packets received and sent so far by the containers that publish a port. `Err`: the traffic
    /// of this host is unknown.
    pub async fn packets(&self) -> Result<Packets, Problem> {
        let client = self.client().await?;
        Box::pin(super::packets::read(&self.context, client)).await
    }

    /// When the oldest container was created that visits recreate; `None`: there is none.
    ///
    /// # Errors
    /// The engine did not answer.
    pub async fn oldest(&self) -> Result<Option<jiff::Timestamp>, Problem> {
        self.errand(&|_| {}).await?.oldest().await
    }

    /// What the engine says of itself.
    pub async fn info(&self) -> Result<EngineInfo, Problem> {
        super::info::read(self.client().await?).await
    }

    /// The room that is left where it keeps its images. `Ok(Err)`: why that is not known.
    ///
    /// # Errors
    /// The engine did not answer.
    pub async fn space(&self) -> Result<Result<Space, String>, Problem> {
        Box::pin(self.errand(&|_| {}).await?.space()).await
    }

    async fn errand<'a>(
        &'a self,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Result<Errand<'a>, Problem> {
        Ok(Errand {
            context: &self.context,
            client: self.client().await?,
            progress,
        })
    }

    async fn client(&self) -> Result<&Client, Problem> {
        let host = &self.context.host;
        let connect = || Client::connect(&host.name, &host.engine);
        self.client.get_or_try_init(connect).await
    }
}

impl Errand<'_> {
    async fn carry_out(&self, request: &EngineRequest) -> EngineOutcome {
        match request {
            EngineRequest::TakeInventory => self.take_inventory().await,
            EngineRequest::Pull { pins } => self.pull(pins).await,
            EngineRequest::Prepare(preparation) => self.prepare(preparation).await,
            EngineRequest::Discard { containers } => self.discard(containers).await,
            EngineRequest::TakeEvidence {
                containers,
                kept,
                logs,
            } => self.take_evidence(containers, kept, *logs).await,
            EngineRequest::Clear {
                containers,
                volumes,
                anonymous,
            } => self.clear(containers, *volumes, *anonymous).await,
            EngineRequest::Start { containers } => self.start(containers).await,
            EngineRequest::Watch { containers } => self.watch(containers).await,
            EngineRequest::Prune { keep } => self.prune(keep).await,
        }
    }

    /// `Err` as a problem of this host.
    pub(super) fn refuse(&self, what: &str, cure: impl Into<String>) -> Problem {
        Problem {
            what: format!("{}: {what}", self.client.host),
            cure: cure.into(),
            is_transient: false,
        }
    }
}

impl HostContext {
    /// The project of that name, where this host runs it.
    pub(super) fn project(&self, name: &str) -> Option<&Project> {
        let is_it = |project: &&Project| project.name.as_str() == name;
        self.host.projects.iter().find(is_it)
    }

    /// The declared service of these names.
    pub(super) fn service(&self, project: &str, service: &str) -> Option<&Service> {
        let is_it = |declared: &&Service| declared.name.as_str() == service;
        self.project(project)?.services.iter().find(is_it)
    }

    /// Every service that a visit recreates, with its project, in the order in which they start.
    pub(super) fn recreated(&self) -> impl Iterator<Item = (&Project, &Service)> {
        self.host.projects.iter().flat_map(|project| {
            let recreated = project.services.iter().filter(|service| !service.is_kept());
            recreated.map(move |service| (project, service))
        })
    }
}
