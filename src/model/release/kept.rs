//! Which good digests are kept, and which tags follow from that: what is to be put, what removed.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::{Moved, Passed, good};
use crate::model::fleet::{Fleet, Host};
use crate::model::image::{Digest, ImageRef, ImageVersion};

/// A tag that we put on a good digest, so that the registry's cleaning up leaves it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepTag {
    /// With the tag.
    pub image: ImageRef,
    pub digest: Digest,
    /// When it was put.
    pub at: Timestamp,
    pub phase: KeepPhase,
    /// Why the registry does not remove it, where a person was told.
    pub refused: Option<String>,
}

impl KeepTag {
    /// The tag alone.
    pub fn name(&self) -> &str {
        match &self.image.version {
            ImageVersion::Tag(tag) => tag,
            ImageVersion::Digest(digest) => digest.as_str(),
        }
    }
}

/// How far a keep-tag has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepPhase {
    /// It may be there.
    Putting,
    /// It was read back.
    Kept,
    /// It may be gone, or name what stands in for it.
    Removing,
}

impl KeepPhase {
    const ALL: [KeepPhase; 3] = [KeepPhase::Putting, KeepPhase::Kept, KeepPhase::Removing];

    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            KeepPhase::Putting => "putting",
            KeepPhase::Kept => "kept",
            KeepPhase::Removing => "removing",
        }
    }
}

impl std::str::FromStr for KeepPhase {
    type Err = String;

    fn from_str(text: &str) -> Result<KeepPhase, String> {
        let phase = KeepPhase::ALL.into_iter().find(|it| it.as_str() == text);
        phase.ok_or_else(|| "no keep-tag comes so far".to_owned())
    }
}

/// What a good digest is told by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub passed: &'a [Passed],
    pub moved: &'a [Moved],
    /// What failed, and may not be planned.
    pub barred: &'a BTreeSet<Digest>,
    /// When it is asked: sites are pinned until a day.
    pub at: Timestamp,
}

/// What is to be done about the keep-tags of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Tags that are on their way away.
    pub finish: Vec<KeepTag>,
    /// Tags that are to be there.
    pub look_at: Vec<KeepTag>,
    pub put: Vec<Wanted>,
    pub remove: Vec<KeepTag>,
}

/// A good digest without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As sites run it.
    pub image: ImageRef,
    pub digest: Digest,
    /// Whether sites run it now: then a registry that lacks it is a misfortune.
    pub is_last: bool,
}

impl Upkeep {
    /// What follows from the ledger and from the tags that we have put so far.
    pub fn of(fleet: &Fleet, facts: Facts<'_>, tags: &[KeepTag]) -> Upkeep {
        let is_leaving = |tag: &&KeepTag| tag.phase == KeepPhase::Removing;
        let mut upkeep = Upkeep {
            finish: tags.iter().filter(is_leaving).cloned().collect(),
            ..Upkeep::default()
        };
        let keep = fleet.release.keep;
        if keep == 0 {
            return upkeep;
        }
        let good = images(fleet).into_iter();
        let good: BTreeMap<ImageRef, Vec<Digest>> = good
            .map(|image| (image.clone(), last_good(fleet, &image, facts, keep)))
            .collect();
        let mut known: BTreeSet<(String, Digest)> = BTreeSet::new();
        for tag in tags.iter().filter(|tag| !is_leaving(tag)) {
            let name = tag.image.name();
            let theirs = good.iter().filter(|(image, _)| image.name() == name);
            let is_wanted = theirs.clone().any(|(_, good)| good.contains(&tag.digest));
            if is_wanted || tag.phase == KeepPhase::Putting {
                known.insert((name, tag.digest.clone()));
                upkeep.look_at.push(tag.clone());
            } else if is_past(fleet, tag, theirs, facts.passed) {
                upkeep.remove.push(tag.clone());
            }
        }
        for (image, digests) in good {
            for (at, digest) in digests.into_iter().enumerate() {
                if known.insert((image.name(), digest.clone())) {
                    upkeep.put.push(Wanted {
                        image: image.clone(),
                        digest,
                        is_last: at == 0,
                    });
                }
            }
        }
        upkeep
    }

