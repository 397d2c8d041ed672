//! Quiet hours: in which window each site is visited, and in which order that is.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::sites::by_channel_then_name;
use super::{Mode, Wish};
use crate::model::fleet::Fleet;
use crate::model::hours::Window;
use crate::model::id::SiteName;
use crate::model::playbook::Playbook;

/// What is known of a run before anything is asked: waves, and the windows that hold them up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub waves: Vec<Vec<SiteName>>,
    pub windows: BTreeMap<SiteName, Window>,
}

/// How a run goes, as far as it can be told in advance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    pub ends: Timestamp,
    /// Whose quiet hours are over before its turn.
    pub carried: Vec<SiteName>,
}

impl Outline {
    /// From `from` on, one wave after the other, where a visit takes so long.
    pub fn course(&self, from: Timestamp, takes: impl Fn(&SiteName) -> Duration) -> Course {
        let (mut now, mut carried) = (from, Vec::new());
        for wave in &self.waves {
            let begun = now;
            for site in wave {
                let window = self.windows.get(site);
                if window.is_some_and(|window| window.closes <= begun) {
                    carried.push(site.clone());
                    continue;
                }
                let begins = window.map_or(begun, |window| window.opens.max(begun));
                let ends = begins.checked_add(takes(site)).unwrap_or(Timestamp::MAX);
                now = now.max(ends);
            }
        }
        Course { ends: now, carried }
    }
}

/// The outline of a playbook's run that begins at `at`, as if every site were in service.
pub fn outline(fleet: &Fleet, playbook: &Playbook, at: Timestamp) -> Outline {
    let sites = playbook.sites.clone();
    let sites = sites.unwrap_or_else(|| by_channel_then_name(fleet));
    let windows = windows(fleet, playbook, &sites, at);
    Outline {
        waves: waves(sites, &windows, playbook, at),
        windows,
    }
}

/// The windows that this wish keeps to. On-call does not wait for the hours of little traffic.
pub(super) fn kept(
    fleet: &Fleet,
    playbook: &Playbook,
    wish: &Wish,
    sites: &[SiteName],
    at: Timestamp,
) -> BTreeMap<SiteName, Window> {
    match wish.mode {
        Mode::Rotate if !wish.options.any_hour => windows(fleet, playbook, sites, at),
        Mode::Rotate
        | Mode::Rebuild
        | Mode::Restore { .. }
        | Mode::Recover
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => BTreeMap::new(),
    }
}

fn windows(
    fleet: &Fleet,
    playbook: &Playbook,
    sites: &[SiteName],
    at: Timestamp,
) -> BTreeMap<SiteName, Window> {
    let zone = playbook.zone();
    let of_site = |site: &SiteName| {
        let quiet = fleet.sites.get(site)?.quiet.as_ref()?;
        Some((site.clone(), quiet.window(&zone, at)?))
    };
    sites.iter().filter_map(of_site).collect()
}

/// Who may be visited at once comes first, in the order that is given; then one window after the
/// other. What is visited together may begin together.
pub(super) fn waves(
    mut sites: Vec<SiteName>,
    windows: &BTreeMap<SiteName, Window>,
    playbook: &Playbook,
    at: Timestamp,
) -> Vec<Vec<SiteName>> {
    let begins = |site: &SiteName| windows.get(site).map_or(at, |window| window.opens.max(at));
    sites.sort_by_key(begins);
    let size = usize::try_from(playbook.max_unavailable.max(1)).unwrap_or(usize::MAX);
    let together = sites.chunk_by(|one, next| begins(one) == begins(next));
    let waves = together.flat_map(|sites| sites.chunks(size));
    waves.map(<[SiteName]>::to_vec).collect()
}
