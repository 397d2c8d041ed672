//! Event lines in words, for terminals, logs and reports.
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::public::{DrainEnd, Interruption, Kind, Line, Public, Then};
use super::when::{When, span};
use crate::model::id::RotationId;
use crate::model::image::{Digest, ImageRef};

/// `03:12:45 CET  fra  withdrawn: 192.0.2.10 of www.example.com.`
pub(crate) fn line(line: &Line, when: &When, now: Timestamp) -> String {
    let site = line.site.as_ref().map_or("-", |site| site.as_str());
    let at = when.at(line.at, now);
    format!("{at}  {site:<8}  {}", words(line, when, now))
}

/// What a rotation is called after: its id without time and random end.
fn name_of(rotation: &RotationId) -> &str {
    rotation.as_str().rsplitn(3, '-').last().unwrap_or_default()
}

/// What happened, without when and where.
pub(crate) fn words(line: &Line, when: &When, now: Timestamp) -> String {
    match &line.public {
        Public::RotationPlanned {
            sites,
            digests,
            changed,
            pinned,
            windows,
            actor,
            reason,
            in_freeze,
            ..
        } => {
            let images = digests.values().chain(pinned.values()).flatten();
            let images: BTreeMap<&ImageRef, &Digest> = images.collect();
            let sites: Vec<&str> = sites.iter().map(|site| site.as_str()).collect();
            let mut text = format!("{} planned", name_of(&line.rotation));
            if !sites.is_empty() {
                text = format!("{text}: {}", sites.join(", "));
            }
            if !images.is_empty() {
                text = format!(
                    "{text}; {} of {} images changed",
                    changed.len(),
                    images.len()
                );
            }
            for site in pinned.keys() {
                text = format!("{text}; {site} is pinned");
            }
            for (site, window) in windows.iter().filter(|(_, window)| window.opens > line.at) {
                let opens = when.at(window.opens, now);
                text = format!("{text}; {site} not before {opens}");
            }
            if let Some(freeze) = in_freeze {
                let reason = reason.as_deref().unwrap_or_default();
                text = format!("{text}; {actor} sets a freeze aside ({freeze}): {reason}");
            }
            text
        }
        Public::VisitStarted { kind } => format!("visit started{}", begins(*kind)),
        Public::ImagesPulled { images } => format!("{} pulled", counted(*images, "image")),
        Public::KeptDrifted { drifted, next, .. } => {
            format!("left as it is: {}; next: {next}", drifted.join("; "))
        }
        Public::Ready { containers } => {
            format!("ready: {} created", counted(*containers, "container"))
        }
        Public::WithdrawRefused { rule, why, .. } => format!("not withdrawn, {rule}: {why}"),
        Public::Withdrawn { addresses } => format!("withdrawn: {}", listed(addresses)),
        Public::Draining {
            at_least, at_most, ..
        } => format!(
            "draining: every name server has followed; {} at least, {} at most",
            seconds(*at_least),
            seconds(*at_most)
        ),
        Public::Drained {
            seconds: lasted,
            traffic,
            reason,
        } => {
            let packets = traffic.map_or("traffic unknown".to_owned(), |packets| {
                format!("{packets:.1} packets a second")
            });
            let why = match reason {
                DrainEnd::Quiet => "quiet",
                DrainEnd::AtMost => "still busy at its end",
                DrainEnd::Unknown => "it lasted to its end",
            };
            format!("drained in {}: {why}, {packets}", seconds(*lasted))
        }
        Public::Recreated {
            containers,
            seconds: lasted,
            scaled_from,
            scaled_to,
        } => {
            let made = counted(*containers, "container");
            let scale = scale(scaled_from, scaled_to);
            format!("recreated: {made} in {}{scale}", seconds(*lasted))
        }
        Public::TrialBegun { addresses, .. } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!(
                "verified; waits for a person to try {}",
                addresses.join(", ")
            )
        }
        Public::TrialAccepted { actor, reason } => {
            let reason = reason.as_ref();
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            format!("accepted by {actor}{reason}; it is verified once more")
        }
        Public::Verified { recreated: true } => {
            "verified: all is new, on its digests, healthy".to_owned()
        }
        Public::Verified { recreated: false } => "verified as it stands".to_owned(),
        Public::Restored { addresses } => format!("restored: {}", listed(addresses)),
        Public::Soaked => "soaked: healthy in service".to_owned(),
        Public::VisitCompleted {
            in_service,
            next_site,
        } => {
            let place = if *in_service { "" } else { ", out of service" };
            let next = next_site.as_ref();
            let next = next.map_or(String::new(), |site| format!("; next: {site}"));
            format!("visit completed{place}{next}")
        }
        Public::PutBack { why, .. } => format!("put back as it was: {why}"),
        Public::SiteSkipped { why, .. } => format!("skipped, nothing was changed: {why}"),
        Public::SiteQuarantined { why, .. } => format!("quarantined, it stays out: {why}"),
        Public::RollingBack { why, .. } => {
            format!("rolling back to the images that passed here last: {why}")
        }
        Public::RolledBack { why, .. } => {
            format!("rolled back, it serves the images that passed here last: {why}")
        }
        Public::Retrying {
            attempt,
            after,
            why,
        } => format!("attempt {attempt} follows in {}: {why}", seconds(*after)),
        // It names the hook itself.
        Public::HookFailed { why, .. } => why.clone(),
        Public::Waiting { why, r#for, until } => {
            let so_far = match r#for {
                0 => String::new(),
                lasted => format!(", {} so far", seconds(*lasted)),
            };
            let until = until.map_or(String::new(), |until| {
                format!(", until {}", when.ahead(until, now))
            });
            format!("waiting for {why}{so_far}{until}")
        }
        Public::TagMoved { moved } => {
            let images: Vec<String> = moved.keys().map(ToString::to_string).collect();
            format!(
                "moved since it was pinned, the next rotation takes it: {}",
                images.join(", ")
            )
        }
        Public::TakenOver { from, from_epoch } => {
            let from = from.as_deref().unwrap_or("nobody");
            format!("marker taken over from {from}, epoch {from_epoch}")
        }
        Public::RotationPaused {
            actor,
            reason,
            until,
            then,
        } => {
            let until = until.map_or(String::new(), |until| {
                format!(", until {}", when.ahead(until, now))
            });
            let then = match then {
                Some(Then::Abort) => ", then aborted",
                Some(Then::Resume) | None => "",
            };
            format!("paused by {actor}: {reason}{until}{then}")
        }
        Public::RotationResumed {
            after: Interruption::Pause,
        } => "resumed".to_owned(),
        Public::RotationResumed {
            after: Interruption::Crash,
        } => "resumed: the process had died".to_owned(),
        Public::RotationHalted { cause, .. } => format!("halted: {cause}"),
        Public::RotationAborted { reason } => format!("aborted: {reason}"),
        Public::RotationCompleted {
            seconds: lasted,
            visited,
            skipped,
        } => {
            let skipped = match skipped.as_slice() {
                [] => String::new(),
                skipped => {
                    let names: Vec<&str> = skipped.iter().map(|site| site.as_str()).collect();
                    format!("; not as planned: {}", names.join(", "))
                }
            };
            let visited = counted(visited.len() as u64, "site");
            format!("completed: {visited} in {}{skipped}", seconds(*lasted))
        }
    }
}