    /// Whether nothing is to be asked of a registry.
    pub fn is_nothing(&self) -> bool {
        let tags = [&self.finish, &self.look_at, &self.remove];
        self.put.is_empty() && tags.into_iter().all(Vec::is_empty)
    }
}

/// The good digests that stay on the hosts of a site, beside what they run.
pub fn kept_at(fleet: &Fleet, hosts: &[Host], facts: Facts<'_>) -> BTreeSet<Digest> {
    let keep = fleet.release.keep;
    let images: BTreeSet<ImageRef> = hosts.iter().flat_map(Host::images).collect();
    let images = images.iter().filter(|_| keep > 0);
    images
        .flat_map(|image| last_good(fleet, image, facts, keep))
        .collect()
}

/// The last so many, the latest first.
fn last_good(fleet: &Fleet, image: &ImageRef, facts: Facts<'_>, keep: usize) -> Vec<Digest> {
    let good = good(fleet, image, (facts.passed, facts.moved), facts.at).into_iter();
    let good = good.filter(|digest| !facts.barred.contains(digest));
    good.take(keep).collect()
}

/// Whether a tag is beyond the last good ones: of each image that ran its digest there are as many
/// later ones as are kept. Where there are fewer, as after a site was added that never ran the older
/// ones, it stays: what is kept never gets less by that.
fn is_past<'a>(
    fleet: &Fleet,
    tag: &KeepTag,
    good: impl Iterator<Item = (&'a ImageRef, &'a Vec<Digest>)>,
    passed: &[Passed],
) -> bool {
    let is_ours = fleet.release.tag.read(tag.name()).is_some();
    // A Compose file may say it: whoever wrote that wants it.
    let is_said = fleet.images().contains(&tag.image);
    let ran = |image: &ImageRef| {
        let mut passed = passed.iter();
        passed.any(|it| it.image == *image && it.digest == tag.digest)
    };
    let mut ran_it = good.filter(|(image, _)| ran(image)).peekable();
    let is_known = ran_it.peek().is_some();
    let is_full = ran_it.all(|(_, good)| good.len() >= fleet.release.keep);
    is_ours && !is_said && is_known && is_full
}

