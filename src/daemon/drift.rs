//! What runs beside what is declared: engines are asked what they have and what changed in it,
//! registries what tags name now, the journal what visits pinned. Nothing is changed.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::adapters::Adapters;
use super::past::LOOKED_BACK;
use crate::api::public::{Line, Public};
use crate::api::story::Story;
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::engine::Engine;
use crate::model::drift::{Known, LastVisit};
use crate::model::evidence::Evidence;
use crate::model::id::{Epoch, HostName, RotationId, SiteName};
use crate::model::image::{Digest, ImageRef, ImageVersion, Pins};
use crate::model::inventory::Inventory;

/// One host, looked at.
#[derive(Clone, Debug)]
pub struct Seen {
    pub inventory: Arc<Inventory>,
    /// Without logs.
    pub evidence: Vec<Evidence>,
}

/// Hosts, looked at, or why they were not.
pub type Hosts = BTreeMap<(SiteName, HostName), Result<Seen, Problem>>;

/// Looks at every host of these sites, side by side.
pub async fn look(adapters: &Adapters, sites: &BTreeSet<SiteName>) -> Hosts {
    let engines = adapters.engines().filter(|(site, ..)| sites.contains(site));
    let looks = engines.map(|(site, host, engine)| async move {
        let key = (site.clone(), host.clone());
        (key, Box::pin(look_at(host, engine)).await)
    });
    join_all(looks).await.into_iter().collect()
}

async fn look_at(host: &HostName, engine: &Engine) -> Result<Seen, Problem> {
    let unexpected = || Problem {
        what: format!("{host}: its engine was asked one thing and answered another"),
        cure: "report this".to_owned(),
        is_transient: false,
    };
    let request = EngineRequest::TakeInventory;
    let EngineOutcome::Inventory(inventory) = asked(engine, &request).await? else {
        return Err(unexpected());
    };
    let containers = inventory.containers.iter();
    let request = EngineRequest::TakeEvidence {
        containers: Vec::new(),
        kept: containers.map(|container| container.id.clone()).collect(),
        logs: 0,
    };
    let EngineOutcome::Evidence(evidence) = asked(engine, &request).await? else {
        return Err(unexpected());
    };
    Ok(Seen {
        inventory,
        evidence,
    })
}

async fn asked(engine: &Engine, request: &EngineRequest) -> Result<EngineOutcome, Problem> {
    let outcome = Box::pin(engine.carry_out(request, |_| {})).await;
    if let EngineOutcome::Failed(problem) = outcome {
        return Err(problem);
    }
    Ok(outcome)
}

/// What the tags of these sites, or their pins, name now; and which registries did not say.
pub async fn declared(
    adapters: &Adapters,
    sites: &BTreeSet<SiteName>,
    at: Timestamp,
) -> (BTreeMap<SiteName, Pins>, BTreeMap<SiteName, Vec<Problem>>) {
    let sites = sites.iter().filter_map(|it| adapters.fleet().sites.get(it));
    let sites: BTreeMap<&SiteName, BTreeMap<ImageRef, ImageRef>> =
        sites.map(|site| (&site.name, site.asked(at))).collect();
    let images = sites.values().flat_map(BTreeMap::values);
    let tags = images.filter(|image| matches!(image.version, ImageVersion::Tag(_)));
    let tags: BTreeSet<ImageRef> = tags.cloned().collect();
    let named = adapters.registries.resolve(&tags).await;
    let mut pins: BTreeMap<SiteName, Pins> = BTreeMap::new();
    let mut problems: BTreeMap<SiteName, Vec<Problem>> = BTreeMap::new();
    for (site, images) in sites {
        for (image, asked) in images {
            match digest(&asked, &named) {
                Some(Ok(digest)) => {
                    pins.entry(site.clone()).or_default().insert(image, digest);
                }
                Some(Err(problem)) => {
                    let of_site = problems.entry(site.clone()).or_default();
                    // A registry that is away says the same of every image.
                    if !of_site.iter().any(|known| known.what == problem.what) {
                        of_site.push(problem);
                    }
                }
                None => {}
            }
        }
    }
    (pins, problems)
}

fn digest(
    asked: &ImageRef,
    named: &BTreeMap<ImageRef, Result<Digest, Problem>>,
) -> Option<Result<Digest, Problem>> {
    match &asked.version {
        ImageVersion::Digest(digest) => Some(Ok(digest.clone())),
        ImageVersion::Tag(_) => named.get(asked).cloned(),
    }
}