fn begins(kind: Kind) -> &'static str {
    match kind {
        Kind::InService => "",
        Kind::Rebuild => ": rebuild",
        Kind::Quarantined => ": it was quarantined",
        Kind::FoundOut => ": it was found out of service",
        Kind::AsItStands => ": as it stands",
        Kind::WithdrawOnly => ": to be taken out",
        Kind::MarkerOnly => ": only the marker changes",
    }
}

fn listed<K: ToString, A: ToString>(
    addresses: &BTreeMap<K, std::collections::BTreeSet<A>>,
) -> String {
    let records = addresses.iter().map(|(record, addresses)| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        format!("{} of {}", addresses.join(", "), record.to_string())
    });
    match records.collect::<Vec<_>>().join("; ") {
        text if text.is_empty() => "no address was there".to_owned(),
        text => text,
    }
}

/// ` (edge/web 3 → 2)`, where the scale changed.
fn scale(from: &BTreeMap<String, u32>, to: &BTreeMap<String, u32>) -> String {
    let services: std::collections::BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let count = |of: &BTreeMap<String, u32>, service: &String| of.get(service).copied();
    let changed: Vec<String> = services
        .into_iter()
        .filter(|service| count(from, service) != count(to, service))
        .map(|service| {
            let (from, to) = (count(from, service), count(to, service));
            format!("{service} {} → {}", from.unwrap_or(0), to.unwrap_or(0))
        })
        .collect();
    match changed.is_empty() {
        true => String::new(),
        false => format!(" ({})", changed.join(", ")),
    }
}

pub(crate) fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// What a container wrote must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{b7}'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

fn seconds(seconds: u64) -> String {
    span(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_scale_is_told_and_an_unchanged_one_is_not() {
        let of = |count| BTreeMap::from([("edge/web".to_owned(), count)]);
        assert_eq!(scale(&of(2), &of(2)), "");
        assert_eq!(scale(&of(5), &of(2)), " (edge/web 5 → 2)");
        assert_eq!(scale(&BTreeMap::new(), &of(1)), " (edge/web 0 → 1)");
    }
}
