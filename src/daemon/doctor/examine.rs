//! Asks everything, side by side.
use futures_util::future::{join, join4};

use super::super::adapters::Adapters;
use super::super::clock::Clock;
use super::{Check, engines, markers, others, probes, registries, servers, zone};
use crate::model::id::HolderId;
use crate::model::marker::Marker;
use crate::model::playbook::Playbook;

/// What whoever asks knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Who it is in markers; `None`: there is no store.
    pub holder: Option<HolderId>,
    /// The last marker that its store remembers.
    pub marker: Option<Marker>,
    /// Whether a process works with that store now.
    pub is_live: bool,
    /// What a visit would do to containers; `None`: what it needs on the hosts is asked elsewhere.
    pub playbook: Option<Playbook>,
}

/// Checks that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub title: &'static str,
    pub checks: Vec<Check>,
}

/// Asks everything outside of this machine, and changes nothing.
pub async fn examine(adapters: &Adapters, clock: Clock, own: &Own) -> Vec<Section> {
    let view = adapters.dns.read_primary().await;
    let now = clock.now().wall;
    let seen = view.as_ref().ok();
    let dns = async {
        let (mut checks, more) = join(
            Box::pin(zone::checks(adapters, &view)),
            Box::pin(servers::checks(adapters, &view)),
        )
        .await;
        checks.extend(more);
        checks
    };
    let (dns, (engines, registries), probes, others) = join4(
        Box::pin(dns),
        Box::pin(async {
            let (engines, platforms) = engines::checks(adapters, clock, own).await;
            let registries = registries::checks(adapters, now, &platforms).await;
            (engines, registries)
        }),
        Box::pin(probes::checks(adapters, seen)),
        Box::pin(others::checks(adapters.fleet())),
    )
    .await;
    let marker = seen.map(|view| markers::checks(adapters.fleet(), view, own, now));
    let sections = [
        ("DNS", dns),
        ("marker and sites", marker.unwrap_or_default()),
        ("engines", engines),
        ("registries", registries),
        ("probes", probes),
        ("hooks and messages", others),
    ];
    let sections = sections.map(|(title, checks)| Section { title, checks });
    let asked = sections.into_iter();
    asked.filter(|section| !section.checks.is_empty()).collect()
}
