//! The connection to one engine: connecting, the API version, and the calls that several requests
//! need.
use std::future::Future;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ImageInspect};
use bollard::query_parameters::{
    InspectContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use super::fault::{Fault, within};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::EngineAddress;
use crate::model::id::{ContainerId, HostName};

/// A list or an inspection.
pub(super) const ASK: Duration = Duration::from_secs(30);
/// A creation, a start, a removal: disks may be slow, volumes are filled from the image.
pub(super) const CHANGE: Duration = Duration::from_secs(120);
/// Our own deadlines end calls; the client's own, which must not be shorter, never does.
const CLIENT_TIMEOUT_S: u64 = 24 * 60 * 60;
/// Calls under way at one engine: enough to hide latency, few enough not to starve it.
const SIDE_BY_SIDE: usize = 12;
/// Engine 20.10, the oldest that is supported.
const OLDEST_API: (usize, usize) = (1, 41);

/// The connection to the engine of one host. Every request is a connection of its own, so an
/// engine that restarts needs no new client.
pub(super) struct Client {
    pub(super) docker: Docker,
    pub(super) host: HostName,
    places: Semaphore,
}

impl Client {
    /// Connects and settles the API version. `Err` names the engine, and what to do.
    pub(super) async fn connect(
        host: &HostName,
        address: &EngineAddress,
    ) -> Result<Client, Problem> {
        let doing = format!("reach the engine at {address}");
        let problem = |fault: Fault| fault.problem(host, &doing);
        let docker = dial(address).map_err(problem)?;
        let docker = within(ASK, docker.negotiate_version())
            .await
            .map_err(problem)?;
        let version = docker.client_version();
        let found = (version.major_version, version.minor_version);
        if found < OLDEST_API {
            return Err(too_old(host, address, found));
        }
        Ok(Client {
            docker,
            host: host.clone(),
            places: Semaphore::new(SIDE_BY_SIDE),
        })
    }

    /// One call, when there is a place for it, within `limit`.
    pub(super) async fn ask<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Fault> {
        let _place = self.places.acquire().await;
        within(limit, call).await
    }

    /// The problem that `fault` is: `HOST: cannot DOING: WHY`.
    pub(super) fn problem(&self, doing: &str, fault: &Fault) -> Problem {
        fault.problem(&self.host, doing)
    }

    /// A container; `None`: it is gone.
    pub(super) async fn inspect(
        &self,
        id: &ContainerId,
    ) -> Result<Option<ContainerInspectResponse>, Fault> {
        let call = self
            .docker
            .inspect_container(id.as_str(), None::<InspectContainerOptions>);
        absent_is_none(self.ask(ASK, call).await)
    }

    /// An image by name or id; `None`: it is not on the host.
    pub(super) async fn image(&self, name: &str) -> Result<Option<ImageInspect>, Fault> {
        absent_is_none(self.ask(ASK, self.docker.inspect_image(name)).await)
    }

    /// Removes a container and waits until it is gone; one that was gone already is fine.
    /// `volumes`: those without a name go with it.
    pub(super) async fn remove(
        &self,
        id: &ContainerId,
        is_forced: bool,
        volumes: bool,
    ) -> Result<(), Fault> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(is_forced)
            .v(volumes)
            .build();
        let call = self.docker.remove_container(id.as_str(), Some(options));
        match self.ask(CHANGE, call).await {
            Err(fault) if fault.is_gone() => Ok(()),
            Err(Fault::Refused {
                status: 409,
                message,
            }) if message.contains("already in progress") => self.await_removal(id).await,
            other => other,
        }
    }

    async fn await_removal(&self, id: &ContainerId) -> Result<(), Fault> {
        let options = WaitContainerOptionsBuilder::default()
            .condition("removed")
            .build();
        let mut answers = Box::pin(self.docker.wait_container(id.as_str(), Some(options)));
        // What it answers is the exit code, and an error for any but 0: only its end counts.
        let end = async { Ok(answers.next().await.map(drop)) };
        within(CHANGE, end).await.map(drop)
    }

    /// The last lines of a container's log, oldest first; at most `bytes` of them.
    pub(super) async fn last_log(
        &self,
        id: &ContainerId,
        lines: u64,
        bytes: usize,
    ) -> Result<Vec<u8>, Fault> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(&lines.to_string())
            .build();
        let mut chunks = Box::pin(self.docker.logs(id.as_str(), Some(options)));
        let read = async {
            let mut kept = std::collections::VecDeque::new();
            while let Some(chunk) = chunks.next().await {
                kept.extend(chunk?.as_ref().iter().copied());
                let surplus = kept.len().saturating_sub(bytes);
                kept.drain(..surplus);
            }
            Ok(Vec::from(kept))
        };
        within(ASK, read).await
    }
}

/// `Ok(None)` where the engine says that there is no such thing.
pub(super) fn absent_is_none<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.is_gone() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn dial(address: &EngineAddress) -> Result<Docker, Fault> {
    let version = bollard::API_DEFAULT_VERSION;
    let docker = match address {
        EngineAddress::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), CLIENT_TIMEOUT_S, version)
        }
        EngineAddress::Tcp(address) => {
            Docker::connect_with_http(&format!("tcp://{address}"), CLIENT_TIMEOUT_S, version)
        }
    }
    .map_err(Fault::from)?;
    // The client writes X-Registry-Auth in the standard base64 alphabet; engines read the URL-safe
    // one, and drop credentials whose encoding holds `+` or `/` without a word.
    Ok(docker.with_request_modifier(|mut request| {
        if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
            let url_safe = value
                .to_str()
                .map(|text| text.replace('+', "-").replace('/', "_"));
            if let Ok(Ok(fixed)) = url_safe.map(|text| text.parse()) {
                *value = fixed;
                value.set_sensitive(true);
            }
        }
        request
    }))
}

fn too_old(host: &HostName, address: &EngineAddress, found: (usize, usize)) -> Problem {
    Problem {
        what: format!(
            "{host}: the engine at {address} speaks API {}.{}, older than {}.{}",
            found.0, found.1, OLDEST_API.0, OLDEST_API.1
        ),
        cure: format!("upgrade Docker on {host} to 20.10 or newer"),
        is_transient: false,
    }
}
