//! Looks at the registries for what would move: nothing is changed.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::ahead::{Ahead, Rotates};
use super::target::Target;
use super::wanted::{Aim, Wanted};
use super::{in_service, terms};
use crate::api::release::{Changing, Preview, Told};
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::Barred;
use crate::daemon::adapters::Adapters;
use crate::model::fleet::Fleet;
use crate::model::id::{Channel, ServiceName};
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{
    Act, Approval, Followed, Move, Moved, Passed, Verb, approved_by, followed,
};
use crate::registry::{FetchError, Registries};
use crate::store::{Reader, StoreError};

/// So many images are looked at side by side.
const SIDE_BY_SIDE: usize = 8;

/// The rule of a registry that does not answer.
pub(super) const REGISTRY: &str = "registry";

/// What is to be done, settled.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub preview: Preview,
    pub act: Act,
    /// How these sites are rotated when it is done.
    pub rotates: Option<Rotates>,
}

/// Why nothing is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// By the name users know.
    pub rule: &'static str,
    pub problems: Vec<Problem>,
    pub exit: u8,
}

impl Refused {
    pub(super) fn by(rule: &'static str, problems: Vec<Problem>) -> Refused {
        let is_transient = problems.iter().all(|problem| problem.is_transient);
        Refused {
            rule,
            problems,
            exit: if is_transient { 5 } else { 4 },
        }
    }

    /// The ledger is damaged.
    pub(super) fn of_ledger(problem: Problem) -> Refused {
        Refused::by("ledger", vec![problem])
    }

    /// Something is named that is not there.
    pub(super) fn usage(problem: Problem) -> Refused {
        Refused {
            rule: crate::api::wire::UNKNOWN,
            problems: vec![problem],
            exit: 2,
        }
    }

    /// All of it as one problem.
    pub fn problem(&self) -> Problem {
        let texts = |of: fn(&Problem) -> &str| {
            let mut texts: Vec<&str> = self.problems.iter().map(of).collect();
            texts.dedup();
            texts.join("; ")
        };
        Problem {
            what: texts(|problem| &problem.what),
            cure: texts(|problem| &problem.cure),
            is_transient: self.exit == 5,
        }
    }
}

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) moved: Vec<Moved>,
    pub(super) passed: Vec<Passed>,
    pub(super) approvals: Vec<Approval>,
    pub(super) barred: Arc<BTreeMap<Digest, Barred>>,
    /// When it is asked: pins of sites hold until a day, soaks last since one.
    pub(super) at: Timestamp,
}

impl Known {
    /// What the store has, and the digests that failed before.
    pub(super) fn of(
        store: &Reader,
        barred: &Arc<BTreeMap<Digest, Barred>>,
        at: Timestamp,
    ) -> Result<Known, StoreError> {
        Ok(Known {
            moved: store.moves()?,
            passed: store.passed()?,
            approvals: store.approvals()?,
            barred: Arc::clone(barred),
            at,
        })
    }
}

/// One image, as it was looked at.
pub(super) struct Looked {
    pub(super) image: ImageRef,
    pub(super) services: BTreeSet<ServiceName>,
    pub(super) now: Option<Digest>,
}

/// Settles what is to move.
///
/// # Errors
/// Every reason why nothing is.
pub(super) async fn prepare(
    adapters: &Adapters,
    fleet: &Fleet,
    wanted: &Wanted,
    known: &Known,
    ahead: Ahead,
) -> Result<Prepared, Refused> {
    let registries = &adapters.registries;
    known_channel(fleet, &wanted.tag)?;
    sensible(wanted, known.at)?;
    let chosen = chosen(fleet, &wanted.services)?;
    let looked = look(registries, &chosen, &wanted.tag).await?;
    let targets = match &wanted.aim {
        Aim::Promote { from, .. } => promoted(registries, &chosen, from, looked).await?,
        Aim::Rollback { to, .. } => super::target::rolled_back(fleet, looked, to.as_ref(), known)?,
    };
    let (moving, still): (Vec<Target>, Vec<Target>) = targets
        .into_iter()
        .partition(|target| target.now.as_ref() != Some(&target.to));
    let moves = described(adapters, fleet, known, &moving).await?;
    terms::heed(&fleet.release, wanted, &moves, known)?;
    let act = act_of(wanted, &moves);
    let seen = stands_for(&act);
    // Where there is nothing to do, somebody has done just that.
    let is_other = wanted.seen.as_ref().is_some_and(|said| *said != seen);
    if is_other && !moves.is_empty() {
        return Err(Refused::by(
            "moved meanwhile",
            vec![Problem {
                what: "a tag was moved since this was shown: nothing was changed".to_owned(),
                cure: "ask again, and look at what it shows".to_owned(),
                is_transient: true,
            }],
        ));
    }
    let rotates = match wanted.now {
        true => {
            ahead
                .rotates(adapters, fleet, wanted, (&act, known.at))
                .await
        }
        false => None,
    };
    let at_once = rotates.as_ref().map(|rotates| rotates.sites.clone());
    Ok(Prepared {
        preview: Preview {
            v: 1,
            what: act.name(),
            tag: wanted.tag.clone(),
            moves,
            unchanged: still.into_iter().map(|target| target.image).collect(),
            takes: ahead.takes(fleet, &act, known.at),
            rotates: at_once.unwrap_or_default(),
            at: wanted.at(),
            seen,
        },
        act,
        rotates,
    })
}

