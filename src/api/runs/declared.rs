//! Which image each service runs, where the configuration is at hand.
use std::collections::BTreeMap;

use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::image::ImageRef;
use crate::model::release::Followed;

/// What a fleet declares of its services. Of a fleet on another machine nothing is known, and all is
/// read from what its nights told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// By site and `PROJECT/SERVICE`; `None`: its image follows no channel.
    pub(super) services: BTreeMap<(SiteName, String), Option<ImageRef>>,
    pub(super) images: BTreeMap<ImageRef, Followed>,
}

impl Declared {
    pub(crate) fn of(fleet: &Fleet) -> Declared {
        let mut declared = Declared::default();
        for site in fleet.sites.values() {
            for host in &site.hosts {
                for project in &host.projects {
                    for service in &project.services {
                        let followed = match service.follows_channel {
                            true => Followed::of(&service.image, &host.channel),
                            false => None,
                        };
                        let name = format!("{}/{}", project.name, service.name);
                        let image = followed.is_some().then(|| service.image.clone());
                        declared.services.insert((site.name.clone(), name), image);
                        let followed = followed.map(|it| (service.image.clone(), it));
                        declared.images.extend(followed);
                    }
                }
            }
        }
        declared
    }
}
