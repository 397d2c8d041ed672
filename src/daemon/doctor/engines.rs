//! Engines: whether they answer and are new enough, their clocks and their room, and whether anything
//! stands in the way of what a visit would make there.
use std::collections::BTreeMap;

use futures_util::future::{join, join_all};

use super::super::adapters::Adapters;
use super::super::clock::Clock;
use super::zone::apart;
use super::{Check, Own};
use crate::coordinator::effect::{EngineRequest, Preparation};
use crate::coordinator::outcome::EngineOutcome;
use crate::dns::nonce;
use crate::engine::{Engine, Space};
use crate::model::id::{Epoch, HostName, SiteName};
use crate::model::inventory::{Inventory, Role};
use crate::model::playbook::{Playbook, Strays};

/// By site and host, as images say it: `linux/amd64`.
pub(super) type Platforms = BTreeMap<(SiteName, HostName), String>;

/// Beside as much again as the images of the fleet take, for layers, logs and volumes.
const ROOM: u64 = 256 << 20;

pub(super) async fn checks(
    adapters: &Adapters,
    clock: Clock,
    own: &Own,
) -> (Vec<Check>, Platforms) {
    let asked = adapters.engines().map(|(site, host, engine)| async move {
        let place = (site.clone(), host.clone());
        (
            place,
            Box::pin(of_engine(site, host, engine, clock, own)).await,
        )
    });
    let mut checks = Vec::new();
    let mut platforms = Platforms::new();
    for (place, (of_engine, platform)) in join_all(asked).await {
        checks.extend(of_engine);
        platforms.extend(platform.map(|platform| (place, platform)));
    }
    (checks, platforms)
}

async fn of_engine(
    site: &SiteName,
    host: &HostName,
    engine: &Engine,
    clock: Clock,
    own: &Own,
) -> (Vec<Check>, Option<String>) {
    let asked = format!("engine {site} {host}");
    let before = clock.now().wall;
    let info = match Box::pin(engine.info()).await {
        Ok(info) => info,
        Err(problem) => return (vec![Check::problem(asked, &problem)], None),
    };
    let answer = format!(
        "Docker {}, API {}, {}",
        info.version, info.api_version, info.platform
    );
    let mut checks = vec![Check::well(&asked, answer)];
    if let Some(theirs) = info.clock {
        let ahead = theirs.duration_since(before).as_secs();
        checks.push(apart(&format!("clock of {site} {host}"), ahead));
    }
    let (space, ready) = join(
        Box::pin(space(site, host, engine)),
        Box::pin(ready(site, host, engine, own.playbook.as_ref())),
    )
    .await;
    checks.push(space);
    checks.extend(ready);
    (checks, Some(info.platform))
}

async fn space(site: &SiteName, host: &HostName, engine: &Engine) -> Check {
    let asked = format!("space of {site} {host}");
    match engine.space().await {
        Ok(Ok(space)) => enough(&asked, host, &space),
        Ok(Err(why)) => Check::noted(asked, format!("cannot be asked: {why}"))
            .cured_by("watch it by other means; a rotation finds out before it withdraws the site"),
        Err(problem) => Check::problem(asked, &problem),
    }
}

fn enough(asked: &str, host: &HostName, space: &Space) -> Check {
    let needed = space.images.saturating_add(ROOM.min(space.total / 10));
    let (free, total) = (size(space.free), size(space.total));
    if space.free >= needed {
        return Check::well(asked, format!("{free} of {total} free"));
    }
    let answer = format!(
        "{free} of {total} free, {} are needed: the fleet's images take {}, and new ones come beside \
         them",
        size(needed),
        size(space.images)
    );
    let cure = format!("free disk space on {host}: docker system df shows what takes it");
    Check::wrong(asked, answer, cure)
}

fn size(bytes: u64) -> String {
    let mebibytes = bytes >> 20;
    match mebibytes {
        0..10_240 => format!("{mebibytes} MiB"),
        10_240.. => format!("{} GiB", mebibytes >> 10),
    }
}

/// What *ready* asks of a host before anything is made there.
async fn ready(
    site: &SiteName,
    host: &HostName,
    engine: &Engine,
    playbook: Option<&Playbook>,
) -> Vec<Check> {
    let Some(playbook) = playbook else {
        return Vec::new();
    };
    let asked = format!("new containers on {site} {host}");
    let answer = Box::pin(engine.carry_out(&EngineRequest::TakeInventory, |_| {})).await;
    if let EngineOutcome::Failed(problem) = &answer {
        return vec![Check::problem(asked, problem)];
    }
    let EngineOutcome::Inventory(inventory) = answer else {
        return Vec::new();
    };
    let obstacles = engine.obstacles(&preparation(&inventory, playbook)).await;
    if obstacles.is_empty() {
        return vec![Check::well(asked, "nothing is in their way")];
    }
    let checks = obstacles.iter();
    checks
        .map(|problem| Check::problem(&asked, problem))
        .collect()
}

/// As a visit would ask it that comes after all others: no container is newer.
fn preparation(inventory: &Inventory, playbook: &Playbook) -> Preparation {
    let leaves = |role| match role {
        Role::Recreated => true,
        Role::Kept => false,
        Role::Stray => playbook.recreate.strays == Strays::Remove,
    };
    let containers = inventory.containers.iter();
    let leaving = containers.filter(|container| leaves(container.role));
    Preparation {
        rotation: "doctor".parse().expect("a word is an id"),
        epoch: Epoch(u64::MAX),
        hold: nonce(),
        pins: BTreeMap::new(),
        anonymous: playbook.recreate.anonymous,
        volumes: playbook.recreate.volumes,
        leaving: leaving.map(|container| container.id.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    #[test]
    fn as_much_as_the_images_take_must_fit_beside_them() {
        const GIB: u64 = 1 << 30;
        let host = "fra1".parse().unwrap();
        let of = |free, images| {
            let space = Space {
                free,
                images,
                total: 100 * GIB,
            };
            enough("space", &host, &space)
        };
        assert_eq!(of(20 * GIB, 5 * GIB).answer, "20 GiB of 100 GiB free");
        let short = of(5 * GIB, 5 * GIB);
        assert_eq!(short.found, Found::Wrong);
        assert!(
            short.answer.contains("5376 MiB are needed"),
            "{}",
            short.answer
        );
        // A small disk is not asked for more than it can have.
        let small = Space {
            free: 100 << 20,
            images: 10 << 20,
            total: 300 << 20,
        };
        assert_eq!(enough("space", &host, &small).found, Found::Well);
    }
}
