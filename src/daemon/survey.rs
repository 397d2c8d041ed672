//! A look at the world before a plan: the zone, every engine, and the registries, side by side.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::{join, join_all, join3};
use jiff::Timestamp;

use super::adapters::Adapters;
use super::feet;
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::{EngineOutcome, Problem};
use crate::coordinator::plan::Survey;
use crate::coordinator::safety::{self, Feet};
use crate::coordinator::state::{Barred, State};
use crate::dns::Dns;
use crate::model::fleet::Fleet;
use crate::model::id::{Epoch, HostName, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::inventory::Inventory;
use crate::model::rrset::{ServerAnswer, ZoneView};

/// Where digests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// What the tags say now.
    Registry,
    /// What the site's own containers run.
    Running,
    /// What the site last passed on.
    LastGood,
}

/// The sites that the marker calls out.
///
/// # Errors
/// The marker cannot be read.
pub async fn owed(dns: &Dns, fleet: &Fleet) -> Result<Vec<SiteName>, Problem> {
    let view = dns.read_primary().await?;
    let marker = safety::one_marker(fleet, &view).map_err(|refusal| refusal.problem())?;
    let owed = marker.map(|marker| marker.unavailable());
    Ok(owed.into_iter().flatten().collect())
}

/// What was seen, with what could not be.
#[derive(Clone, Debug)]
pub struct Observations {
    pub zone: Result<ZoneView, Problem>,
    pub inventories: BTreeMap<(SiteName, HostName), Result<Inventory, Problem>>,
    pub digests: BTreeMap<ImageRef, Result<Digest, Problem>>,
    /// Where they come from.
    pub source: ImageSource,
    /// The digests that failed before, as the store remembers them.
    pub barred: Arc<BTreeMap<Digest, Barred>>,
    pub feet: Feet,
    /// The name servers that gave no answer, with their reasons.
    pub silent: Vec<(SocketAddr, String)>,
}

impl Observations {
    /// What the planner needs of it.
    ///
    /// # Errors
    /// The marker could not be read.
    pub fn survey(&self, fleet: &Fleet, at: Timestamp) -> Result<Survey, Problem> {
        let view = self.zone.as_ref().map_err(Clone::clone)?;
        let marker = safety::one_marker(fleet, view).map_err(|refusal| refusal.problem())?;
        let epochs = self
            .inventories
            .values()
            .flatten()
            .map(|seen| seen.highest_epoch);
        Ok(Survey {
            at,
            marker: marker.cloned(),
            digests: self.digests.clone(),
            from_hosts: match self.source {
                ImageSource::Registry => false,
                ImageSource::Running | ImageSource::LastGood => true,
            },
            barred: Arc::clone(&self.barred),
            highest_epoch: epochs.max().unwrap_or(Epoch(0)),
            feet: self.feet.clone(),
            silent: self.silent.clone(),
        })
    }
}

/// Looks at everything at once. An engine that does not answer is a problem of its host, not of
/// the look.
pub async fn observe(
    adapters: &Adapters,
    fleet: &Fleet,
    sites: &BTreeSet<SiteName>,
    source: ImageSource,
    state: &State,
) -> Observations {
    let inventories = join_all(adapters.engines().map(|(site, host, engine)| async move {
        let answer = engine
            .carry_out(&EngineRequest::TakeInventory, |_| {})
            .await;
        let seen = if let EngineOutcome::Inventory(inventory) = answer {
            Ok(Arc::unwrap_or_clone(inventory))
        } else if let EngineOutcome::Failed(problem) = answer {
            Err(problem)
        } else {
            Err(Problem {
                what: format!("{host}: the engine answered {answer:?} when asked what it holds"),
                cure: "report this as a fault of cleanslate".to_owned(),
                is_transient: false,
            })
        };
        ((site.clone(), host.clone()), seen)
    }));
    let images = images(fleet, sites);
    let resolved = async {
        match source {
            ImageSource::Registry => {
                let asked = images.union(&pinned(fleet, sites)).cloned().collect();
                adapters.registries.resolve(&asked).await
            }
            ImageSource::Running | ImageSource::LastGood => BTreeMap::new(),
        }
    };
    let zone = async {
        let view = adapters.dns.read_primary().await?;
        adapters.dns.prove_key().await?;
        Ok(view)
    };
    let all = BTreeSet::new();
    let ground = join3(
        adapters.dns.servers(),
        feet::registries(fleet),
        adapters.dns.ask_servers(&all),
    );
    let ((zone, (servers, registries, answers)), (inventories, resolved)) =
        join(join(zone, ground), join(inventories, resolved)).await;
    let inventories: BTreeMap<_, _> = inventories.into_iter().collect();
    let digests = match source {
        ImageSource::Registry => resolved,
        ImageSource::Running => running(fleet, sites, &images, &inventories),
        ImageSource::LastGood => last_good(sites, &images, state),
    };
    Observations {
        zone,
        feet: Feet {
            servers,
            registries,
            own: feet::own(&feet::own_ids(), &inventories),
        },
        inventories,
        digests,
        source,
        barred: Arc::clone(&state.barred),
        silent: silent(fleet, answers),
    }
}

