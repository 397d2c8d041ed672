//! Who may change the fleet's DNS, and what the marker says of sites; none of it is asked, all of it
//! was read.
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Check, Own};
use crate::coordinator::safety::{self, Presence, Standing};
use crate::model::fleet::Fleet;
use crate::model::id::{RotationId, SiteName};
use crate::model::marker::Marker;
use crate::model::rrset::ZoneView;
use crate::model::time::span;

pub(super) fn checks(fleet: &Fleet, view: &ZoneView, own: &Own, now: Timestamp) -> Vec<Check> {
    let marker = match safety::one_marker(fleet, view) {
        Ok(marker) => marker,
        // A person's edit: asking again does not help.
        Err(refusal) => return vec![Check::wrong("marker", refusal.why, refusal.cure)],
    };
    let mut checks = vec![standing(marker, own, now)];
    for site in fleet.sites.keys() {
        checks.push(of_site(fleet, view, marker, site));
    }
    checks.extend(marker.into_iter().flat_map(|marker| unknown(fleet, marker)));
    checks
}

fn standing(marker: Option<&Marker>, own: &Own, now: Timestamp) -> Check {
    let asked = "marker";
    if let Some(ours) = &own.marker
        && safety::standing(ours, marker) == Standing::Backwards
    {
        let version = |marker: &Marker| format!("epoch {} seq {}", marker.epoch, marker.seq);
        let answer = format!(
            "the zone went backwards: {}, and this store has seen {}",
            marker.map_or("there is none".to_owned(), version),
            version(ours)
        );
        let cure = "look first (docs/runbooks/zone-went-backwards.md), then: cleanslate take-over \
                    --reason TEXT";
        return Check::wrong(asked, answer, cure);
    }
    let Some(marker) = marker else {
        return Check::well(asked, "none yet: the first rotation makes it");
    };
    let version = format!("epoch {} seq {}", marker.epoch, marker.seq);
    let Some(holder) = &marker.holder else {
        return Check::well(asked, format!("{version}, nobody holds it"));
    };
    let rotation = marker.rotation.as_ref();
    let doing = rotation.map_or_else(String::new, |rotation| match begun(rotation) {
        Some(begun) => {
            let ago = now.duration_since(begun).unsigned_abs();
            format!(" for {rotation}, begun {} ago", span(ago))
        }
        None => format!(" for {rotation}"),
    });
    match (own.holder.as_ref() == Some(holder), own.is_live) {
        (true, true) => Check::well(asked, format!("{version}, held here{doing}")),
        (true, false) => Check::noted(
            asked,
            format!("{version}, held by this store{doing}, and no process works on it"),
        )
        .cured_by("the next start of `cleanslate rotate` or `cleanslate serve` goes on with it"),
        (false, true | false) => Check::noted(
            asked,
            format!("{version}, held by another coordinator, {holder}{doing}"),
        )
        .cured_by(
            "nothing, if it is at work: rotations wait for it. If its process is dead, one takes it \
             over after 30 minutes without a change, or at once: cleanslate take-over --reason TEXT",
        ),
    }
}