fn act_of(wanted: &Wanted, moves: &[Changing]) -> Act {
    let verb = match &wanted.aim {
        Aim::Promote { from, .. } => Verb::Promote { from: from.clone() },
        Aim::Rollback { .. } => Verb::Rollback,
    };
    let of = |it: &Changing| Move {
        image: it.image.clone(),
        old: it.old.as_ref().map(|old| old.digest.clone()),
        new: it.new.digest.clone(),
    };
    let moves = moves.iter().map(of).collect();
    Act::new(verb, wanted.tag.clone(), moves, wanted.reason.clone())
}

type Chosen = BTreeMap<Followed, BTreeSet<ServiceName>>;

/// Whether what is asked for makes sense by itself.
fn sensible(wanted: &Wanted, now: Timestamp) -> Result<(), Refused> {
    let tag = &wanted.tag;
    let no = |rule: &'static str, what: String, cure: &str| {
        let problem = Problem {
            what,
            cure: cure.to_owned(),
            is_transient: false,
        };
        Err(Refused::by(rule, vec![problem]))
    };
    match &wanted.aim {
        Aim::Promote { from, .. } if from == tag => no(
            "promote",
            format!("{from} is to be promoted to itself"),
            "name the channel that is to take its images",
        ),
        Aim::Promote { unsoaked: true, .. } if wanted.reason.is_none() => no(
            "soak",
            "a soak is left out without a reason".to_owned(),
            "say why, with --reason TEXT",
        ),
        Aim::Promote { at: Some(at), .. } if *at <= now => no(
            "promote",
            format!("{at:.0} is past"),
            "leave out --at, or name a time that is to come",
        ),
        Aim::Rollback {
            only_changed: true, ..
        } if !wanted.now => no(
            "rollback",
            "only the changed sites are to be rotated, but none is".to_owned(),
            "say --now too",
        ),
        Aim::Promote { .. } | Aim::Rollback { .. } => Ok(()),
    }
}

