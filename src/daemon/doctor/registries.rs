//! Registries: whether they answer and let us in, whether each image is there and runs on its hosts,
//! and whether keep-tags can be removed.
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use jiff::Timestamp;

use super::super::adapters::Adapters;
use super::Check;
use super::engines::Platforms;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Fleet;
use crate::model::image::{Digest, ImageRef, ImageVersion};

/// Hosts by what they run on.
type Hosts = BTreeMap<String, Vec<String>>;

pub(super) async fn checks(
    adapters: &Adapters,
    now: Timestamp,
    platforms: &Platforms,
) -> Vec<Check> {
    let images = images(adapters.fleet(), now, platforms);
    let names: BTreeSet<&str> = images.keys().map(|image| image.registry.as_str()).collect();
    let pings = names.into_iter().map(|host| async move {
        let asked = format!("registry {host}");
        match Box::pin(adapters.registries.ping(host)).await {
            Ok(()) => Check::well(asked, "answers, and takes our credentials"),
            Err(problem) => Check::problem(asked, &problem),
        }
    });
    let mut checks = join_all(pings).await;
    let all = images.keys().cloned().collect();
    let digests = adapters.registries.resolve(&all).await;
    let looks = digests.into_iter().map(|(image, digest)| {
        let hosts = images.get(&image).cloned().unwrap_or_default();
        async move { of_image(adapters, &image, digest, &hosts).await }
    });
    checks.extend(join_all(looks).await);
    if adapters.fleet().release.keep > 0 {
        checks.extend(may_delete(adapters, all).await);
    }
    checks
}

/// How each image is asked for, and where it runs.
fn images(fleet: &Fleet, now: Timestamp, platforms: &Platforms) -> BTreeMap<ImageRef, Hosts> {
    let mut images: BTreeMap<ImageRef, Hosts> = BTreeMap::new();
    for site in fleet.sites.values() {
        for (image, asked) in site.asked(now) {
            let hosts = images.entry(asked).or_default();
            let run_it = site.hosts.iter();
            for host in run_it.filter(|host| host.images().contains(&image)) {
                let place = (site.name.clone(), host.name.clone());
                if let Some(platform) = platforms.get(&place) {
                    let of = hosts.entry(platform.clone()).or_default();
                    of.push(host.name.to_string());
                }
            }
        }
    }
    images
}

async fn of_image(
    adapters: &Adapters,
    image: &ImageRef,
    digest: Result<Digest, Problem>,
    hosts: &Hosts,
) -> Check {
    let asked = format!("image {image}");
    let digest = match digest {
        Ok(digest) => digest,
        Err(problem) => return Check::problem(asked, &problem),
    };
    let platforms = match Box::pin(adapters.registries.platforms(image, &digest)).await {
        Ok(platforms) => platforms,
        Err(problem) => return Check::problem(asked, &problem),
    };
    runs_there(&asked, &digest, &platforms, hosts)
}

fn runs_there(asked: &str, digest: &Digest, platforms: &BTreeSet<String>, hosts: &Hosts) -> Check {
    let all: Vec<&str> = platforms.iter().map(String::as_str).collect();
    let all = all.join(", ");
    let lacking = hosts
        .iter()
        .find(|(platform, _)| !platforms.is_empty() && !platforms.contains(*platform));
    match lacking {
        Some((platform, hosts)) => {
            let answer = format!("is for {all}, and {} runs {platform}", hosts.join(", "));
            let cure =
                format!("push it for {platform} too: docker buildx build --platform {platform}");
            Check::wrong(asked, answer, cure)
        }
        None if platforms.is_empty() => Check::well(asked, digest.short()),
        None => Check::well(asked, format!("{}, for {all}", digest.short())),
    }
}

/// One image of each repository: the right is the repository's.
async fn may_delete(adapters: &Adapters, images: BTreeSet<ImageRef>) -> Vec<Check> {
    let with_tag = images
        .into_iter()
        .filter(|image| matches!(image.version, ImageVersion::Tag(_)));
    let repositories: BTreeMap<String, ImageRef> =
        with_tag.map(|image| (image.name(), image)).collect();
    let asked = repositories.into_iter().map(|(name, image)| async move {
        let asked = format!("removing keep-tags of {name}");
        match Box::pin(adapters.registries.may_delete(&image)).await {
            Ok(()) => Check::well(asked, "allowed"),
            Err(problem) => Check::problem(asked, &problem),
        }
    });
    join_all(asked).await
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    #[test]
    fn an_image_for_other_machines_is_wrong_and_one_that_does_not_say_is_not() {
        let digest: Digest = format!("sha256:{}", "5".repeat(64)).parse().unwrap();
        let hosts = Hosts::from([("linux/amd64".to_owned(), vec!["fra1".to_owned()])]);
        let of = |platforms: &[&str]| {
            let platforms = platforms.iter().map(|it| (*it).to_owned()).collect();
            runs_there("image", &digest, &platforms, &hosts)
        };
        assert_eq!(of(&["linux/amd64", "linux/arm64"]).found, Found::Well);
        assert_eq!(of(&[]).found, Found::Well);
        let other = of(&["linux/arm64"]);
        assert_eq!(other.found, Found::Wrong);
        assert_eq!(
            other.answer,
            "is for linux/arm64, and fra1 runs linux/amd64"
        );
    }
}
