//! `report`: one rotation, site by site, with its evidence.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::memory::Memory;
use crate::api::public::{Line, Public};
use crate::api::story::Story;
use crate::api::when::{When, between, span};
use crate::api::words;
use crate::coordinator::event::Event;
use crate::model::evidence::{ChangeKind, Evidence};
use crate::model::id::{RotationId, SiteName};
use crate::model::time::Now;

/// One rotation: what happened, how long, digests, scale, and what was kept as evidence
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate report                          the last rotation
  cleanslate report nightly-20261121T030000-AB12 --logs")]
pub(crate) struct Show {
    /// As `history` shows it; without one: the last
    rotation: Option<RotationId>,
    /// Prints the last logs of each container too
    #[arg(long)]
    logs: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    v: u8,
    rotation: RotationId,
    began: Timestamp,
    seconds: u64,
    sites: Vec<SiteReport>,
    events: Vec<Line>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct SiteReport {
    site: String,
    /// From the withdrawal to the restoration; null: it was not withdrawn, or is out still.
    pub(super) seconds_out_of_dns: Option<u64>,
    seconds_drain: Option<u64>,
    seconds_recreate: Option<u64>,
    scaled_from: BTreeMap<String, u32>,
    pub(super) scaled_to: BTreeMap<String, u32>,
    /// By service: what ran, and what was pinned.
    digests: BTreeMap<String, [String; 2]>,
    end: Option<String>,
    evidence: Vec<EvidenceReport>,
}

#[derive(Debug, Serialize)]
struct EvidenceReport {
    host: String,
    container: String,
    service: String,
    restarts: u64,
    oom_killed: bool,
    /// `A`, `C`, `D` and the path, as `docker diff` prints them.
    changes: Vec<String>,
    changes_left_out: u64,
    logs: String,
}

pub(crate) fn run(desk: &Desk, args: &Show) -> Outcome {
    let loaded = desk.load()?;
    let none = |what: String| {
        Failure::new(
            Exit::Usage,
            what,
            "see `cleanslate history` for those there are",
        )
    };
    let no_store = || none("no rotation was ever begun here".to_owned());
    let memory = Memory::open(desk, &loaded)?.ok_or_else(no_store)?;
    let rotation = match &args.rotation {
        Some(rotation) => rotation.clone(),
        None => memory.rotations()?.pop().ok_or_else(no_store)?.rotation,
    };
    let story = memory.story(&rotation, &loaded)?;
    let found = Found {
        ran: ran(&memory.events(&rotation)?),
        evidence: evidence(&memory, &rotation)?,
    };
    let report = report(&rotation, &story, found)
        .ok_or_else(|| none(format!("no rotation is called {rotation}")))?;
    if desk.output.is_json {
        desk.output.json(&report);
    } else {
        let text = text(&report, args.logs, &desk.when, desk.clock.now().wall);
        desk.output.result(&text);
    }
    Ok(Exit::Done)
}

fn evidence(
    memory: &Memory,
    rotation: &RotationId,
) -> Result<BTreeMap<SiteName, Vec<EvidenceReport>>, Failure> {
    let mut by_site: BTreeMap<SiteName, Vec<EvidenceReport>> = BTreeMap::new();
    for stored in memory.evidence(rotation)? {
        let kept: Vec<Evidence> = serde_json::from_str(&stored.body).map_err(|error| {
            let what = format!("the evidence of {} cannot be read: {error}", stored.host);
            Failure::new(
                Exit::Fault,
                what,
                "use the cleanslate that wrote it, or a later one",
            )
        })?;
        let host = stored.host.to_string();
        let reports = kept.into_iter().map(|kept| of_container(&host, kept));
        by_site.entry(stored.site).or_default().extend(reports);
    }
    Ok(by_site)
}

fn of_container(host: &str, kept: Evidence) -> EvidenceReport {
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
        service: format!("{}/{}", kept.project, kept.service),
        restarts: kept.restarts,
        oom_killed: kept.oom_killed,
        changes: kept.changes.into_iter().map(change).collect(),
        changes_left_out: kept.changes_left_out,
        logs: kept.logs,
    }
}

