//! One rotation: what happened, how long, digests, scale, and what was kept as evidence.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lifecycle::HookReport;
use super::public::{Line, Public};
use super::story::Story;
use super::when::between;
use crate::coordinator::event::Event;
use crate::model::evidence::{ChangeKind, Evidence, HealthCheck};
use crate::model::id::{RotationId, SiteName};
use crate::model::time::Now;

/// One rotation, site by site, with its evidence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub v: u8,
    pub rotation: RotationId,
    pub began: Timestamp,
    pub seconds: u64,
    pub sites: Vec<SiteReport>,
    pub events: Vec<Line>,
}

/// One site of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SiteReport {
    pub site: String,
    /// From the withdrawal to the restoration; null: it was not withdrawn, or is out still.
    pub seconds_out_of_dns: Option<u64>,
    pub seconds_drain: Option<u64>,
    pub seconds_recreate: Option<u64>,
    pub scaled_from: BTreeMap<String, u32>,
    pub scaled_to: BTreeMap<String, u32>,
    /// By service: what ran, and what was pinned.
    pub digests: BTreeMap<String, [String; 2]>,
    pub end: Option<String>,
    pub evidence: Vec<EvidenceReport>,
    /// `post_start` and `pre_stop` of its containers.
    #[serde(default)]
    pub hooks: Vec<HookReport>,
}

/// What a container left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceReport {
    pub host: String,
    pub container: String,
    /// The first digits of its id: what failed and what came after it have the same name.
    #[serde(default)]
    pub id: String,
    pub service: String,
    /// Whether this very rotation had made it: it failed, and others were made in its place.
    #[serde(default)]
    pub failed: bool,
    /// As the engine calls it; empty where it was not asked.
    #[serde(default)]
    pub state: String,
    /// Of its last end; null while it runs.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// Why the engine could not start it.
    #[serde(default)]
    pub error: Option<String>,
    /// The last checks of its healthcheck, oldest first.
    #[serde(default)]
    pub health: Vec<HealthCheck>,
    pub restarts: u64,
    pub oom_killed: bool,
    /// `A`, `C`, `D` and the path, as `docker diff` prints them.
    pub changes: Vec<String>,
    pub changes_left_out: u64,
    pub logs: String,
}

/// What was found at the hosts of each site.
pub struct Found {
    pub ran: BTreeMap<SiteName, Digests>,
    pub evidence: BTreeMap<SiteName, Vec<EvidenceReport>>,
    pub hooks: BTreeMap<SiteName, Vec<HookReport>>,
}

/// By `PROJECT/SERVICE`.
pub type Digests = BTreeMap<String, BTreeSet<String>>;

/// What a story and what was found make together; `None`: nothing was told.
pub fn report(rotation: &RotationId, story: &Story, mut found: Found) -> Option<Report> {
    let (first, last) = (story.lines.first()?.at, story.lines.last()?.at);
    let sites = story.lines.iter().filter_map(|line| line.site.as_ref());
    let sites: BTreeSet<&SiteName> = sites.collect();
    let sites = sites.into_iter().map(|site| SiteReport {
        evidence: found.evidence.remove(site).unwrap_or_default(),
        hooks: found.hooks.remove(site).unwrap_or_default(),
        digests: digests(story, found.ran.remove(site).unwrap_or_default(), site),
        ..of_site(site, &story.lines)
    });
    Some(Report {
        v: 1,
        rotation: rotation.clone(),
        began: first,
        seconds: between(first, last).as_secs(),
        sites: sites.collect(),
        events: story.lines.clone(),
    })
}