/// When a rotation began, as its id tells, in UTC.
fn begun(rotation: &RotationId) -> Option<Timestamp> {
    let at = rotation.as_str().rsplit('-').nth(1)?;
    let at = DateTime::strptime("%Y%m%dT%H%M%S", at).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn of_site(fleet: &Fleet, view: &ZoneView, marker: Option<&Marker>, site: &SiteName) -> Check {
    let asked = format!("site {site}");
    let presence = safety::presence(fleet, view, site);
    let is_in = |list: fn(&Marker) -> &std::collections::BTreeSet<SiteName>| {
        marker.is_some_and(|marker| list(marker).contains(site))
    };
    let in_dns = match presence {
        Presence::All => "in DNS",
        Presence::Partly => "partly in DNS",
        Presence::None => "not in DNS",
    };
    let rebuild = format!("cleanslate rebuild {site} --reason TEXT");
    let (answer, cure) = if is_in(|marker| &marker.dirty) {
        let answer = "dirty: something of it may have been stopped";
        (
            answer,
            format!("the next rotation rebuilds it first; sooner: {rebuild}"),
        )
    } else if is_in(|marker| &marker.held) {
        let answer = "held: a person took it out";
        (
            answer,
            format!("when it may serve again: cleanslate restore {site}"),
        )
    } else if is_in(|marker| &marker.out) {
        let answer = "quarantined: a visit took it out and did not bring it back";
        (
            answer,
            format!(
                "the next rotation visits it first; sooner: {rebuild}, or cleanslate restore {site}"
            ),
        )
    } else if presence != Presence::All {
        let answer = "somebody else took it out, or it was never put in";
        let cure = format!("to put it in: cleanslate rebuild {site} --restore --reason TEXT");
        (answer, cure)
    } else if is_in(|marker| &marker.cordon) {
        let answer = "cordoned: rotations leave it out";
        (
            answer,
            format!("when it may be rotated again: cleanslate uncordon {site}"),
        )
    } else {
        return Check::well(asked, in_dns);
    };
    Check::noted(asked, format!("{in_dns}; {answer}")).cured_by(cure)
}

/// Sites that the marker speaks of and site.toml does not.
fn unknown<'a>(fleet: &'a Fleet, marker: &'a Marker) -> impl Iterator<Item = Check> + 'a {
    let lists = [
        ("out", &marker.out),
        ("dirty", &marker.dirty),
        ("held", &marker.held),
        ("cordon", &marker.cordon),
    ];
    lists.into_iter().flat_map(|(list, sites)| {
        let gone = sites.iter().filter(|site| !fleet.sites.contains_key(*site));
        gone.map(move |site| {
            let answer = format!("the marker lists it as {list}, and site.toml has no such site");
            let cure =
                "declare it again until it is in service, or leave it: rotations pass it over";
            Check::noted(format!("site {site}"), answer).cured_by(cure)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use crate::coordinator::tests::world::{World, fleet, site};
    use crate::model::rrset::MarkerSeen;

    #[test]
    fn a_marker_says_who_holds_it_and_since_when() {
        let now = "2026-11-23T03:10:00Z".parse().unwrap();
        let mut marker = crate::dns::testing::a_marker(7);
        marker.rotation = Some("nightly-20261123T030000-K3QX".parse().unwrap());
        let own = |holder: &str, is_live| Own {
            holder: Some(holder.parse().unwrap()),
            is_live,
            ..Own::default()
        };
        let says = |own: &Own| {
            let check = standing(Some(&marker), own, now);
            (check.found, check.answer)
        };
        let doing = "for nightly-20261123T030000-K3QX, begun 10m ago";
        assert_eq!(
            says(&own("b7c8", false)),
            (
                Found::Noted,
                format!("epoch 1 seq 7, held by another coordinator, a1b2 {doing}")
            )
        );
        assert_eq!(
            says(&own("a1b2", true)),
            (Found::Well, format!("epoch 1 seq 7, held here {doing}"))
        );
        assert_eq!(says(&own("a1b2", false)).0, Found::Noted);
        let newer = Own {
            marker: Some(crate::dns::testing::a_marker(8)),
            ..Own::default()
        };
        let (found, answer) = says(&newer);
        assert_eq!(found, Found::Wrong);
        assert!(answer.contains("went backwards: epoch 1 seq 7, and this store has seen"));
        assert_eq!(standing(None, &newer, now).found, Found::Wrong);
        assert_eq!(standing(None, &Own::default(), now).found, Found::Well);
    }

    #[test]
    fn what_a_site_waits_for_is_noted_with_the_command() {
        let fleet = fleet();
        let mut marker = crate::dns::testing::a_marker(1);
        marker.fleet = fleet.name.clone();
        marker.held = [site("fra")].into();
        marker.out = [site("nyc"), site("gone")].into();
        marker.dirty = [site("nyc")].into();
        let mut view = World::new().zone().clone();
        for seen in view.markers.values_mut() {
            *seen = MarkerSeen::Here(marker.clone());
        }
        let now = Timestamp::UNIX_EPOCH;
        let checks = checks(&fleet, &view, &Own::default(), now);
        let of = |name: &str| {
            let asked = format!("site {name}");
            let check = checks.iter().find(|check| check.asked == asked).unwrap();
            (check.found, check.cure.clone().unwrap_or_default())
        };
        assert_eq!(of("fra").0, Found::Noted);
        assert!(of("fra").1.ends_with("cleanslate restore fra"));
        assert!(of("nyc").1.contains("cleanslate rebuild nyc --reason TEXT"));
        assert_eq!(of("sin"), (Found::Well, String::new()));
        assert_eq!(of("gone").0, Found::Noted);
    }
}