/// What was found at the hosts of each site.
struct Found {
    ran: BTreeMap<SiteName, Digests>,
    evidence: BTreeMap<SiteName, Vec<EvidenceReport>>,
}

/// By `PROJECT/SERVICE`.
type Digests = BTreeMap<String, BTreeSet<String>>;

fn report(rotation: &RotationId, story: &Story, mut found: Found) -> Option<Report> {
    let (first, last) = (story.lines.first()?.at, story.lines.last()?.at);
    let sites = story.lines.iter().filter_map(|line| line.site.as_ref());
    let sites: BTreeSet<&SiteName> = sites.collect();
    let sites = sites.into_iter().map(|site| SiteReport {
        evidence: found.evidence.remove(site).unwrap_or_default(),
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

pub(super) fn of_site(site: &SiteName, lines: &[Line]) -> SiteReport {
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
            | Public::SiteSkipped { .. }
            | Public::SiteQuarantined { .. } => report.end = name(),
            Public::RotationPlanned { .. }
            | Public::VisitStarted { .. }
            | Public::ImagesPulled { .. }
            | Public::KeptDrifted { .. }
            | Public::Ready { .. }
            | Public::WithdrawRefused { .. }
            | Public::Draining { .. }
            | Public::Verified { .. }
            | Public::Soaked
            | Public::Retrying { .. }
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
fn ran(events: &[(Event, Now)]) -> BTreeMap<SiteName, Digests> {
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

fn text(report: &Report, logs: bool, when: &When, now: Timestamp) -> String {
    let lasted = |seconds: u64| span(Duration::from_secs(seconds));
    let mut lines = vec![format!(
        "{}: begun {}, {}",
        report.rotation,
        when.ago(report.began, now),
        lasted(report.seconds)
    )];
    for site in &report.sites {
        lines.push(String::new());
        let end = site
            .end
            .as_deref()
            .unwrap_or("unfinished")
            .replace('_', " ");
        let part = |name: &str, seconds: Option<u64>| {
            seconds.map(|seconds| format!(", {name} {}", lasted(seconds)))
        };
        let parts = [
            part("out of DNS", site.seconds_out_of_dns),
            part("of it drain", site.seconds_drain),
            part("rebuild", site.seconds_recreate),
        ];
        let parts: String = parts.into_iter().flatten().collect();
        lines.push(format!("{}: {end}{parts}", site.site));
        for (service, [old, new]) in &site.digests {
            lines.push(format!("  {service}: {}", change(old, new)));
        }
        for (service, to) in &site.scaled_to {
            let from = site.scaled_from.get(service).copied().unwrap_or(0);
            lines.push(format!("  {service}: scaled {from} → {to}"));
        }
        for kept in &site.evidence {
            lines.extend(of_evidence(kept, logs));
        }
    }
    lines.push(String::new());
    lines.extend(
        report
            .events
            .iter()
            .map(|line| words::line(line, when, now)),
    );
    lines.join("\n")
}

/// The first digits of both, or of the one that stayed.
fn change(old: &str, new: &str) -> String {
    let short = |digests: &str| {
        let each = digests.split(", ");
        let each = each.map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
        let each: Vec<&str> = each.map(|hex| hex.get(..12).unwrap_or(hex)).collect();
        each.join("|")
    };
    if old == new {
        format!("{}, no change", short(new))
    } else {
        format!("{} → {}", short(old), short(new))
    }
}

fn of_evidence(kept: &EvidenceReport, logs: bool) -> Vec<String> {
    let oom = if kept.oom_killed {
        ", killed for memory"
    } else {
        ""
    };
    let changed = kept.changes.len() as u64 + kept.changes_left_out;
    let mut lines = vec![format!(
        "  {} {}: {} changed, {}{oom}",
        kept.host,
        kept.container,
        words::counted(changed, "path"),
        words::counted(kept.restarts, "restart")
    )];
    lines.extend(kept.changes.iter().map(|change| format!("    {change}")));
    if logs {
        lines.extend(
            kept.logs
                .lines()
                .map(|line| format!("    | {}", printable(line))),
        );
    }
    lines
}

/// What a container wrote must not steer the terminal.
fn printable(line: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{b7}'
        } else {
            c
        }
    };
    line.chars().map(shown).collect()
}
