//! What a spec needs of an engine that older ones leave out without a word.
use super::adapter::Errand;
use crate::coordinator::outcome::Problem;
use crate::model::service::{Attachment, ContainerSpec, Mount, MountSource, Network};

/// An API version, and the release of Docker that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Since {
    api: (usize, usize),
    docker: &'static str,
}

const fn since(minor: usize, docker: &'static str) -> Since {
    Since {
        api: (1, minor),
        docker,
    }
}

impl Errand<'_> {
    /// Every key of the services to be made that this engine is too old for.
    pub(super) fn version_problems(&self) -> Vec<Problem> {
        let version = self.client.docker.client_version();
        let spoken = (version.major_version, version.minor_version);
        let mut problems = Vec::new();
        for (project, service) in self.context.recreated() {
            let networks = service.container.networks.iter();
            let networks = networks.filter_map(|at| project.networks.get(&at.network));
            let needed = needs(&service.container, networks);
            for (key, since) in needed.into_iter().filter(|(_, since)| spoken < since.api) {
                problems.push(self.refuse(
                    &format!(
                        "{key} of service {} of project {} needs Docker {}, this engine speaks API \
                         {}.{}",
                        service.name, project.name, since.docker, spoken.0, spoken.1
                    ),
                    format!("upgrade Docker on {}, or remove {key}", self.client.host),
                ));
            }
        }
        problems
    }
}

fn needs<'s>(
    spec: &'s ContainerSpec,
    networks: impl Iterator<Item = &'s Network>,
) -> Vec<(&'static str, Since)> {
    let check = spec.healthcheck.as_ref();
    let has_interval = check.is_some_and(|check| check.start_interval.is_some());
    let has_subpath = |mount: &Mount| match &mount.source {
        MountSource::Volume { subpath, .. } => subpath.is_some(),
        MountSource::Bind { .. } | MountSource::Anonymous => false,
    };
    let at = |wanted: fn(&Attachment) -> bool| spec.networks.iter().any(wanted);
    let has_mac = spec.mac_address.is_some() || at(|at| at.mac_address.is_some());
    let all = [
        ("annotations", since(43, "24"), !spec.annotations.is_empty()),
        ("start_interval", since(44, "25"), has_interval),
        ("mac_address", since(44, "25"), has_mac),
        (
            "subpath",
            since(45, "26"),
            spec.mounts.iter().any(has_subpath),
        ),
        (
            "gw_priority",
            since(48, "28"),
            at(|at| at.gw_priority.is_some()),
        ),
        (
            "enable_ipv4",
            since(48, "28"),
            networks
                .into_iter()
                .any(|network| network.enable_ipv4.is_some()),
        ),
    ];
    let needed = all.into_iter().filter(|(_, _, is_needed)| *is_needed);
    needed.map(|(key, since, _)| (key, since)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::fixture::service;

    #[test]
    fn keys_need_the_engine_that_brought_them() {
        let needed = |change: fn(&mut ContainerSpec)| {
            let mut service = service("web", "web");
            change(&mut service.container);
            let needed = needs(&service.container, std::iter::empty());
            needed
                .into_iter()
                .map(|(key, since)| (key, since.api.1))
                .collect::<Vec<_>>()
        };
        assert_eq!(needed(|_| ()), []);
        let annotated = needed(|spec| {
            spec.annotations.insert("a".to_owned(), "b".to_owned());
            spec.mac_address = Some("02:42:ac:11:65:43".to_owned());
        });
        assert_eq!(annotated, [("annotations", 43), ("mac_address", 44)]);
    }
}
