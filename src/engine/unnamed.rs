//! Volumes without a name: they go with their container, so they must hold nothing that could be
//! missed.
use std::collections::BTreeSet;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::adapter::Errand;
use super::fault::Fault;
use super::labels::{self, Labels};
use super::survey::Listed;
use crate::coordinator::effect::Preparation;
use crate::coordinator::outcome::Problem;
use crate::model::id::ContainerId;
use crate::model::playbook::Anonymous;
use crate::model::service::Keep;

/// How much of a volume is read to say how big it is.
const MEASURED_MAX: u64 = 64 << 20;
/// And for how long.
const MEASURED_WITHIN: Duration = Duration::from_secs(20);

/// A volume without a name, in a container that is to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AnonymousVolume {
    name: String,
    path: String,
}

enum Size {
    Empty,
    Exactly(u64),
    AtLeast(u64),
}

impl Errand<'_> {
    /// Every volume without a name that holds data in a container that is to leave, unless it was
    /// made by an earlier visit of ours, which counts as said.
    pub(super) async fn unnamed_data(
        &self,
        listed: &[Listed],
        preparation: &Preparation,
    ) -> Result<Vec<Problem>, Fault> {
        if preparation.anonymous == Anonymous::Discard {
            return Ok(Vec::new());
        }
        let leaving = listed
            .iter()
            .filter(|container| preparation.leaving.contains(&container.id))
            .filter(|container| !self.counts_as_said(&container.labels))
            .filter(|container| {
                container
                    .volumes
                    .iter()
                    .any(|volume| is_unnamed(&volume.name))
            });
        let looks = leaving.map(|container| self.unnamed_data_of(container));
        let mut problems = Vec::new();
        for found in join_all(looks).await {
            problems.extend(found?);
        }
        Ok(problems)
    }

    /// Whether a volume without a name of this container may be removed with it unasked: made by a
    /// visit of ours, or empty.
    pub(super) async fn may_lose_unnamed(
        &self,
        id: &ContainerId,
        seen: &ContainerInspectResponse,
    ) -> bool {
        let config = seen.config.as_ref();
        let labels = config.and_then(|config| config.labels.clone());
        let labels: Labels = labels.unwrap_or_default().into_iter().collect();
        if self.counts_as_said(&labels) {
            return true;
        }
        for volume in unnamed_volumes(seen) {
            if !matches!(self.measure(id, &volume.path).await, Ok(Size::Empty)) {
                return false;
            }
        }
        true
    }

    /// Removes what volumes without a name a container has left behind: Docker Compose hands them
    /// from one container to the next as if they had been named, and the engine then does not take
    /// them with the last. One that somebody else mounts stays.
    pub(super) async fn discard_unnamed(&self, seen: &ContainerInspectResponse) {
        let declared = self.context.host.projects.iter();
        let declared: BTreeSet<&str> = declared
            .flat_map(|project| project.volumes.values())
            .map(|volume| volume.name.as_str())
            .collect();
        let left = unnamed_volumes(seen).into_iter();
        for volume in left.filter(|volume| !declared.contains(volume.name.as_str())) {
            match self.remove_volume(&volume.name).await {
                Ok(()) => {}
                Err(fault) if fault.is_conflict() => {}
                // The container is gone; a volume more on the disk keeps no site out of service.
                Err(fault) => {
                    tracing::warn!(volume = volume.name, %fault, "a volume without a name stays");
                }
            }
        }
    }

    async fn unnamed_data_of(&self, container: &Listed) -> Result<Vec<Problem>, Fault> {
        let Some(seen) = self.client.inspect(&container.id).await? else {
            return Ok(Vec::new());
        };
        let service = super::inventory::service_name(container);
        let mut problems = Vec::new();
        for volume in unnamed_volumes(&seen) {
            let size = match self.measure(&container.id, &volume.path).await? {
                Size::Empty => continue,
                Size::Exactly(bytes) => format!("{bytes} bytes"),
                Size::AtLeast(bytes) => format!("more than {bytes} bytes"),
            };
            problems.push(self.refuse(
                &format!(
                    "service {service} holds {size} in a volume without a name at {}, which would \
                     be lost with container {} ({})",
                    volume.path,
                    container.name,
                    container.id.short()
                ),
                format!(
                    "name it in the Compose file, `volumes: [\"{service}-data:{}\"]` (and \
                     `{service}-data:` under the top-level volumes), after moving its data there \
                     from {}; or say [recreate] anonymous = \"discard\" in the playbook",
                    volume.path, volume.name
                ),
            ));
        }
        Ok(problems)
    }

    /// Reads what is at `path` of a container, as `docker cp` does, until it is known.
    async fn measure(&self, id: &ContainerId, path: &str) -> Result<Size, Fault> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let mut chunks = Box::pin(
            self.client
                .docker
                .download_from_container(id.as_str(), Some(options)),
        );
        let mut read = Vec::new();
        let mut seen = 0_u64;
        let ends = tokio::time::Instant::now() + MEASURED_WITHIN;
        loop {
            match tokio::time::timeout_at(ends, chunks.next()).await {
                Ok(None) => break,
                Ok(Some(chunk)) => {
                    let chunk = chunk.map_err(Fault::from)?;
                    seen += chunk.len() as u64;
                    if (read.len() as u64) < MEASURED_MAX {
                        read.extend_from_slice(&chunk);
                    } else {
                        return Ok(Size::AtLeast(content(&read)));
                    }
                }
                // Nothing came at all: that is no answer. Something did: it holds data.
                Err(_) if seen == 0 => {
                    return Err(Fault::Silent {
                        after: MEASURED_WITHIN,
                    });
                }
                Err(_) => return Ok(Size::AtLeast(content(&read))),
            }
        }
        Ok(match entries(&read) {
            0 | 1 => Size::Empty,
            _ => Size::Exactly(content(&read)),
        })
    }

    /// What an earlier visit of ours made was allowed to go with it. A kept service was left
    /// alone since, and what it gathered is nobody's to lose unasked.
    fn counts_as_said(&self, labels: &Labels) -> bool {
        let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
        let service = self
            .context
            .service(label(labels::PROJECT), label(labels::SERVICE));
        let is_ours = labels::mark(labels)
            .is_some_and(|mark| mark.fleet == self.context.fleet && mark.site == self.context.site);
        is_ours && service.is_none_or(|service| service.keep == Keep::No)
    }
}

