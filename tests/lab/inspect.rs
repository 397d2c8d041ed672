//! Looking at engines and name servers directly, past `cleanslate`.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow};
use bollard::Docker;
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::{Deserialize, Serialize};

use super::Lab;
use super::ground::engine::Engine;
use super::spec::{PRIMARY, SECONDARY};

/// A container as the engine tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerView {
    pub id: String,
    pub name: String,
    /// The reference that it was created from.
    pub image: String,
    /// The manifest digests that its image is known under.
    pub digests: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Docker's word: `created`, `running`, `exited`, …
    pub state: String,
}

/// What a name server answered for one name: `A` and `AAAA` sorted, and the `TXT` strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub addresses: Vec<IpAddr>,
    /// The TTL of the addresses; `None` when there are none.
    pub ttl: Option<u32>,
    /// The strings of the marker at `_cleanslate.<name>`; empty when there is none.
    pub marker: Vec<String>,
    pub marker_ttl: Option<u32>,
    /// The zone's serial.
    pub serial: u32,
}

impl Answer {
    /// The value of one of the marker's keys, `epoch` or `out`; `None` when it has none.
    pub fn marker_value(&self, key: &str) -> Option<&str> {
        self.marker
            .iter()
            .find_map(|string| string.strip_prefix(key)?.strip_prefix('='))
    }

    /// The names in one of the marker's lists, `out` or `dirty`.
    pub fn marker_list(&self, key: &str) -> Vec<&str> {
        let strings = self.marker.iter();
        let lists = strings.filter_map(|string| string.strip_prefix(key)?.strip_prefix('='));
        lists
            .flat_map(|list| list.split(','))
            .filter(|name| *name != "-")
            .collect()
    }
}

impl Lab {
    /// Every container of a host, running or not, by name.
    pub fn containers(&self, host: &str) -> Result<Vec<ContainerView>> {
        let engine = self.engine(host);
        block_on(list(engine)).with_context(|| format!("failed to list containers of {host}"))
    }

    /// The client of a host's engine, for whatever else a test wants to know or do.
    pub fn docker(&self, host: &str) -> Result<Docker> {
        docker(self.engine(host))
    }

    /// Asks one server for a record and its marker, without recursion or cache.
    pub fn query(&self, server: IpAddr, record: &str) -> Result<Answer> {
        let printed = self.lab_in_core(&["query", &server.to_string(), record])?;
        serde_json::from_str(&printed).context("lab query printed no answer")
    }

    /// What the primary and the secondary say of a record.
    pub fn query_both(&self, record: &str) -> Result<[Answer; 2]> {
        Ok([
            self.query(PRIMARY.into(), record)?,
            self.query(SECONDARY.into(), record)?,
        ])
    }

    /// Body and status of a plain GET from where the users are.
    pub fn get(&self, url: &str) -> Result<(u16, String)> {
        let printed = self.lab_in_core(&["get", url])?;
        let (status, body) = printed
            .split_once('\n')
            .context("lab get printed no status")?;
        Ok((status.parse()?, body.to_owned()))
    }
}

/// The client of an engine, over its unix socket.
pub fn docker(engine: &Engine) -> Result<Docker> {
    let socket = engine.socket().display().to_string();
    Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION)
        .with_context(|| format!("no engine at {socket}"))
}

/// Runs a future to its end, also where a runtime is at work already.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime can be made: it needs two file descriptors")
                .block_on(future)
        };
        match scope.spawn(run).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

async fn list(engine: &Engine) -> Result<Vec<ContainerView>> {
    let client = docker(engine)?.negotiate_version().await?;
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let mut views = Vec::new();
    for summary in client.list_containers(Some(all)).await? {
        let image_id = summary.image_id.unwrap_or_default();
        // An image whose tag was taken away and that was removed by force has no inspection.
        let image = client.inspect_image(&image_id).await.ok();
        let digests = image
            .and_then(|image| image.repo_digests)
            .unwrap_or_default();
        let digest = |it: String| {
            it.rsplit_once('@')
                .map_or(String::new(), |(_, it)| it.to_owned())
        };
        let name = summary
            .names
            .and_then(|names| names.into_iter().next())
            .unwrap_or_default();
        views.push(ContainerView {
            id: summary
                .id
                .ok_or_else(|| anyhow!("a container without an id"))?,
            name: name.trim_start_matches('/').to_owned(),
            image: summary.image.unwrap_or_default(),
            digests: digests.into_iter().map(digest).collect(),
            labels: summary.labels.unwrap_or_default().into_iter().collect(),
            state: summary
                .state
                .map(|state| state.to_string())
                .unwrap_or_default(),
        });
    }
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(views)
}
