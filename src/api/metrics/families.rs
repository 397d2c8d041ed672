//! Every family of values: its name, its unit, and what it says.
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::labels;

pub(super) type Number = Gauge<f64, AtomicU64>;
pub(super) type Seconds = Counter<f64, AtomicU64>;
type Steps = Family<labels::Step, Histogram, fn() -> Histogram>;

/// From a change of DNS on the same machine to a drain that lasts all night.
const STEP_SECONDS: [f64; 14] = [
    0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0,
];

/// The values.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) started: Number,
    pub(super) notify_failures: Counter,

    pub(super) rotation_state: Family<labels::State, Gauge>,
    pub(super) rotations: Family<labels::PlaybookResult, Counter>,
    pub(super) last_result: Family<labels::Verdict, Gauge>,
    pub(super) last_success: Family<labels::Playbook, Number>,
    pub(super) last_run: Family<labels::Playbook, Number>,
    pub(super) next_run: Family<labels::Playbook, Number>,
    pub(super) runs_missed: Family<labels::Playbook, Counter>,
    pub(super) run_missed: Family<labels::Playbook, Number>,

    pub(super) site_state: Family<labels::SiteState, Gauge>,
    pub(super) site_cordoned: Family<labels::Site, Gauge>,
    pub(super) site_rolled_back: Family<labels::Site, Gauge>,
    pub(super) sites: Family<labels::InDns, Gauge>,
    pub(super) out: Family<labels::Site, Seconds>,
    pub(super) out_since: Family<labels::Site, Number>,
    pub(super) visits: Family<labels::SiteResult, Counter>,
    pub(super) retries: Family<labels::Site, Counter>,
    pub(super) step: Steps,
    pub(super) last_step: Family<labels::SiteStep, Number>,
    pub(super) residue: Family<labels::Site, Number>,

    pub(super) max_age: Family<labels::Site, Number>,
    pub(super) engine_up: Family<labels::SiteHost, Gauge>,
    pub(super) primary_up: Family<labels::Fleet, Gauge>,

    pub(super) dns_changes: Family<labels::Outcome, Counter>,
    pub(super) marker_held: Family<labels::By, Gauge>,
    pub(super) marker_epoch: Family<labels::Fleet, Gauge>,
    pub(super) marker_changed: Family<labels::Fleet, Number>,
    pub(super) marker_lost: Counter,
    pub(super) marker_taken_over: Counter,
}

/// A family, by the name that queries use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: &'static str,
}

impl Families {
    pub(super) fn new() -> Families {
        Families {
            started: Number::default(),
            notify_failures: Counter::default(),
            rotation_state: Family::default(),
            rotations: Family::default(),
            last_result: Family::default(),
            last_success: Family::default(),
            last_run: Family::default(),
            next_run: Family::default(),
            runs_missed: Family::default(),
            run_missed: Family::default(),
            site_state: Family::default(),
            site_cordoned: Family::default(),
            site_rolled_back: Family::default(),
            sites: Family::default(),
            out: Family::default(),
            out_since: Family::default(),
            visits: Family::default(),
            retries: Family::default(),
            step: Family::new_with_constructor(|| Histogram::new(STEP_SECONDS)),
            last_step: Family::default(),
            residue: Family::default(),
            max_age: Family::default(),
            engine_up: Family::default(),
            primary_up: Family::default(),
            dns_changes: Family::default(),
            marker_held: Family::default(),
            marker_epoch: Family::default(),
            marker_changed: Family::default(),
            marker_lost: Counter::default(),
            marker_taken_over: Counter::default(),
        }
    }

    /// Names them all; what was named, in that order.
    pub(super) fn register(&self, registry: &mut Registry, version: &str) -> Vec<Entry> {
        let mut book = Book {
            registry,
            entries: Vec::new(),
        };
        let version = version.to_owned();
        let build = Info::new(labels::Version { version });
        book.plain("build", "What was built", build);
        book.seconds(
            "process_start_time",
            "When the process began, unix time",
            &self.started,
        );
        book.plain(
            "notify_failures",
            "Messages that a [[notify]] did not take, tried again and given up",
            self.notify_failures.clone(),
        );
        self.register_rotations(&mut book);
        self.register_sites(&mut book);
        self.register_looks(&mut book);
        self.register_dns(&mut book);
        book.entries
    }

