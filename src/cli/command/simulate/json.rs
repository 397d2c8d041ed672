//! The result as one object, for programs.
use std::collections::BTreeMap;

use serde::Serialize;

use super::command::Shown;
use super::tally::FirstEnd;
use super::timeline::Moment;
use crate::coordinator::event::VisitEnd;
use crate::sim::invariants;

#[derive(Debug, Serialize)]
pub(super) struct Object<'a> {
    v: u8,
    fleet: &'a str,
    playbook: &'a str,
    seed: u64,
    /// How many were asked for, and how many were played.
    nights: u64,
    nights_played: u64,
    rotations: u64,
    steps: u64,
    /// How the first rotation of each night ended: `completed`, `completed_in_part`, `halted`,
    /// `aborted`, `not_acquired`, `deposed`, `unknown`.
    ends: BTreeMap<&'static str, u64>,
    /// How its visits ended.
    visits: BTreeMap<VisitEnd, u64>,
    /// The first rotation, on the simulator's clock.
    seconds_without_faults: Option<f64>,
    seconds_median: Option<f64>,
    seconds_longest: Option<f64>,
    sites: usize,
    fewest_in_dns: Option<usize>,
    faults: Vec<Happened>,
    rules: Vec<Rule>,
    nights_broken: u64,
    /// The first night that broke a rule.
    broken: Option<Broken>,
    /// Of the only night, or of the first that broke a rule.
    timeline: Option<&'a [Moment]>,
}

#[derive(Debug, Serialize)]
struct Happened {
    name: String,
    what: &'static str,
    times: u64,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: &'static str,
    why: &'static str,
    /// In how many nights.
    broken: u64,
}

#[derive(Debug, Serialize)]
struct Broken {
    seed: u64,
    rule: &'static str,
    what: String,
    replay: String,
}

pub(super) fn of<'a>(shown: &'a Shown<'_>) -> Object<'a> {
    let (tally, stage) = (shown.tally, shown.stage);
    let count = |end: FirstEnd| (end.as_str(), tally.ends.get(&end).copied().unwrap_or(0));
    let faults = stage.applicable().into_iter().map(|fault| Happened {
        name: fault.to_string(),
        what: fault.what(),
        times: tally.happened.get(&fault).copied().unwrap_or(0),
    });
    let rules = invariants::all().into_iter().map(|(name, why)| Rule {
        name,
        why,
        broken: tally.rules.get(name).copied().unwrap_or(0),
    });
    let broken = tally.broken.as_ref().and_then(|report| {
        let first = report.violations.first()?;
        Some(Broken {
            seed: report.seed,
            rule: first.invariant,
            what: first.what.clone(),
            replay: format!("{} --nights 1 --seed {}", shown.replay, report.seed),
        })
    });
    let calm = shown.calm.first.as_ref();
    Object {
        v: 1,
        fleet: stage.fleet.name.as_str(),
        playbook: stage.playbook.name.as_str(),
        seed: shown.seed,
        nights: shown.nights,
        nights_played: tally.nights,
        rotations: tally.rotations,
        steps: tally.steps,
        ends: FirstEnd::ALL.into_iter().map(count).collect(),
        visits: tally.visits.clone(),
        seconds_without_faults: calm.map(|first| seconds(first.took_ms)),
        seconds_median: tally.took().map(|(median, _)| seconds(median)),
        seconds_longest: tally.took().map(|(_, longest)| seconds(longest)),
        sites: stage.fleet.sites.len(),
        fewest_in_dns: tally.fewest,
        faults: faults.collect(),
        rules: rules.collect(),
        nights_broken: tally.nights_broken,
        broken,
        timeline: shown.told.as_ref().map(|told| told.moments.as_slice()),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a night are far below 2^53"
)]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
