//! Waits that last: each is told once.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::public::{Line, Public};
use crate::model::id::SiteName;

/// The waits that one place was told of.
#[derive(Debug)]
pub(super) struct Waits {
    after: Duration,
    /// Of each site, and of the rotation as a whole: the step, and since when it waits.
    told: BTreeMap<Option<SiteName>, (Option<String>, Timestamp)>,
}

/// Lines tell whole seconds: the same wait seems to begin a little earlier or later.
const ALIKE: SignedDuration = SignedDuration::from_secs(2);

impl Waits {
    pub(super) fn new(after: Duration) -> Waits {
        Waits {
            after,
            told: BTreeMap::new(),
        }
    }

    /// Whether this line tells of a wait that has lasted, for the first time.
    pub(super) fn is_due(&mut self, line: &Line) -> bool {
        if line.public.is_end() {
            self.told.clear();
        }
        let Public::Waiting { r#for, .. } = &line.public else {
            return false;
        };
        let lasted = Duration::from_secs(*r#for);
        let since = line.at.checked_sub(lasted).unwrap_or(Timestamp::MIN);
        let is_same = |(step, told): &(Option<String>, Timestamp)| {
            *step == line.step && since.duration_since(*told).abs() <= ALIKE
        };
        let is_due = lasted >= self.after && !self.told.get(&line.site).is_some_and(is_same);
        if is_due {
            let wait = (line.step.clone(), since);
            self.told.insert(line.site.clone(), wait);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(site: Option<&str>, step: Option<&str>, at: &str, lasted: u64) -> Line {
        Line {
            v: 1,
            n: 1,
            at: at.parse().unwrap(),
            rotation: "nightly-20261122T020000-cron".parse().unwrap(),
            epoch: 7,
            site: site.map(|site| site.parse().unwrap()),
            step: step.map(str::to_owned),
            public: Public::Waiting {
                why: "its last users to leave".to_owned(),
                r#for: lasted,
                until: None,
            },
        }
    }

    #[test]
    fn a_wait_is_told_once_it_has_lasted_and_then_no_more() {
        let mut waits = Waits::new(Duration::from_secs(300));
        let mut drain =
            |at: &str, lasted| waits.is_due(&waiting(Some("fra"), Some("drain"), at, lasted));
        assert!(!drain("2026-11-22T03:04:59Z", 299));
        assert!(drain("2026-11-22T03:05:00.4Z", 300));
        assert!(!drain("2026-11-22T03:06:01.1Z", 360));
        // Another wait in the same step, later.
        assert!(!drain("2026-11-22T04:00:00Z", 10));
        assert!(drain("2026-11-22T04:05:00Z", 310));
    }

    #[test]
    fn each_site_step_and_rotation_waits_for_itself() {
        let mut waits = Waits::new(Duration::from_secs(60));
        let at = "2026-11-22T03:05:00Z";
        assert!(waits.is_due(&waiting(Some("fra"), Some("drain"), at, 60)));
        assert!(waits.is_due(&waiting(Some("nyc"), Some("drain"), at, 60)));
        assert!(waits.is_due(&waiting(None, None, at, 60)));
        assert!(!waits.is_due(&waiting(None, None, at, 60)));
        assert!(waits.is_due(&waiting(Some("fra"), Some("soak"), at, 60)));
        let mut end = waiting(None, None, at, 0);
        end.public = Public::RotationAborted {
            reason: "enough".to_owned(),
        };
        assert!(!waits.is_due(&end));
        assert!(waits.is_due(&waiting(None, None, at, 60)), "another night");
    }
}
