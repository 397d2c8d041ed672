//! How the tags of every image stand: asked of the registries, and told with what is remembered.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::found::{or_problem, unless_damaged};
use super::ledger::Ledger;
use super::prepare::{Refused, chosen, told};
use super::said::refusal;
use super::scheduled::waits;
use crate::api::asked::Answer;
use crate::api::pinned::Pinned;
use crate::api::release::{ImageStanding, KeptStanding, Standing, TagStanding};
use crate::api::status::ReleaseStatus;
use crate::api::wire::Reply;
use crate::coordinator::outcome::Problem;
use crate::daemon::adapters::Adapters;
use crate::daemon::journal::JournalError;
use crate::daemon::night::RunError;
use crate::model::fleet::{Fleet, Site};
use crate::model::id::{Channel, ServiceName, SiteName};
use crate::model::image::ImageRef;
use crate::model::release::{Act, Approval, KeepPhase, KeepTag, Moved, approved_by, running};
use crate::registry::Registries;
use crate::store::{Reader, StoreError};

/// So many tags are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// Asks for every tag of every image. A registry that does not answer is told beside its tags.
///
/// # Errors
/// No image of the fleet follows a channel.
pub async fn standing(
    registries: &Registries,
    fleet: &Fleet,
    remembered: &Remembered,
    at: Timestamp,
) -> Result<Standing, Refused> {
    let channels = channels(fleet);
    let mut images = Vec::new();
    for (followed, services) in chosen(fleet, &[])? {
        let tags = channels.iter().filter_map(|channel| {
            let image = followed.at(channel)?;
            Some((channel.clone(), image))
        });
        let tags: Vec<_> = tags
            .map(|tag| look(registries, fleet, remembered, tag, at))
            .collect();
        let tags: Vec<TagStanding> = stream::iter(tags).buffered(SIDE_BY_SIDE).collect().await;
        let services: Vec<ServiceName> = services.into_iter().collect();
        images.push(ImageStanding {
            name: followed.name(),
            services,
            tags,
            kept: kept_of(&followed.name(), &remembered.ledger.kept),
        });
    }
    Ok(Standing {
        v: 1,
        open: remembered.status.open.clone(),
        scheduled: remembered.status.scheduled.clone(),
        images,
    })
}

/// What the store has on how tags came where they are.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    ledger: Ledger,
    approvals: Vec<Approval>,
    status: ReleaseStatus,
}

impl Remembered {
    /// # Errors
    /// Where the store cannot be read.
    pub fn of(store: &Reader) -> Result<Remembered, StoreError> {
        Ok(Remembered {
            ledger: Ledger::read(store)?,
            approvals: store.approvals()?,
            status: release_status(store)?,
        })
    }
}

/// Tags that are on their way, and those that will be.
///
/// # Errors
/// Where the store cannot be read.
pub fn release_status(store: &Reader) -> Result<ReleaseStatus, StoreError> {
    Ok(ReleaseStatus {
        open: open_act(store)?,
        scheduled: store.scheduled()?.iter().map(waits).collect(),
    })
}

/// The same for who asks where everything stands. That a ledger is damaged keeps nobody from seeing
/// where sites are: it is told by the log, and by whatever moves tags.
///
/// # Errors
/// Every other one.
pub(in crate::daemon) fn release_status_if_sound(
    store: &Reader,
) -> Result<ReleaseStatus, JournalError> {
    unless_damaged(release_status(store).map_err(JournalError::Store))
}

/// Answers beside the loop.
///
/// # Errors
/// Where the ledger cannot be read.
pub(in crate::daemon) fn answer_standing(
    store: &Reader,
    (fleet, adapters): (&Fleet, &Arc<Adapters>),
    at: Timestamp,
    answer: oneshot::Sender<Answer>,
) -> Result<(), JournalError> {
    let remembered = match or_problem(Remembered::of(store).map_err(JournalError::Store))? {
        Ok(remembered) => remembered,
        Err(problem) => {
            let no = Reply::Refused(refusal(&Refused::of_ledger(problem)));
            drop(answer.send(Answer::Reply(no)));
            return Ok(());
        }
    };
    let (fleet, adapters) = (fleet.clone(), Arc::clone(adapters));
    tokio::spawn(async move {
        let told = standing(&adapters.registries, &fleet, &remembered, at);
        let told = Box::pin(told).await;
        let reply = match told {
            Ok(standing) => Reply::Ok(serde_json::to_value(standing).unwrap_or_default()),
            Err(refused) => Reply::Refused(refusal(&refused)),
        };
        // Whoever asked may have gone.
        drop(answer.send(Answer::Reply(reply)));
    });
    Ok(())
}

