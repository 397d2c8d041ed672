//! Heartbeats: whoever waits is told so once a minute.
use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::public::Line;
use crate::model::id::SiteName;
use crate::model::time::Mono;

/// No silence is longer.
const EVERY: Duration = Duration::from_secs(60);

/// When something was last said of each site, and of the rotation as a whole.
#[derive(Debug, Default)]
pub struct Beat {
    said: BTreeMap<Option<SiteName>, Mono>,
}

impl Beat {
    /// Something was said of it.
    pub fn said(&mut self, line: &Line, now: Mono) {
        self.said.insert(line.site.clone(), now);
    }

    /// Those of the waits that are due to be said.
    pub fn due(&mut self, waits: Vec<Line>, now: Mono) -> Vec<Line> {
        let mut due = Vec::new();
        for line in waits {
            let last = *self.said.entry(line.site.clone()).or_insert(now);
            if now.since(last) >= EVERY {
                self.said(&line, now);
                due.push(line);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::public::Public;

    #[test]
    fn a_wait_is_said_once_a_minute_and_a_fact_counts_as_said() {
        let mut beat = Beat::default();
        let at = |second: u64| Mono(second * 1000);
        assert_eq!(beat.due(vec![wait()], at(0)), []);
        assert_eq!(beat.due(vec![wait()], at(59)), []);
        assert_eq!(beat.due(vec![wait()], at(60)), [wait()]);
        assert_eq!(beat.due(vec![wait()], at(61)), []);
        beat.said(&wait(), at(100));
        assert_eq!(beat.due(vec![wait()], at(120)), []);
        assert_eq!(beat.due(vec![wait()], at(160)), [wait()]);
    }

    fn wait() -> Line {
        Line {
            v: 1,
            n: 3,
            at: "2026-07-01T01:00:00Z".parse().unwrap(),
            rotation: "nightly-1".parse().unwrap(),
            epoch: 1,
            site: Some("fra".parse().unwrap()),
            step: None,
            public: Public::Waiting {
                why: "its last users to leave".to_owned(),
                r#for: 0,
                until: None,
            },
        }
    }
}