    fn register_rotations(&self, book: &mut Book<'_>) {
        let state = "1 for the state of the rotation, none where there is none, 0 for the others";
        book.plain("rotation_state", state, self.rotation_state.clone());
        let rotations =
            "Rotations that ended, by result; skipped: completed, but a site was left out";
        book.plain("rotations", rotations, self.rotations.clone());
        let last = "1 for how the last rotation ended, whichever it was, 0 for the others";
        book.plain("last_rotation_result", last, self.last_result.clone());
        let success = "When a rotation last completed every site that it planned, unix time";
        book.seconds("last_success_timestamp", success, &self.last_success);
        let run = "When the last run of the schedule was planned, frozen ones apart, unix time";
        book.seconds("last_run_timestamp", run, &self.last_run);
        let next = "When the next run of the schedule is planned, unix time";
        book.seconds("next_run_timestamp", next, &self.next_run);
        let missed = "Runs of the schedule that did not begin in time";
        book.plain("runs_missed", missed, self.runs_missed.clone());
        let given_up = "When a run of the schedule was last given up as missed, unix time";
        book.seconds("run_missed_timestamp", given_up, &self.run_missed);
    }

    fn register_sites(&self, book: &mut Book<'_>) {
        let state = "1 for the state of the site, unknown where nobody can tell, 0 for the others";
        book.plain("site_state", state, self.site_state.clone());
        let cordoned = "Whether rotations leave the site out";
        book.plain("site_cordoned", cordoned, self.site_cordoned.clone());
        let back = "1 where the last rebuild of the site ended on its last good images, else 0";
        book.plain("site_rolled_back", back, self.site_rolled_back.clone());
        let sites = "Sites by whether the primary serves their addresses";
        book.plain("sites", sites, self.sites.clone());
        let out = "Time that the site was seen out of DNS since the process began";
        book.seconds("site_out_of_dns", out, &self.out);
        let since = "Since when the site is out of DNS, unix time; absent while it is in";
        book.seconds("site_out_since_timestamp", since, &self.out_since);
        let visits = "Visits that ended, by result";
        book.plain("visits", visits, self.visits.clone());
        let retries = "Attempts of a visit that failed and were made again";
        book.plain("retries", retries, self.retries.clone());
        let step = "How long steps of visits took";
        book.seconds("step_duration", step, &self.step);
        let last = "How long the step took last";
        book.seconds("step_last_duration", last, &self.last_step);
        let residue = "Traffic at the end of the last drain; absent where it could not be measured";
        let unit = Unit::Other("packets_per_second".to_owned());
        book.add("drain_residue", Some(unit), residue, self.residue.clone());
    }

    fn register_looks(&self, book: &mut Book<'_>) {
        let age = "Age of the oldest container that visits recreate; absent where an engine of the \
                   site did not answer";
        book.seconds("container_max_age", age, &self.max_age);
        let engine = "Whether the engine answered when it was last looked at";
        book.plain("engine_up", engine, self.engine_up.clone());
        let primary = "Whether the primary answered when it was last looked at";
        book.plain("primary_up", primary, self.primary_up.clone());
    }

    fn register_dns(&self, book: &mut Book<'_>) {
        let changes = "Answers to UPDATEs; unknown: it may have been applied, or may be later";
        book.plain("dns_changes", changes, self.dns_changes.clone());
        let held = "1 for who holds the marker, 0 for the others";
        book.plain("marker_held", held, self.marker_held.clone());
        let epoch = "The epoch of the marker";
        book.plain("marker_epoch", epoch, self.marker_epoch.clone());
        let changed =
            "Since when the marker has stood as it is, as far as the process saw, unix time";
        book.seconds("marker_changed_timestamp", changed, &self.marker_changed);
        let lost = "Rotations that ended because somebody newer holds the marker";
        book.plain("marker_lost", lost, self.marker_lost.clone());
        let taken = "Markers taken over from another holder";
        book.plain("marker_taken_over", taken, self.marker_taken_over.clone());
    }
}

/// Names families to a registry, and remembers what it named.
struct Book<'a> {
    registry: &'a mut Registry,
    entries: Vec<Entry>,
}

impl Book<'_> {
    fn plain(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.add(name, None, help, metric);
    }

    fn seconds(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.add(name, Some(Unit::Seconds), help, metric.clone());
    }

    fn add(&mut self, name: &str, unit: Option<Unit>, help: &str, metric: impl Metric) {
        let unit_suffix = unit
            .as_ref()
            .map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let (kind, suffix) = match metric.metric_type() {
            MetricType::Counter => ("counter", "_total"),
            MetricType::Gauge => ("gauge", ""),
            MetricType::Histogram => ("histogram", ""),
            MetricType::Info => ("info", "_info"),
            MetricType::Unknown => ("unknown", ""),
        };
        self.entries.push(Entry {
            name: format!("{PREFIX}_{name}{unit_suffix}{suffix}"),
            kind,
        });
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, metric),
            None => self.registry.register(name, help, metric),
        }
    }
}

/// Of every name.
pub(super) const PREFIX: &str = "cleanslate";
