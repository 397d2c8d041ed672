//! From tags to digests, all images of a rotation at once.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::credentials;
use super::session::{Scheme, Session};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Registry;
use crate::model::image::{Digest, ImageRef};

/// Repositories of one registry that are asked side by side: enough to hide the round trips,
/// few enough for a registry that counts requests.
const SIDE_BY_SIDE: usize = 8;

type Resolved = (ImageRef, Result<Digest, Problem>);

/// Every registry a fleet names, and how each is asked. Holds no connection, token or looked-up
/// credential from one call to the next: a night's credentials are those of that night.
#[derive(Debug)]
pub struct Registries {
    declared: BTreeMap<String, Registry>,
    docker_config: Option<PathBuf>,
}

impl Registries {
    /// `declared` are the `[registry."HOST"]` tables of `site.toml`; a registry without
    /// credentials there is asked with those `docker login` left in `docker_config`, the path of
    /// Docker's `config.json`.
    pub fn new(
        declared: &BTreeMap<String, Registry>,
        docker_config: Option<PathBuf>,
    ) -> Registries {
        let declared = declared
            .iter()
            .map(|(host, registry)| (canonical(host).to_owned(), registry.clone()))
            .collect();
        Registries {
            declared,
            docker_config,
        }
    }

    /// The digest of each image as its registry has it now. An image that is written with a
    /// digest resolves to it, if the registry has it. Each image is asked for once, within 10 s a
    /// request; nothing is retried.
    pub async fn resolve(
        &self,
        images: &BTreeSet<ImageRef>,
    ) -> BTreeMap<ImageRef, Result<Digest, Problem>> {
        let mut by_registry: BTreeMap<&str, Vec<&ImageRef>> = BTreeMap::new();
        for image in images {
            let host = canonical(&image.registry);
            by_registry.entry(host).or_default().push(image);
        }
        let asked = by_registry
            .into_iter()
            .map(|(host, images)| self.resolve_at(host, images));
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The digest of one image as its registry has it now, and the labels it bears.
    ///
    /// # Errors
    /// Why the registry does not tell, and what to do about it.
    pub async fn describe(
        &self,
        image: &ImageRef,
    ) -> Result<(Digest, BTreeMap<String, String>), Problem> {
        let session = self.open(canonical(&image.registry)).await?;
        let digest = session.digest(image, &mut None).await?;
        let labels = session.labels(image, &digest).await?;
        Ok((digest, labels))
    }

    /// Whether the registry answers and takes our credentials.
    pub async fn ping(&self, host: &str) -> Result<(), Problem> {
        self.open(canonical(host)).await?.ping().await
    }

    async fn resolve_at(&self, host: &str, images: Vec<&ImageRef>) -> Vec<Resolved> {
        let session = match self.open(host).await {
            Ok(session) => session,
            Err(problem) => {
                let failed = |image: &ImageRef| (image.clone(), Err(problem.clone()));
                return images.into_iter().map(failed).collect();
            }
        };
        let mut by_repository: BTreeMap<&str, Vec<&ImageRef>> = BTreeMap::new();
        for image in images {
            by_repository
                .entry(&image.repository)
                .or_default()
                .push(image);
        }
        let asked: Vec<_> = by_repository
            .into_values()
            .map(|images| resolve_repository(&session, images))
            .collect();
        stream::iter(asked)
            .buffer_unordered(SIDE_BY_SIDE)
            .concat()
            .await
    }

    pub(super) async fn open(&self, host: &str) -> Result<Session, Problem> {
        let declared = self.declared.get(host);
        let docker_config = self.docker_config.as_deref();
        let credentials = credentials::look_up(host, declared, docker_config).await?;
        Session::open(host, scheme(host, declared), credentials)
    }
}

/// One after another: a token is for one repository, and is fetched once.
async fn resolve_repository(session: &Session, images: Vec<&ImageRef>) -> Vec<Resolved> {
    let mut authorization = None;
    let mut resolved = Vec::with_capacity(images.len());
    for image in images {
        let digest = session.digest(image, &mut authorization).await;
        resolved.push((image.clone(), digest));
    }
    resolved
}

/// Docker Hub has three names.
pub(super) fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// Plain HTTP where `site.toml` says so, and on loopback, where engines do the same.
fn scheme(host: &str, declared: Option<&Registry>) -> Scheme {
    if is_loopback(host) {
        Scheme::PlainOnLoopback
    } else if declared.is_some_and(|registry| registry.is_insecure) {
        Scheme::Plain
    } else {
        Scheme::Tls
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_and_for_what_site_toml_calls_insecure() {
        let insecure = Registry {
            credentials: None,
            is_insecure: true,
        };
        for host in [
            "localhost",
            "localhost:5000",
            "127.8.0.1:5000",
            "[::1]:5000",
        ] {
            assert_eq!(scheme(host, None), Scheme::PlainOnLoopback, "{host}");
        }
        assert_eq!(scheme("10.0.0.1:5000", Some(&insecure)), Scheme::Plain);
        for host in ["10.0.0.1:5000", "localhost.example.com", "docker.io"] {
            assert_eq!(scheme(host, None), Scheme::Tls, "{host}");
        }
    }
}
