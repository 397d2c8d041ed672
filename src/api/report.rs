//! One rotation: what happened, how long, digests, scale, and what was kept as evidence.
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::drift::{FindingReport, GroupReport, letter};
use super::lifecycle::HookReport;
use super::public::{Line, Public};
use super::story::Story;
use super::when::between;
use crate::coordinator::event::Event;
use crate::model::drift::{Finding, groups, leaves};
use crate::model::evidence::{Evidence, HealthCheck, PathChange, Remains};
use crate::model::id::{HostName, RotationId, SiteName};
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
    /// What was not as declared before it was destroyed; null: nobody compared.
    #[serde(default)]
    pub findings: Option<Vec<FindingReport>>,
    pub evidence: Vec<EvidenceReport>,
    /// `post_start` and `pre_stop` of its containers.
    #[serde(default)]
    pub hooks: Vec<HookReport>,
}

/// What a container left behind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// Why the engine did not say what changed; null: it did.
    #[serde(default)]
    pub changes_unread: Option<String>,
    /// All of them by folder, the largest first.
    #[serde(default)]
    pub groups: Vec<GroupReport>,
    /// Added and changed paths that nobody looked at, there being too many.
    #[serde(default)]
    pub not_looked_at: u64,
    /// Bytes of everything written inside; null: nobody said.
    #[serde(default)]
    pub written: Option<u64>,
    pub logs: String,
}

impl EvidenceReport {
    /// How many paths changed.
    pub fn changed(&self) -> u64 {
        self.changes.len() as u64 + self.changes_left_out
    }
}

/// What was found at the hosts of each site.
pub struct Found {
    pub ran: BTreeMap<SiteName, Digests>,
    /// In the order in which they were kept.
    pub remains: BTreeMap<SiteName, Vec<(HostName, Remains)>>,
    pub hooks: BTreeMap<SiteName, Vec<HookReport>>,
}

/// By `PROJECT/SERVICE`.
pub type Digests = BTreeMap<String, BTreeSet<String>>;

