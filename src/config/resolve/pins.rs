//! Pins of sites: what they name must run there, and follow a tag.
use std::collections::{BTreeMap, BTreeSet};

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::site::SiteFile;
use super::super::site::pin::PinTable;
use crate::model::fleet::{Fleet, Site};
use crate::model::id::ServiceName;
use crate::model::image::{Digest, ImageRef, ImageVersion};

/// Checks every pin against what its site runs.
pub(super) fn check(fleet: &Fleet, file: &SiteFile, findings: &mut Findings) {
    for (name, table) in &file.sites.0 {
        let (Some(pin), Some(site)) = (&table.pin, fleet.sites.get(name.get_ref())) else {
            continue;
        };
        if pin.services.is_empty() {
            findings
                .error(
                    pin.span.clone(),
                    format!("the pin of {} is empty", site.name),
                )
                .hint("name a service and its digest, or take the pin out");
        }
        for (service, _) in &pin.services {
            check_service(service, site, fleet, findings);
        }
        check_shared(pin, site, findings);
    }
}

/// It runs there, from one image, which follows a tag.
fn check_service(
    service: &Spanned<ServiceName>,
    site: &Site,
    fleet: &Fleet,
    findings: &mut Findings,
) {
    let (name, span) = (service.get_ref(), service.span());
    let images = images_of(site, name);
    if images.is_empty() {
        let elsewhere = fleet.sites.values();
        let mut elsewhere = elsewhere.flat_map(Site::services);
        let message = match elsewhere.any(|other| other.name == *name) {
            true => format!("{} does not run {name}", site.name),
            false => format!("no service is called {name}"),
        };
        let there: BTreeSet<&str> = site.services().map(|it| it.name.as_str()).collect();
        let all: Vec<&str> = there.iter().copied().collect();
        findings
            .error(span, message)
            .hint(format!("{} runs {}", site.name, all.join(", ")))
            .nearest(name.as_str(), there);
        return;
    }
    let is_fixed = |image: &&&ImageRef| matches!(image.version, ImageVersion::Digest(_));
    if let Some(image) = images.iter().find(is_fixed) {
        findings
            .error(span, format!("{name} follows no tag: {image}"))
            .hint("its Compose file names the digest: change it there");
        return;
    }
    let repositories: BTreeSet<String> = images.iter().map(|image| image.name()).collect();
    if repositories.len() > 1 {
        let all: Vec<String> = repositories.into_iter().collect();
        let message = format!("{} runs several {name}: {}", site.name, all.join(", "));
        findings
            .error(span, message)
            .hint("a digest is of one image: give the services names of their own");
    }
}

/// A site is planned with one digest an image.
fn check_shared(pin: &PinTable, site: &Site, findings: &mut Findings) {
    let pinned = |name: &ServiceName| {
        let mut services = pin.services.iter();
        services.find(|(service, _)| service.get_ref() == name)
    };
    let mut by_image: BTreeMap<&ImageRef, BTreeMap<&ServiceName, Option<&Digest>>> =
        BTreeMap::new();
    for service in site.services() {
        let digest = pinned(&service.name).map(|(_, digest)| digest);
        let alike = by_image.entry(&service.image).or_default();
        alike.insert(&service.name, digest);
    }
    for (image, services) in by_image {
        let digests: BTreeSet<Option<&Digest>> = services.values().copied().collect();
        let first = services.keys().find_map(|name| pinned(name));
        let (Some((first, _)), true) = (first, digests.len() > 1) else {
            continue;
        };
        let names: Vec<&str> = services.keys().map(|name| name.as_str()).collect();
        let message = format!(
            "{} of {} run one image, {image}",
            names.join(", "),
            site.name
        );
        findings
            .error(first.span(), message)
            .hint(match names.len() {
                2 => "pin both alike",
                _ => "pin all of them alike",
            });
    }
}

fn images_of<'s>(site: &'s Site, name: &ServiceName) -> BTreeSet<&'s ImageRef> {
    let services = site.services().filter(|service| service.name == *name);
    services.map(|service| &service.image).collect()
}
