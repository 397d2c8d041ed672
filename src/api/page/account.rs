//! A night as pages tell it: what was planned, each site and what it left behind, what happened.
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::moment::{Moment, seconds};
use super::night::{Picture, Running, Timeline};
use super::past::Told;
use super::site::short;
use crate::api::drift::{FindingReport, amount};
use crate::api::lifecycle::HookReport;
use crate::api::public::{Line, Public};
use crate::api::report::{EvidenceReport, Report, SiteReport};
use crate::api::when::When;

/// Of a container's last words so much is shown; all of it is printed by `report --logs`.
const LOG_BYTES: usize = 16 << 10;

/// One rotation.
pub(super) struct Account {
    pub(super) rotation: String,
    pub(super) began: Moment,
    pub(super) took: String,
    pub(super) by: String,
    pub(super) reason: Option<String>,
    /// The sites that are visited together, wave by wave.
    pub(super) waves: Vec<String>,
    /// Whose images, the image, its digest.
    pub(super) pinned: Vec<(String, String, String)>,
    pub(super) problems: Vec<Trouble>,
    pub(super) picture: Option<Picture>,
    pub(super) sites: Vec<Visited>,
    pub(super) lines: Vec<Told>,
}

/// How much is shown of what containers wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    None,
    Last,
    Whole,
}

/// What went wrong, and what is to be done about it.
pub(super) struct Trouble {
    /// `None`: the whole rotation.
    pub(super) site: Option<String>,
    pub(super) why: String,
    pub(super) cure: String,
}

/// One site of it.
pub(super) struct Visited {
    pub(super) site: String,
    pub(super) end: String,
    pub(super) out_of_dns: String,
    pub(super) drain: String,
    pub(super) recreate: String,
    /// Service, what ran, what was pinned.
    pub(super) digests: Vec<(String, String, String)>,
    pub(super) scale: Vec<(String, String)>,
    /// What was not as declared, before it was destroyed; `None`: nobody compared.
    pub(super) findings: Option<Vec<Found>>,
    pub(super) evidence: Vec<Left>,
    pub(super) hooks: Vec<Hook>,
}

/// One `post_start` or `pre_stop`.
pub(super) struct Hook {
    pub(super) host: String,
    pub(super) container: String,
    /// What was run, and how it ended.
    pub(super) what: String,
    pub(super) has_failed: bool,
    pub(super) output: String,
}

impl Hook {
    fn of(hook: HookReport) -> Hook {
        let end = hook.end();
        let command = printable(&hook.command.join(" "));
        Hook {
            what: format!("{} {end}: {command}", hook.phase),
            has_failed: hook.exit_code != Some(0),
            host: hook.host,
            container: hook.container,
            output: hook.output,
        }
    }
}

/// One thing that was not as declared.
pub(super) struct Found {
    pub(super) host: String,
    /// The container, or the service as a whole.
    pub(super) whose: String,
    pub(super) what: String,
    /// Whether a person is to look at it.
    pub(super) counts: bool,
}

/// What a container left behind.
pub(super) struct Left {
    pub(super) host: String,
    pub(super) container: String,
    pub(super) id: String,
    /// How it was found, where it failed in this rotation.
    pub(super) failed: Option<String>,
    pub(super) error: Option<String>,
    /// Exit code and output of each check.
    pub(super) health: Vec<(i64, String)>,
    pub(super) service: String,
    pub(super) restarts: u64,
    pub(super) is_oom_killed: bool,
    /// How much changed inside.
    pub(super) inside: String,
    /// Folder, and what changed in it.
    pub(super) folders: Vec<(String, String)>,
    pub(super) changes: Vec<String>,
    pub(super) changes_left_out: u64,
    pub(super) logs: String,
    pub(super) logs_left_out: usize,
}

