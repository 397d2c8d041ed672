//! Which sites are visited, which of them are recreated, and in which order.
use std::collections::BTreeMap;

use super::{Mode, Survey, Wish, listed, recreates, windows};
use crate::coordinator::outcome::Problem;
use crate::model::fleet::Fleet;
use crate::model::hours::Window;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::playbook::Playbook;

/// The sites that are asked for: by name, by the playbook, or by the marker's debts.
pub(super) fn chosen(
    fleet: &Fleet,
    playbook: &Playbook,
    wish: &Wish,
    survey: &Survey,
    reasons: &mut Vec<Problem>,
) -> Vec<SiteName> {
    let by_playbook = || {
        playbook
            .sites
            .clone()
            .unwrap_or_else(|| by_channel_then_name(fleet))
    };
    let named = wish.sites.clone();
    let sites = match wish.mode {
        Mode::TakeOver => Vec::new(),
        Mode::Recover => named.unwrap_or_else(|| debts(survey)),
        Mode::Rotate => {
            let sites = named.unwrap_or_else(by_playbook);
            carried_first(sites, &wish.options.carried)
                .into_iter()
                .filter(|site| !is_cordoned(survey, site))
                .collect()
        }
        Mode::Rebuild | Mode::Restore { .. } | Mode::Withdraw | Mode::Cordon { .. } => {
            named.unwrap_or_else(by_playbook)
        }
    };
    for site in sites.iter().filter(|site| !fleet.sites.contains_key(*site)) {
        reasons.push(Problem {
            what: format!("no site is called {site}"),
            cure: format!("use one of: {}", listed(fleet.sites.keys())),
            is_transient: false,
        });
    }
    sites
}

/// The sites whose containers are destroyed and made anew, as far as can be told now.
pub(super) fn recreated(
    sites: &[SiteName],
    playbook: &Playbook,
    mode: &Mode,
    survey: &Survey,
) -> Vec<SiteName> {
    let by_mode = recreates(playbook, mode);
    // Where no marker stands, the one that is made calls dirty whatever is out: what is asked to go
    // in may be.
    let is_dirty = |site: &SiteName| match &survey.marker {
        Some(marker) => marker.dirty.contains(site),
        None => matches!(mode, Mode::Restore { .. }),
    };
    let is_recreated = |site: &&SiteName| match mode {
        Mode::Rotate | Mode::Rebuild | Mode::Restore { unverified: false } | Mode::Recover => {
            by_mode || is_dirty(site)
        }
        Mode::Restore { unverified: true }
        | Mode::Withdraw
        | Mode::Cordon { .. }
        | Mode::TakeOver => false,
    };
    sites.iter().filter(is_recreated).cloned().collect()
}

/// Those that the last run left for want of time, then the others.
fn carried_first(sites: Vec<SiteName>, carried: &[SiteName]) -> Vec<SiteName> {
    let first = carried.iter().filter(|site| sites.contains(site));
    let mut order: Vec<SiteName> = first.cloned().collect();
    order.extend(sites.into_iter().filter(|site| !carried.contains(site)));
    order
}

/// Sites that are out come first, one after another; the rest by when they may be visited, in waves
/// no larger than `max_unavailable`.
pub(super) fn waves(
    sites: Vec<SiteName>,
    windows: &BTreeMap<SiteName, Window>,
    playbook: &Playbook,
    survey: &Survey,
) -> Vec<Vec<SiteName>> {
    let owed = survey
        .marker
        .as_ref()
        .map(|marker| marker.out.clone())
        .unwrap_or_default();
    let (first, rest): (Vec<_>, Vec<_>) = sites.into_iter().partition(|site| owed.contains(site));
    let alone = first.into_iter().map(|site| vec![site]);
    let waves = windows::waves(rest, windows, playbook, survey.at);
    alone.chain(waves).collect()
}

fn debts(survey: &Survey) -> Vec<SiteName> {
    survey
        .marker
        .as_ref()
        .map(Marker::unavailable)
        .unwrap_or_default()
        .into_iter()
        .collect()
}

fn is_cordoned(survey: &Survey, site: &SiteName) -> bool {
    survey
        .marker
        .as_ref()
        .is_some_and(|marker| marker.cordon.contains(site))
}

pub(super) fn by_channel_then_name(fleet: &Fleet) -> Vec<SiteName> {
    let rank = |site: &SiteName| {
        let channel = fleet.sites.get(site).map(|site| &site.channel);
        fleet
            .channels
            .iter()
            .position(|known| Some(known) == channel)
    };
    let mut sites: Vec<SiteName> = fleet.sites.keys().cloned().collect();
    sites.sort_by_key(|site| (rank(site).unwrap_or(usize::MAX), site.clone()));
    sites
}
