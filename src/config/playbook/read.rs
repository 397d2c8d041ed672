//! A playbook as written; what is not written is as in `playbooks/nightly.toml`.
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde_spanned::Spanned;

use super::super::diagnostic::Findings;
use super::super::table::{Bytes, FromToml, Share, Table, Value, parse};
use super::schedule::read_schedule;
use crate::model::id::{PlaybookName, SiteName};
use crate::model::playbook::{
    Anonymous, Before, Drain, Failure, FailureThen, Playbook, Preflight, Quiet, Recreate, Soak,
    StillBusy, Strays, Verify, Volumes,
};

/// A playbook, and where it says what must fit the fleet.
#[derive(Clone, Debug)]
pub(crate) struct PlaybookFile {
    pub(crate) playbook: Playbook,
    pub(crate) sites: Vec<Spanned<SiteName>>,
    /// Where `[drain]` says how long it may take.
    pub(crate) drain_span: Option<Range<usize>>,
    /// Where `[schedule]` says by when a run must have ended.
    pub(crate) finish_span: Option<Range<usize>>,
}

/// The most log of a container that is kept as evidence.
const MAX_LOGS: u64 = 64 * 1024 * 1024;

/// Reads a playbook; what is wrong is in `findings`.
pub(crate) fn read(
    name: PlaybookName,
    text: &str,
    findings: &mut Findings,
) -> Option<PlaybookFile> {
    let document = parse(text, findings)?;
    let mut root = Table::root(&document);
    let description = root.optional("description", findings).unwrap_or_default();
    let sites: Option<Spanned<Vec<Spanned<SiteName>>>> = root.optional("sites", findings);
    let max_unavailable: Option<Spanned<u32>> = root.optional("max_unavailable", findings);
    let schedule = root.optional::<Table<'_>>("schedule", findings);
    let finish_span = schedule
        .as_ref()
        .and_then(|schedule| schedule.span_of("finish_by"));
    let drain = root.optional::<Table<'_>>("drain", findings);
    let drain_span = drain
        .as_ref()
        .map(|drain| drain.span_of("at_most").unwrap_or(drain.span.clone()));
    let recreate = root.optional::<Table<'_>>("recreate", findings);
    let verify = root.optional::<Table<'_>>("verify", findings);
    let soak = root.optional::<Table<'_>>("soak", findings);
    let failure = root.optional::<Table<'_>>("failure", findings);
    root.later(
        "make_room",
        "let a [[hook]] on before_withdraw with peers = true do it: docs/hooks.md",
        findings,
    );
    root.finish(findings);
    check_sites(sites.as_ref(), findings);
    let playbook = Playbook {
        name,
        description,
        sites: sites.as_ref().map(|sites| names(sites.get_ref())),
        max_unavailable: at_least_one(max_unavailable, findings),
        schedule: schedule.and_then(|table| read_schedule(table, findings)),
        drain: read_drain(drain, findings),
        recreate: read_recreate(recreate, findings),
        verify: read_verify(verify, findings),
        soak: read_soak(soak, findings),
        failure: read_failure(failure, findings),
    };
    let sites = sites.map(Spanned::into_inner).unwrap_or_default();
    (!findings.has_errors()).then_some(PlaybookFile {
        playbook,
        sites,
        drain_span,
        finish_span,
    })
}

fn names(sites: &[Spanned<SiteName>]) -> Vec<SiteName> {
    sites.iter().map(|site| site.get_ref().clone()).collect()
}

fn check_sites(sites: Option<&Spanned<Vec<Spanned<SiteName>>>>, findings: &mut Findings) {
    let Some(sites) = sites else {
        return;
    };
    if sites.get_ref().is_empty() {
        findings
            .error(sites.span(), "the playbook visits no site")
            .hint("leave sites out to visit every site");
    }
    let mut seen = BTreeSet::new();
    for site in sites.get_ref() {
        if !seen.insert(site.get_ref()) {
            findings.error(site.span(), format!("{} stands here twice", site.get_ref()));
        }
    }
}

fn at_least_one(max_unavailable: Option<Spanned<u32>>, findings: &mut Findings) -> u32 {
    let Some(written) = max_unavailable else {
        return 1;
    };
    if *written.get_ref() == 0 {
        findings
            .error(written.span(), "no site could ever be visited")
            .hint("write max_unavailable = 1");
    }
    written.into_inner()
}

fn read_drain(table: Option<Table<'_>>, findings: &mut Findings) -> Drain {
    let mut drain = Drain {
        at_least: Duration::ZERO,
        at_most: Duration::from_secs(300),
        quiet: Quiet {
            below: 10.0,
            share: 0.05,
            for_at_least: Duration::from_secs(10),
        },
        then: StillBusy::PutBack,
    };
    let Some(mut table) = table else {
        return drain;
    };
    let span = table.span_of("at_least");
    drain.at_least = table
        .optional("at_least", findings)
        .unwrap_or(drain.at_least);
    drain.at_most = table.optional("at_most", findings).unwrap_or(drain.at_most);
    if let Some(quiet) = table.optional::<Table<'_>>("quiet", findings) {
        drain.quiet = read_quiet(quiet, drain.quiet, findings);
    }
    let words = [
        ("put_back", StillBusy::PutBack),
        ("proceed", StillBusy::Proceed),
    ];
    drain.then = table.choice("then", &words, drain.then, findings);
    if drain.at_least > drain.at_most {
        let message = "the drain lasts at least longer than at most";
        findings.error(span.unwrap_or(table.span.clone()), message);
    }
    table.finish(findings);
    drain
}

