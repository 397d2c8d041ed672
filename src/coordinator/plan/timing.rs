//! Whether the visit of a site that is next may begin: its quiet hours, and the end of the
//! night.
use jiff::Timestamp;

use super::Plan;
use crate::coordinator::outcome::Problem;
use crate::model::hours::Window;
use crate::model::id::SiteName;

/// What the clock says of a visit that is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    Now,
    /// Its window opens then.
    At(Timestamp),
    /// It is carried over: the next run takes it.
    Over(Problem),
}

impl Plan {
    /// Whether a visit of `site` may begin at `now`. One that would end too late even if it began
    /// when its window opens is not waited for.
    pub fn timing(&self, site: &SiteName, now: Timestamp) -> Timing {
        let window = self.windows.get(site);
        if let Some(window) = window.filter(|window| window.closes <= now) {
            return Timing::Over(closed(window, site));
        }
        let begins = window.map_or(now, |window| window.opens.max(now));
        let deadline = self.options.deadline.as_ref();
        if let Some(problem) = deadline.and_then(|deadline| deadline.too_late(site, begins)) {
            return Timing::Over(problem);
        }
        if begins > now {
            return Timing::At(begins);
        }
        Timing::Now
    }
}

fn closed(window: &Window, site: &SiteName) -> Problem {
    Problem {
        what: format!("its quiet hours ({window}) were over before its turn: it is carried over"),
        cure: format!(
            "nothing: the next run takes it as early as it may; sooner: `cleanslate rotate --site \
             {site} --now`"
        ),
        is_transient: true,
    }
}
