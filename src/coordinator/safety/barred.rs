//! **barred**: what failed at one site is not taken to another, nor a second time to the same.
use std::collections::{BTreeMap, BTreeSet};

use crate::coordinator::guards::Guard;
use crate::coordinator::outcome::Problem;
use crate::coordinator::state::Barred;
use crate::model::id::SiteName;
use crate::model::image::{Digest, Pins};

/// Why nothing may be planned with what these tags name, and these sites are pinned to; nothing where
/// it may.
pub fn barred(
    (pins, site_pins): (&Pins, &BTreeMap<SiteName, Pins>),
    barred: &BTreeMap<Digest, Barred>,
) -> Vec<Problem> {
    if !Guard::BarredIsNotPlanned.stands() {
        return Vec::new();
    }
    let digests: BTreeSet<&Digest> = pins.values().collect();
    let known = digests
        .iter()
        .filter_map(|digest| Some((*digest, barred.get(*digest)?)));
    let mut problems: Vec<Problem> = known
        .map(|(digest, barred)| problem(digest, barred))
        .collect();
    for (site, own) in site_pins {
        let own: BTreeSet<&Digest> = own.values().collect();
        let own = own.difference(&digests);
        let known = own.filter_map(|digest| Some((*digest, barred.get(*digest)?)));
        problems.extend(known.map(|(digest, barred)| pinned(site, digest, barred)));
    }
    problems
}

fn pinned(site: &SiteName, digest: &Digest, barred: &Barred) -> Problem {
    let Barred {
        image: _,
        site: failed_at,
        rotation,
        at: _,
        why,
    } = barred;
    Problem {
        what: format!(
            "barred: {site} is pinned to {}, which failed at {failed_at} in {rotation}: {why}",
            digest.short()
        ),
        cure: format!(
            "pin {site} to an image that works, or to none; where it was not the image: \
             `cleanslate release clear {digest} --reason TEXT`"
        ),
        is_transient: false,
    }
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
