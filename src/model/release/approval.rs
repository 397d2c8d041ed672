//! Somebody's word that an image is good.
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::image::Digest;
use crate::model::way::Way;

/// Somebody tried an image, and says that it is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub at: Timestamp,
    pub digest: Digest,
    pub who: String,
    pub way: Way,
    /// What they tried.
    pub reason: String,
}

/// Who approved of a digest: each person once, however often they said so.
pub fn approved_by<'a>(approvals: &'a [Approval], digest: &Digest) -> BTreeSet<&'a str> {
    let about = approvals.iter().filter(|it| it.digest == *digest);
    about.map(|it| it.who.as_str()).collect()
}
