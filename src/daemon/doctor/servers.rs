//! The name servers that must agree: whether they answer, and with what the primary has.
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::adapters::Adapters;
use super::{Check, delegation};
use crate::coordinator::outcome::Problem;
use crate::model::rrset::{MarkerSeen, ServerAnswer, ZoneView};

/// A change that was made a moment ago is on its way: BIND notifies after five seconds.
const SETTLES_WITHIN: Duration = Duration::from_secs(7);
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn checks(adapters: &Adapters, view: &Result<ZoneView, Problem>) -> Vec<Check> {
    let Ok(view) = view else {
        // The primary's own check says why; others may answer all the same.
        return answers(adapters).await.iter().map(alone).collect();
    };
    let mut checks = settled(adapters, view).await;
    match adapters.dns.delegated().await {
        Ok(named) => checks.extend(delegation::checks(&adapters.fleet().dns, &named)),
        Err(problem) => checks.push(Check::problem("delegation", &problem)),
    }
    checks
}

/// Asks until all have what the primary has, or that does not come.
async fn settled(adapters: &Adapters, view: &ZoneView) -> Vec<Check> {
    let primary = adapters.fleet().dns.server;
    let until = Instant::now() + SETTLES_WITHIN;
    let mut before = view.clone();
    loop {
        let answers = answers(adapters).await;
        // What changed while they were asked is no server's fault.
        let after = adapters.dns.read_primary().await;
        let after = after.as_ref().unwrap_or(&before);
        let stand: BTreeMap<SocketAddr, Standing> = answers
            .iter()
            .filter_map(|answer| {
                let view = answer.view.as_ref().ok()?;
                Some((answer.server, standing(&before, after, view)))
            })
            .collect();
        let is_settled = stand.values().all(|standing| *standing == Standing::Same);
        if is_settled || Instant::now() >= until {
            let check = |answer: &ServerAnswer| match stand.get(&answer.server) {
                Some(standing) if answer.server != primary => compared(answer, after, standing),
                Some(_) | None => alone(answer),
            };
            return answers.iter().map(check).collect();
        }
        before = after.clone();
        sleep(ASK_AGAIN_AFTER).await;
    }
}

async fn answers(adapters: &Adapters) -> Vec<ServerAnswer> {
    adapters.dns.ask_servers(&BTreeSet::new()).await
}

fn alone(answer: &ServerAnswer) -> Check {
    let asked = asked(answer);
    match &answer.view {
        Ok(view) => Check::well(asked, format!("answers, serial {}", view.serial)),
        Err(why) => Check::unasked(
            asked,
            why,
            "see that it runs, serves the zone and is reached over TCP; [dns].nameservers says who \
             must agree",
        ),
    }
}

/// How what a server shows stands to what the primary had before and after it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Same,
    /// The fleet's records are the same, the zone is another version.
    OtherSerial,
    /// What of the fleet's is not as the primary has it.
    Older(String),
    /// Its marker is newer than the primary's.
    Newer,
}

fn standing(before: &ZoneView, after: &ZoneView, seen: &ZoneView) -> Standing {
    let is_newer = |record| match (after.markers.get(record), seen.markers.get(record)) {
        (Some(MarkerSeen::Here(theirs)), Some(MarkerSeen::Here(seen))) => !theirs.is_at_least(seen),
        (_, _) => false,
    };
    if seen.markers.keys().any(is_newer) {
        return Standing::Newer;
    }
    let as_before = differs(before, seen);
    match as_before.and(differs(after, seen)) {
        Some(what) => Standing::Older(what),
        None if ![before.serial, after.serial].contains(&seen.serial) => Standing::OtherSerial,
        None => Standing::Same,
    }
}

