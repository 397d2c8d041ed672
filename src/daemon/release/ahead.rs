//! What follows a move of tags: which sites take it, and when.
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::in_service;
use super::wanted::{Aim, Wanted};
use crate::api::pinned::Pinned;
use crate::api::release::Take;
use crate::config::Loaded;
use crate::daemon::adapters::Adapters;
use crate::daemon::schedule::Timetable;
use crate::daemon::serve::playbook_of;
use crate::model::fleet::{Fleet, Site};
use crate::model::id::{Channel, PlaybookName, SiteName};
use crate::model::image::ImageRef;
use crate::model::release::{Act, Move, sites_of};

/// So many of the next runs are looked through for one that visits a site.
const RUNS: usize = 200;

/// The sites that take what was moved at once, and by which playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotates {
    pub playbook: PlaybookName,
    pub sites: Vec<SiteName>,
}

/// What follows a move of tags.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    /// The sites that run images of the channel, and when the next run of a schedule visits each.
    takes: Vec<Take>,
    /// By which they are rotated at once.
    playbook: Option<PlaybookName>,
}

impl Ahead {
    pub(super) fn of(loaded: &Loaded, tag: &Channel, now: Timestamp) -> Ahead {
        Ahead {
            takes: takes(loaded, tag, now),
            playbook: playbook_of(tag, |name| loaded.playbooks.contains_key(name)),
        }
    }

    /// Which sites take it, and what those run instead that are pinned.
    pub(super) fn takes(&self, fleet: &Fleet, act: &Act, at: Timestamp) -> Vec<Take> {
        let takes = self.takes.iter().cloned();
        takes
            .map(|take| unless_pinned(take, fleet, act, at))
            .collect()
    }

    /// How they are rotated at once.
    pub(super) async fn rotates(
        &self,
        adapters: &Adapters,
        fleet: &Fleet,
        wanted: &Wanted,
        (act, at): (&Act, Timestamp),
    ) -> Option<Rotates> {
        Some(Rotates {
            playbook: self.playbook.clone()?,
            sites: rotated(adapters, fleet, wanted, act, at).await,
        })
    }
}

fn takes(loaded: &Loaded, tag: &Channel, now: Timestamp) -> Vec<Take> {
    let table = Timetable::of(&loaded.playbooks, &loaded.fleet.freezes);
    let runs = table.next(now, RUNS);
    let next = |site: &SiteName| {
        runs.iter().find(|run| {
            let playbook = loaded.playbooks.get(&run.playbook);
            let sites = playbook.and_then(|playbook| playbook.sites.as_ref());
            let schedule = table.schedules().get(&run.playbook);
            let is_frozen = schedule.is_some_and(|it| table.freeze(it, run.planned).is_some());
            sites.is_none_or(|sites| sites.contains(site)) && !is_frozen
        })
    };
    let follows = |site: &&Site| site.hosts.iter().any(|host| host.channel == *tag);
    let sites = loaded.fleet.sites.values().filter(follows);
    let takes = sites.map(|site| {
        let run = next(&site.name);
        Take {
            site: site.name.clone(),
            playbook: run.map(|run| run.playbook.clone()),
            at: run.map(|run| run.planned),
            pinned: None,
        }
    });
    // Of one run in the playbook's order; without one by name, as sites of a channel are visited.
    let turn = |take: &Take| {
        let playbook = loaded.playbooks.get(take.playbook.as_ref()?)?;
        let mut sites = playbook.sites.iter().flatten();
        sites.position(|site| *site == take.site)
    };
    let mut takes: Vec<Take> = takes.collect();
    takes.sort_by_key(|take| (take.at.is_none(), take.at, turn(take)));
    takes
}

/// Beside what moves, what the site runs instead.
fn unless_pinned(take: Take, fleet: &Fleet, act: &Act, at: Timestamp) -> Take {
    let moves = |image: &ImageRef| act.moves.iter().any(|it| it.image == *image);
    let site = fleet.sites.get(&take.site);
    // The run that visits it takes what is pinned when it is planned.
    let at = take.at.unwrap_or(at);
    Take {
        pinned: site.and_then(|site| Pinned::of_images(site, at, moves)),
        ..take
    }
}

/// The sites that run what moves; of a rollback, where that is asked, those that took the bad one.
async fn rotated(
    adapters: &Adapters,
    fleet: &Fleet,
    wanted: &Wanted,
    act: &Act,
    at: Timestamp,
) -> Vec<SiteName> {
    let mut takes: BTreeMap<&SiteName, Vec<&Move>> = BTreeMap::new();
    for it in &act.moves {
        for site in sites_of(fleet, &it.image, at) {
            takes.entry(site).or_default().push(it);
        }
    }
    match &wanted.aim {
        Aim::Rollback {
            only_changed: true, ..
        } => in_service::changed(adapters, fleet, &takes).await,
        Aim::Rollback { .. } | Aim::Promote { .. } => takes.into_keys().cloned().collect(),
    }
}
