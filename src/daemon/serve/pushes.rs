//! Images that were pushed: what they are is asked of the registry and told, and the sites of a
//! channel with `on_push = "rebuild"` are rebuilt, once it is quiet again.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::super::adapters::Adapters;
use super::super::release;
use super::super::request::Request;
use super::Note;
use crate::coordinator::outcome::Problem;
use crate::model::fleet::{Fleet, OnPush, Site};
use crate::model::id::{Channel, PlaybookName, SiteName};
use crate::model::image::{Digest, ImageRef, ImageVersion};
use crate::model::notice::Severity;

/// Several images are pushed one after another: none is rebuilt for each.
const QUIET_FOR: SignedDuration = SignedDuration::from_secs(5);

/// What the registry says of an image whose tag moved.
#[derive(Clone, Debug)]
pub(super) struct Found {
    image: ImageRef,
    digest: Digest,
    labels: BTreeMap<String, String>,
}

/// The pushes of this process.
pub(super) struct Pushes {
    heard: mpsc::UnboundedReceiver<BTreeSet<ImageRef>>,
    looked: mpsc::UnboundedReceiver<Result<Found, Problem>>,
    looks: mpsc::UnboundedSender<Result<Found, Problem>>,
    /// A registry sends its news more than once.
    told: BTreeMap<ImageRef, Digest>,
    to_rebuild: BTreeMap<Channel, BTreeSet<ImageRef>>,
    last: Option<Timestamp>,
    /// Where the ledger hears what a tag names.
    ledger: mpsc::UnboundedSender<release::Note>,
}

/// What comes of a push.
pub(super) enum News {
    Heard(BTreeSet<ImageRef>),
    Looked(Result<Found, Problem>),
}

impl Pushes {
    pub(super) fn new(
        heard: mpsc::UnboundedReceiver<BTreeSet<ImageRef>>,
        ledger: mpsc::UnboundedSender<release::Note>,
    ) -> Pushes {
        let (looks, looked) = mpsc::unbounded_channel();
        Pushes {
            heard,
            looked,
            looks,
            told: BTreeMap::new(),
            to_rebuild: BTreeMap::new(),
            last: None,
            ledger,
        }
    }

    /// The next news; may be given up and asked again.
    pub(super) async fn next(&mut self) -> News {
        tokio::select! {
            Some(images) = self.heard.recv() => News::Heard(images),
            Some(found) = self.looked.recv() => News::Looked(found),
            else => std::future::pending().await,
        }
    }

    /// Takes news in; what people are told of it.
    pub(super) fn take(
        &mut self,
        news: News,
        adapters: &Arc<Adapters>,
        now: Timestamp,
    ) -> Option<Note> {
        match news {
            News::Heard(images) => {
                for image in images {
                    tokio::spawn(look(Arc::clone(adapters), image, self.looks.clone()));
                }
                None
            }
            News::Looked(Err(problem)) => Some(Note {
                severity: Severity::Warning,
                what: format!("an image was pushed, and {}", problem.what),
                cure: Some(problem.cure),
                channels: None,
            }),
            News::Looked(Ok(found)) => self.found(&found, adapters.fleet(), now),
        }
    }

    fn found(&mut self, found: &Found, fleet: &Fleet, now: Timestamp) -> Option<Note> {
        let known = self.told.insert(found.image.clone(), found.digest.clone());
        if known.as_ref() == Some(&found.digest) {
            return None;
        }
        // Nobody writes it down any more only when the process is ending.
        drop(self.ledger.send(release::Note::Pushed {
            image: found.image.clone(),
            digest: found.digest.clone(),
        }));
        let channels = channels_of(fleet, &found.image);
        for channel in &channels {
            if fleet.on_push.get(channel) == Some(&OnPush::Rebuild) {
                let images = self.to_rebuild.entry(channel.clone()).or_default();
                images.insert(found.image.clone());
                self.last = Some(now);
            }
        }
        Some(Note {
            severity: Severity::Info,
            what: told(found, now),
            cure: None,
            channels: Some(channels),
        })
    }

