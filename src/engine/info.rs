//! What an engine says of itself, for `doctor`.
use super::client::{ASK, Client};
use super::fault::Fault;
use crate::coordinator::outcome::Problem;

/// An engine's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// The machine's name, as the engine knows it.
    pub name: String,
    /// Of the engine: `20.10.24`.
    pub version: String,
    /// The API version settled on: `1.41`.
    pub api_version: String,
    pub storage_driver: String,
    /// The engine's clock; `None` where it is unreadable.
    pub clock: Option<jiff::Timestamp>,
}

pub(super) async fn read(client: &Client) -> Result<EngineInfo, Problem> {
    let call = client.ask(ASK, client.docker.info());
    let problem = |fault: Fault| client.problem("ask the engine about itself", &fault);
    let info = call.await.map_err(problem)?;
    let api = client.docker.client_version();
    Ok(EngineInfo {
        name: info.name.unwrap_or_default(),
        version: info.server_version.unwrap_or_default(),
        api_version: format!("{}.{}", api.major_version, api.minor_version),
        storage_driver: info.driver.unwrap_or_default(),
        clock: info.system_time.and_then(|clock| clock.parse().ok()),
    })
}
