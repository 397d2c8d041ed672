//! The page that Prometheus reads.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::families::{Families, PREFIX};
use super::labels;
use super::runs::RotationResult;
use super::standing::Out;
use crate::model::id::{FleetName, HolderId, SiteName};
use crate::model::marker::Marker;

/// What the page is, for the `content-type` of an answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is measured in one process that serves a fleet. To take a fact in costs
/// microseconds, and waits at most while a page is written, which is not much longer: a rotation is
/// not held up by whoever reads, however slowly.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(super) families: Families,
    pub(super) holder: HolderId,
    /// Whoever changes or reads several values holds it, so that a page is of one moment; never
    /// across an await.
    ledger: RwLock<Ledger>,
}

/// What values are made of that go on by themselves, or that the next fact is compared with.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// How many facts were seen.
    pub(super) facts: u64,
    /// Whether a rotation is in hand.
    pub(super) is_running: bool,
    /// The sites there are values of.
    pub(super) sites: BTreeSet<SiteName>,
    pub(super) out: BTreeMap<SiteName, Out>,
    /// Since when sites were out that an earlier process took out.
    pub(super) out_since: BTreeMap<SiteName, Timestamp>,
    /// Sites whose last rebuild ended on their last good images.
    pub(super) rolled_back: BTreeSet<SiteName>,
    /// Of each site whose engines all answered: when its oldest container was created.
    pub(super) oldest: BTreeMap<SiteName, Timestamp>,
    pub(super) looked: Option<Timestamp>,
    /// The marker as it was last seen, and since when it has stood.
    pub(super) marker: Option<(Marker, Timestamp)>,
}

impl Metrics {
    /// Of a process of that version, which began then and is called `holder` in markers.
    pub fn new(fleet: &FleetName, version: &str, holder: HolderId, began: Timestamp) -> Metrics {
        let fleet = ("fleet".into(), fleet.to_string().into());
        let mut registry = Registry::with_prefix_and_labels(PREFIX, std::iter::once(fleet));
        let families = Families::new();
        drop(families.register(&mut registry, version));
        families.started.set(unix(began));
        for outcome in super::facts::OUTCOMES {
            let labels = labels::Outcome { outcome };
            drop(families.dns_changes.get_or_create(&labels));
        }
        let metrics = Metrics {
            registry,
            families,
            holder,
            ledger: RwLock::default(),
        };
        metrics.rotation_is(super::standing::NO_ROTATION);
        metrics
    }

    /// The page as of `now`: OpenMetrics text, [`CONTENT_TYPE`].
    pub fn render(&self, now: Timestamp) -> String {
        let ledger = &mut *self.ledger();
        self.bring_up_to(ledger, now);
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a text takes text");
        page
    }

    /// A `[[notify]]` did not take a message, which is given up.
    pub fn not_told(&self) {
        self.families.notify_failures.inc();
    }

    pub(super) fn ledger(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes on by itself.
    fn bring_up_to(&self, ledger: &mut Ledger, now: Timestamp) {
        for (site, out) in &mut ledger.out {
            self.count_out(site, out, now);
        }
        self.tell_ages(ledger, now);
    }

    /// How the last rotation ended, whichever it was.
    pub(super) fn last_result_is(&self, result: RotationResult) {
        for each in RotationResult::ALL {
            let labels = labels::Verdict {
                result: each.as_str(),
            };
            let gauge = self.families.last_result.get_or_create(&labels);
            gauge.set(i64::from(each == result));
        }
    }
}

/// Seconds since 1970.
pub(super) fn unix(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// Seconds from one time to another, none where clocks went back.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
