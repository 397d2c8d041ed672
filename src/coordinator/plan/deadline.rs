//! By when a rotation must have ended: a visit that would not is left for the next one.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coordinator::outcome::Problem;
use crate::model::id::SiteName;
use crate::model::time::span;

/// No visit starts that cannot be expected to end by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    pub by: Timestamp,
    /// How long 95 of 100 past visits of a site took at most, in milliseconds. A site that was
    /// never visited is begun as long as `by` has not passed.
    pub takes: BTreeMap<SiteName, u64>,
}

impl Deadline {
    /// Why a visit of `site` that began now would end too late.
    pub fn too_late(&self, site: &SiteName, now: Timestamp) -> Option<Problem> {
        let takes = self.takes.get(site).copied().unwrap_or(0);
        let takes = Duration::from_millis(takes);
        let ends = now.checked_add(takes).unwrap_or(Timestamp::MAX);
        (ends > self.by).then(|| Problem {
            what: format!(
                "its visit takes {} and would not end by {:.0}: it is carried over",
                span(takes),
                self.by
            ),
            cure: format!(
                "nothing: the next run begins with it; sooner: `cleanslate rotate --site {site}`"
            ),
            is_transient: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> SiteName {
        name.parse().unwrap()
    }

    #[test]
    fn a_visit_begins_while_nearly_all_of_its_kind_would_end_in_time() {
        let deadline = Deadline {
            by: "2026-11-22T06:00:00Z".parse().unwrap(),
            takes: [(site("fra"), 600_000)].into(),
        };
        let late = |name: &str, now: &str| deadline.too_late(&site(name), now.parse().unwrap());
        assert_eq!(late("fra", "2026-11-22T05:50:00Z"), None);
        let problem = late("fra", "2026-11-22T05:50:01Z").unwrap();
        assert!(problem.what.contains("takes 10m"), "{}", problem.what);
        assert_eq!(late("new", "2026-11-22T06:00:00Z"), None, "never visited");
        assert!(late("new", "2026-11-22T06:00:01Z").is_some());
    }
}
