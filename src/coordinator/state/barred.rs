//! A digest that failed.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{RotationId, SiteName};
use crate::model::image::ImageRef;

/// Where and why a digest failed. Where it did several times, the first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    /// What it was pinned for.
    pub image: ImageRef,
    pub site: SiteName,
    pub rotation: RotationId,
    pub at: Timestamp,
    pub why: String,
}
