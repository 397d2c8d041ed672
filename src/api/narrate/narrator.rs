//! Lines with their numbers.
use jiff::Timestamp;

use super::fact::public;
use super::place::{halted_site, site_of, step};
use crate::api::public::{Line, Public, VERSION};
use crate::coordinator::event::Event;
use crate::coordinator::state::State;
use crate::coordinator::view::Waiting;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::time::Now;

/// Numbers the lines of a rotation. Fed with its facts from the first on, a resumed process goes
/// on with the number that follows.
#[derive(Clone, Debug, Default)]
pub struct Narrator {
    n: u64,
}

impl Narrator {
    /// The line that `event` makes, if others hear of it. `before` and `after` are the states
    /// around it, `fleet` the configuration of its rotation.
    pub fn tell(
        &mut self,
        fleet: &Fleet,
        event: &Event,
        before: &State,
        after: &State,
        at: Timestamp,
    ) -> Option<Line> {
        if let Event::Planned { .. } = event {
            self.n = 0;
        }
        let public = public(fleet, event, before, after, at)?;
        let rotation = after.rotation.as_ref()?;
        self.n += 1;
        let site = site_of(event).or_else(|| halted_site(&public, rotation));
        let begins = matches!(public, Public::Draining { .. });
        let earlier = if begins { after } else { before };
        let step = site.as_ref().and_then(|site| step(site, earlier, after));
        Some(Line {
            v: VERSION,
            n: self.n,
            at,
            rotation: rotation.plan.id.clone(),
            epoch: after.held().map_or(after.epoch, |(epoch, _)| epoch).0,
            site,
            step: step.map(|step| step.as_str().to_owned()),
            public,
        })
    }

    /// The line that says what `site` (or the rotation as a whole) waits for. It takes no number.
    pub fn wait(
        &self,
        state: &State,
        site: Option<&SiteName>,
        waiting: &Waiting,
        now: Now,
    ) -> Option<Line> {
        let rotation = state.rotation.as_ref()?;
        let step = site.and_then(|site| step(site, state, state));
        let until = waiting.until.and_then(|until| {
            let left = now.mono.until(until);
            now.wall.checked_add(left).ok()
        });
        Some(Line {
            v: VERSION,
            n: self.n,
            at: now.wall,
            rotation: rotation.plan.id.clone(),
            epoch: state.held().map_or(state.epoch, |(epoch, _)| epoch).0,
            site: site.cloned(),
            step: step.map(|step| step.as_str().to_owned()),
            public: Public::Waiting {
                why: waiting.why.clone(),
                r#for: seconds(now.wall, waiting.since),
                until,
            },
        })
    }

    /// Everything that is waited for at the moment, one line each.
    pub fn waits(&self, state: &State, now: Now) -> Vec<Line> {
        let whole = state.rotation_waits();
        let mut lines: Vec<Line> = whole
            .iter()
            .filter_map(|waiting| self.wait(state, None, waiting, now))
            .collect();
        let sites = state
            .rotation
            .iter()
            .flat_map(|rotation| rotation.visits.keys());
        for site in sites {
            let waiting = state.site_waits(site);
            lines.extend(waiting.and_then(|waiting| self.wait(state, Some(site), &waiting, now)));
        }
        lines
    }
}

/// Whole seconds, none where `later` is earlier.
pub(super) fn seconds(later: Timestamp, earlier: Timestamp) -> u64 {
    let passed = later.duration_since(earlier).as_secs();
    u64::try_from(passed).unwrap_or(0)
}