/// The first of the fleet's records that is not the same.
fn differs(primary: &ZoneView, seen: &ZoneView) -> Option<String> {
    for (record, theirs) in &primary.markers {
        let seen = seen.markers.get(record).unwrap_or(&MarkerSeen::Absent);
        if seen != theirs {
            let name = record.marker();
            return Some(format!(
                "{name} is {}, the primary has {}",
                version(seen),
                version(theirs)
            ));
        }
    }
    for (key, theirs) in &primary.rrsets {
        let seen = seen.rrsets.get(key).cloned().unwrap_or_default();
        if seen.addresses != theirs.addresses {
            let list = |addresses: &BTreeSet<std::net::IpAddr>| {
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                if all.is_empty() {
                    "none".to_owned()
                } else {
                    all.join(", ")
                }
            };
            let (seen, theirs) = (list(&seen.addresses), list(&theirs.addresses));
            return Some(format!("{key} is {seen}, the primary has {theirs}"));
        }
    }
    None
}

fn version(marker: &MarkerSeen) -> String {
    match marker {
        MarkerSeen::Absent => "not there".to_owned(),
        MarkerSeen::Here(marker) => format!("of epoch {} seq {}", marker.epoch, marker.seq),
        MarkerSeen::Foreign { .. } => "no marker".to_owned(),
    }
}

fn compared(answer: &ServerAnswer, primary: &ZoneView, standing: &Standing) -> Check {
    let Ok(view) = &answer.view else {
        return alone(answer);
    };
    let (asked, serial) = (asked(answer), view.serial);
    match standing {
        Standing::Same => Check::well(asked, format!("has what the primary has, serial {serial}")),
        Standing::OtherSerial => Check::noted(
            asked,
            format!(
                "serial {serial}, the primary has {}; the fleet's records are the same",
                primary.serial
            ),
        )
        .cured_by(
            "where servers copy the zone from each other in another way than by transfer, that is \
             usual; else see why it does not follow",
        ),
        Standing::Older(what) => Check::wrong(
            asked,
            format!(
                "behind: serial {serial}, the primary has {}; {what}",
                primary.serial
            ),
            "see why it does not follow: its log, NOTIFY and transfers from the primary; no visit \
             ends its drain before it does (docs/runbooks/secondary-does-not-follow.md)",
        ),
        Standing::Newer => Check::wrong(
            asked,
            format!(
                "its marker is newer than the primary's (serial {serial}, the primary has {})",
                primary.serial
            ),
            "the primary went backwards: see docs/runbooks/zone-went-backwards.md before anything \
             runs",
        ),
    }
}

fn asked(answer: &ServerAnswer) -> String {
    format!("name server {}", answer.server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::tests::world::World;
    use crate::model::marker::Marker;

    #[test]
    fn a_server_stands_by_its_markers_first_and_its_addresses_then() {
        let (old, new) = (view(4), view(5));
        assert_eq!(standing(&new, &new, &new), Standing::Same);
        // The primary changed meanwhile, and it has either.
        assert_eq!(standing(&old, &new, &old), Standing::Same);
        assert_eq!(standing(&old, &new, &new), Standing::Same);
        let Standing::Older(what) = standing(&new, &new, &old) else {
            panic!("an older marker was not seen");
        };
        assert!(what.contains("seq 4, the primary has of epoch"), "{what}");
        assert_eq!(standing(&old, &old, &new), Standing::Newer);

        let mut serial = new.clone();
        serial.serial += 1;
        assert_eq!(standing(&new, &new, &serial), Standing::OtherSerial);
        let mut less = new.clone();
        let set = less
            .rrsets
            .values_mut()
            .find(|set| !set.addresses.is_empty());
        set.unwrap().addresses.clear();
        assert!(matches!(standing(&new, &new, &less), Standing::Older(_)));
    }

    fn view(seq: u64) -> ZoneView {
        let mut view = World::new().zone().clone();
        for seen in view.markers.values_mut() {
            *seen = MarkerSeen::Here(Marker { seq, ..a_marker() });
        }
        view
    }

    fn a_marker() -> Marker {
        crate::dns::testing::a_marker(1)
    }
}
