//! `Pull`: every image of the services to be made, by digest, side by side.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::adapter::{Errand, Progress};
use super::fault::{Fault, within};
use super::inventory::digest_in;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::service::PullPolicy;

/// The longest silence of a pull: while a large layer is unpacked, engines say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// What Docker's configuration calls its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// How an image is to be had.
#[derive(Clone, Copy, Default)]
struct Wanted<'p> {
    /// It must be on the host already.
    is_local: bool,
    /// `None`: the host's own.
    platform: Option<&'p str>,
}

impl Errand<'_> {
    pub(super) async fn pull(&self, pins: &Pins) -> EngineOutcome {
        let wanted = match self.wanted_images(pins) {
            Ok(wanted) => wanted,
            Err(problem) => return EngineOutcome::Failed(problem),
        };
        let pulls = wanted
            .iter()
            .map(|((image, digest), wanted)| self.ensure(image, digest, *wanted));
        let mut pulled = 0;
        let mut problems = Vec::new();
        for result in join_all(pulls).await {
            match result {
                Ok(was_pulled) => pulled += u32::from(was_pulled),
                Err(problem) => problems.push(problem),
            }
        }
        match all_as_one(problems) {
            None => EngineOutcome::Pulled { images: pulled },
            Some(problem) => EngineOutcome::Failed(problem),
        }
    }

    pub(super) fn unpinned(&self, image: &ImageRef) -> Problem {
        let what = format!("the image {image} has no pinned digest in this rotation");
        self.refuse(
            &what,
            "plan anew: the Compose files changed since it was planned",
        )
    }

    /// Each image once, and how it is to be had.
    fn wanted_images<'p>(
        &'p self,
        pins: &'p Pins,
    ) -> Result<BTreeMap<(&'p ImageRef, &'p Digest), Wanted<'p>>, Problem> {
        let mut wanted = BTreeMap::<_, Wanted<'p>>::new();
        for (_, service) in self.context.recreated() {
            let image = &service.image;
            let digest = pins.get(image).ok_or_else(|| self.unpinned(image))?;
            let wanted = wanted.entry((image, digest)).or_default();
            wanted.is_local |= service.container.pull_policy == PullPolicy::Never;
            let platform = service.container.platform.as_deref();
            if let (Some(one), Some(other)) = (wanted.platform, platform)
                && one != other
            {
                return Err(self.refuse(
                    &format!("the image {image} is wanted for {one} and for {other}"),
                    "name one platform: an engine keeps a digest for one of them",
                ));
            }
            wanted.platform = platform.or(wanted.platform);
        }
        Ok(wanted)
    }

    /// Whether it had to be pulled.
    async fn ensure(
        &self,
        image: &ImageRef,
        digest: &Digest,
        wanted: Wanted<'_>,
    ) -> Result<bool, Problem> {
        let name = image.pinned(digest);
        let failed = |fault: Fault| self.pull_problem(image, &name, &fault);
        if self.is_there(&name, digest).await.map_err(failed)? {
            return Ok(false);
        }
        if wanted.is_local {
            return Err(self.refuse(
                &format!("the image {name} is not on the host, and its pull_policy is never"),
                "bring it there (docker load), or change pull_policy",
            ));
        }
        let credentials = self.credentials(&image.registry).await?;
        self.receive((image, digest), wanted.platform, credentials)
            .await
            .map_err(failed)?;
        // A stream that ends well proves nothing: engines have ended it early without an error.
        if self.is_there(&name, digest).await.map_err(failed)? {
            return Ok(true);
        }
        Err(Problem {
            what: format!("{}: {name} was pulled, but is not there", self.client.host),
            cure: format!("see the engine's own log on {}", self.client.host),
            is_transient: true,
        })
    }

    async fn is_there(&self, name: &str, digest: &Digest) -> Result<bool, Fault> {
        let image = self.client.image(name).await?;
        let names = image
            .and_then(|image| image.repo_digests)
            .unwrap_or_default();
        Ok(names
            .iter()
            .any(|name| digest_in(name).as_ref() == Some(digest)))
    }

    async fn receive(
        &self,
        (image, digest): (&ImageRef, &Digest),
        platform: Option<&str>,
        credentials: Option<DockerCredentials>,
    ) -> Result<(), Fault> {
        // Without a tag, an engine pulls every tag of the repository.
        let options = CreateImageOptionsBuilder::default()
            .from_image(&image.name())
            .tag(digest.as_str())
            .platform(platform.unwrap_or_default())
            .build();
        let mut lines = self
            .client
            .docker
            .create_image(Some(options), None, credentials);
        let mut layers = BTreeMap::new();
        loop {
            let line = within(SILENCE_MAX, async { lines.next().await.transpose() }).await?;
            let Some(line) = line else { return Ok(()) };
            if let Some(progress) = note_layer(&mut layers, line) {
                let (bytes, total) = progress;
                (self.progress)(Progress::Pulling {
                    image: image.clone(),
                    bytes,
                    total,
                });
            }
        }
    }

    async fn credentials(&self, registry: &str) -> Result<Option<DockerCredentials>, Problem> {
        if let Some(declared) = self.context.registries.get(registry) {
            return Ok(declared
                .credentials
                .as_ref()
                .map(|(user, password)| DockerCredentials {
                    username: Some(user.clone()),
                    password: Some(password.reveal_text()),
                    serveraddress: Some(registry.to_owned()),
                    ..DockerCredentials::default()
                }));
        }
        let server = match registry {
            "docker.io" => DOCKER_HUB.to_owned(),
            other => other.to_owned(),
        };
        // Helpers are programs of their own, and the library waits for them.
        let asked = tokio::task::spawn_blocking(move || docker_credential::get_credential(&server));
        match asked.await {
            Ok(Ok(found)) => Ok(Some(configured(found, registry))),
            // A missing file is called unreadable. Where the registry wants credentials it says so.
            Ok(Err(
                CredentialRetrievalError::NoCredentialConfigured
                | CredentialRetrievalError::ConfigNotFound
                | CredentialRetrievalError::ConfigReadError,
            )) => Ok(None),
            Ok(Err(error)) => Err(self.credential_problem(registry, &reason(&error))),
            Err(error) => Err(self.credential_problem(registry, &error.to_string())),
        }
    }

    fn credential_problem(&self, registry: &str, why: &str) -> Problem {
        self.refuse(
            &format!(
                "cannot read the credentials of {registry} from the Docker configuration: {why}"
            ),
            format!(
                "docker login {registry}, or give them in site.toml: [registry.\"{registry}\"]"
            ),
        )
    }

    fn pull_problem(&self, image: &ImageRef, name: &str, fault: &Fault) -> Problem {
        let base = self.client.problem(&format!("pull {name}"), fault);
        let Fault::Refused { status, message } = fault else {
            return base;
        };
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let final_one = |cure: String| Problem {
            cure,
            is_transient: false,
            ..base.clone()
        };
        if says(&[
            "unauthorized",
            "no basic auth",
            "denied",
            "authentication required",
        ]) {
            let registry = &image.registry;
            final_one(format!(
                "give credentials in site.toml: [registry.\"{registry}\"]"
            ))
        } else if *status == 404 || says(&["manifest unknown", "not found"]) {
            final_one(format!(
                "see whether {} still holds that digest; a registry may have removed it",
                image.registry
            ))
        } else if says(&["no space left"]) {
            final_one(base.cure.clone())
        } else {
            base
        }
    }
}