impl Account {
    pub(super) fn of(
        report: Report,
        running: Option<&Running>,
        logs: Logs,
        when: &When,
        now: Timestamp,
    ) -> Account {
        let (by, reason) = asked_by(&report);
        let timeline = Timeline::of(&report.events, running);
        let told = |line| Told::of(line, now, when);
        let visited = |site| Visited::of(site, logs);
        Account {
            rotation: report.rotation.to_string(),
            began: Moment::past(report.began, now, when),
            took: seconds(report.seconds),
            by,
            reason,
            waves: waves(&report),
            pinned: pinned(&report),
            problems: report.events.iter().filter_map(Trouble::of).collect(),
            picture: timeline.map(|timeline| Picture::of(&timeline, &when.zone)),
            lines: report.events.iter().map(told).collect(),
            sites: report.sites.into_iter().map(visited).collect(),
        }
    }
}

fn waves(report: &Report) -> Vec<String> {
    let mut told = Vec::new();
    for line in &report.events {
        if let Public::RotationPlanned { waves, .. } = &line.public {
            let names = waves.iter().map(|wave| {
                let sites: Vec<&str> = wave.iter().map(|site| site.as_str()).collect();
                sites.join(" and ")
            });
            told = names.collect();
        }
    }
    told
}

/// By channel what tags named, by site what it is pinned to instead.
fn pinned(report: &Report) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
    for line in &report.events {
        if let Public::RotationPlanned {
            digests, pinned, ..
        } = &line.public
        {
            let channels = digests
                .iter()
                .map(|(channel, pins)| (channel.to_string(), pins));
            let sites = pinned.iter().map(|(site, pins)| (site.to_string(), pins));
            for (whose, pins) in channels.chain(sites) {
                let pins = pins.iter();
                told.extend(pins.map(|(image, digest)| {
                    (whose.clone(), image.to_string(), digest.short().to_owned())
                }));
            }
        }
    }
    told
}

impl Trouble {
    fn of(line: &Line) -> Option<Trouble> {
        let (why, cure) = match &line.public {
            Public::WithdrawRefused { why, cure, .. }
            | Public::HookFailed { why, cure, .. }
            | Public::PutBack { why, cure }
            | Public::SiteSkipped { why, cure }
            | Public::SiteQuarantined { why, cure }
            | Public::RolledBack { why, cure } => (why, cure.clone()),
            Public::KeptDrifted { next, drifted, .. } => {
                return Some(Trouble {
                    site: line.site.as_ref().map(ToString::to_string),
                    why: format!("left as it is: {}", drifted.join("; ")),
                    cure: next.clone(),
                });
            }
            Public::RotationHalted { cause, cure, next } => match cure.contains(next.as_str()) {
                true => (cause, cure.clone()),
                false => (cause, format!("{cure}; next: {next}")),
            },
            Public::RotationAborted { reason } => (reason, String::new()),
            // Told again where it ends.
            Public::RollingBack { .. } => return None,
            Public::RotationPlanned { .. }
            | Public::VisitStarted { .. }
            | Public::ImagesPulled { .. }
            | Public::Ready { .. }
            | Public::Withdrawn { .. }
            | Public::Draining { .. }
            | Public::Drained { .. }
            | Public::Recreated { .. }
            | Public::TrialBegun { .. }
            | Public::TrialAccepted { .. }
            | Public::Verified { .. }
            | Public::Restored { .. }
            | Public::Soaked
            | Public::VisitCompleted { .. }
            | Public::Retrying { .. }
            | Public::Waiting { .. }
            | Public::TagMoved { .. }
            | Public::TakenOver { .. }
            | Public::RotationPaused { .. }
            | Public::RotationResumed { .. }
            | Public::RotationCompleted { .. } => return None,
        };
        Some(Trouble {
            site: line.site.as_ref().map(ToString::to_string),
            why: why.clone(),
            cure,
        })
    }
}

