//! Keep-tags are looked after at a real docker-registry, and left off at every step.
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use oci_client::secrets::RegistryAuth;

use super::super::desk::{Note, Releases};
use super::super::keeper::Kept;
use super::super::keeping;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::State;
use crate::coordinator::tests::world::fleet;
use crate::daemon::adapters::Adapters;
use crate::daemon::clock::Clock;
use crate::model::fleet::Fleet;
use crate::model::image::{Digest, ImageRef, Pins};
use crate::model::release::{KeepPhase, KeepTag};
use crate::model::time::Now;
use crate::registry::tests::RealRegistry;
use crate::store::{Occupant, Store};

#[tokio::test]
async fn names_of_others_are_left_and_what_goes_by_hand_comes_back() {
    let mut world = World::new(1, true).await;
    let [theirs, ours, ..] = world.digests.clone();
    let [first, second, third] = [1, 2, 3].map(|n| world.tag(n));
    world.put(&first, &theirs).await;
    world.pass(&ours);
    assert_eq!(world.look_after().await, []);
    assert_eq!(world.named(&first).await, Some(theirs.clone()));
    assert_eq!(world.named(&second).await, Some(ours.clone()));
    assert_eq!(world.kept(), [(second.clone(), KeepPhase::Kept)]);

    world.remove(&second, &ours).await;
    assert_eq!(world.look_after().await, []);
    assert_eq!(world.named(&second).await, Some(ours.clone()));

    world.put(&second, &theirs).await;
    let told = world.look_after().await;
    assert!(told[0].what.contains("somebody"), "{told:?}");
    assert_eq!(world.named(&second).await, Some(theirs));
    assert_eq!(world.named(&third).await, Some(ours));
    assert_eq!(world.kept(), [(third, KeepPhase::Kept)]);
}

#[tokio::test]
async fn whoever_dies_at_any_step_leaves_nothing_that_the_next_does_not_finish() {
    // Written down and not done, and done and not written down.
    for is_written in [true, false] {
        for phase in [KeepPhase::Putting, KeepPhase::Kept, KeepPhase::Removing] {
            let mut world = World::new(1, true).await;
            let [old, new, ..] = world.digests.clone();
            world.pass(&old);
            assert_eq!(world.look_after().await, []);
            world.pass(&new);
            world.dies_at(phase, is_written).await;
            assert_eq!(world.look_after().await, []);
            let [first, second] = [1, 2].map(|n| world.tag(n));
            assert_eq!(world.named(&first).await, None, "{phase:?} {is_written}");
            assert_eq!(
                world.named(&second).await,
                Some(new),
                "{phase:?} {is_written}"
            );
            assert_eq!(world.kept(), [(second, KeepPhase::Kept)]);
        }
    }
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_is_told_once() {
    let mut world = World::new(1, false).await;
    let digests = world.digests.clone();
    let mut told = Vec::new();
    for digest in &digests {
        world.pass(digest);
        told.extend(world.look_after().await);
        told.extend(world.look_after().await);
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].what.contains("does not delete"), "{told:?}");
    for (n, digest) in (1..).zip(&digests) {
        let tag = world.tag(n);
        assert_eq!(world.named(&tag).await.as_ref(), Some(digest));
    }
}

#[tokio::test]
async fn what_a_channel_s_tag_names_is_not_removed() {
    let mut world = World::new(1, true).await;
    let [old, new, ..] = world.digests.clone();
    world.pass(&old);
    assert_eq!(world.look_after().await, []);
    world.pass(&new);
    let master = world.image.clone();
    world.put(&master, &old).await;
    assert_eq!(world.look_after().await, []);
    let first = world.tag(1);
    assert_eq!(world.named(&first).await, Some(old));
    world.put(&master, &new).await;
    assert_eq!(world.look_after().await, []);
    assert_eq!(world.named(&first).await, None);
    assert_eq!(world.named(&master).await, Some(new));
}