fn read_quiet(mut table: Table<'_>, default: Quiet, findings: &mut Findings) -> Quiet {
    let quiet = Quiet {
        below: table.optional("below", findings).unwrap_or(default.below),
        share: table
            .optional::<Share>("or", findings)
            .map_or(default.share, |share| share.0),
        for_at_least: table
            .optional("for", findings)
            .unwrap_or(default.for_at_least),
    };
    if quiet.below == 0.0 && quiet.share == 0.0 {
        findings
            .error(table.span.clone(), "traffic is never below nothing")
            .hint("write below = 10.0 (packets a second)");
    }
    table.finish(findings);
    quiet
}

fn read_recreate(table: Option<Table<'_>>, findings: &mut Findings) -> Recreate {
    let mut recreate = Recreate {
        containers: true,
        volumes: Volumes::Keep,
        anonymous: Anonymous::Refuse,
        strays: Strays::Report,
        before: None,
        logs: 1024 * 1024,
    };
    let Some(mut table) = table else {
        return recreate;
    };
    recreate.containers = table.optional("containers", findings).unwrap_or(true);
    let volumes = [("keep", Volumes::Keep), ("wipe", Volumes::Wipe)];
    recreate.volumes = table.choice("volumes", &volumes, recreate.volumes, findings);
    let anonymous = [
        ("refuse", Anonymous::Refuse),
        ("discard", Anonymous::Discard),
    ];
    recreate.anonymous = table.choice("anonymous", &anonymous, recreate.anonymous, findings);
    let strays = [("report", Strays::Report), ("remove", Strays::Remove)];
    recreate.strays = table.choice("strays", &strays, recreate.strays, findings);
    recreate.before = table.optional("before", findings);
    if let Some(logs) = table.optional::<Spanned<Bytes>>("logs", findings) {
        recreate.logs = logs.get_ref().0;
        if recreate.logs > MAX_LOGS {
            findings
                .error(
                    logs.span(),
                    "so much log of every container is too much to keep",
                )
                .label("expected at most \"64MiB\"");
        }
    }
    table.finish(findings);
    recreate
}

impl<'a> FromToml<'a> for Before {
    fn from_toml(value: Value<'a>, findings: &mut Findings) -> Option<Before> {
        let mut table = Table::from_toml(value, findings)?;
        let example = "[\"/etc/cleanslate/backup\", \"{site}\"]";
        let command: Option<Spanned<Vec<String>>> = table.required("command", example, findings);
        let within = table.optional("within", findings);
        table.finish(findings);
        let command = command?;
        if command.get_ref().first().is_none_or(String::is_empty) {
            findings
                .error(command.span(), "the command is empty")
                .hint(format!("write command = {example}"));
        }
        Some(Before {
            command: command.into_inner(),
            within: within.unwrap_or(Duration::from_secs(600)),
        })
    }
}

fn read_verify(table: Option<Table<'_>>, findings: &mut Findings) -> Verify {
    let mut verify = Verify::default();
    if let Some(mut table) = table {
        verify.for_at_least = table.optional("for", findings).unwrap_or_default();
        verify.hold = table.optional("hold", findings).unwrap_or(verify.hold);
        table.later("warm", "probes and health checks verify a site", findings);
        table.finish(findings);
    }
    verify
}

fn read_soak(table: Option<Table<'_>>, findings: &mut Findings) -> Soak {
    let mut soak = Soak {
        for_at_least: Duration::from_secs(60),
        traffic_within: Duration::from_secs(120),
    };
    if let Some(mut table) = table {
        soak.for_at_least = table.optional("for", findings).unwrap_or(soak.for_at_least);
        let within = table.optional("traffic_within", findings);
        soak.traffic_within = within.unwrap_or(soak.traffic_within);
        table.later("gates", "leave it out", findings);
        table.finish(findings);
    }
    soak
}

fn read_failure(table: Option<Table<'_>>, findings: &mut Findings) -> Failure {
    let mut failure = Failure {
        preflight: Preflight::Skip,
        then: FailureThen::Quarantine,
    };
    if let Some(mut table) = table {
        let words = [("skip", Preflight::Skip), ("halt", Preflight::Halt)];
        failure.preflight = table.choice("preflight", &words, failure.preflight, findings);
        let words = [
            ("quarantine", FailureThen::Quarantine),
            ("last_good", FailureThen::LastGood),
        ];
        failure.then = table.choice("then", &words, failure.then, findings);
        table.finish(findings);
    }
    failure
}