fn asked_by(report: &Report) -> (String, Option<String>) {
    let mut lines = report.events.iter();
    let planned = lines.find_map(|line| {
        if let Public::RotationPlanned { actor, reason, .. } = &line.public {
            return Some((actor.clone(), reason.clone()));
        }
        None
    });
    planned.unwrap_or_default()
}

impl Visited {
    fn of(site: SiteReport, logs: Logs) -> Visited {
        let lasted = |time: Option<u64>| time.map_or("-".to_owned(), seconds);
        let scale = scale(&site);
        let digests = site.digests.into_iter();
        Visited {
            end: site
                .end
                .map_or("not ended".to_owned(), |end| end.replace('_', " ")),
            out_of_dns: lasted(site.seconds_out_of_dns),
            drain: lasted(site.seconds_drain),
            recreate: lasted(site.seconds_recreate),
            digests: digests
                .map(|(service, [ran, pinned])| (service, short(&ran), short(&pinned)))
                .collect(),
            scale,
            findings: site
                .findings
                .map(|it| it.into_iter().map(Found::of).collect()),
            evidence: site
                .evidence
                .into_iter()
                .map(|it| Left::of(it, logs))
                .collect(),
            hooks: site.hooks.into_iter().map(Hook::of).collect(),
            site: site.site,
        }
    }
}

/// Where it changed.
fn scale(site: &SiteReport) -> Vec<(String, String)> {
    let (from, to) = (&site.scaled_from, &site.scaled_to);
    let services = from
        .keys()
        .chain(to.keys().filter(|it| !from.contains_key(*it)));
    let count =
        |of: &BTreeMap<String, u32>, service: &String| of.get(service).copied().unwrap_or(0);
    let change = |service: &String| {
        let (from, to) = (count(from, service), count(to, service));
        (from != to).then(|| (service.clone(), format!("{from} → {to}")))
    };
    services.filter_map(change).collect()
}

impl Found {
    fn of(finding: FindingReport) -> Found {
        Found {
            whose: printable(finding.whose()),
            host: finding.host,
            what: printable(&finding.what),
            counts: finding.finding,
        }
    }
}

impl Left {
    fn of(evidence: EvidenceReport, shown: Logs) -> Left {
        let inside = printable(&amount(&evidence));
        let folders = evidence.groups.iter();
        let folders = folders.map(|group| (printable(&group.path), group.what()));
        let folders = folders.collect();
        // Why it failed is shown unasked.
        let shown = match shown {
            Logs::None if evidence.failed => Logs::Last,
            asked @ (Logs::None | Logs::Last | Logs::Whole) => asked,
        };
        let logs = match shown {
            Logs::None => String::new(),
            Logs::Last | Logs::Whole => evidence.logs,
        };
        let mut from = match shown {
            Logs::Last => logs.len().saturating_sub(LOG_BYTES),
            Logs::None | Logs::Whole => 0,
        };
        while !logs.is_char_boundary(from) {
            from += 1;
        }
        let found = match evidence.exit_code {
            Some(code) => format!("{} with exit code {code}", evidence.state),
            None => evidence.state,
        };
        let checks = evidence.health.into_iter().filter(|_| evidence.failed);
        Left {
            id: evidence.id,
            failed: evidence.failed.then_some(found),
            error: evidence.error.map(|it| printable(&it)),
            health: checks
                .map(|check| (check.exit_code, printable(&check.output)))
                .collect(),
            host: evidence.host,
            container: evidence.container,
            service: evidence.service,
            restarts: evidence.restarts,
            is_oom_killed: evidence.oom_killed,
            inside,
            folders,
            changes: evidence.changes.iter().map(|it| printable(it)).collect(),
            changes_left_out: evidence.changes_left_out,
            logs: printable(&logs[from..]),
            logs_left_out: from,
        }
    }
}

/// What steers terminals, or turns the direction of writing around, is shown as a sign.
pub(super) fn printable(text: &str) -> String {
    let sign = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ => c,
    };
    text.chars().map(sign).collect()
}
