//! How a digest does at the sites that run it already: the ledger, their engines and their probes are
//! asked.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::prepare::Known;
use crate::api::release::InService;
use crate::coordinator::effect::{EngineRequest, ProbeManner};
use crate::coordinator::outcome::{EngineOutcome, ProbeOutcome};
use crate::daemon::adapters::Adapters;
use crate::engine::{Engine, Packets};
use crate::model::fleet::{Fleet, Site};
use crate::model::id::SiteName;
use crate::model::image::{Digest, ImageRef};
use crate::model::inventory::{Container, ContainerState};
use crate::model::release::{Move, Passed};

/// Nobody who promotes waits longer for one host.
const WITHIN: Duration = Duration::from_secs(5);

/// The containers of a host, and what they received where that is measured.
type Seen = (Vec<Container>, Option<Packets>);

/// What was seen at a site.
struct Sight {
    hosts: Vec<Result<Seen, String>>,
    /// Why its probes do not pass.
    failing: Option<String>,
}

/// Of each image and the digest it is to have: the sites that passed with that last.
pub(super) async fn in_service(
    adapters: &Adapters,
    fleet: &Fleet,
    known: &Known,
    targets: &[(ImageRef, Digest)],
) -> Vec<Vec<InService>> {
    let rows: Vec<Vec<&Passed>> = targets
        .iter()
        .map(|(image, digest)| running(fleet, &known.passed, image, digest))
        .collect();
    let sites: BTreeSet<&SiteName> = rows.iter().flatten().map(|row| &row.site).collect();
    let looks = sites.into_iter().map(|site| async move {
        let sight = Box::pin(look(adapters, fleet, site)).await;
        (site, sight)
    });
    let seen: BTreeMap<&SiteName, Sight> = join_all(looks).await.into_iter().collect();
    let told = |row: &&Passed| Some(told(row, seen.get(&row.site)?));
    rows.iter()
        .map(|rows| rows.iter().filter_map(told).collect())
        .collect()
}

/// Those of these sites of which some container is not of the digest that its image moves to, or of
/// which that is not known.
pub(super) async fn changed(
    adapters: &Adapters,
    fleet: &Fleet,
    takes: &BTreeMap<&SiteName, Vec<&Move>>,
) -> Vec<SiteName> {
    let looks = takes.iter().map(|(name, moves)| async move {
        let sight = Box::pin(look(adapters, fleet, name)).await;
        let site = fleet.sites.get(*name)?;
        let is_there = |container: &Container| {
            let image = image_of(site, container);
            let wanted = moves.iter().find(|it| Some(&it.image) == image);
            wanted.is_none_or(|it| is_made_from(container, &it.new))
        };
        // A host that runs nothing at all runs nothing of it either.
        let has_all = |host: &Result<Seen, String>| {
            host.as_ref()
                .is_ok_and(|(all, _)| !all.is_empty() && all.iter().all(is_there))
        };
        (!sight.hosts.iter().all(has_all)).then(|| (*name).clone())
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// One image may have several digests, where only its manifest was made anew: what a container was
/// created from comes first.
fn is_made_from(container: &Container, digest: &Digest) -> bool {
    container.digests.first() == Some(digest)
}

fn image_of<'a>(site: &'a Site, container: &Container) -> Option<&'a ImageRef> {
    let projects = site.hosts.iter().flat_map(|host| &host.projects);
    let mut projects = projects.filter(|project| project.name == container.project);
    let service = projects.find_map(|project| project.service(&container.service))?;
    Some(&service.image)
}

/// What these sites passed with last, where it is this digest of an image of that name: the tag is
/// another channel's.
fn running<'a>(
    fleet: &Fleet,
    passed: &'a [Passed],
    image: &ImageRef,
    digest: &Digest,
) -> Vec<&'a Passed> {
    let is_run = |it: &&Passed| {
        let site = fleet.sites.get(&it.site);
        let mut hosts = site.into_iter().flat_map(|site| &site.hosts);
        hosts.any(|host| host.images().contains(&it.image))
    };
    let is_last = |it: &&Passed| {
        let mut theirs = passed
            .iter()
            .filter(|other| other.site == it.site && other.image == it.image);
        theirs.all(|other| other.last <= it.last)
    };
    let named = passed
        .iter()
        .filter(|it| it.image.name() == image.name() && it.digest == *digest);
    named.filter(is_run).filter(is_last).collect()
}

