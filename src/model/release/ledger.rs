//! What is remembered of tags and digests, and what a rollback makes of it.
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::followed::sites_of;
use crate::model::fleet::Fleet;
use crate::model::id::{RotationId, SiteName};
use crate::model::image::{Digest, ImageRef};
use crate::model::way::Way;

/// A tag moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub at: Timestamp,
    /// With its tag.
    pub image: ImageRef,
    /// `None`: it is not known, or there was none.
    pub old: Option<Digest>,
    pub new: Digest,
    pub cause: Cause,
    /// Who moved it; of a move that was found, who told of it.
    pub who: String,
    pub way: Way,
    /// The act it belongs to.
    pub act: Option<u64>,
    pub reason: Option<String>,
}

/// Why a tag moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Promote,
    Rollback,
    /// An act was taken back.
    Undo,
    /// Somebody else moved it: it was seen there.
    Found,
}

impl Cause {
    const ALL: [Cause; 4] = [Cause::Promote, Cause::Rollback, Cause::Undo, Cause::Found];

    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Promote => "promote",
            Cause::Rollback => "rollback",
            Cause::Undo => "undo",
            Cause::Found => "found",
        }
    }
}

impl std::str::FromStr for Cause {
    type Err = String;

    fn from_str(text: &str) -> Result<Cause, String> {
        let cause = Cause::ALL.into_iter().find(|cause| cause.as_str() == text);
        cause.ok_or_else(|| "no tag moves for that".to_owned())
    }
}

/// A site passed a visit with a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub site: SiteName,
    pub image: ImageRef,
    pub digest: Digest,
    /// The first visit of those that count, and the last.
    pub first: Timestamp,
    pub last: Timestamp,
    pub visits: u64,
    /// That of the last visit.
    pub rotation: Option<RotationId>,
}

/// What a site that runs an image last passed with, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub site: SiteName,
    /// `None`: it has not passed a visit with this image.
    pub digest: Option<Digest>,
    pub since: Option<Timestamp>,
    pub visits: u64,
}

/// Of every site that takes what the image's tag names at that moment, what it last passed with.
pub fn running(fleet: &Fleet, image: &ImageRef, passed: &[Passed], at: Timestamp) -> Vec<Running> {
    let last_of = |site: &SiteName| {
        let theirs = passed
            .iter()
            .filter(|it| it.site == *site && it.image == *image);
        theirs.max_by_key(|it| it.last)
    };
    let of = |site: &SiteName| {
        let last = last_of(site);
        Running {
            site: site.clone(),
            digest: last.map(|it| it.digest.clone()),
            since: last.map(|it| it.first),
            visits: last.map_or(0, |it| it.visits),
        }
    };
    sites_of(fleet, image, at).map(of).collect()
}

/// The digest to which the tag of an image goes back from `now`: the last good one.
pub fn back_to(
    fleet: &Fleet,
    image: &ImageRef,
    now: Option<&Digest>,
    (passed, moved): (&[Passed], &[Moved]),
    at: Timestamp,
) -> Option<Digest> {
    let good = good(fleet, image, (passed, moved), at);
    good.into_iter().find(|digest| Some(digest) != now)
}

/// The digests of an image that every site passed which takes it at that moment, and that nobody has
/// gone back from; the latest first.
pub(super) fn good(
    fleet: &Fleet,
    image: &ImageRef,
    (passed, moved): (&[Passed], &[Moved]),
    at: Timestamp,
) -> Vec<Digest> {
    let sites: BTreeSet<&SiteName> = sites_of(fleet, image, at).collect();
    let passed: Vec<&Passed> = passed.iter().filter(|it| it.image == *image).collect();
    let moved: Vec<&Moved> = moved.iter().filter(|it| it.image == *image).collect();
    // It was gone back from since the tag last came to it.
    let is_given_up = |digest: &Digest| {
        let gone_from = |it: &Moved| it.cause == Cause::Rollback && it.old.as_ref() == Some(digest);
        let mut theirs = moved.iter().rev();
        let about = theirs.find(|it| it.new == *digest || gone_from(it));
        about.is_some_and(|it| gone_from(it))
    };
    // When the slowest of the sites passed it last.
    let passed_by_all = |digest: &Digest| {
        let theirs = passed.iter().filter(|it| it.digest == *digest);
        let theirs = theirs.filter(|it| sites.contains(&it.site));
        let (mut who, mut when) = (BTreeSet::new(), None);
        for it in theirs {
            who.insert(&it.site);
            when = Some(when.map_or(it.last, |when: Timestamp| when.min(it.last)));
        }
        when.filter(|_| who == sites && !sites.is_empty())
    };
    let digests: BTreeSet<&Digest> = passed.iter().map(|it| &it.digest).collect();
    let good = digests.into_iter().filter(|digest| !is_given_up(digest));
    let good = good.filter_map(|digest| Some((passed_by_all(digest)?, digest)));
    let good: BTreeSet<(Timestamp, &Digest)> = good.collect();
    good.into_iter()
        .rev()
        .map(|(_, digest)| digest.clone())
        .collect()
}