    /// What is to be rebuilt now that nothing more was pushed for a while: a channel's sites.
    pub(super) fn due(
        &mut self,
        fleet: &Fleet,
        has: impl Fn(&PlaybookName) -> bool,
        now: Timestamp,
    ) -> Option<Request> {
        let last = self.last?;
        if now.duration_since(last) < QUIET_FOR {
            return None;
        }
        let Some((channel, images)) = self.to_rebuild.pop_first() else {
            self.last = None;
            return None;
        };
        let sites = fleet.sites.values().filter(|site| follows(site, &channel));
        let sites = sites.filter(|site| !is_apart(site, &images, now));
        let sites: Vec<SiteName> = sites.map(|site| site.name.clone()).collect();
        if sites.is_empty() {
            return None;
        }
        let playbook = playbook_of(&channel, has)?;
        let images: Vec<String> = images.iter().map(ToString::to_string).collect();
        Some(Request {
            reason: Some(format!("{} was pushed", images.join(", "))),
            ..Request::rotate(&playbook, Some(sites))
        })
    }
}

/// Those of the pushed images that some site runs. A registry may be known by another name to
/// whoever pushes: then the repository and the tag say which.
pub(in crate::daemon) fn known(fleet: &Fleet, pushed: &[ImageRef]) -> BTreeSet<ImageRef> {
    let ours = fleet.images();
    let mut known = BTreeSet::new();
    for image in pushed {
        if ours.contains(image) {
            known.insert(image.clone());
            continue;
        }
        let is_it =
            |of: &&ImageRef| of.repository == image.repository && of.version == image.version;
        known.extend(ours.iter().filter(is_it).cloned());
    }
    known
}

async fn look(
    adapters: Arc<Adapters>,
    image: ImageRef,
    looks: mpsc::UnboundedSender<Result<Found, Problem>>,
) {
    let found = adapters.registries.describe(&image).await;
    let found = found.map(|(digest, labels)| Found {
        image,
        digest,
        labels,
    });
    // Nobody waits for it only when the process is ending.
    drop(looks.send(found));
}

/// The channels whose sites run the image.
fn channels_of(fleet: &Fleet, image: &ImageRef) -> BTreeSet<Channel> {
    let runs = |host: &&crate::model::fleet::Host| host.images().contains(image);
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    hosts
        .filter(runs)
        .map(|host| host.channel.clone())
        .collect()
}

fn follows(site: &Site, channel: &Channel) -> bool {
    site.hosts.iter().any(|host| host.channel == *channel)
}

/// Whether it runs some of these images, and is pinned to other digests of them all.
fn is_apart(site: &Site, images: &BTreeSet<ImageRef>, now: Timestamp) -> bool {
    let own = site.pinned(now);
    let theirs = site.services().map(|service| &service.image);
    let mut theirs = theirs.filter(|image| images.contains(*image)).peekable();
    theirs.peek().is_some() && theirs.all(|image| own.contains_key(image))
}

/// The playbook of the channel's name, else the nightly one.
pub(in crate::daemon) fn playbook_of(
    channel: &Channel,
    has: impl Fn(&PlaybookName) -> bool,
) -> Option<PlaybookName> {
    let own = channel.as_str().parse::<PlaybookName>().ok();
    let own = own.filter(has);
    own.or_else(|| "nightly".parse().ok())
}

