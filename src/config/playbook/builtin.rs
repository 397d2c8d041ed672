//! The playbooks that every fleet has; a file of the same name takes one's place.

use crate::model::fleet::{Fleet, Site};
use crate::model::playbook::Playbook;

/// Name and text of each.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("nightly", include_str!("../../../playbooks/nightly.toml")),
    ("rebuild", include_str!("../../../playbooks/rebuild.toml")),
    ("urgent", include_str!("../../../playbooks/urgent.toml")),
    ("staging", include_str!("../../../playbooks/staging.toml")),
    ("drill", include_str!("../../../playbooks/drill.toml")),
];

/// Whether commands use a playbook unasked: `rotate` and `rebuild`. One of the others that does
/// not fit a fleet can be left out.
pub(crate) fn is_needed(name: &str) -> bool {
    matches!(name, "nightly" | "rebuild")
}

/// Gives `staging` its sites: those of the fleet's first channel, from which releases are
/// promoted. A fleet without such sites has no use for it.
pub(crate) fn for_fleet(mut playbook: Playbook, fleet: &Fleet) -> Option<Playbook> {
    if playbook.name.as_str() != "staging" {
        return Some(playbook);
    }
    let first = fleet
        .channels
        .first()
        .filter(|_| fleet.channels.len() > 1)?;
    let follows = |site: &&Site| site.channel == *first;
    let sites = fleet.sites.values().filter(follows);
    let sites: Vec<_> = sites.map(|site| site.name.clone()).collect();
    playbook.sites = (!sites.is_empty()).then_some(sites);
    playbook.sites.is_some().then_some(playbook)
}