/// Who made what was found there, as its labels say.
pub fn makers(evidence: &[Evidence]) -> BTreeSet<RotationId> {
    let makers = evidence.iter();
    makers.filter_map(|it| it.made_by.clone()).collect()
}

/// What stories tell of these sites: their last visits, and what was pinned by those and by the
/// rotations named. `rotations`: the latest first; each story is read at most once.
///
/// # Errors
/// Where a story cannot be read.
pub fn known<E>(
    makers: &BTreeMap<SiteName, BTreeSet<RotationId>>,
    rotations: impl IntoIterator<Item = RotationId>,
    story: impl Fn(&RotationId) -> Result<Story, E>,
) -> Result<BTreeMap<SiteName, Known>, E> {
    let sites = makers.keys();
    let mut known: BTreeMap<SiteName, Known> =
        sites.map(|site| (site.clone(), Known::default())).collect();
    let named: BTreeSet<&RotationId> = makers.values().flatten().collect();
    for (back, rotation) in rotations.into_iter().enumerate() {
        let lacks_last = known.values().any(|known| known.last.is_none());
        let is_looked_for = lacks_last && back < LOOKED_BACK;
        if !is_looked_for && !named.contains(&rotation) {
            continue;
        }
        let story = story(&rotation)?;
        for (site, known) in &mut known {
            if let Some(pinned) = story.pinned.get(site) {
                known.pinned.insert(rotation.clone(), pinned.clone());
            }
            if known.last.is_none() {
                known.last = recreated(&story, site, &rotation);
            }
        }
    }
    Ok(known)
}

fn recreated(story: &Story, site: &SiteName, rotation: &RotationId) -> Option<LastVisit> {
    let is_it = |line: &&Line| {
        line.site.as_ref() == Some(site) && matches!(line.public, Public::Recreated { .. })
    };
    let line = story.lines.iter().rev().find(is_it)?;
    Some(LastVisit {
        rotation: rotation.clone(),
        epoch: Epoch(line.epoch),
        at: line.at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::digest;

    fn story(site: &str, event: &str, epoch: u64, pinned: u8) -> Story {
        let line = serde_json::json!({
            "v": 1, "n": 1, "at": "2026-07-01T03:00:00Z", "rotation": "night", "epoch": epoch,
            "site": site, "step": null, "event": event, "containers": 1, "seconds": 1,
            "scaled_from": {}, "scaled_to": {},
        });
        let site: SiteName = site.parse().unwrap();
        let digests = BTreeSet::from([digest(pinned)]);
        Story {
            lines: vec![serde_json::from_value(line).unwrap()],
            pinned: BTreeMap::from([(site, BTreeMap::from([("edge/web".to_owned(), digests)]))]),
        }
    }

    #[test]
    fn the_last_visit_is_the_one_that_recreated_and_others_are_known_where_they_are_named() {
        let id = |text: &str| text.parse::<RotationId>().unwrap();
        let stories = BTreeMap::from([
            (id("night-4"), story("fra", "soaked", 4, 4)),
            (id("night-3"), story("fra", "recreated", 3, 3)),
            (id("night-2"), story("fra", "recreated", 2, 2)),
            (id("night-1"), story("fra", "recreated", 1, 1)),
        ]);
        let (fra, nyc): (SiteName, SiteName) = ("fra".parse().unwrap(), "nyc".parse().unwrap());
        let makers = BTreeMap::from([(
            fra.clone(),
            BTreeSet::from([id("night-1"), id("elsewhere")]),
        )]);
        let read = std::cell::RefCell::new(Vec::new());
        let ask = |makers: &BTreeMap<SiteName, BTreeSet<RotationId>>| {
            let told = |rotation: &RotationId| {
                read.borrow_mut().push(rotation.clone());
                Ok::<_, std::convert::Infallible>(stories[rotation].clone())
            };
            known(makers, stories.keys().rev().cloned(), told).unwrap()
        };
        let found = &ask(&makers)[&fra];
        let last = found.last.as_ref().unwrap();
        assert_eq!((last.rotation.as_str(), last.epoch), ("night-3", Epoch(3)));
        let pinned: Vec<&str> = found.pinned.keys().map(RotationId::as_str).collect();
        assert_eq!(pinned, ["night-1", "night-3", "night-4"]);
        // Not the second: nobody named it, and the last visit was known by then.
        let told = read.take();
        assert_eq!(told, ["night-4", "night-3", "night-1"].map(id));

        let makers = BTreeMap::from([(nyc.clone(), BTreeSet::new())]);
        assert_eq!(ask(&makers)[&nyc], Known::default());
    }
}
