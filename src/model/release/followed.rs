//! The images of a fleet that follow a channel: their references, with a place for its name.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use crate::model::fleet::{Fleet, Host};
use crate::model::id::{Channel, ServiceName, SiteName};
use crate::model::image::{ImageRef, ImageVersion};

/// An image whose tag holds the channel's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Followed {
    registry: String,
    repository: String,
    /// What stands in the tag before the channel's name, and after it.
    around: (String, String),
}

impl Followed {
    /// What such an image is; `None`: the channel's name does not stand once in its tag, and nowhere
    /// else, so that it is not known what to put in its place.
    pub fn of(image: &ImageRef, channel: &Channel) -> Option<Followed> {
        let ImageVersion::Tag(tag) = &image.version else {
            return None;
        };
        let (before, after) = tag.split_once(channel.as_str())?;
        let is_once = !after.contains(channel.as_str());
        is_once.then(|| Followed {
            registry: image.registry.clone(),
            repository: image.repository.clone(),
            around: (before.to_owned(), after.to_owned()),
        })
    }

    /// The image as a site of that channel runs it; `None`: no tag is so long.
    pub fn at(&self, channel: &Channel) -> Option<ImageRef> {
        let (before, after) = &self.around;
        let tag: Channel = format!("{before}{channel}{after}").parse().ok()?;
        Some(ImageRef {
            registry: self.registry.clone(),
            repository: self.repository.clone(),
            version: ImageVersion::Tag(tag.as_str().to_owned()),
        })
    }

    /// As people name it, without a tag.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// As a Compose file has it: `r.io/web:${CHANNEL}`.
impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = &self.around;
        write!(f, "{}:{before}${{CHANNEL}}{after}", self.name())
    }
}

/// Every image that follows a channel, and the services that run it; or the references that hold a
/// channel's name where no tag can be moved for it.
///
/// # Errors
/// Those references.
pub fn followed(
    fleet: &Fleet,
) -> Result<BTreeMap<Followed, BTreeSet<ServiceName>>, BTreeSet<ImageRef>> {
    let (mut all, mut wrong) = (BTreeMap::new(), BTreeSet::new());
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    for host in hosts {
        let services = host.projects.iter().flat_map(|project| &project.services);
        for service in services.filter(|service| service.follows_channel) {
            match Followed::of(&service.image, &host.channel) {
                Some(followed) => {
                    let services: &mut BTreeSet<_> = all.entry(followed).or_default();
                    services.insert(service.name.clone());
                }
                None => drop(wrong.insert(service.image.clone())),
            }
        }
    }
    if wrong.is_empty() {
        Ok(all)
    } else {
        Err(wrong)
    }
}

/// Which sites take what the tag of this image names: they run it, and are not pinned to another
/// digest at that moment.
pub fn sites_of<'a>(
    fleet: &'a Fleet,
    image: &'a ImageRef,
    at: Timestamp,
) -> impl Iterator<Item = &'a SiteName> {
    let runs = move |host: &Host| host.images().contains(image);
    let sites = fleet.sites.values();
    let sites = sites.filter(move |site| site.hosts.iter().any(runs));
    let sites = sites.filter(move |site| !site.pinned(at).contains_key(image));
    sites.map(|site| &site.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_s_name_stands_once_in_the_tag_and_makes_way_for_another() {
        let at = |image: &str, to: &str| {
            let image: ImageRef = image.parse().unwrap();
            let followed = Followed::of(&image, &"master".parse().unwrap())?;
            Some(followed.at(&to.parse().unwrap())?.to_string())
        };
        let to = |tag: &str| Some(format!("r.io/web:{tag}"));
        assert_eq!(at("r.io/web:master", "staging"), to("staging"));
        assert_eq!(at("r.io/web:v2-master-slim", "dev"), to("v2-dev-slim"));
        let slim = "r.io/web:v2-master-slim".parse().unwrap();
        let slim = Followed::of(&slim, &"master".parse().unwrap()).unwrap();
        assert_eq!(slim.to_string(), "r.io/web:v2-${CHANNEL}-slim");
        assert_eq!(at("r.io/master/web:latest", "dev"), None);
        assert_eq!(at("r.io/web:master-master", "dev"), None);
        let long = "x".repeat(128);
        assert_eq!(at("r.io/web:v-master", &long), None, "no tag is so long");
    }
}
