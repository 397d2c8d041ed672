//! To which manifest each tag goes back.
use std::collections::BTreeSet;

use super::prepare::{Known, Looked, Refused};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Fleet;
use crate::model::id::ServiceName;
use crate::model::image::{Digest, ImageRef};
use crate::model::release::{Cause, Moved, back_to, running};

/// Where the tag of an image is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) image: ImageRef,
    pub(super) services: BTreeSet<ServiceName>,
    pub(super) now: Option<Digest>,
    pub(super) to: Digest,
}

/// Each image goes back to what passed everywhere last, or the one that has it to `to`.
pub(super) fn rolled_back(
    fleet: &Fleet,
    looked: Vec<Looked>,
    to: Option<&Digest>,
    known: &Known,
) -> Result<Vec<Target>, Refused> {
    match to {
        Some(to) => by_name(looked, to, known),
        None => by_what_passed(fleet, looked, known),
    }
}

fn by_name(looked: Vec<Looked>, to: &Digest, known: &Known) -> Result<Vec<Target>, Refused> {
    let has = |image: &ImageRef| {
        let is_it = |other: &ImageRef| other.name() == image.name();
        let moved = known.moved.iter();
        let mut moved = moved.filter(|it| it.new == *to || it.old.as_ref() == Some(to));
        let mut passed = known.passed.iter().filter(|it| it.digest == *to);
        moved.any(|it| is_it(&it.image)) || passed.any(|it| is_it(&it.image))
    };
    let is_one = looked.len() == 1;
    let chosen: Vec<Target> = looked
        .into_iter()
        .filter(|looked| is_one || has(&looked.image))
        .map(|looked| Target {
            image: looked.image,
            services: looked.services,
            now: looked.now,
            to: to.clone(),
        })
        .collect();
    if chosen.len() == 1 {
        return Ok(chosen);
    }
    Err(Refused::usage(Problem {
        what: format!("{to} does not say by itself which image is to go back to it"),
        cure: "name one of its services with --service".to_owned(),
        is_transient: false,
    }))
}

fn by_what_passed(
    fleet: &Fleet,
    looked: Vec<Looked>,
    known: &Known,
) -> Result<Vec<Target>, Refused> {
    let together = released_together(fleet, &looked, known)?;
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for looked in looked.into_iter().filter(|it| together.contains(&it.image)) {
        let now = looked.now.as_ref();
        match back_to(fleet, &looked.image, now, &known.passed, &known.moved) {
            Some(to) => targets.push(Target {
                image: looked.image,
                services: looked.services,
                now: looked.now,
                to,
            }),
            None => problems.push(Problem {
                what: format!(
                    "{}: no other digest passed at every site that runs it",
                    looked.image
                ),
                cure: "see `cleanslate release history`, and say --service and --to DIGEST"
                    .to_owned(),
                is_transient: false,
            }),
        }
    }
    if problems.is_empty() {
        return Ok(targets);
    }
    Err(Refused::by("nothing to go back to", problems))
}

/// The images whose tag names what did not pass everywhere; where all did, those that moved last. And
/// whatever was moved with them in one act: a release goes back as it came.
fn released_together(
    fleet: &Fleet,
    looked: &[Looked],
    known: &Known,
) -> Result<BTreeSet<ImageRef>, Refused> {
    let last_of = |image: &ImageRef| {
        let mut moves = known.moved.iter().rev();
        moves.find(|it| it.image == *image)
    };
    let has_passed = |it: &&Looked| {
        let sites = running(fleet, &it.image, &known.passed);
        sites.iter().all(|site| site.digest == it.now)
    };
    let suspects = looked.iter().filter(|it| !has_passed(it));
    let mut suspects: BTreeSet<ImageRef> = suspects.map(|it| it.image.clone()).collect();
    if suspects.is_empty() {
        let came = |it: &Looked| last_of(&it.image).filter(|moved| came_forward(moved));
        let last = looked.iter().filter_map(came).max_by_key(|moved| moved.at);
        suspects.extend(last.map(|moved| moved.image.clone()));
    }
    if suspects.is_empty() {
        return Err(Refused::by(
            "nothing to go back to",
            vec![Problem {
                what: "every site passed with what the tags name, and the ledger has no move \
                       that could be taken back"
                    .to_owned(),
                cure: "say --service and --to DIGEST".to_owned(),
                is_transient: false,
            }],
        ));
    }
    let acts: BTreeSet<u64> = suspects
        .iter()
        .filter_map(|image| last_of(image)?.act)
        .collect();
    let of_acts = looked.iter().filter(|it| {
        let last = last_of(&it.image).filter(|moved| came_forward(moved));
        let act = last.and_then(|moved| moved.act);
        act.is_some_and(|act| acts.contains(&act))
    });
    suspects.extend(of_acts.map(|it| it.image.clone()));
    Ok(suspects)
}

fn came_forward(moved: &Moved) -> bool {
    match moved.cause {
        Cause::Promote | Cause::Found => true,
        Cause::Rollback | Cause::Undo => false,
    }
}
