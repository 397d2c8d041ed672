//! The result as people read it.
use std::time::Duration;

use super::command::{Shown, Told};
use super::tally::{FirstEnd, Tally};
use super::timeline;
use crate::api::when::span;
use crate::cli::desk::Desk;
use crate::cli::grid::grid;
use crate::coordinator::event::VisitEnd;
use crate::sim::faults::Fault;
use crate::sim::invariants;

/// Prints it.
pub(super) fn show(desk: &Desk, shown: &Shown<'_>) {
    let output = &desk.output;
    let width = output.is_stdout_terminal.then(width).flatten();
    if let Some(told) = &shown.told {
        output.result(&night(told, width));
        output.result("");
    }
    output.result(&summary(shown, desk.global.verbose > 0));
}

/// Columns of the terminal.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Every fault, with what happens.
pub(super) fn faults() -> String {
    let row = |fault: Fault| [fault.to_string(), fault.what().to_owned()];
    grid(
        ["FAULT", "WHAT HAPPENS"],
        Fault::all().into_iter().map(row).collect(),
    )
}

fn night(told: &Told, width: Option<usize>) -> String {
    let text = timeline::text(&told.moments, width);
    format!("the night of seed {}:\n{text}", told.seed)
}

/// What came of all nights.
pub(super) fn summary(shown: &Shown<'_>, is_verbose: bool) -> String {
    let parts = [
        Some(head(shown)),
        Some(ends(shown.tally)),
        Some(lasted(shown)),
        happened(shown),
        rules(shown.tally, is_verbose),
        Some(verdict(shown)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn head(shown: &Shown<'_>) -> String {
    let (tally, stage) = (shown.tally, shown.stage);
    let last = shown.seed + tally.nights.saturating_sub(1);
    let seeds = match tally.nights {
        1 => format!("seed {last}"),
        _ if shown.was_interrupted() => "ended early".to_owned(),
        _ => format!("seeds {} to {last}", shown.seed),
    };
    format!(
        "fleet {}, playbook {}: {} ({seeds}), {}, {}",
        stage.fleet.name,
        stage.playbook.name,
        counted(tally.nights, "night"),
        counted(tally.rotations, "rotation"),
        counted(tally.steps, "step"),
    )
}

fn ends(tally: &Tally) -> String {
    let ends = FirstEnd::ALL.into_iter().filter_map(|end| {
        let count = *tally.ends.get(&end)?;
        Some([
            end.words().to_owned(),
            grouped(count),
            share(count, tally.nights),
        ])
    });
    let visits: u64 = tally.visits.values().sum();
    let sites = tally.visits.iter().map(|(end, count)| {
        let words = format!("  a site {}", visit(*end));
        [words, grouped(*count), share(*count, visits)]
    });
    grid(
        ["THE FIRST ROTATION", "NIGHTS", "SHARE"],
        ends.chain(sites).collect(),
    )
}

fn visit(end: VisitEnd) -> &'static str {
    match end {
        VisitEnd::Completed => "visited as planned",
        VisitEnd::Skipped => "skipped, nothing changed",
        VisitEnd::PutBack => "put back as it was",
        VisitEnd::RolledBack => "back on its last good images",
        VisitEnd::Quarantined => "left out of DNS",
        VisitEnd::LeftInService => "in service, not as planned",
        VisitEnd::LeftOut => "left out, as it was found",
    }
}

fn lasted(shown: &Shown<'_>) -> String {
    let ms = |ms: u64| span(Duration::from_millis(ms));
    let calm = shown.calm.first.as_ref();
    let calm = calm.map_or("it does not end".to_owned(), |first| ms(first.took_ms));
    let took = shown.tally.took();
    let took = took.map_or(String::new(), |(median, longest)| {
        format!(
            "; with what went wrong: median {}, longest {}",
            ms(median),
            ms(longest)
        )
    });
    let sites = shown.stage.fleet.sites.len();
    let fewest = shown.tally.fewest.unwrap_or(sites);
    format!(
        "it takes {calm} where nothing goes wrong{took}\n\
         fewest sites that an UPDATE of ours left in DNS: {fewest} of {sites}"
    )
}

fn happened(shown: &Shown<'_>) -> Option<String> {
    let faults = shown.stage.applicable();
    let row = |fault: Fault| {
        let count = shown.tally.happened.get(&fault).copied().unwrap_or(0);
        [fault.to_string(), grouped(count), fault.what().to_owned()]
    };
    let rows: Vec<_> = faults.into_iter().map(row).collect();
    (!rows.is_empty()).then(|| grid(["FAULT", "TIMES", "WHAT HAPPENS"], rows))
}

/// Those that were broken; every rule where more was asked for.
fn rules(tally: &Tally, is_verbose: bool) -> Option<String> {
    let row = |(rule, reason): (&'static str, &'static str)| {
        let broken = tally.rules.get(rule).copied().unwrap_or(0);
        (broken > 0 || is_verbose).then(|| [rule.to_owned(), grouped(broken), reason.to_owned()])
    };
    let rows: Vec<_> = invariants::all().into_iter().filter_map(row).collect();
    (!rows.is_empty()).then(|| grid(["RULE", "BROKEN", "WHY IT IS ONE"], rows))
}

fn verdict(shown: &Shown<'_>) -> String {
    let tally = shown.tally;
    let rules = invariants::all().len();
    let Some(report) = &tally.broken else {
        let early = match shown.was_interrupted() {
            true => format!(
                "ended after {} of {} nights; ",
                grouped(tally.nights),
                grouped(shown.nights)
            ),
            false => String::new(),
        };
        return format!(
            "{early}{rules} rules were asked at every step, none was broken, and every night ended \
             well (-v names them)"
        );
    };
    let first = report.violations.first();
    let first = first.map_or(String::new(), ToString::to_string);
    format!(
        "{} of {} nights broke a rule; the first is seed {}: {first}\n\
         play it again: {} --nights 1 --seed {}",
        grouped(tally.nights_broken),
        grouped(tally.nights),
        report.seed,
        shown.replay,
        report.seed,
    )
}

fn share(count: u64, of: u64) -> String {
    let tenths = count.saturating_mul(1_000) / of.max(1);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `298,114`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