/// The same of one site, without what was found at its hosts.
pub fn of_site(site: &SiteName, lines: &[Line]) -> SiteReport {
    let mut report = SiteReport {
        site: site.to_string(),
        ..SiteReport::default()
    };
    let mut withdrawn = None;
    for line in lines.iter().filter(|line| line.site.as_ref() == Some(site)) {
        let name = || {
            serde_json::to_value(&line.public).ok()?["event"]
                .as_str()
                .map(str::to_owned)
        };
        match &line.public {
            Public::Withdrawn { .. } => withdrawn = Some(line.at),
            Public::Restored { .. } | Public::PutBack { .. } => {
                let out = withdrawn
                    .take()
                    .map(|since| between(since, line.at).as_secs());
                report.seconds_out_of_dns = out.or(report.seconds_out_of_dns);
                if let Public::PutBack { .. } = line.public {
                    report.end = name();
                }
            }
            Public::Drained { seconds, .. } => report.seconds_drain = Some(*seconds),
            Public::Recreated {
                seconds,
                scaled_from,
                scaled_to,
                ..
            } => {
                report.seconds_recreate = Some(*seconds);
                report.scaled_from = scaled_from.clone();
                report.scaled_to = scaled_to.clone();
            }
            Public::VisitCompleted { .. }
            | Public::RolledBack { .. }
            | Public::SiteSkipped { .. }
            | Public::SiteQuarantined { .. } => report.end = name(),
            Public::RotationPlanned { .. }
            | Public::VisitStarted { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::Ready { .. }
            | Public::WithdrawRefused { .. }
            | Public::Draining { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Soaked
            | Public::RollingBack { .. }
            | Public::Retrying { .. }
            | Public::HookFailed { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationHalted { .. }
            | Public::RotationAborted { .. }
            | Public::RotationCompleted { .. } => {}
        }
    }
    report
}

/// What ran at the first look at each host.
pub fn ran(events: &[(Event, Now)]) -> BTreeMap<SiteName, Digests> {
    let mut ran: BTreeMap<SiteName, Digests> = BTreeMap::new();
    let mut looked = BTreeSet::new();
    for (event, _) in events {
        let Event::HostLooked {
            site,
            host,
            inventory,
        } = event
        else {
            continue;
        };
        if !looked.insert((site, host)) {
            continue;
        }
        let of_site = ran.entry(site.clone()).or_default();
        for container in inventory.containers.iter().filter(|c| c.is_running()) {
            let service = format!("{}/{}", container.project, container.service);
            let digest = container.digests.first();
            let digest = digest.map_or("unknown".to_owned(), ToString::to_string);
            of_site.entry(service).or_default().insert(digest);
        }
    }
    ran
}

/// What ran, and what was pinned; by `PROJECT/SERVICE`.
fn digests(story: &Story, ran: Digests, site: &SiteName) -> BTreeMap<String, [String; 2]> {
    let joined = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
    let mut digests: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for (service, old) in ran {
        digests.entry(service).or_default()[0] = joined(old);
    }
    for (service, pinned) in story.pinned.get(site).into_iter().flatten() {
        let pinned = pinned.iter().map(ToString::to_string).collect();
        digests.entry(service.clone()).or_default()[1] = joined(pinned);
    }
    digests
}

/// A container of `host`, as programs read of it.
pub fn of_container(host: &str, rotation: &RotationId, kept: Evidence) -> EvidenceReport {
    let change = |change: crate::model::evidence::PathChange| {
        let letter = match change.kind {
            ChangeKind::Added => 'A',
            ChangeKind::Modified => 'C',
            ChangeKind::Deleted => 'D',
        };
        format!("{letter} {}", change.path)
    };
    EvidenceReport {
        host: host.to_owned(),
        container: kept.name,
        id: kept.container.short().to_owned(),
        failed: kept.made_by.as_ref() == Some(rotation),
        state: kept.state,
        exit_code: kept.exit_code,
        error: kept.error,
        health: kept.health,
        service: format!("{}/{}", kept.project, kept.service),
        restarts: kept.restarts,
        oom_killed: kept.oom_killed,
        changes: kept.changes.into_iter().map(change).collect(),
        changes_left_out: kept.changes_left_out,
        logs: kept.logs,
    }
}