/// What the act that has not ended is called.
///
/// # Errors
/// Where the store cannot be read.
pub fn open_act(store: &Reader) -> Result<Option<String>, StoreError> {
    let open = store.open_act()?;
    Ok(
        open.map(|open| match serde_json::from_str::<Act>(&open.body) {
            Ok(act) => format!("{} of {}", act.name(), open.who),
            // Of a later program.
            Err(_) => format!("act {} of {}", open.id, open.who),
        }),
    )
}

/// Lets a plan be made: tags that are on their way would be taken half old and half new.
///
/// # Errors
/// [`RunError::Refused`] while an act has not ended.
pub(in crate::daemon) fn heed_act(store: &Reader) -> Result<(), RunError> {
    let open = or_problem(open_act(store).map_err(JournalError::Store))?;
    match open.map_err(RunError::Refused)? {
        None => Ok(()),
        Some(open) => Err(RunError::Refused(Problem {
            what: format!("{open} has not ended: its tags are on their way"),
            cure: "wait for it to end (`cleanslate release status`); `rebuild --images \
                   last-good` asks no registry"
                .to_owned(),
            is_transient: true,
        })),
    }
}

async fn look(
    registries: &Registries,
    fleet: &Fleet,
    remembered: &Remembered,
    (channel, image): (Channel, ImageRef),
    at: Timestamp,
) -> TagStanding {
    let (now, problem) = match registries.named(&image).await {
        Ok(Some(digest)) => (Some(told(registries, &image, &digest).await), None),
        Ok(None) => (None, None),
        Err(problem) => (None, Some(problem.what)),
    };
    let last = remembered
        .ledger
        .moved
        .iter()
        .rev()
        .find(|it| it.image == image);
    // What the ledger last heard is not what the registry has: nobody knows how it came there.
    let is_it = |it: &&Moved| now.as_ref().is_none_or(|now| now.digest == it.new);
    TagStanding {
        moved: last.filter(is_it).cloned(),
        sites: running(fleet, &image, &remembered.ledger.passed, at),
        pinned: pinned(fleet, &image, at),
        approved_by: now.as_ref().map_or(Vec::new(), |now| {
            let approved = approved_by(&remembered.approvals, &now.digest);
            approved.into_iter().map(str::to_owned).collect()
        }),
        channel,
        image,
        now,
        problem,
    }
}

/// The sites that run an image, and are pinned to something else.
fn pinned(fleet: &Fleet, image: &ImageRef, at: Timestamp) -> BTreeMap<SiteName, Pinned> {
    let of = |(name, site): (&SiteName, &Site)| {
        let pinned = Pinned::of_images(site, at, |other| other == image)?;
        Some((name.clone(), pinned))
    };
    fleet.sites.iter().filter_map(of).collect()
}

/// The keep-tags of a repository that were read back there, the latest first.
fn kept_of(name: &str, tags: &[KeepTag]) -> Vec<KeptStanding> {
    let is_there = |tag: &&KeepTag| match tag.phase {
        KeepPhase::Kept => true,
        KeepPhase::Removing => tag.refused.is_some(),
        KeepPhase::Putting => false,
    };
    let theirs = tags.iter().filter(|tag| tag.image.name() == name);
    let mut theirs: Vec<&KeepTag> = theirs.filter(is_there).collect();
    theirs.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.image.cmp(&a.image)));
    let of = |tag: &KeepTag| KeptStanding {
        digest: tag.digest.clone(),
        tag: tag.name().to_owned(),
        since: tag.at,
        refused: tag.refused.clone(),
    };
    theirs.into_iter().map(of).collect()
}

/// In order of promotion, and then those that only a host follows.
fn channels(fleet: &Fleet) -> Vec<Channel> {
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    let followed: BTreeSet<Channel> = hosts.map(|host| host.channel.clone()).collect();
    let mut channels = fleet.channels.clone();
    let others = followed.into_iter().filter(|it| !channels.contains(it));
    let others: Vec<Channel> = others.collect();
    channels.extend(others);
    channels
}