/// The images that follow a channel.
fn images(fleet: &Fleet) -> BTreeSet<ImageRef> {
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    let services = hosts
        .flat_map(|host| &host.projects)
        .flat_map(|project| &project.services);
    let followed = services.filter(|service| service.follows_channel);
    followed.map(|service| service.image.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{digest, fleet};
    use crate::model::id::SiteName;

    #[test]
    fn the_last_good_ones_get_tags_and_those_before_them_lose_theirs() {
        let world = World::new(2);
        let passed = world.passed(&[(1, 3), (2, 3), (3, 3), (4, 2)]);
        let tags = [world.tag(1), world.tag(2)];
        let upkeep = world.upkeep(&passed, &tags);
        assert_eq!(upkeep.put, [world.wanted(3, true)]);
        assert_eq!(upkeep.look_at, [world.tag(2)]);
        assert_eq!(upkeep.remove, [world.tag(1)]);
        assert_eq!(upkeep.finish, []);
    }

    #[test]
    fn without_a_number_nothing_is_put_and_nothing_removed() {
        let world = World::new(0);
        let passed = world.passed(&[(1, 3), (2, 3)]);
        let leaving = KeepTag {
            phase: KeepPhase::Removing,
            ..world.tag(1)
        };
        let upkeep = world.upkeep(&passed, &[leaving.clone(), world.tag(2)]);
        let finished = Upkeep {
            finish: vec![leaving],
            ..Upkeep::default()
        };
        assert_eq!(upkeep, finished, "what was begun is finished");
    }

    #[test]
    fn nothing_is_removed_before_there_are_enough_to_go_back_to() {
        let world = World::new(2);
        // The third site is new: it never ran the first two.
        let passed = world.passed(&[(1, 2), (2, 2), (3, 3)]);
        let upkeep = world.upkeep(&passed, &[world.tag(1), world.tag(2), world.tag(3)]);
        assert_eq!(upkeep.remove, []);
        assert_eq!(upkeep.look_at, [world.tag(3)]);
    }

    #[test]
    fn names_of_another_rule_of_a_compose_file_and_of_nobody_are_left_alone() {
        let mut world = World::new(1);
        let passed = world.passed(&[(1, 3), (2, 3)]);
        let other = KeepTag {
            image: "r.example.com/web:stable-1".parse().unwrap(),
            ..world.tag(1)
        };
        assert_eq!(world.upkeep(&passed, &[other]).remove, []);
        assert_eq!(world.upkeep(&passed, &[world.tag(9)]).remove, []);
        let said = world.tag(1);
        assert_eq!(
            world
                .upkeep(&passed, std::slice::from_ref(&said))
                .remove
                .len(),
            1
        );
        let sites = world.fleet.sites.values_mut();
        let service = &mut sites.last().unwrap().hosts[0].projects[0].services[0];
        service.image = said.image.clone();
        service.follows_channel = false;
        let passed = world.passed(&[(1, 2), (2, 2)]);
        assert_eq!(world.upkeep(&passed, &[said]).remove, []);
    }

    #[test]
    fn what_is_barred_or_was_gone_back_from_is_not_kept() {
        let mut world = World::new(2);
        world.barred.insert(digest(2));
        let passed = world.passed(&[(1, 3), (2, 3), (3, 3)]);
        let put = world.upkeep(&passed, &[]).put;
        assert_eq!(put, [world.wanted(3, true), world.wanted(1, false)]);
        let sites: Vec<Host> = world
            .fleet
            .sites
            .values()
            .flat_map(|it| it.hosts.clone())
            .collect();
        let moved = [];
        let facts = Facts {
            at: Timestamp::UNIX_EPOCH,
            passed: &passed,
            moved: &moved,
            barred: &world.barred,
        };
        let kept = kept_at(&world.fleet, &sites, facts);
        assert_eq!(kept, BTreeSet::from([digest(1), digest(3)]));
    }

    /// Three sites that run one image.
    struct World {
        fleet: Fleet,
        image: ImageRef,
        barred: BTreeSet<Digest>,
    }

    impl World {
        fn new(keep: usize) -> World {
            let mut fleet = fleet();
            fleet.release.keep = keep;
            let image: ImageRef = "r.example.com/web:master".parse().unwrap();
            for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
                for service in host.projects.iter_mut().flat_map(|it| &mut it.services) {
                    service.image = image.clone();
                    service.follows_channel = true;
                }
            }
            World {
                fleet,
                image,
                barred: BTreeSet::new(),
            }
        }

        fn upkeep(&self, passed: &[Passed], tags: &[KeepTag]) -> Upkeep {
            let facts = Facts {
                at: Timestamp::UNIX_EPOCH,
                passed,
                moved: &[],
                barred: &self.barred,
            };
            Upkeep::of(&self.fleet, facts, tags)
        }

        /// The first so many sites passed with it.
        fn passed(&self, passed: &[(u8, usize)]) -> Vec<Passed> {
            let of = |(n, sites): &(u8, usize)| {
                let at = Timestamp::from_second(i64::from(*n)).unwrap();
                let sites = self.fleet.sites.keys().take(*sites);
                let passed = |site: &SiteName| Passed {
                    site: site.clone(),
                    image: self.image.clone(),
                    digest: digest(*n),
                    first: at,
                    last: at,
                    visits: 1,
                    rotation: None,
                };
                sites.map(passed).collect::<Vec<_>>()
            };
            passed.iter().flat_map(of).collect()
        }

        fn tag(&self, n: u8) -> KeepTag {
            let tag = format!("{}:release-v1.11.{n}.1", self.image.name());
            KeepTag {
                image: tag.parse().unwrap(),
                digest: digest(n),
                at: Timestamp::from_second(i64::from(n)).unwrap(),
                phase: KeepPhase::Kept,
                refused: None,
            }
        }

        fn wanted(&self, n: u8, is_last: bool) -> Wanted {
            Wanted {
                image: self.image.clone(),
                digest: digest(n),
                is_last,
            }
        }
    }
}