/// The entries of a tar archive; the directory asked for is the first.
fn entries(archive: &[u8]) -> usize {
    let mut archive = tar::Archive::new(archive);
    archive.entries().map(Iterator::count).unwrap_or(usize::MAX)
}

/// The bytes in the files of a tar archive, as far as it goes.
fn content(archive: &[u8]) -> u64 {
    let mut archive = tar::Archive::new(archive);
    let Ok(entries) = archive.entries() else {
        return 0;
    };
    entries
        .map_while(Result::ok)
        .map(|entry| entry.size())
        .sum()
}

/// The engine names them itself, by 64 hex digits.
fn is_unnamed(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|b| b.is_ascii_hexdigit())
}

fn unnamed_volumes(seen: &ContainerInspectResponse) -> Vec<AnonymousVolume> {
    let mounts = seen.mounts.as_deref().unwrap_or_default().iter();
    mounts
        .filter(|mount| mount.typ.as_deref() == Some("volume"))
        .filter_map(|mount| {
            Some(AnonymousVolume {
                name: mount.name.clone().filter(|name| is_unnamed(name))?,
                path: mount.destination.clone()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_the_engine_gave_are_no_names() {
        assert!(is_unnamed(&"0f".repeat(32)));
        assert!(!is_unnamed("shop_data"));
        assert!(!is_unnamed(&"0f".repeat(31)));
        assert!(!is_unnamed(&"0g".repeat(32)));
    }

    #[test]
    fn an_archive_with_its_directory_only_is_empty() {
        let archive = |files: &[(&str, &[u8])]| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            builder.append_data(&mut header, "data/", &b""[..]).unwrap();
            for (path, content) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, *content).unwrap();
            }
            builder.into_inner().unwrap()
        };
        assert_eq!(entries(&archive(&[])), 1);
        let full = archive(&[("data/row", b"hello")]);
        assert_eq!((entries(&full), content(&full)), (2, 5));
    }
}