/// When, what, which version, from which namespace, the whole reference, digest and revision.
fn told(found: &Found, now: Timestamp) -> String {
    const OF: &str = "org.opencontainers.image.";
    let Found {
        image,
        digest,
        labels,
    } = found;
    let label = |name: &str| labels.get(&format!("{OF}{name}")).map(String::as_str);
    let (namespace, name) = image
        .repository
        .rsplit_once('/')
        .unwrap_or(("", &image.repository));
    let tag = match &image.version {
        ImageVersion::Tag(tag) => tag.as_str(),
        ImageVersion::Digest(digest) => digest.as_str(),
    };
    let version = label("version").unwrap_or("not labelled");
    let revision = label("revision").unwrap_or("not labelled");
    let namespace = if namespace.is_empty() {
        "none"
    } else {
        namespace
    };
    format!(
        "{name}:{tag} was pushed, {}\n- version: {version}\n- namespace: {namespace}\n\
         - image: {image}\n- digest: {digest}\n- revision: {revision}",
        now.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::{digest, fleet};

    fn image(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_push_is_told_once_and_its_channel_is_rebuilt_when_it_is_quiet() {
        let mut fleet = fleet();
        let ours = fleet.images().into_iter().next().unwrap();
        let channel = fleet.sites.values().next().unwrap().hosts[0]
            .channel
            .clone();
        fleet.on_push.insert(channel.clone(), OnPush::Rebuild);
        let (_sender, heard) = mpsc::unbounded_channel();
        let (ledger, _told) = mpsc::unbounded_channel();
        let mut pushes = Pushes::new(heard, ledger);
        let at = |second| Timestamp::from_second(second).unwrap();
        let label = |name: &str| {
            (
                format!("org.opencontainers.image.{name}"),
                format!("1-{name}"),
            )
        };
        let found = || Found {
            image: ours.clone(),
            digest: digest(7),
            labels: ["version", "revision"].map(label).into(),
        };
        let note = pushes.found(&found(), &fleet, at(100)).unwrap();
        for word in [
            "1-version",
            "1-revision",
            digest(7).as_str(),
            &ours.to_string(),
        ] {
            assert!(note.what.contains(word), "{word}: {}", note.what);
        }
        assert_eq!(note.channels, Some([channel].into()));
        assert!(
            pushes.found(&found(), &fleet, at(101)).is_none(),
            "told already"
        );
        let has = |_: &PlaybookName| false;
        assert!(pushes.due(&fleet, has, at(104)).is_none(), "more may come");
        let request = pushes.due(&fleet, has, at(105)).unwrap();
        assert_eq!(request.playbook.as_str(), "nightly");
        assert!(request.reason.unwrap().contains("was pushed"));
        assert!(pushes.due(&fleet, has, at(106)).is_none());
        let other = Found {
            digest: digest(8),
            ..found()
        };
        // Of those that take it: one is pinned to something else.
        let apart = fleet.sites.values_mut().next().unwrap();
        apart.pin = Some(crate::model::pin::SitePin {
            services: [("web".parse().unwrap(), digest(1))].into(),
            until: "2026-12-01".parse().unwrap(),
        });
        let pinned = apart.name.clone();
        let news = Found {
            digest: digest(9),
            ..found()
        };
        assert!(pushes.found(&news, &fleet, at(110)).is_some());
        let sites = pushes.due(&fleet, has, at(115)).unwrap().sites.unwrap();
        assert_eq!(sites.len(), fleet.sites.len() - 1);
        assert!(!sites.contains(&pinned));
        assert!(pushes.due(&fleet, has, at(116)).is_none());
        fleet.on_push.clear();
        assert!(pushes.found(&other, &fleet, at(117)).is_some());
        assert!(pushes.due(&fleet, has, at(200)).is_none(), "only told");
    }

    #[test]
    fn a_registry_of_another_name_is_known_by_what_it_holds() {
        let fleet = fleet();
        let ours = fleet.images().into_iter().next().unwrap();
        let inside = ImageRef {
            registry: "inside:5000".to_owned(),
            ..ours.clone()
        };
        assert_eq!(known(&fleet, &[inside, ours.clone()]), [ours].into());
        let strange = image("registry.example.com/other:x");
        assert_eq!(known(&fleet, &[strange]), BTreeSet::new());
    }
}
