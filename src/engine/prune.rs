//! `Prune`: images of the host's repositories that nothing uses and nobody keeps.
use std::collections::BTreeSet;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};

use super::adapter::Errand;
use super::client::{ASK, CHANGE};
use super::fault::Fault;
use super::inventory::digest_in;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::model::image::{Digest, ImageRef};

impl Errand<'_> {
    pub(super) async fn prune(&self, keep: &BTreeSet<Digest>) -> EngineOutcome {
        match self.prune_images(keep).await {
            Ok((images, bytes)) => EngineOutcome::Pruned { images, bytes },
            Err(problem) => EngineOutcome::Failed(problem),
        }
    }

    async fn prune_images(&self, keep: &BTreeSet<Digest>) -> Result<(u32, u64), Problem> {
        let problem = |fault: Fault| self.client.problem("remove old images", &fault);
        let options = ListImagesOptionsBuilder::default().digests(true).build();
        let call = self.client.docker.list_images(Some(options));
        let images = self.client.ask(ASK, call).await.map_err(problem)?;
        // After the images: one that a container has begun to use since is not removed.
        let listed = self.client.survey().await.map_err(problem)?;
        let used: BTreeSet<&str> = listed
            .iter()
            .map(|container| container.image_id.as_str())
            .collect();
        let repositories: BTreeSet<String> = self
            .context
            .host
            .images()
            .iter()
            .map(ImageRef::name)
            .collect();
        let (mut removed, mut bytes) = (0, 0);
        for image in images {
            if !is_removable(&image, &repositories, keep) || used.contains(image.id.as_str()) {
                continue;
            }
            if self.remove_image(&image).await.map_err(problem)? {
                removed += 1;
                bytes += u64::try_from(image.size).unwrap_or(0);
            }
        }
        Ok((removed, bytes))
    }

    /// `false`: it is in use after all, and stays.
    async fn remove_image(&self, image: &ImageSummary) -> Result<bool, Fault> {
        let mut names: Vec<&str> = image.repo_tags.iter().map(String::as_str).collect();
        names.extend(image.repo_digests.iter().map(String::as_str));
        // By id; where the engine refuses that, as it carries several names, name by name. Never
        // by force: an image in use stays.
        for name in std::iter::once(image.id.as_str()).chain(names) {
            let options = RemoveImageOptionsBuilder::default().build();
            let call = self.client.docker.remove_image(name, Some(options), None);
            match self.client.ask(CHANGE, call).await {
                Ok(_) if name == image.id => return Ok(true),
                Ok(_) => (),
                Err(fault) if fault.is_gone() => (),
                Err(fault) if fault.is_conflict() => (),
                Err(fault) => return Err(fault),
            }
        }
        Ok(self.client.image(&image.id).await?.is_none())
    }
}

/// Whether every name of an image is of these repositories, and none of its digests is kept. One
/// without a digest was built on the host and could not be had again.
fn is_removable(
    image: &ImageSummary,
    repositories: &BTreeSet<String>,
    keep: &BTreeSet<Digest>,
) -> bool {
    let digests: Vec<Digest> = image
        .repo_digests
        .iter()
        .filter_map(|name| digest_in(name))
        .collect();
    let names = image.repo_digests.iter().chain(&image.repo_tags);
    let is_ours = |name: &String| {
        let reference = name.parse::<ImageRef>();
        reference.is_ok_and(|reference| repositories.contains(&reference.name()))
    };
    !digests.is_empty()
        && digests.iter().all(|digest| !keep.contains(digest))
        && names.filter(|name| !name.contains("<none>")).all(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tags: &[&str], digests: &[&str]) -> ImageSummary {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        ImageSummary {
            repo_tags: texts(tags),
            repo_digests: texts(digests),
            ..ImageSummary::default()
        }
    }

    #[test]
    fn only_unkept_images_of_our_repositories_are_removable() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let ours = BTreeSet::from(["r.example.com/web".to_owned()]);
        let name = format!("r.example.com/web@{digest}");
        let none = BTreeSet::new();
        assert!(is_removable(&image(&[], &[&name]), &ours, &none));
        assert!(is_removable(
            &image(&["<none>:<none>"], &[&name]),
            &ours,
            &none
        ));
        let kept = BTreeSet::from([digest.parse().unwrap()]);
        assert!(!is_removable(&image(&[], &[&name]), &ours, &kept));
        let elsewhere = image(&["someone/web:1"], &[&name]);
        assert!(!is_removable(&elsewhere, &ours, &none));
        assert!(!is_removable(
            &image(&["r.example.com/web:1"], &[]),
            &ours,
            &none
        ));
    }
}
