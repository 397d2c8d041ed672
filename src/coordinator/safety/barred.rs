//! **barred**: what failed at one site is not taken to another, nor a second time to the same.
use std::collections::{BTreeMap, BTreeSet};

use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::Barred;
use crate::model::image::{Digest, Pins};

/// Why nothing may be planned with these digests; nothing where it may.
pub fn barred(pins: &Pins, barred: &BTreeMap<Digest, Barred>) -> Vec<Problem> {
    if !Guard::BarredIsNotPlanned.stands() {
        return Vec::new();
    }
    let digests: BTreeSet<&Digest> = pins.values().collect();
    let known = digests
        .into_iter()
        .filter_map(|digest| Some((digest, barred.get(digest)?)));
    known
        .map(|(digest, barred)| problem(digest, barred))
        .collect()
}

fn problem(digest: &Digest, barred: &Barred) -> Problem {
    let Barred {
        image,
        site,
        rotation,
        at: _,
        why,
    } = barred;
    Problem {
        what: format!(
            "barred: {image} stands for {}, which failed at {site} in {rotation}: {why}",
            digest.short()
        ),
        cure: format!(
            "move the tag to an image that works; where it was not the image: `cleanslate release \
             clear {digest} --reason TEXT`"
        ),
        is_transient: false,
    }
}
