//! File `configs` and `secrets`: copied into a container before it starts.
use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::adapter::Errand;
use super::client::CHANGE;
use super::fault::Fault;
use crate::coordinator::outcome::Problem;
use crate::model::id::{ContainerId, ProjectName};
use crate::model::service::{ContainerSpec, FileMount, Service};

impl Errand<'_> {
    /// Files that could not be copied, or that nobody would see: all that the engine would refuse
    /// late or not at all.
    pub(super) fn file_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (project, service) in self.context.recreated() {
            for file in &service.container.files {
                if let Some(problem) = self.file_problem(&project.name, service, file) {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    /// Copies the files of a spec into a container that was created and not started.
    pub(super) async fn copy_files(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
    ) -> Result<(), Fault> {
        if spec.files.is_empty() {
            return Ok(());
        }
        let archive = archive(&spec.files).map_err(|error| Fault::Cut {
            why: format!("its files cannot be packed: {error}"),
        })?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_full(archive.into());
        let call = self
            .client
            .docker
            .upload_to_container(id.as_str(), Some(options), body);
        self.client.ask(CHANGE, call).await
    }

    fn file_problem(
        &self,
        project: &ProjectName,
        service: &Service,
        file: &FileMount,
    ) -> Option<Problem> {
        let spec = &service.container;
        let name = &service.name;
        let what = format!(
            "the file {} of service {name} of project {project}",
            file.target
        );
        if spec.is_read_only {
            let cure = format!("remove `read_only` from {name}, or bind-mount the file");
            let what = format!("{what} cannot be copied in: the service is read_only");
            return Some(self.refuse(&what, cure));
        }
        let mounts = spec.mounts.iter().map(|mount| &mount.target);
        let over = mounts
            .chain(spec.tmpfs.iter().map(|tmpfs| &tmpfs.target))
            .find(|mount| is_below(&file.target, mount))?;
        Some(self.refuse(
            &format!("{what} lies in what the service mounts at {over}"),
            "give the file another target: what is mounted hides it, or belongs to a container \
             that still serves",
        ))
    }
}

/// The files only, no directories: an entry for one that the image has would change its mode.
/// The engine makes those that are missing.
fn archive(files: &[FileMount]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let content = file.content.reveal();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(u64::from(file.uid));
        header.set_gid(u64::from(file.gid));
        header.set_mtime(0);
        let path = file.target.trim_start_matches('/');
        builder.append_data(&mut header, path, content)?;
    }
    builder.into_inner()
}

fn is_below(path: &str, mount: &str) -> bool {
    let mount = mount.trim_end_matches('/');
    path.strip_prefix(mount)
        .is_some_and(|rest| rest.starts_with('/'))
        || path == mount
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_a_mount_by_whole_names() {
        assert!(is_below("/run/secrets/key", "/run/secrets"));
        assert!(is_below("/run/secrets/key", "/run/secrets/"));
        assert!(is_below("/run/key", "/run/key"));
        assert!(!is_below("/run/secrets2/key", "/run/secrets"));
        assert!(is_below("/key", "/"));
    }
}
