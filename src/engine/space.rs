//! How much room is left where an engine keeps its images, and how much a visit needs.
//!
//! The Engine API does not tell: `/info` names the folder and `/system/df` what is used, neither what
//! is free. Where the engine runs on this very machine, its folder can be looked at; anywhere else it is
//! not known, and *ready* finds out by creating.
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::adapter::Errand;
use super::client::ASK;
use super::fault::Fault;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::EngineAddress;

/// Who answers at an engine's socket: the engine, or systemd, which opened the socket for it. A
/// socket that is forwarded is answered by somebody else (`ssh`, `socat`), and its folder is elsewhere.
const ENGINES: [&str; 3] = ["dockerd", "podman", "systemd"];

/// Space of one file system, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
    /// What the images of the fleet's containers on this host take: as much may be pulled beside them.
    pub images: u64,
}

impl Errand<'_> {
    /// `Ok(Err)`: why it is not known.
    pub(super) async fn space(&self) -> Result<Result<Space, String>, Problem> {
        let problem = |fault: Fault| self.client.problem("ask what is stored there", &fault);
        let info = self.client.ask(ASK, self.client.docker.info()).await;
        let root = info.map_err(problem)?.docker_root_dir.unwrap_or_default();
        let (free, total) = match of_folder(&self.context.host.engine, Path::new(&root)) {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let images = self.image_bytes().await.map_err(problem)?;
        Ok(Ok(Space {
            free,
            total,
            images,
        }))
    }

    async fn image_bytes(&self) -> Result<u64, Fault> {
        let listed = self.client.survey().await?;
        let ours = listed
            .iter()
            .filter(|container| self.context.project(container.project()).is_some());
        let ids: BTreeSet<&str> = ours.map(|container| container.image_id.as_str()).collect();
        let looks = join_all(ids.into_iter().map(|id| self.client.image(id))).await;
        let mut bytes = 0;
        for look in looks {
            let size = look?.and_then(|image| image.size).unwrap_or_default();
            bytes += u64::try_from(size).unwrap_or_default();
        }
        Ok(bytes)
    }
}

/// Free for the engine, and in all.
fn of_folder(engine: &EngineAddress, root: &Path) -> Result<(u64, u64), String> {
    let socket = match engine {
        EngineAddress::Unix(socket) => socket,
        EngineAddress::Tcp(_) => {
            return Err("the engine is elsewhere, and its API does not tell".to_owned());
        }
    };
    let folder = seen_by_engine(socket, root)?;
    let found = rustix::fs::statvfs(&folder)
        .map_err(|error| format!("its folder {} cannot be looked at: {error}", root.display()))?;
    Ok((
        found.f_bavail.saturating_mul(found.f_frsize),
        found.f_blocks.saturating_mul(found.f_frsize),
    ))
}

/// The folder as the process at the other end of the socket sees it, whatever it has mounted.
fn seen_by_engine(socket: &Path, root: &Path) -> Result<PathBuf, String> {
    let unknown =
        |error: std::io::Error| format!("who answers at its socket is not known: {error}");
    let stream = UnixStream::connect(socket).map_err(unknown)?;
    let peer = rustix::net::sockopt::socket_peercred(&stream);
    let pid = peer.map_err(|error| unknown(error.into()))?.pid;
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let name = std::fs::read_to_string(process.join("comm")).map_err(unknown)?;
    let name = name.trim();
    if !ENGINES.contains(&name) {
        return Err(format!(
            "its socket is answered by {name}, so the engine is elsewhere, and its API does not tell"
        ));
    }
    let inside = root.strip_prefix("/").unwrap_or(root);
    Ok(process.join("root").join(inside))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_that_somebody_else_answers_tells_nothing_of_the_engines_disk() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        // This test is no engine: it stands for the ssh that forwards a socket.
        let _listener = UnixListener::bind(&socket).unwrap();
        let why = of_folder(&EngineAddress::Unix(socket), Path::new("/")).unwrap_err();
        assert!(why.contains("the engine is elsewhere"), "{why}");
        let away = EngineAddress::Tcp("192.0.2.1:2375".parse().unwrap());
        assert!(of_folder(&away, Path::new("/")).is_err());
        let none = EngineAddress::Unix(dir.path().join("none"));
        let why = of_folder(&none, Path::new("/")).unwrap_err();
        assert!(why.contains("not known"), "{why}");
    }
}
