//! Which colour a digest has: the same everywhere in a picture.
use std::collections::{BTreeMap, BTreeSet};

use super::read::{ImageRuns, Runs};
use crate::model::image::Digest;

/// So many colours the style has, `c0` and on: Paul Tol's *light* scheme without its grey, made to
/// be told apart by everybody and to have dark text upon them.
const COLOURS: usize = 8;

/// When all are in use they come again with a band: below, above, both.
const BANDS: [&str; 4] = ["", "low", "high", "both"];

/// A colour, and what tells it from the same one used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Paint {
    pub(super) colour: usize,
    /// One of [`BANDS`].
    pub(super) band: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Palette(BTreeMap<Digest, usize>);

impl Palette {
    /// In the order in which digests appear, image by image: those of one image differ before any
    /// colour comes again.
    pub(super) fn of(runs: &Runs) -> Palette {
        let mut palette = Palette::default();
        for image in &runs.images {
            let digests = in_order(image);
            let known = digests.iter().filter_map(|it| palette.0.get(it).copied());
            let mut taken: BTreeSet<usize> = known.collect();
            for digest in digests {
                if !palette.0.contains_key(digest) {
                    let free = (0..).find(|number| !taken.contains(number));
                    let number = free.unwrap_or_default();
                    taken.insert(number);
                    palette.0.insert(digest.clone(), number);
                }
            }
        }
        palette
    }

    pub(super) fn paint(&self, digest: &Digest) -> Paint {
        let number = self.0.get(digest).copied().unwrap_or_default();
        Paint {
            colour: number % COLOURS,
            band: BANDS[number / COLOURS % BANDS.len()],
        }
    }
}

/// The digests of an image as they appear, night by night, each once.
pub(super) fn in_order(image: &ImageRuns) -> Vec<&Digest> {
    let nights = image.sites.iter().map(|site| site.cells.len()).max();
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    for night in 0..nights.unwrap_or_default() {
        let cells = image.sites.iter().filter_map(|site| site.cells.get(night));
        for digest in cells.flat_map(|cell| cell.digests.iter().chain(&cell.failed)) {
            if seen.insert(digest) {
                order.push(digest);
            }
        }
    }
    order
}