#[tokio::test]
async fn a_registry_that_has_lost_what_runs_is_told_and_one_that_is_away_too() {
    let mut world = World::new(2, true).await;
    let lost: Digest = format!("sha256:{}", "0a".repeat(32)).parse().unwrap();
    world.pass(&lost);
    let told = world.look_after().await;
    assert!(told[0].what.contains("has lost"), "{told:?}");
    // It had a tag once.
    let tag = KeepTag {
        image: world.tag(7),
        digest: lost,
        at: world.now.wall,
        phase: KeepPhase::Kept,
        refused: None,
    };
    world.store.keep_tag(&tag, &[]).unwrap();
    let told = world.look_after().await;
    assert!(told[0].what.contains("the tag is gone"), "{told:?}");
    assert_eq!(world.kept(), []);
    let good = world.digests[0].clone();
    world.pass(&good);
    assert_eq!(world.look_after().await, [], "an older one may be gone");
    assert_eq!(world.kept().len(), 1);

    let elsewhere = "127.0.0.1:1/web:master";
    for host in world
        .fleet
        .sites
        .values_mut()
        .flat_map(|site| &mut site.hosts)
    {
        for service in host.projects.iter_mut().flat_map(|it| &mut it.services) {
            service.image = elsewhere.parse().unwrap();
        }
    }
    world.image = elsewhere.parse().unwrap();
    world.pass(&good);
    let told = world.look_after().await;
    assert!(told[0].is_transient, "{told:?}");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn what_was_to_go_and_could_not_is_kept_again_where_a_channel_goes_back_to_it() {
    let mut world = World::new(1, false).await;
    let [old, new, ..] = world.digests.clone();
    let [first, second] = [1, 2].map(|n| world.tag(n));
    world.pass(&old);
    assert_eq!(world.look_after().await, []);
    world.pass(&new);
    assert_eq!(world.look_after().await.len(), 1);
    assert_eq!(world.kept()[0], (first.clone(), KeepPhase::Removing));
    let master = world.image.clone();
    world.put(&master, &old).await;
    assert_eq!(world.look_after().await, []);
    assert_eq!(
        world.kept(),
        [(first, KeepPhase::Kept), (second, KeepPhase::Kept)]
    );
}

/// Three sites that run one image of a real registry.
struct World {
    server: RealRegistry,
    image: ImageRef,
    /// Of four manifests that the registry has.
    digests: [Digest; 4],
    fleet: Fleet,
    adapters: Arc<Adapters>,
    store: Store,
    releases: Releases,
    now: Now,
    nights: u32,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new(keep: usize, deletes: bool) -> World {
        let server = RealRegistry::serve(tempfile::tempdir().unwrap(), "", deletes);
        let pushed = server.push_all_kinds(&RegistryAuth::Anonymous).await;
        let digests: Vec<Digest> = pushed.into_values().collect();
        let image = server.image("web:master");
        let mut fleet = fleet();
        fleet.release.keep = keep;
        for host in fleet.sites.values_mut().flat_map(|site| &mut site.hosts) {
            for service in host.projects.iter_mut().flat_map(|it| &mut it.services) {
                service.image = image.clone();
                service.follows_channel = true;
            }
        }
        let clock = Clock::start();
        let adapters = Adapters::new(Arc::new(fleet.clone()), clock, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let by = Occupant {
            pid: 1,
            user: "test".to_owned(),
            command: "serve".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        World {
            server,
            image,
            digests: digests.try_into().unwrap(),
            store: Store::open(dir.path(), &fleet.name, &by).unwrap(),
            fleet,
            adapters: Arc::new(adapters),
            releases: Releases::default(),
            now: clock.now(),
            nights: 0,
            _dir: dir,
        }
    }

    /// Every site passes a visit with it.
    fn pass(&mut self, digest: &Digest) {
        self.nights += 1;
        let pins: Pins = BTreeMap::from([(self.image.clone(), digest.clone())]);
        let night = format!("night-{}", self.nights).parse().unwrap();
        let at = self.now.wall + SignedDuration::from_secs(self.nights.into());
        for site in self.fleet.sites.keys() {
            let kept = self.store.keep_passed(site, &pins, Some(&night), at);
            kept.unwrap();
        }
    }

    /// What is told.
    async fn look_after(&mut self) -> Vec<Problem> {
        self.send_out();
        while self.releases.is_keeping() {
            let note = self.releases.next().await;
            self.take(note);
        }
        self.releases.take_to_tell()
    }

    /// The process dies when a tag comes so far: right after that was written down, or right before.
    async fn dies_at(&mut self, phase: KeepPhase, is_written: bool) {
        self.send_out();
        let is_it = |kept: &Kept| match kept {
            Kept::Phase(tag) => tag.phase == phase,
            Kept::Removed(_) | Kept::Left(..) => false,
        };
        while self.releases.is_keeping() {
            let note = self.releases.next().await;
            if let Note::Kept { kept, .. } = &note
                && is_it(kept)
            {
                if is_written {
                    keeping::write(&mut self.store, kept, self.now.wall).unwrap();
                }
                // The errand ends where nobody answers it.
                drop(note);
                continue;
            }
            self.take(note);
        }
    }

    fn send_out(&mut self) {
        let state = State::default();
        let place = (&self.store, &self.fleet, &state);
        let sent = self.releases.look_after(place, &self.adapters, self.now);
        sent.unwrap();
    }

    fn take(&mut self, note: Note) {
        let place = (&mut self.store, &self.adapters);
        let said = self.releases.take(note, place, self.now).unwrap();
        assert!(said.is_none());
    }

    /// The `n`th keep-tag of today.
    fn tag(&self, n: u32) -> ImageRef {
        let tag = self.fleet.release.tag.name(None, self.now.wall, n);
        self.server.image(&format!("web:{tag}"))
    }

    fn kept(&self) -> Vec<(ImageRef, KeepPhase)> {
        let tags = self.store.keep_tags().unwrap().into_iter();
        tags.map(|KeepTag { image, phase, .. }| (image, phase))
            .collect()
    }

    async fn named(&self, image: &ImageRef) -> Option<Digest> {
        self.adapters.registries.named(image).await.unwrap()
    }

    /// Somebody else does.
    async fn put(&self, image: &ImageRef, digest: &Digest) {
        let registries = &self.adapters.registries;
        let pinned = self.image.pinned(digest).parse().unwrap();
        let manifest = registries.manifest(&pinned).await.unwrap();
        registries.put(image, &manifest).await.unwrap();
    }

    async fn remove(&self, image: &ImageRef, digest: &Digest) {
        let removed = self.adapters.registries.remove_tag(image, digest).await;
        removed.unwrap();
        assert_eq!(self.named(image).await, None);
    }
}
