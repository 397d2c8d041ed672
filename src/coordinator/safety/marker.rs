//! Who holds the marker, and whether it is as we left it.
use super::Refusal;
use crate::coordinator::guards::Guard;
use crate::coordinator::plan::Mode;
use crate::model::fleet::Fleet;
use crate::model::id::SiteName;
use crate::model::marker::Marker;
use crate::model::rrset::{MarkerSeen, RecordName, ZoneView};

/// The one marker that stands at every record, or none.
///
/// # Errors
/// Where the records disagree, or something else stands at a marker's name.
pub fn one_marker<'v>(fleet: &Fleet, view: &'v ZoneView) -> Result<Option<&'v Marker>, Refusal> {
    let mut found: Option<(&RecordName, Option<&Marker>)> = None;
    for record in fleet.dns.records.keys() {
        let here = match view.markers.get(record) {
            Some(MarkerSeen::Here(marker)) => Some(marker),
            Some(MarkerSeen::Absent) | None => None,
            Some(MarkerSeen::Foreign { texts, why }) => {
                return Err(Refusal::new(
                    "compare-and-swap",
                    format!(
                        "the TXT records at {} are no marker: {why} ({texts:?})",
                        record.marker()
                    ),
                    "remove the TXT records that are not cleanslate's from that name",
                ));
            }
        };
        match &found {
            None => found = Some((record, here)),
            Some((other, first)) if *first != here => {
                return Err(Refusal {
                    rule: "compare-and-swap".to_owned(),
                    why: format!(
                        "the markers at {} and {} differ",
                        other.marker(),
                        record.marker()
                    ),
                    cure: "if a record was added to site.toml, copy the other record's marker to \
                           it once (`dig TXT`, then `nsupdate`); else somebody edited one of them: \
                           `cleanslate take-over --reason TEXT` after a look"
                        .to_owned(),
                    is_transient: true,
                });
            }
            Some(_) => {}
        }
    }
    let marker = found.and_then(|(_, marker)| marker);
    match marker {
        Some(marker) if marker.fleet != fleet.name => Err(Refusal::new(
            "one rotation",
            format!(
                "the marker belongs to fleet {}, this is {}",
                marker.fleet, fleet.name
            ),
            "two fleets cannot share a record: give one of them another record or the same name",
        )),
        Some(_) | None => Ok(marker),
    }
}

/// **cordon**: a rotation leaves a cordoned site alone, also one that was cordoned after it was
/// planned. Who asks for a site by its name means it.
///
/// # Errors
/// Where the marker lists the site as cordoned.
pub fn cordon(marker: Option<&Marker>, mode: &Mode, site: &SiteName) -> Result<(), Refusal> {
    let is_cordoned = marker.is_some_and(|marker| marker.cordon.contains(site));
    if *mode != Mode::Rotate || !is_cordoned || !Guard::CordonHolds.stands() {
        return Ok(());
    }
    Err(Refusal::new(
        "cordon",
        format!("{site} is cordoned: a rotation skips it"),
        format!("when it may be rotated again: `cleanslate uncordon {site}`"),
    ))
}

/// **max_unavailable**: a rotation takes no site out while so many of any visits are out already,
/// whoever took them out.
///
/// # Errors
/// Names the sites that are out.
pub fn max_unavailable(
    marker: &Marker,
    mode: &Mode,
    most: u32,
    site: &SiteName,
) -> Result<(), Refusal> {
    let out: Vec<&SiteName> = marker.out.iter().filter(|other| *other != site).collect();
    let is_within = out.len() < most.max(1) as usize || !Guard::MostUnavailable.stands();
    if *mode != Mode::Rotate || is_within {
        return Ok(());
    }
    let names: Vec<&str> = out.iter().map(|site| site.as_str()).collect();
    Err(Refusal {
        rule: "max_unavailable".to_owned(),
        why: format!(
            "{} of {most} sites that may be out together are out already: {}",
            out.len(),
            names.join(", ")
        ),
        cure: "bring them back first: `cleanslate recover`".to_owned(),
        is_transient: true,
    })
}

/// How a marker that was read stands to the one this coordinator wrote last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is ours, unchanged.
    Ours,
    /// Somebody else changed it after us.
    Deposed,
    /// It is older than ours, or gone: the zone went backwards.
    Backwards,
}

/// Compares the marker on the primary with the last one that was proven to be ours.
pub fn standing(ours: &Marker, seen: Option<&Marker>) -> Standing {
    match seen {
        Some(seen) if seen == ours => Standing::Ours,
        Some(seen) if (seen.epoch, seen.seq) > (ours.epoch, ours.seq) => Standing::Deposed,
        Some(_) | None => Standing::Backwards,
    }
}
