//! `report`: one rotation, site by site, with its evidence.
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::file;
use super::super::memory::Memory;
use super::super::runs::{Asked, drawn};
use crate::api::drift;
use crate::api::lifecycle::{HookReport, hooks};
use crate::api::page::sheet;
use crate::api::report::{EvidenceReport, Found, Report, SiteReport, ran, report};
use crate::api::when::{When, span};
use crate::api::wire::Command;
use crate::api::words::{self, printable};
use crate::config::Loaded;
use crate::model::id::RotationId;

/// How much is shown of the log of a container that failed where `--logs` is not asked for.
const LAST_LINES: usize = 10;

/// And of the changed paths of a folder; `--json` has them.
const PATHS: usize = 10;

/// One rotation: what happened, how long, digests, scale, and what was kept as evidence
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cleanslate report                          the last rotation
  cleanslate report nightly-20261121T030000-AB12 --logs
  cleanslate report --html night.html        to send around: one file, nothing else is needed")]
pub(crate) struct Show {
    /// As `history` shows it; without one: the last
    rotation: Option<RotationId>,
    /// Prints the last logs of each container too; without it, the last lines of those that failed
    #[arg(long)]
    logs: bool,
    /// Writes it as one page instead, with pictures of the night and of those before; - is stdout
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// So many nights are drawn, the last of which is this one.
const NIGHTS: usize = 30;

pub(crate) async fn run(desk: &Desk, args: &Show) -> Outcome {
    let Some(loaded) = desk.here()? else {
        let report = from_coordinator(desk, args.rotation.as_ref()).await?;
        return shown(desk, None, args, report).await;
    };
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
    let events = memory.events(&rotation)?;
    let found = Found {
        ran: ran(&events),
        hooks: hooks(&events),
        remains: memory.remains(&rotation)?,
    };
    let report = report(&rotation, &story, found)
        .ok_or_else(|| none(format!("no rotation is called {rotation}")))?;
    shown(desk, Some(&loaded), args, report).await
}

async fn shown(desk: &Desk, loaded: Option<&Loaded>, args: &Show, report: Report) -> Outcome {
    match &args.html {
        Some(file) => page(desk, loaded, args, (report, file)).await,
        None => Ok(show(desk, args, &report)),
    }
}

async fn page(
    desk: &Desk,
    loaded: Option<&Loaded>,
    args: &Show,
    (report, file): (Report, &Path),
) -> Outcome {
    if desk.output.is_json && file::is_stdout(file) {
        let what = "--json and --html - both want stdout";
        return Err(Failure::new(Exit::Usage, what, "name a file for the page"));
    }
    let rotation = report.rotation.clone();
    let asked = Asked {
        image: None,
        nights: NIGHTS,
        until: Some(&rotation),
    };
    let drawn = drawn(desk, loaded, &asked).await?;
    let has_runs = !drawn.runs.nights.is_empty() && !drawn.runs.images.is_empty();
    let runs = has_runs.then_some(drawn.svg.as_str());
    if desk.output.is_json {
        desk.output.json(&report);
    }
    let text = sheet(report, runs, args.logs, &desk.when, desk.clock.now().wall);
    let text = text.map_err(|error| {
        let what = format!("the page of {rotation} cannot be written: {error}");
        Failure::new(Exit::Fault, what, "report this")
    })?;
    file::write(&desk.output, file, &text)?;
    if !file::is_stdout(file) {
        desk.output
            .progress(&format!("{}: {rotation}", file.display()));
    }
    Ok(Exit::Done)
}

fn show(desk: &Desk, args: &Show, report: &Report) -> Exit {
    if desk.output.is_json {
        desk.output.json(report);
    } else {
        let text = text(report, args.logs, &desk.when, desk.clock.now().wall);
        desk.output.result(&text);
    }
    Exit::Done
}

async fn from_coordinator(desk: &Desk, wanted: Option<&RotationId>) -> Result<Report, Failure> {
    let rotation = match wanted {
        Some(rotation) => rotation.clone(),
        None => {
            let status = desk.answered::<Last>(&Command::History { last: 1 }).await?;
            let last = status.rotations.into_iter().next();
            last.map(|last| last.rotation).ok_or_else(|| {
                let what = "no rotation was ever begun there";
                Failure::new(Exit::Usage, what, "begin one with `cleanslate rotate`")
            })?
        }
    };
    desk.answered(&Command::Report { rotation }).await
}

/// The part of a list of rotations that names them.
#[derive(Deserialize)]
struct Last {
    rotations: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    rotation: RotationId,
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
        lines.extend(found_at(site));
        for kept in &site.evidence {
            lines.extend(of_evidence(kept, logs));
        }
        lines.extend(site.hooks.iter().flat_map(of_hook));
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

/// What was not as declared before the visit destroyed it.
fn found_at(site: &SiteReport) -> Vec<String> {
    let Some(findings) = &site.findings else {
        return Vec::new();
    };
    if findings.is_empty() {
        return vec!["  what was found was as declared".to_owned()];
    }
    let found = findings.iter();
    let found = found.map(|it| format!("    {} {}: {}", it.host, it.whose(), it.what));
    let heading = "  found, and not as declared:".to_owned();
    std::iter::once(heading).chain(found).collect()
}

fn of_evidence(kept: &EvidenceReport, logs: bool) -> Vec<String> {
    let oom = if kept.oom_killed {
        ", killed for memory"
    } else {
        ""
    };
    let mut lines = vec![format!(
        "  {} {}: {}{}, {}{oom}",
        kept.host,
        kept.container,
        found(kept),
        drift::amount(kept),
        words::counted(kept.restarts, "restart")
    )];
    let error = kept.error.iter();
    lines.extend(error.map(|error| format!("    not started: {}", printable(error))));
    for check in kept.health.iter().filter(|_| kept.failed) {
        let output = printable(check.output.trim_end());
        lines.push(format!(
            "    check: exit code {}, {output}",
            check.exit_code
        ));
    }
    let folders = drift::folders(kept, PATHS);
    lines.extend(folders.into_iter().map(|line| format!("    {line}")));
    let log: Vec<&str> = kept.logs.lines().collect();
    let shown = match (logs, kept.failed) {
        (true, _) => log.len(),
        (false, true) => LAST_LINES,
        (false, false) => 0,
    };
    let from = log.len().saturating_sub(shown);
    let log = log[from..].iter();
    lines.extend(log.map(|line| format!("    | {}", printable(line))));
    lines
}

fn of_hook(hook: &HookReport) -> Vec<String> {
    let end = hook.end();
    let mut lines = vec![format!(
        "  {} {}: {} {end}: {}",
        hook.host,
        hook.container,
        hook.phase,
        printable(&hook.command.join(" "))
    )];
    let output = hook.output.lines();
    lines.extend(output.map(|line| format!("    | {}", printable(line))));
    lines
}

/// How it was found, where it failed in this rotation.
fn found(kept: &EvidenceReport) -> String {
    match (kept.failed, kept.exit_code) {
        (false, _) => String::new(),
        (true, Some(code)) => format!("failed, {} with exit code {code}, ", kept.state),
        (true, None) => format!("failed, {}, ", kept.state),
    }
}