/// Takes in one line; bytes here and in all, of the layers known so far, where it says so.
fn note_layer(
    layers: &mut BTreeMap<String, (u64, u64)>,
    line: CreateImageInfo,
) -> Option<(u64, u64)> {
    if line.status.as_deref() != Some("Downloading") {
        return None;
    }
    let detail = line.progress_detail?;
    let bytes = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let current = bytes(detail.current)?;
    let total = bytes(detail.total).unwrap_or(current);
    layers.insert(line.id?, (current, total));
    let sums = layers.values();
    Some(sums.fold((0, 0), |(bytes, all), (current, total)| {
        (bytes + current, all + total)
    }))
}

fn configured(found: DockerCredential, registry: &str) -> DockerCredentials {
    let base = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    match found {
        DockerCredential::IdentityToken(token) => DockerCredentials {
            identitytoken: Some(token),
            ..base
        },
        DockerCredential::UsernamePassword(username, password) => DockerCredentials {
            username: Some(username),
            password: Some(password),
            ..base
        },
    }
}

/// A helper's standard output may hold what it was asked for: it is not shown.
fn reason(error: &CredentialRetrievalError) -> String {
    if let CredentialRetrievalError::HelperFailure { helper, stderr, .. } = error {
        return format!("the credential helper {helper} failed: {}", stderr.trim());
    }
    error.to_string()
}

/// Several problems of one request as one, for outcomes that carry one.
fn all_as_one(problems: Vec<Problem>) -> Option<Problem> {
    let distinct: BTreeSet<Problem> = problems.into_iter().collect();
    let join = |text: fn(&Problem) -> &str| {
        let texts: BTreeSet<&str> = distinct.iter().map(text).collect();
        texts.into_iter().collect::<Vec<&str>>().join("; ")
    };
    (!distinct.is_empty()).then(|| Problem {
        what: join(|problem| &problem.what),
        cure: join(|problem| &problem.cure),
        is_transient: distinct.iter().all(|problem| problem.is_transient),
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn bytes_are_summed_over_layers_and_the_last_word_of_each_counts() {
        let mut layers = BTreeMap::new();
        let mut line = |id: &str, status: &str, current| {
            let line = CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: Some(ProgressDetail {
                    current: Some(current),
                    total: Some(100),
                }),
                ..CreateImageInfo::default()
            };
            note_layer(&mut layers, line)
        };
        assert_eq!(line("a", "Downloading", 10), Some((10, 100)));
        assert_eq!(line("b", "Downloading", 5), Some((15, 200)));
        assert_eq!(line("a", "Downloading", 60), Some((65, 200)));
        assert_eq!(line("a", "Extracting", 1), None);
    }

    #[test]
    fn one_final_problem_among_transient_ones_is_final() {
        let problem = |what: &str, is_transient| Problem {
            what: what.to_owned(),
            cure: "c".to_owned(),
            is_transient,
        };
        let joined = all_as_one(vec![problem("a", true), problem("b", false)]).unwrap();
        assert_eq!((joined.what.as_str(), joined.cure.as_str()), ("a; b", "c"));
        assert!(!joined.is_transient);
        assert_eq!(all_as_one(vec![]), None);
    }
}
