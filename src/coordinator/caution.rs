//! What a configuration that is read while a rotation runs changes about it: only what makes it more
//! careful. All else it keeps as it began.
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::context::Context;
use crate::model::fleet::Fleet;
use crate::model::playbook::Playbook;
use crate::model::rrset::{RecordName, RrKey};
use crate::model::time::span;

/// Where the new configuration is more careful than the one that the rotation goes by; `None`: it is
/// not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caution {
    /// So many other sites must stay in service.
    #[serde(default)]
    pub floors: BTreeMap<RecordName, u32>,
    /// So many sites may be out at once.
    pub max_unavailable: Option<u32>,
    pub drain_at_least: Option<Duration>,
    pub drain_at_most: Option<Duration>,
    pub soak_for: Option<Duration>,
    #[serde(default)]
    pub verify_for: Option<Duration>,
    /// Rebuilt sites wait for a person who tries them.
    #[serde(default)]
    pub hold: bool,
}

impl Caution {
    /// Where `fleet` and `playbook` are more careful; `None`: nowhere.
    pub fn of(ctx: &Context<'_>, fleet: &Fleet, playbook: &Playbook) -> Option<Caution> {
        let more = |new: Duration, old: Duration| (new > old).then_some(new);
        let was = ctx.playbook;
        let rises = |key: RrKey| {
            let (old, new) = (ctx.fleet.floor(&key), fleet.floor(&key));
            (new > old && fleet.dns.records.contains_key(&key.name)).then_some((key.name, new))
        };
        let mut floors = BTreeMap::new();
        for (name, floor) in ctx.fleet.rrsets().filter_map(rises) {
            let of_record: &mut u32 = floors.entry(name).or_default();
            *of_record = floor.max(*of_record);
        }
        let fewer = playbook.max_unavailable < was.max_unavailable;
        let caution = Caution {
            floors,
            max_unavailable: fewer.then_some(playbook.max_unavailable),
            drain_at_least: more(playbook.drain.at_least, was.drain.at_least),
            drain_at_most: more(playbook.drain.at_most, was.drain.at_most),
            soak_for: more(playbook.soak.for_at_least, was.soak.for_at_least),
            verify_for: more(playbook.verify.for_at_least, was.verify.for_at_least),
            hold: playbook.verify.hold && !was.verify.hold,
        };
        (caution != Caution::default()).then_some(caution)
    }

    /// The configuration of the rotation from here on.
    pub(super) fn applied(&self, fleet: &mut Fleet, playbook: &mut Playbook) {
        for (name, floor) in &self.floors {
            if let Some(record) = fleet.dns.records.get_mut(name) {
                // Without a number it is the most there can be.
                record.min_in_service = record.min_in_service.map(|old| old.max(*floor));
            }
        }
        let longer = |old: &mut Duration, new: Option<Duration>| {
            *old = new.map_or(*old, |new| new.max(*old));
        };
        longer(&mut playbook.drain.at_least, self.drain_at_least);
        longer(&mut playbook.drain.at_most, self.drain_at_most);
        longer(&mut playbook.soak.for_at_least, self.soak_for);
        longer(&mut playbook.verify.for_at_least, self.verify_for);
        let most = self.max_unavailable.unwrap_or(playbook.max_unavailable);
        playbook.max_unavailable = playbook.max_unavailable.min(most);
        playbook.verify.hold |= self.hold;
    }

    /// Each change, for people.
    pub fn words(&self) -> Vec<String> {
        let floors = self.floors.iter();
        let floors = floors.map(|(name, floor)| format!("{name} keeps {floor} other sites"));
        let lasting =
            |what: &str, time: Option<Duration>| time.map(|time| format!("{what} {}", span(time)));
        let most = self
            .max_unavailable
            .map(|most| format!("max_unavailable {most}"));
        let times = [
            lasting("[drain].at_least", self.drain_at_least),
            lasting("[drain].at_most", self.drain_at_most),
            lasting("[verify].for", self.verify_for),
            lasting("[soak].for", self.soak_for),
            self.hold.then(|| "[verify].hold".to_owned()),
        ];
        floors
            .chain(most)
            .chain(times.into_iter().flatten())
            .collect()
    }
}