async fn look(adapters: &Adapters, fleet: &Fleet, site: &SiteName) -> Sight {
    let hosts = fleet.sites.get(site).into_iter().flat_map(|it| &it.hosts);
    let hosts = hosts.map(|host| async move {
        let Some(engine) = adapters.engine(site, &host.name) else {
            return Err(format!("the configuration has {} no more", host.name));
        };
        let seen = timeout(WITHIN, Box::pin(containers(&engine))).await;
        seen.unwrap_or_else(|_| Err(format!("the engine of {} does not answer", host.name)))
    });
    let nobody = BTreeSet::new();
    let probes = adapters.probe(site, ProbeManner::Look, &nobody);
    let (hosts, probed) = join(join_all(hosts), Box::pin(probes)).await;
    Sight {
        hosts,
        failing: match probed {
            ProbeOutcome::Passed => None,
            ProbeOutcome::Failing { problems } => {
                problems.into_iter().next().map(|problem| problem.what)
            }
        },
    }
}

async fn containers(engine: &Engine) -> Result<Seen, String> {
    let asked = engine.carry_out(&EngineRequest::TakeInventory, |_| {});
    let (answer, packets) = join(Box::pin(asked), engine.packets()).await;
    if let EngineOutcome::Inventory(inventory) = answer {
        return Ok((inventory.containers.clone(), packets.ok()));
    }
    Err(match answer.problem() {
        Some(problem) => problem.what.clone(),
        None => "the engine told something else than it was asked".to_owned(),
    })
}

fn told(row: &Passed, seen: &Sight) -> InService {
    let is_of = |container: &&Container| is_made_from(container, &row.digest);
    let seen_hosts = seen.hosts.iter().flatten();
    let all = seen_hosts.flat_map(|(containers, packets)| {
        let theirs = containers.iter().filter(is_of);
        theirs.map(move |container| (container, packets.as_ref()))
    });
    let all: Vec<(&Container, Option<&Packets>)> = all.collect();
    let silent = seen.hosts.iter().find_map(|host| host.as_ref().err());
    let restarted = all.iter().filter(|(container, _)| container.restarts > 0);
    let restarted = restarted.filter_map(|(container, _)| container.runs_since());
    let fault = match silent {
        Some(why) => Some(why.clone()),
        None if all.is_empty() => Some("none of its containers runs it now".to_owned()),
        None => all.iter().find_map(|(container, _)| fault_of(container)),
    };
    let received = |(container, packets): &(&Container, Option<&Packets>)| {
        let counters = (*packets)?.containers.get(&container.id)?;
        Some(counters.0)
    };
    let received: Vec<u64> = all.iter().filter_map(received).collect();
    InService {
        site: row.site.clone(),
        since: restarted.fold(row.first, jiff::Timestamp::max),
        visits: row.visits,
        restarts: silent
            .is_none()
            .then(|| all.iter().map(|(container, _)| container.restarts).sum()),
        packets: (!received.is_empty()).then(|| received.iter().sum()),
        fault: fault.or_else(|| seen.failing.clone()),
    }
}

fn fault_of(container: &Container) -> Option<String> {
    let has_completed = matches!(container.state, ContainerState::Exited { code: 0, .. });
    if container.is_healthy() || has_completed {
        return None;
    }
    let what = if container.is_running() {
        "is not healthy"
    } else {
        "does not run"
    };
    Some(format!("{} {what}", container.name))
}
