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
    /// What its containers run on, as images say it: `linux/amd64`.
    pub platform: String,
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
        platform: platform(
            &info.os_type.unwrap_or_default(),
            &info.architecture.unwrap_or_default(),
        ),
        clock: info.system_time.and_then(|clock| clock.parse().ok()),
    })
}

/// Engines say the machine's word for its processor, images Go's.
fn platform(os: &str, machine: &str) -> String {
    let processor = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv6l" | "armv7l" | "armhf" => "arm",
        "i386" | "i586" | "i686" => "386",
        other => other,
    };
    format!("{os}/{processor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_written_as_images_write_it() {
        assert_eq!(platform("linux", "x86_64"), "linux/amd64");
        assert_eq!(platform("linux", "aarch64"), "linux/arm64");
        assert_eq!(platform("linux", "riscv64"), "linux/riscv64");
    }
}