/// What a story and what was found make together; `None`: nothing was told.
pub fn report(rotation: &RotationId, story: &Story, mut found: Found) -> Option<Report> {
    let (first, last) = (story.lines.first()?.at, story.lines.last()?.at);
    let sites = story.lines.iter().filter_map(|line| line.site.as_ref());
    let sites: BTreeSet<&SiteName> = sites.collect();
    let sites = sites.into_iter().map(|site| {
        let remains = found.remains.remove(site).unwrap_or_default();
        SiteReport {
            findings: findings(&remains),
            evidence: evidence(rotation, remains),
            hooks: found.hooks.remove(site).unwrap_or_default(),
            digests: digests(story, found.ran.remove(site).unwrap_or_default(), site),
            ..of_site(site, &story.lines)
        }
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

/// Those of all hosts; `None`: none was compared. A visit that was interrupted compares again: what
/// was found last counts.
fn findings(remains: &[(HostName, Remains)]) -> Option<Vec<FindingReport>> {
    let compared = remains.iter();
    let compared = compared.filter_map(|(host, it)| Some((host, it.findings.as_ref()?)));
    let compared: BTreeMap<&HostName, &Vec<Finding>> = compared.collect();
    if compared.is_empty() {
        return None;
    }
    let found = compared.iter();
    let found = found.flat_map(|(host, findings)| findings.iter().map(move |it| (*host, it)));
    Some(FindingReport::all(found))
}

/// What containers left behind, host by host.
fn evidence(rotation: &RotationId, remains: Vec<(HostName, Remains)>) -> Vec<EvidenceReport> {
    let of_host = |(host, remains): (HostName, Remains)| {
        let told = remains.containers.into_iter();
        let told = told.map(|kept| of_container(&host, Some(rotation), kept));
        told.collect::<Vec<_>>()
    };
    let mut told: Vec<EvidenceReport> = remains.into_iter().flat_map(of_host).collect();
    // What failed and what came after it have the same name, and stay in order.
    told.sort_by(|one, other| (&one.host, &one.container).cmp(&(&other.host, &other.container)));
    told
}

/// A container of `host`, as programs read of it. `rotation`: who keeps this, where one does.
pub fn of_container(
    host: &HostName,
    rotation: Option<&RotationId>,
    kept: Evidence,
) -> EvidenceReport {
    // Earlier versions kept the paths only, with the folders that hold them.
    let groups = match kept.groups.is_empty() {
        true => groups(&leaves(kept.changes.clone(), &[])),
        false => kept.groups,
    };
    let change = |change: PathChange| format!("{} {}", letter(change.kind), change.path);
    EvidenceReport {
        host: host.to_string(),
        container: kept.name,
        id: kept.container.short().to_owned(),
        failed: rotation.is_some() && kept.made_by.as_ref() == rotation,
        state: kept.state,
        exit_code: kept.exit_code,
        error: kept.error,
        health: kept.health,
        service: format!("{}/{}", kept.project, kept.service),
        restarts: kept.restarts,
        oom_killed: kept.oom_killed,
        changes: kept.changes.into_iter().map(change).collect(),
        changes_left_out: kept.changes_left_out,
        changes_unread: kept.changes_unread,
        groups: groups.into_iter().map(GroupReport::from).collect(),
        not_looked_at: kept.not_looked_at,
        written: kept.written,
        logs: kept.logs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::drift::Difference;

    fn evidence_of(name: &str) -> Evidence {
        let kept = serde_json::json!({
            "container": "0123456789ab", "name": name, "project": "edge", "service": "web",
            "changes": [
                { "path": "/tmp", "kind": "Modified" },
                { "path": "/tmp/a", "kind": "Added" },
                { "path": "/usr/bin/x", "kind": "Deleted" },
            ],
            "changes_left_out": 0, "restarts": 0, "oom_killed": false, "logs": "",
        });
        serde_json::from_value(kept).unwrap()
    }

    fn found(difference: Difference) -> Finding {
        Finding {
            service: "edge/web".to_owned(),
            container: Some("edge-web-1".to_owned()),
            difference,
        }
    }

    #[test]
    fn what_was_compared_last_counts_and_what_somebody_did_comes_first() {
        let host = |name: &str| name.parse::<HostName>().unwrap();
        let remains = |findings: Option<Vec<Finding>>| Remains {
            containers: Vec::new(),
            findings,
        };
        let all = [
            (host("fra1"), remains(Some(vec![found(Difference::Stray)]))),
            (
                host("fra1"),
                remains(Some(vec![found(Difference::Unhealthy)])),
            ),
            (host("fra1"), remains(None)),
            (host("fra2"), remains(Some(vec![found(Difference::ByHand)]))),
        ];
        let told = findings(&all).unwrap();
        let told: Vec<(&str, &str)> = told.iter().map(|it| (&*it.host, &*it.kind)).collect();
        assert_eq!(told, [("fra2", "by_hand"), ("fra1", "unhealthy")]);
        assert_eq!(findings(&all[2..3]), None);
        assert_eq!(
            findings(&[(host("fra1"), remains(Some(Vec::new())))]),
            Some(Vec::new())
        );
    }

    #[test]
    fn paths_that_earlier_versions_kept_are_told_by_folder_too() {
        let told = of_container(&"fra1".parse().unwrap(), None, evidence_of("edge-web-1"));
        let groups: Vec<(&str, u64)> = told
            .groups
            .iter()
            .map(|it| (&*it.path, it.count()))
            .collect();
        assert_eq!(groups, [("/usr/bin", 1), ("/tmp", 1)]);
        assert_eq!(told.changes, ["C /tmp", "A /tmp/a", "D /usr/bin/x"]);
    }

    #[test]
    fn containers_stand_by_host_and_name() {
        let rotation = "night-1".parse().unwrap();
        let of = |host: &str, names: [&str; 2]| {
            let containers = names.map(evidence_of).to_vec();
            let findings = None;
            (
                host.parse().unwrap(),
                Remains {
                    containers,
                    findings,
                },
            )
        };
        let all = vec![of("fra2", ["b", "a"]), of("fra1", ["d", "c"])];
        let told = evidence(&rotation, all);
        let names: Vec<&str> = told.iter().map(|it| it.container.as_str()).collect();
        assert_eq!(names, ["c", "d", "a", "b"]);
    }
}
