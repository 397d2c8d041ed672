//! Whether a playbook fits the fleet: its sites exist, its drain can be found quiet.
use std::time::Duration;

use super::super::diagnostic::Findings;
use super::super::resolve::names::check_site;
use super::super::table::show;
use super::read::PlaybookFile;
use crate::model::fleet::Fleet;

/// Reports what of `file` does not fit `fleet`.
pub(crate) fn check_fit(file: &PlaybookFile, fleet: &Fleet, findings: &mut Findings) {
    for site in &file.sites {
        check_site(site, fleet.sites.keys(), findings);
    }
    check_drain(file, fleet, findings);
}

/// A drain starts after the last server changed and lasts a TTL at least; then the meter must
/// have seen quiet traffic for a while.
fn check_drain(file: &PlaybookFile, fleet: &Fleet, findings: &mut Findings) {
    let drain = &file.playbook.drain;
    let ttl = fleet.dns.ttl.max(fleet.dns.ttl_was).duration();
    let watched = match fleet.measures_traffic {
        true => drain.quiet.for_at_least,
        false => Duration::ZERO,
    };
    let needs = ttl.max(drain.at_least) + watched;
    if needs <= drain.at_most {
        return;
    }
    let (needs, at_most) = (show(needs), show(drain.at_most));
    let span = file.drain_span.clone();
    if ttl > drain.at_most {
        findings
            .error(
                span,
                format!("a TTL of {} outlives the drain's {at_most}", show(ttl)),
            )
            .hint(format!(
                "lower the TTL in DNS, or write at_most = \"{needs}\" or more"
            ));
    } else {
        findings
            .error(
                span,
                format!("the drain could never be found quiet: {at_most} is all it has"),
            )
            .label(format!("TTL or at_least, and quiet.for, are {needs}"))
            .hint(format!(
                "write at_most = \"{needs}\" or more, or a shorter quiet.for"
            ));
    }
}