/// The primary is read apart; that the servers are not known at all is told by *own feet*.
fn silent(fleet: &Fleet, answers: Vec<ServerAnswer>) -> Vec<(SocketAddr, String)> {
    let others = answers
        .into_iter()
        .filter(|answer| answer.server != fleet.dns.server);
    others
        .filter_map(|answer| Some((answer.server, answer.view.err()?)))
        .collect()
}

fn images(fleet: &Fleet, sites: &BTreeSet<SiteName>) -> BTreeSet<ImageRef> {
    let hosts = sites
        .iter()
        .filter_map(|site| fleet.sites.get(site))
        .flat_map(|site| &site.hosts);
    hosts.flat_map(crate::model::fleet::Host::images).collect()
}

/// What these sites are pinned to, today or not: when a plan begins is not known here.
fn pinned(fleet: &Fleet, sites: &BTreeSet<SiteName>) -> BTreeSet<ImageRef> {
    let sites = sites.iter().filter_map(|site| fleet.sites.get(site));
    let pins = sites.flat_map(crate::model::fleet::Site::declared_pins);
    pins.map(|(image, digest)| image.by_digest(&digest))
        .collect()
}

/// The digests that the containers of these sites were made from.
fn running(
    fleet: &Fleet,
    sites: &BTreeSet<SiteName>,
    images: &BTreeSet<ImageRef>,
    inventories: &BTreeMap<(SiteName, HostName), Result<Inventory, Problem>>,
) -> BTreeMap<ImageRef, Result<Digest, Problem>> {
    let mut found: BTreeMap<ImageRef, Digest> = BTreeMap::new();
    for ((site, host), inventory) in inventories {
        let declared = fleet.sites.get(site).and_then(|site| site.host(host));
        let (true, Some(declared), Ok(inventory)) = (sites.contains(site), declared, inventory)
        else {
            continue;
        };
        for container in &inventory.containers {
            let project = declared
                .projects
                .iter()
                .find(|p| p.name == container.project);
            let service = project.and_then(|project| project.service(&container.service));
            if let (Some(service), Some(digest)) = (service, container.digests.first()) {
                found
                    .entry(service.image.clone())
                    .or_insert_with(|| digest.clone());
            }
        }
    }
    known(
        images,
        |image| found.get(image).cloned(),
        "no container of the site runs it",
    )
}

fn last_good(
    sites: &BTreeSet<SiteName>,
    images: &BTreeSet<ImageRef>,
    state: &State,
) -> BTreeMap<ImageRef, Result<Digest, Problem>> {
    let passed = |image: &ImageRef| {
        let of_sites = sites.iter().filter_map(|site| state.last_good.get(site));
        of_sites.filter_map(|pins| pins.get(image)).next().cloned()
    };
    known(images, passed, "no visit of the site has passed on it")
}

fn known(
    images: &BTreeSet<ImageRef>,
    digest: impl Fn(&ImageRef) -> Option<Digest>,
    why: &str,
) -> BTreeMap<ImageRef, Result<Digest, Problem>> {
    let of = |image: &ImageRef| {
        digest(image).ok_or_else(|| Problem {
            what: format!("the digest of {image} is not known: {why}"),
            cure: "ask the registry: leave --images away".to_owned(),
            is_transient: false,
        })
    };
    images
        .iter()
        .map(|image| (image.clone(), of(image)))
        .collect()
}
