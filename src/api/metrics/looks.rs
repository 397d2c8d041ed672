//! What is looked at every few minutes: how old containers are, who answers, and, while no
//! rotation runs, who is in DNS.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::exposition::{Ledger, Metrics, seconds};
use super::labels;
use crate::api::status::Seen;
use crate::model::fleet::Fleet;
use crate::model::id::{HostName, SiteName};
use crate::model::rrset::ZoneView;
use crate::model::time::{Mono, Now};

/// What one look saw.
#[derive(Clone, Debug)]
pub struct Look {
    /// How many facts had been seen when it began ([`Metrics::facts`]).
    pub facts: u64,
    /// `None`: the primary did not answer.
    pub zone: Option<ZoneView>,
    pub engines: BTreeMap<(SiteName, HostName), Containers>,
}

/// The containers of one host that visits recreate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containers {
    /// The engine did not answer.
    Unknown,
    None,
    /// The oldest was created then.
    Since(Timestamp),
}

/// Ages that were not looked at for so long are told no more.
const STALE: SignedDuration = SignedDuration::from_mins(20);

impl Metrics {
    /// How many facts have been seen.
    pub fn facts(&self) -> u64 {
        self.ledger().facts
    }

    /// Takes in what a look saw. While a rotation runs, or where facts came meanwhile, those know
    /// better who is in DNS.
    pub fn looked(&self, fleet: &Fleet, look: &Look, at: Timestamp) {
        let ledger = &mut *self.ledger();
        let primary = self.families.primary_up.get_or_create(&[]);
        primary.set(i64::from(look.zone.is_some()));
        drop(primary);
        self.engines_answered(ledger, look, at);
        if ledger.is_running || ledger.facts != look.facts {
            return;
        }
        let nothing = (BTreeMap::new(), BTreeMap::new());
        let seen = Seen {
            fleet,
            state: None,
            view: look.zone.as_ref(),
            engines: &nothing.0,
            ends: &nothing.1,
            holder: Some(&self.holder),
            is_live: true,
            now: Now {
                mono: Mono(0),
                wall: at,
            },
        };
        self.stand(ledger, &seen);
    }

    /// Engines that are no longer in the configuration go; a site has an age only where all of its
    /// engines answered.
    fn engines_answered(&self, ledger: &mut Ledger, look: &Look, at: Timestamp) {
        self.families.engine_up.clear();
        let mut oldest: BTreeMap<&SiteName, Containers> = BTreeMap::new();
        for ((site, host), containers) in &look.engines {
            let (of, host) = (site.clone(), host.clone());
            let labels = labels::SiteHost { site: of, host };
            let up = self.families.engine_up.get_or_create(&labels);
            up.set(i64::from(*containers != Containers::Unknown));
            let known = oldest.entry(site).or_insert(Containers::None);
            *known = older(*known, *containers);
        }
        let known = oldest.into_iter().filter_map(|(site, containers)| {
            let Containers::Since(created) = containers else {
                return None;
            };
            Some((site.clone(), created))
        });
        ledger.oldest = known.collect();
        ledger.looked = Some(at);
    }

    /// The ages as of `now`.
    pub(super) fn tell_ages(&self, ledger: &Ledger, now: Timestamp) {
        self.families.max_age.clear();
        let is_fresh = |looked: Timestamp| now.duration_since(looked) < STALE;
        if !ledger.looked.is_some_and(is_fresh) {
            return;
        }
        for (site, created) in &ledger.oldest {
            let labels = labels::Site { site: site.clone() };
            let age = self.families.max_age.get_or_create(&labels);
            age.set(seconds(*created, now));
        }
    }
}

/// Of two hosts of a site; what is not known of one is not known of both.
fn older(one: Containers, other: Containers) -> Containers {
    match (one, other) {
        (Containers::Unknown, _) | (_, Containers::Unknown) => Containers::Unknown,
        (Containers::None, other) => other,
        (one, Containers::None) => one,
        (Containers::Since(one), Containers::Since(other)) => Containers::Since(one.min(other)),
    }
}