fn known_channel(fleet: &Fleet, tag: &Channel) -> Result<(), Refused> {
    let hosts = fleet.sites.values().flat_map(|site| &site.hosts);
    let mut known: BTreeSet<&Channel> = hosts.map(|host| &host.channel).collect();
    known.extend(&fleet.channels);
    if known.contains(tag) {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().map(Channel::as_str).collect();
    Err(Refused::usage(Problem {
        what: format!("no channel of this fleet is called {tag}"),
        cure: format!("use one of: {}", known.join(", ")),
        is_transient: false,
    }))
}

/// The images that follow a channel, of the services that were named.
pub(super) fn chosen(fleet: &Fleet, services: &[ServiceName]) -> Result<Chosen, Refused> {
    let all = followed(fleet).map_err(|wrong| {
        let problem = |image: ImageRef| Problem {
            what: format!("{image} holds the channel's name elsewhere than once in its tag"),
            cure: "write it so that ${CHANNEL} stands in the tag, once".to_owned(),
            is_transient: false,
        };
        Refused::by("images", wrong.into_iter().map(problem).collect())
    })?;
    if all.is_empty() {
        return Err(Refused::usage(Problem {
            what: "no image of this fleet follows a channel".to_owned(),
            cure: "write image: REPOSITORY:${CHANNEL} in the Compose file".to_owned(),
            is_transient: false,
        }));
    }
    let known: BTreeSet<&ServiceName> = all.values().flatten().collect();
    if let Some(other) = services.iter().find(|service| !known.contains(service)) {
        let known: Vec<&str> = known.into_iter().map(ServiceName::as_str).collect();
        return Err(Refused::usage(Problem {
            what: format!("no service that follows a channel is called {other}"),
            cure: format!("use one of: {}", known.join(", ")),
            is_transient: false,
        }));
    }
    let is_asked = |theirs: &BTreeSet<ServiceName>| {
        services.is_empty() || services.iter().any(|service| theirs.contains(service))
    };
    Ok(all
        .into_iter()
        .filter(|(_, theirs)| is_asked(theirs))
        .collect())
}

/// What the tags of a channel name now.
async fn look(
    registries: &Registries,
    chosen: &Chosen,
    tag: &Channel,
) -> Result<Vec<Looked>, Refused> {
    let named = named(registries, chosen, tag).await?;
    let looked = named.into_iter().zip(chosen.values());
    let looked = looked.map(|((image, now), services)| Looked {
        image,
        services: services.clone(),
        now,
    });
    Ok(looked.collect())
}

async fn named(
    registries: &Registries,
    chosen: &Chosen,
    tag: &Channel,
) -> Result<Vec<(ImageRef, Option<Digest>)>, Refused> {
    let mut images = Vec::new();
    for followed in chosen.keys() {
        images.push(followed.at(tag).ok_or_else(|| {
            Refused::usage(Problem {
                what: format!("no tag of {} can hold {tag}", followed.name()),
                cure: "a tag has at most 128 characters".to_owned(),
                is_transient: false,
            })
        })?);
    }
    let asked: Vec<_> = images.iter().map(|image| registries.named(image)).collect();
    let found: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
    let mut problems = Vec::new();
    let mut named = Vec::new();
    for (image, found) in images.into_iter().zip(found) {
        match found {
            Ok(digest) => named.push((image, digest)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(named);
    }
    Err(Refused::by(REGISTRY, problems))
}

/// Each goes to what the same image's tag of the other channel names.
async fn promoted(
    registries: &Registries,
    chosen: &Chosen,
    from: &Channel,
    looked: Vec<Looked>,
) -> Result<Vec<Target>, Refused> {
    let sources = named(registries, chosen, from).await?;
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    for (looked, (source, found)) in looked.into_iter().zip(sources) {
        match found {
            Some(to) => targets.push(Target {
                image: looked.image,
                services: looked.services,
                now: looked.now,
                to,
            }),
            None => problems.push(Problem {
                what: format!("there is no {source}"),
                cure: "push it, or name the services that have one with --service".to_owned(),
                is_transient: false,
            }),
        }
    }
    if problems.is_empty() {
        return Ok(targets);
    }
    Err(Refused::by("images", problems))
}

/// What changes for people; and that what is to be put is there.
async fn described(
    adapters: &Adapters,
    fleet: &Fleet,
    known: &Known,
    moving: &[Target],
) -> Result<Vec<Changing>, Refused> {
    let registries = &adapters.registries;
    let asked = moving.iter().map(|target| describe(registries, target));
    let asked: Vec<_> = asked.collect();
    let described: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
    let mut problems = Vec::new();
    let mut moves = Vec::new();
    for described in described {
        match described {
            Ok(changing) => moves.push(changing),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Refused::by("images", problems));
    }
    let targets = moving.iter().map(|it| (it.image.clone(), it.to.clone()));
    let targets: Vec<_> = targets.collect();
    let seen = Box::pin(in_service::in_service(adapters, fleet, known, &targets)).await;
    for (changing, seen) in moves.iter_mut().zip(seen) {
        let approved = approved_by(&known.approvals, &changing.new.digest);
        changing.approved_by = approved.into_iter().map(str::to_owned).collect();
        changing.in_service = seen;
    }
    Ok(moves)
}

async fn describe(registries: &Registries, target: &Target) -> Result<Changing, Problem> {
    let pinned = target.image.by_digest(&target.to);
    match registries.manifest(&pinned).await {
        Ok(_) => {}
        Err(FetchError::Gone(problem) | FetchError::Failed(problem)) => return Err(problem),
    }
    let old = match &target.now {
        Some(now) => Some(told(registries, &target.image, now).await),
        None => None,
    };
    Ok(Changing {
        image: target.image.clone(),
        services: target.services.iter().cloned().collect(),
        old,
        new: told(registries, &target.image, &target.to).await,
        in_service: Vec::new(),
        approved_by: Vec::new(),
    })
}

/// Labels are for people only: without them, the digest says what it is.
pub(super) async fn told(registries: &Registries, image: &ImageRef, digest: &Digest) -> Told {
    const OF: &str = "org.opencontainers.image.";
    let labels = registries.describe(&image.by_digest(digest)).await;
    let labels = labels.map(|(_, labels)| labels).unwrap_or_default();
    let label = |name: &str| {
        let said = labels.get(&format!("{OF}{name}"))?;
        // Others wrote it, and it goes to a terminal.
        Some(said.chars().filter(|c| !c.is_control()).take(200).collect())
    };
    Told {
        digest: digest.clone(),
        version: label("version"),
        revision: label("revision"),
        source: label("source"),
    }
}

/// The same for the same moves only.
fn stands_for(act: &Act) -> String {
    let moves = serde_json::to_vec(&(&act.verb, &act.tag, &act.moves));
    let moves = moves.expect("texts, numbers and string keys always serialize");
    data_encoding::HEXLOWER.encode(&Sha256::digest(moves))
}
